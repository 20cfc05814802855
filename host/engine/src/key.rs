//! Keys: the key columns of a batch as bytes, their hash, the key group that follows from it, and the lane that owns
//! the group.
//!
//! **Stable for ever.** Key bytes and hash decide which lane owns a key and where its state lies in a checkpoint, so
//! what stands here never changes between processes, machines or releases; a test holds known values. For that reason
//! the hash is our own (two rounds of 64 x 64 -> 128 bit multiply and fold, the core of wyhash) and none of a library,
//! which may change. It has no secret: who may choose keys freely can make some collide.
//!
//! Key bytes of one column: 8 bytes little-endian of an `int64`, `timestamp` or `float64` (-0 as 0, any NaN as one),
//! one byte of a `boolean`, the bytes themselves of the others. Null is the one byte `FF`; a `bytes` value that begins
//! with `FF` (text never does) gets one more `FF` in front. Of several columns: for each its length (a byte; from 255
//! on `FF` and a u32) and its bytes. So two keys are equal exactly when their bytes are.
//!
//! Neighbours: an exchange splits batches with [`partition`], [`crate::state`] finds keys by [`Keys`].

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use crate::limits::KEY_GROUPS;

const _: () = assert!(cfg!(target_endian = "little"), "columns are cast to bytes, which are little-endian");
const _: () = assert!(KEY_GROUPS == 1 << GROUP_BITS, "a key group is the first bits of the hash");

const GROUP_BITS: u32 = 7;

/// What null is as a key, and what escapes a value that begins with it.
const NULL: u8 = 0xFF;

/// The keys of a batch's rows.
#[derive(Clone, Debug)]
pub struct Keys {
    hashes: Vec<u64>,
    pub(crate) bytes: KeyBytes,
}

/// Where the bytes of the keys lie.
#[derive(Clone, Debug)]
pub(crate) enum KeyBytes {
    /// 8 bytes a row.
    Words(ScalarBuffer<u64>),
    /// Row i is `data[ends[i]..ends[i + 1]]`.
    Spans(Buffer, OffsetBuffer<i32>),
}

impl Keys {
    /// The keys of all rows; `columns` are the key's, at least one, all of one length. One text column and one column
    /// of whole numbers are not copied.
    #[must_use]
    pub fn encode(columns: &[ArrayRef]) -> Self {
        let rows = columns.first().expect("a key has at least one column").len();
        let columns: Vec<Values<'_>> = columns.iter().map(Values::of).collect();
        let bytes = match &columns[..] {
            [single] => single.shared().unwrap_or_else(|| build(rows, |row, into| single.push(row, into))),
            several => build(rows, |row, into| several.iter().for_each(|column| push_prefixed(column, row, into))),
        };
        let hashes = match &bytes {
            KeyBytes::Words(words) => words.iter().map(|word| hash_word(*word)).collect(),
            KeyBytes::Spans(data, ends) => {
                ends.windows(2).map(|span| hash(&data[span[0] as usize..span[1] as usize])).collect()
            }
        };
        Self { hashes, bytes }
    }

    /// The hash of each row's key.
    #[must_use]
    pub fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// The key of a row.
    #[must_use]
    pub fn get(&self, row: usize) -> &[u8] {
        match &self.bytes {
            KeyBytes::Words(words) => &words.inner()[row * 8..row * 8 + 8],
            KeyBytes::Spans(data, ends) => &data[ends[row] as usize..ends[row + 1] as usize],
        }
    }
}

/// The key group of a hash, below [`KEY_GROUPS`]. The rest of the hash is for tables within a group.
#[must_use]
pub fn group(hash: u64) -> u32 {
    (hash >> (64 - GROUP_BITS)) as u32
}

/// The lane, below `lanes`, that owns a key group. `lanes` lies in 1 to [`KEY_GROUPS`].
#[must_use]
pub fn lane_of(group: u32, lanes: u32) -> u32 {
    group * lanes / KEY_GROUPS
}

/// The key groups that a lane owns: never none.
#[must_use]
pub fn groups_of(lane: u32, lanes: u32) -> Range<u32> {
    (lane * KEY_GROUPS).div_ceil(lanes)..((lane + 1) * KEY_GROUPS).div_ceil(lanes)
}

/// For each lane the rows whose keys it owns, in order. Two passes and one allocation for all row numbers.
#[must_use]
pub fn partition(hashes: &[u64], lanes: u32) -> Vec<UInt32Array> {
    assert!((1..=KEY_GROUPS).contains(&lanes), "{lanes} lanes are not between 1 and {KEY_GROUPS}");
    let mut next = vec![0usize; lanes as usize + 1];
    let lane = |hash: u64| lane_of(group(hash), lanes) as usize;
    for hash in hashes {
        next[lane(*hash) + 1] += 1;
    }
    for lane in 0..lanes as usize {
        next[lane + 1] += next[lane];
    }
    let bounds = next.clone();
    let mut rows = vec![0u32; hashes.len()];
    for (row, hash) in (0u32..).zip(hashes) {
        let at = &mut next[lane(*hash)];
        rows[*at] = row;
        *at += 1;
    }
    let rows = ScalarBuffer::from(rows);
    bounds.windows(2).map(|b| UInt32Array::new(rows.slice(b[0], b[1] - b[0]), None)).collect()
}

/// The hash of key bytes.
#[must_use]
pub fn hash(key: &[u8]) -> u64 {
    let len = key.len();
    let (a, b) = match len {
        0 => (0, 0),
        1..=3 => (u64::from(key[0]) << 16 | u64::from(key[len / 2]) << 8 | u64::from(key[len - 1]), 0),
        4..=7 => (half(key, 0), half(key, len - 4)),
        8..=16 => (word(key, 0), word(key, len - 8)),
        _ => return hash_long(key),
    };
    finish(fold(a ^ SECRETS[0], b ^ SECRETS[1]), len)
}

/// The hash of a key of 8 bytes: the same as [`hash`] has.
#[must_use]
pub(crate) fn hash_word(key: u64) -> u64 {
    finish(fold(key ^ SECRETS[0], key ^ SECRETS[1]), 8)
}

fn hash_long(key: &[u8]) -> u64 {
    let last = key.len() - 16;
    let mut state = SECRETS[1];
    for at in (0..last).step_by(16) {
        state = fold(word(key, at) ^ SECRETS[0], word(key, at + 8) ^ state);
    }
    finish(fold(word(key, last) ^ SECRETS[0], word(key, last + 8) ^ state), key.len())
}

/// Odd numbers without pattern: fractional digits of pi.
const SECRETS: [u64; 4] = [0x243F_6A88_85A3_08D3, 0x1319_8A2E_0370_7345, 0xA409_3822_299F_31D1, 0x082E_FA98_EC4E_6C89];

fn finish(state: u64, len: usize) -> u64 {
    fold(state ^ SECRETS[2], len as u64 ^ SECRETS[3])
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of 8 bytes is 8 bytes"))
}

fn half(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of 4 bytes is 4 bytes")))
}

/// A key column.
struct Values<'a> {
    data: Data<'a>,
    nulls: Option<&'a NullBuffer>,
}

enum Data<'a> {
    Words(&'a Buffer),
    Floats(&'a [f64]),
    Booleans(&'a BooleanBuffer),
    Spans(&'a Buffer, &'a OffsetBuffer<i32>),
}

impl<'a> Values<'a> {
    fn of(column: &'a ArrayRef) -> Self {
        let data = match column.data_type() {
            DataType::Int64 => Data::Words(column.as_primitive::<Int64Type>().values().inner()),
            DataType::Timestamp(..) => Data::Words(column.as_primitive::<TimestampMicrosecondType>().values().inner()),
            DataType::Float64 => Data::Floats(column.as_primitive::<Float64Type>().values()),
            DataType::Boolean => Data::Booleans(column.as_boolean().values()),
            DataType::Utf8 => Data::Spans(column.as_string::<i32>().values(), column.as_string::<i32>().offsets()),
            DataType::Binary => Data::Spans(column.as_binary::<i32>().values(), column.as_binary::<i32>().offsets()),
            other => panic!("no kind of field has values of type {other}"),
        };
        Self { data, nulls: column.nulls().filter(|nulls| nulls.null_count() > 0) }
    }

    /// The column's own buffers, where they are the keys as they stand.
    fn shared(&self) -> Option<KeyBytes> {
        if self.nulls.is_some() {
            return None;
        }
        match self.data {
            Data::Words(words) => Some(KeyBytes::Words(ScalarBuffer::new(words.clone(), 0, words.len() / 8))),
            Data::Floats(floats) => Some(KeyBytes::Words(floats.iter().map(|value| canonical(*value)).collect())),
            Data::Spans(data, ends) => {
                let escaped = |span: &[i32]| span[0] < span[1] && data[span[0] as usize] == NULL;
                (!ends.windows(2).any(escaped)).then(|| KeyBytes::Spans(data.clone(), ends.clone()))
            }
            Data::Booleans(_) => None,
        }
    }

    fn push(&self, row: usize, into: &mut Vec<u8>) {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return into.push(NULL);
        }
        match self.data {
            Data::Words(words) => into.extend_from_slice(&words[row * 8..row * 8 + 8]),
            Data::Floats(floats) => into.extend_from_slice(&canonical(floats[row]).to_le_bytes()),
            Data::Booleans(bits) => into.push(u8::from(bits.value(row))),
            Data::Spans(data, ends) => {
                let value = &data[ends[row] as usize..ends[row + 1] as usize];
                if value.first() == Some(&NULL) {
                    into.push(NULL);
                }
                into.extend_from_slice(value);
            }
        }
    }
}

/// The bits of a float that stand for all floats equal to it, and for all NaN.
fn canonical(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() }
}

fn build(rows: usize, mut push: impl FnMut(usize, &mut Vec<u8>)) -> KeyBytes {
    let mut data = Vec::with_capacity(rows * 16);
    let mut ends = Vec::with_capacity(rows + 1);
    ends.push(0);
    for row in 0..rows {
        push(row, &mut data);
        ends.push(i32::try_from(data.len()).expect("the keys of a batch are far smaller than 2 GiB"));
    }
    KeyBytes::Spans(data.into(), OffsetBuffer::new(ends.into()))
}

fn push_prefixed(column: &Values<'_>, row: usize, into: &mut Vec<u8>) {
    let start = into.len();
    into.push(0);
    column.push(row, into);
    let len = into.len() - start - 1;
    match u8::try_from(len) {
        Ok(short) if short < u8::MAX => into[start] = short,
        _ => {
            let len = u32::try_from(len).expect("a value in a column is shorter than 2 GiB");
            into[start] = u8::MAX;
            into.splice(start + 1..start + 1, len.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn int64(values: Vec<Option<i64>>) -> ArrayRef {
        Arc::new(Int64Array::from(values))
    }

    fn bytes(values: Vec<Option<&[u8]>>) -> ArrayRef {
        Arc::new(BinaryArray::from(values))
    }

    #[test]
    fn hashes_are_those_of_every_release() {
        for (key, expected) in [
            (&b""[..], 0xB3BF_C73D_BDA2_207A_u64),
            (b"a", 0xE35C_6A75_F69E_055B),
            (b"user-1", 0x4D28_1BD9_93BA_FDA6),
            (b"12345678", 0x38A0_7401_1058_805B),
            (b"sensor-000042", 0x8C86_5D25_F5EC_C08A),
            (b"a key of more than sixteen bytes", 0x95FA_F2ED_DD43_3EA5),
        ] {
            assert_eq!(hash(key), expected, "{:?}: {:#x}", std::str::from_utf8(key), hash(key));
        }
        assert_eq!(hash(&7u64.to_le_bytes()), hash_word(7));
    }

    #[test]
    fn key_bytes_are_as_the_header_says() {
        let keys = Keys::encode(&[int64(vec![Some(1), None])]);
        assert_eq!((keys.get(0), keys.get(1)), (&1u64.to_le_bytes()[..], &[0xFF][..]));
        let keys = Keys::encode(&[bytes(vec![Some(b"\xFFx"), Some(b""), None])]);
        assert_eq!((keys.get(0), keys.get(1), keys.get(2)), (&b"\xFF\xFFx"[..], &b""[..], &b"\xFF"[..]));
        let keys = Keys::encode(&[bytes(vec![Some(b"ab")]), int64(vec![None])]);
        assert_eq!(keys.get(0), b"\x02ab\x01\xFF");
        let long = vec![b'x'; 300];
        let keys = Keys::encode(&[bytes(vec![Some(&long)]), Arc::new(BooleanArray::from(vec![true]))]);
        assert_eq!(&keys.get(0)[..5], b"\xFF\x2C\x01\x00\x00");
        assert_eq!(&keys.get(0)[305..], b"\x01\x01");
    }

    #[test]
    fn equal_floats_are_one_key() {
        let other_nan = f64::from_bits(f64::NAN.to_bits() | 1);
        let keys = Keys::encode(&[Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN, other_nan, 1.5]))]);
        assert_eq!(keys.get(0), keys.get(1));
        assert_eq!(keys.get(2), keys.get(3));
        assert_eq!(keys.get(4), 1.5f64.to_le_bytes());
    }

    #[test]
    fn a_sliced_column_has_the_keys_of_its_slice() {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["a", "bb", "ccc"]));
        let keys = Keys::encode(&[text.slice(1, 2)]);
        assert_eq!((keys.get(0), keys.get(1), keys.hashes().len()), (&b"bb"[..], &b"ccc"[..], 2));
        let keys = Keys::encode(&[int64(vec![Some(1), Some(2), None]).slice(1, 1)]);
        assert_eq!(keys.get(0), 2u64.to_le_bytes());
    }

    #[test]
    fn every_lane_owns_its_share_of_key_groups() {
        for lanes in 1..=KEY_GROUPS {
            for lane in 0..lanes {
                let groups = groups_of(lane, lanes);
                assert!(groups.clone().all(|group| lane_of(group, lanes) == lane));
                assert!((groups.len() as u32).abs_diff(KEY_GROUPS / lanes) <= 1);
            }
            assert_eq!(groups_of(lanes - 1, lanes).end, KEY_GROUPS);
        }
    }

    #[test]
    fn regular_keys_spread_evenly_over_groups_and_over_the_low_bits() {
        let families: [&dyn Fn(u64) -> u64; 4] =
            [&|i| hash_word(i), &|i| hash_word(i << 32), &|i| hash_word(i * 1_000_000), &|i| {
                hash(format!("sensor-{i:06}").as_bytes())
            }];
        for (number, family) in families.iter().enumerate() {
            let mut counts = [[0u32; 128]; 2];
            for i in 0..128_000 {
                let hash = family(i);
                counts[0][group(hash) as usize] += 1;
                counts[1][(hash & 127) as usize] += 1;
            }
            // 1,000 expected in each, standard deviation 32.
            assert!(counts.iter().flatten().all(|n| (800..1_200).contains(n)), "family {number}: {counts:?}");
        }
    }

    proptest! {
        #[test]
        fn a_partition_has_every_row_once_and_in_order(
            hashes in prop::collection::vec(any::<u64>(), 0..300),
            lanes in 1u32..=128,
        ) {
            let lists = partition(&hashes, lanes);
            prop_assert_eq!(lists.len(), lanes as usize);
            for (lane, rows) in (0..).zip(&lists) {
                prop_assert!(rows.values().windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!(rows.values().iter().all(|row| lane_of(group(hashes[*row as usize]), lanes) == lane));
            }
            prop_assert_eq!(lists.iter().map(Array::len).sum::<usize>(), hashes.len());
        }

        #[test]
        fn two_keys_have_the_same_bytes_exactly_when_they_are_equal(
            rows in prop::collection::vec((
                prop::option::of(prop::collection::vec(prop::sample::select(vec![0u8, 1, 254, 255]), 0..3)),
                prop::option::of(0i64..2),
            ), 1..30),
            single in any::<bool>(),
        ) {
            let first = bytes(rows.iter().map(|row| row.0.as_deref()).collect());
            let second = int64(rows.iter().map(|row| row.1).collect());
            let keys = if single { Keys::encode(&[first]) } else { Keys::encode(&[first, second]) };
            for (i, a) in rows.iter().enumerate() {
                for (j, b) in rows.iter().enumerate() {
                    let equal = a.0 == b.0 && (single || a.1 == b.1);
                    prop_assert_eq!(equal, keys.get(i) == keys.get(j));
                    prop_assert!(!equal || keys.hashes()[i] == keys.hashes()[j]);
                }
            }
        }
    }
}
