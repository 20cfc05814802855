//! Values of one field: text to the column's kind, checked, and kept only where somebody reads it.
//!
//! Strict, so that a mistake becomes a dead letter and not a number: no white space around values, `true` and `false`
//! in lower case, whole numbers that fit in 64 bits, floats that are finite, timestamps in RFC 3339 or as whole
//! milliseconds since 1970, JSON that is JSON.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, BooleanArray, StringArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use serde::de::IgnoredAny;

use crate::batch::fixed;
use crate::codec::timestamp;
use crate::schema::{Field, Kind};

/// A column that grows.
#[derive(Debug)]
pub(super) struct Column {
    kind: Kind,
    nullable: bool,
    fill: bool,
    rows: usize,
    /// Of 8-byte kinds.
    words: Vec<u64>,
    /// Of booleans.
    bits: Vec<bool>,
    /// Of text and bytes: the values, and the end of each.
    data: Vec<u8>,
    ends: Vec<i32>,
    /// Of nullable fields: which rows have a value.
    present: Vec<bool>,
}

/// The text of a field is no value of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAValue;

/// What a reason adds to a float that is none.
const NOT_FINITE: &str = ", which is no finite number; for no value leave the field empty, and declare it `float64?`";

enum Parsed {
    Null,
    Boolean(bool),
    Word(u64),
    Text,
}

impl Column {
    /// An empty column; without `fill` values are checked only.
    pub(super) fn new(field: &Field, fill: bool) -> Self {
        let (words, bits, data, ends, present) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { kind: field.kind, nullable: field.nullable, fill, rows: 0, words, bits, data, ends, present }
    }

    /// Appends a value; none = the record has no such field.
    pub(super) fn push(&mut self, text: Option<&[u8]>, quoted: bool) -> Result<(), NotAValue> {
        let parsed = match text {
            None if self.nullable => Parsed::Null,
            None => return Err(NotAValue),
            Some([]) if self.nullable && !(quoted && matches!(self.kind, Kind::Utf8 | Kind::Bytes)) => Parsed::Null,
            Some(text) => parse(self.kind, text).ok_or(NotAValue)?,
        };
        if !self.fill {
            return Ok(());
        }
        self.rows += 1;
        if self.nullable {
            self.present.push(!matches!(parsed, Parsed::Null));
        }
        match (self.kind, parsed) {
            (Kind::Boolean, Parsed::Boolean(bit)) => self.bits.push(bit),
            (Kind::Boolean, _) => self.bits.push(false),
            (Kind::Int64 | Kind::Float64 | Kind::Timestamp, Parsed::Word(word)) => self.words.push(word),
            (Kind::Int64 | Kind::Float64 | Kind::Timestamp, _) => self.words.push(0),
            (Kind::Utf8 | Kind::Bytes | Kind::Json, parsed) => {
                if let (Parsed::Text, Some(text)) = (parsed, text) {
                    self.data.extend_from_slice(text);
                }
                self.ends.push(i32::try_from(self.data.len()).expect("a chunk is far smaller than 2 GiB"));
            }
        }
        Ok(())
    }

    /// Takes back what was appended past so many rows.
    pub(super) fn truncate(&mut self, rows: usize) {
        if self.rows <= rows {
            return;
        }
        self.rows = rows;
        self.words.truncate(rows);
        self.bits.truncate(rows);
        self.ends.truncate(rows);
        self.present.truncate(rows);
        self.data.truncate(self.ends.last().map_or(0, |end| *end as usize));
    }

    /// Whether the last row has a value.
    pub(super) fn last_is_present(&self) -> bool {
        self.present.last().copied().unwrap_or(!self.nullable)
    }

    /// The 8-byte values.
    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    /// The column, where it was to be filled; empty again after it.
    pub(super) fn finish(&mut self) -> Option<ArrayRef> {
        let rows = std::mem::take(&mut self.rows);
        let present = std::mem::take(&mut self.present);
        let nulls = present.contains(&false).then(|| NullBuffer::from(present));
        self.fill.then(|| -> ArrayRef {
            match self.kind {
                Kind::Boolean => {
                    Arc::new(BooleanArray::new(BooleanBuffer::from(std::mem::take(&mut self.bits)), nulls))
                }
                Kind::Int64 | Kind::Float64 | Kind::Timestamp => {
                    fixed(self.kind, Buffer::from_vec(std::mem::take(&mut self.words)), rows, nulls)
                }
                Kind::Utf8 | Kind::Json => Arc::new(StringArray::new(self.offsets(), self.values(), nulls)),
                Kind::Bytes => Arc::new(BinaryArray::new(self.offsets(), self.values(), nulls)),
            }
        })
    }

    fn offsets(&mut self) -> OffsetBuffer<i32> {
        let offsets = std::iter::once(0).chain(self.ends.drain(..)).collect::<Vec<i32>>();
        OffsetBuffer::new(ScalarBuffer::from(offsets))
    }

    fn values(&mut self) -> Buffer {
        Buffer::from_vec(std::mem::take(&mut self.data))
    }
}

fn parse(kind: Kind, text: &[u8]) -> Option<Parsed> {
    Some(match kind {
        Kind::Boolean => Parsed::Boolean(match text {
            b"true" => true,
            b"false" => false,
            _ => return None,
        }),
        Kind::Int64 => Parsed::Word(int64(text)? as u64),
        Kind::Float64 => Parsed::Word(float64(text)?.to_bits()),
        Kind::Timestamp => {
            let millis = || int64(text).and_then(|millis| millis.checked_mul(1_000));
            Parsed::Word(millis().or_else(|| timestamp::parse(text))? as u64)
        }
        Kind::Json => {
            serde_json::from_slice::<IgnoredAny>(text).ok()?;
            Parsed::Text
        }
        Kind::Utf8 | Kind::Bytes => Parsed::Text,
    })
}

/// What is to be known of a text beyond that it is no value of its kind; empty where the kind says it all.
pub(super) fn detail(kind: Kind, text: &[u8]) -> &'static str {
    match kind {
        Kind::Float64 if decimal(text).is_some() => NOT_FINITE,
        Kind::Timestamp if int64(text).is_some() => timestamp::OUT_OF_RANGE,
        _ => "",
    }
}

/// Digits with or without a sign.
fn int64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    if digits.len() <= 18 {
        let number = digits.iter().try_fold(0, |number, byte| Some(number * 10 + digit(byte)?))?;
        return Some(if negative { -number } else { number });
    }
    // Counted downwards: the smallest number has no positive counterpart.
    let number = digits.iter().try_fold(0i64, |number, byte| number.checked_mul(10)?.checked_sub(digit(byte)?))?;
    if negative { Some(number) } else { number.checked_neg() }
}

/// Finite ones only, as in NDJSON: one `nan` in a file of measurements would make every sum that it is part of one, and
/// `1e999` would become infinity without a word.
fn float64(text: &[u8]) -> Option<f64> {
    decimal(text).filter(|value| value.is_finite())
}

/// What Rust reads as a float, `nan` and `inf` too.
fn decimal(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_exact_or_refused() {
        for (text, number) in [
            ("0", Some(0)),
            ("-7", Some(-7)),
            ("+7", Some(7)),
            ("007", Some(7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("00000000000000000000001", Some(1)),
            ("", None),
            ("-", None),
            ("1.0", None),
            (" 1", None),
            ("1e3", None),
            ("0x1", None),
            ("--1", None),
        ] {
            assert_eq!(int64(text.as_bytes()), number, "{text}");
        }
    }

    #[test]
    fn floats_are_finite_or_refused() {
        for text in ["1", "-1.5", "1e300", ".5", "-0", "1e-999"] {
            assert!(float64(text.as_bytes()).is_some(), "{text}");
        }
        for text in ["", "1,5", " 1", "one", "0x10", "nano"] {
            assert!(float64(text.as_bytes()).is_none() && detail(Kind::Float64, text.as_bytes()).is_empty(), "{text}");
        }
        for text in ["NaN", "nan", "+nan", "-NAN", "inf", "-inf", "+Inf", "Infinity", "-infinity", "1e999", "-1e999"] {
            assert!(float64(text.as_bytes()).is_none(), "{text}");
            assert!(detail(Kind::Float64, text.as_bytes()).starts_with(", which is no finite number"), "{text}");
        }
    }
}
