//! A value of a column, and JSON as it is written in a case or a test.
//!
//! Timestamps are texts of RFC 3339 or whole milliseconds, as in NDJSON; bytes are texts; JSON is any value. Neighbour:
//! `columns` puts values together to columns.

use jiff::Timestamp;
use serde_json::{Map, Value};
use wasmill::column::Kind;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    /// There is none.
    Null,
    /// A boolean.
    Boolean(bool),
    /// An integer, or the microseconds of a timestamp.
    Int64(i64),
    /// A float.
    Float64(f64),
    /// Text, bytes, or JSON text.
    Bytes(Vec<u8>),
}

impl Datum {
    /// The value of that kind that JSON says; none where it says something else.
    #[must_use]
    pub fn read(value: &Value, kind: Kind) -> Option<Self> {
        match (kind, value) {
            (Kind::Json, value) => Some(Self::Bytes(value.to_string().into_bytes())),
            (_, Value::Null) => Some(Self::Null),
            (Kind::Boolean, Value::Bool(truth)) => Some(Self::Boolean(*truth)),
            (Kind::Int64, Value::Number(number)) => number.as_i64().map(Self::Int64),
            (Kind::Timestamp, Value::Number(number)) => number.as_i64()?.checked_mul(1_000).map(Self::Int64),
            (Kind::Timestamp, Value::String(text)) => moment(text).map(Self::Int64),
            (Kind::Float64, Value::Number(number)) => number.as_f64().map(Self::Float64),
            (Kind::Utf8 | Kind::Bytes, Value::String(text)) => Some(Self::Bytes(text.clone().into_bytes())),
            _ => None,
        }
    }

    /// The value that a plan says for rows that have none: as [`Datum::read`], but timestamps in microseconds.
    #[must_use]
    pub fn fallback(value: &Value, kind: Kind) -> Option<Self> {
        match (kind, value) {
            (_, Value::Null) => None,
            (Kind::Timestamp, value) => value.as_i64().map(Self::Int64),
            (kind, value) => Self::read(value, kind),
        }
    }

    /// The same as JSON; what JSON has no value for (bytes that are not text, numbers that are not finite) as text.
    #[must_use]
    pub fn show(&self, kind: Kind) -> Value {
        match (self, kind) {
            (Self::Null, _) => Value::Null,
            (Self::Boolean(truth), _) => (*truth).into(),
            (Self::Int64(micros), Kind::Timestamp) => match Timestamp::from_microsecond(*micros) {
                Ok(at) => format!("{at:.6}").into(),
                Err(_) => (*micros).into(),
            },
            (Self::Int64(number), _) => (*number).into(),
            (Self::Float64(number), _) => {
                serde_json::Number::from_f64(*number).map_or_else(|| number.to_string().into(), Value::Number)
            }
            (Self::Bytes(text), Kind::Json) => {
                serde_json::from_slice(text).unwrap_or_else(|_| String::from_utf8_lossy(text).into())
            }
            (Self::Bytes(text), _) => String::from_utf8_lossy(text).into(),
        }
    }

    /// What stands where there is no value.
    #[must_use]
    pub fn nothing(kind: Kind) -> Self {
        match kind {
            Kind::Boolean => Self::Boolean(false),
            Kind::Int64 | Kind::Timestamp => Self::Int64(0),
            Kind::Float64 => Self::Float64(0.0),
            Kind::Utf8 | Kind::Bytes | Kind::Json => Self::Bytes(Vec::new()),
        }
    }
}

/// Microseconds since 1970-01-01 UTC of a text such as `2026-01-01T00:00:00.25+01:00`, as the host reads it: the zone
/// is UTC where there is none.
#[must_use]
pub fn moment(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    let shaped = bytes.len() >= 19 && marks.iter().all(|(at, mark)| bytes[*at] == *mark) && !text.contains('[');
    if !shaped || !matches!(bytes[10], b'T' | b't' | b' ') {
        return None;
    }
    let at = text.parse::<Timestamp>().or_else(|_| format!("{text}Z").parse());
    at.ok().map(Timestamp::as_microsecond)
}

/// The value at a path like `site.name`.
#[must_use]
pub fn get<'v>(row: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(row, |value, key| value.get(key))
}

/// Puts a value at a path, making the objects on the way.
pub fn put(row: &mut Value, path: &str, value: Value) {
    let place = path.split('.').fold(row, |row, key| {
        if !row.is_object() {
            *row = Value::Object(Map::new());
        }
        &mut row[key]
    });
    *place = value;
}
