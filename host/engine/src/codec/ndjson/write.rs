//! Values to JSON text.

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};

use super::scan::special_bits;
use crate::codec::timestamp;
use crate::dead_letter::base64;
use crate::schema::Kind;

/// A column, ready to be written value by value.
#[derive(Debug)]
pub(super) enum Values {
    /// `boolean`
    Boolean(BooleanArray),
    /// `int64`
    Int64(Int64Array),
    /// `float64`
    Float64(Float64Array),
    /// `utf8`
    Utf8(StringArray),
    /// `bytes`
    Bytes(BinaryArray),
    /// `timestamp`
    Timestamp(TimestampMicrosecondArray),
    /// `json`
    Json(StringArray),
}

/// The column as the array that its kind says.
fn typed<A: Array + Clone + 'static>(column: &ArrayRef) -> A {
    column.as_any().downcast_ref::<A>().expect("a column is of its kind's Arrow type").clone()
}

impl Values {
    /// The values of a column of that kind.
    pub(super) fn new(kind: Kind, column: &ArrayRef) -> Self {
        match kind {
            Kind::Boolean => Self::Boolean(typed(column)),
            Kind::Int64 => Self::Int64(typed(column)),
            Kind::Float64 => Self::Float64(typed(column)),
            Kind::Utf8 => Self::Utf8(typed(column)),
            Kind::Bytes => Self::Bytes(typed(column)),
            Kind::Timestamp => Self::Timestamp(typed(column)),
            Kind::Json => Self::Json(typed(column)),
        }
    }

    /// Writes the value of a row.
    #[inline(always)]
    pub(super) fn write(&self, row: usize, into: &mut Vec<u8>) {
        match self {
            Self::Int64(values) if values.is_valid(row) => {
                into.extend_from_slice(itoa::Buffer::new().format(values.value(row)).as_bytes());
            }
            Self::Utf8(values) if values.is_valid(row) => string(values.value(row), into),
            Self::Float64(values) if values.is_valid(row) && values.value(row).is_finite() => {
                into.extend_from_slice(ryu::Buffer::new().format_finite(values.value(row)).as_bytes());
            }
            Self::Timestamp(values) if values.is_valid(row) => {
                into.push(b'"');
                timestamp::write(values.value(row), into);
                into.push(b'"');
            }
            Self::Boolean(values) if values.is_valid(row) => {
                into.extend_from_slice(if values.value(row) { b"true" } else { b"false" });
            }
            Self::Bytes(values) if values.is_valid(row) => match std::str::from_utf8(values.value(row)) {
                Ok(text) => string(text, into),
                Err(_) => string(&base64(values.value(row)), into),
            },
            Self::Json(values) if values.is_valid(row) => json(values.value(row), into),
            _ => into.extend_from_slice(b"null"),
        }
    }
}

/// Writes a JSON text on one line. It may come from an operator: what is no JSON is written as a string.
fn json(text: &str, into: &mut Vec<u8>) {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return string(text, into);
    }
    let start = into.len();
    into.extend_from_slice(text.as_bytes());
    let mut rest = &mut into[start..];
    while let Some(end) = memchr::memchr(b'\n', rest) {
        rest[end] = b' ';
        rest = &mut rest[end + 1..];
    }
}

/// Writes a string with its quotes, escaped where JSON asks for it.
#[inline]
pub(super) fn string(text: &str, into: &mut Vec<u8>) {
    let mut bytes = text.as_bytes();
    into.push(b'"');
    loop {
        let plain = plain(bytes);
        into.extend_from_slice(&bytes[..plain]);
        let Some(byte) = bytes.get(plain) else { break };
        escape(*byte, into);
        bytes = &bytes[plain + 1..];
    }
    into.push(b'"');
}

/// How many of the first bytes need no escape.
#[inline(always)]
fn plain(bytes: &[u8]) -> usize {
    let mut words = bytes.chunks_exact(8);
    let mut p = 0;
    for word in words.by_ref() {
        let bits = special_bits(u64::from_le_bytes(word.try_into().expect("chunks of eight bytes")));
        if bits != 0 {
            return p + (bits.trailing_zeros() / 8) as usize;
        }
        p += 8;
    }
    let special = |byte: &u8| *byte < 0x20 || matches!(*byte, b'"' | b'\\');
    p + words.remainder().iter().position(special).unwrap_or(words.remainder().len())
}

#[cold]
fn escape(byte: u8, into: &mut Vec<u8>) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        8 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        12 => b'f',
        b'\r' => b'r',
        _ => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            let (high, low) = (DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]);
            return into.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        }
    };
    into.extend_from_slice(&[b'\\', letter]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_serde_json_escapes_them() {
        let every: String = (0..0x250).filter_map(char::from_u32).collect();
        for text in
            ["", "plain", "seven77", "eight888", "a\"b", "12345678\\", "\u{0}\u{1f}\u{7f}é€😀", &every, &every[3..]]
        {
            let mut into = Vec::new();
            string(text, &mut into);
            assert_eq!(String::from_utf8(into).unwrap(), serde_json::to_string(text).unwrap());
        }
    }
}
