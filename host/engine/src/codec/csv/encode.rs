//! Columns to CSV.

use arrow_array::TimestampMicrosecondArray;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray};

use crate::batch::Batch;
use crate::codec::Encoder;
use crate::codec::timestamp;
use crate::dead_letter::base64;
use crate::schema::{Kind, Schema};

/// The line that names the columns.
#[must_use]
pub fn header(schema: &Schema, separator: u8) -> Vec<u8> {
    let mut line = Vec::new();
    for (i, field) in schema.fields().iter().enumerate() {
        if i > 0 {
            line.push(separator);
        }
        text(field.name.as_bytes(), field.name.is_empty() && schema.fields().len() == 1, separator, &mut line);
    }
    line.push(b'\n');
    line
}

/// The encoder. It writes records only; the header is whoever begins a file's.
#[derive(Debug)]
pub(crate) struct CsvEncoder {
    separator: u8,
}

impl CsvEncoder {
    /// An encoder with that byte between two values.
    pub(crate) fn new(separator: u8) -> Self {
        Self { separator }
    }
}

/// The values of a column.
enum Values<'a> {
    Boolean(&'a BooleanArray),
    Int64(&'a Int64Array),
    Float64(&'a Float64Array),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    Timestamp(&'a TimestampMicrosecondArray),
}

impl<'a> Values<'a> {
    fn of(kind: Kind, column: &'a ArrayRef) -> Self {
        match kind {
            Kind::Boolean => Self::Boolean(column.as_boolean()),
            Kind::Int64 => Self::Int64(column.as_primitive::<Int64Type>()),
            Kind::Float64 => Self::Float64(column.as_primitive::<Float64Type>()),
            Kind::Utf8 | Kind::Json => Self::Text(column.as_string::<i32>()),
            Kind::Bytes => Self::Bytes(column.as_binary::<i32>()),
            Kind::Timestamp => Self::Timestamp(column.as_primitive::<TimestampMicrosecondType>()),
        }
    }

    /// Writes the value of a row that has one. `visible` = an empty text needs its quotes.
    fn write(&self, row: usize, visible: bool, separator: u8, into: &mut Vec<u8>) {
        match self {
            Self::Boolean(values) => into.extend_from_slice(if values.value(row) { b"true" } else { b"false" }),
            Self::Int64(values) => into.extend_from_slice(itoa::Buffer::new().format(values.value(row)).as_bytes()),
            Self::Float64(values) => into.extend_from_slice(ryu::Buffer::new().format(values.value(row)).as_bytes()),
            Self::Text(values) => text(values.value(row).as_bytes(), visible, separator, into),
            Self::Bytes(values) => match std::str::from_utf8(values.value(row)) {
                Ok(value) => text(value.as_bytes(), visible, separator, into),
                Err(_) => text(base64(values.value(row)).as_bytes(), visible, separator, into),
            },
            Self::Timestamp(values) => timestamp::write(values.value(row), into),
        }
    }
}

impl Encoder for CsvEncoder {
    fn encode(&mut self, batch: &Batch, into: &mut Vec<u8>, ends: &mut Vec<u32>) {
        let fields = batch.layout().schema.fields();
        let columns: Vec<ArrayRef> = (0..fields.len()).map(|position| batch.column(position)).collect();
        let values: Vec<_> =
            fields.iter().zip(&columns).map(|(field, column)| Values::of(field.kind, column)).collect();
        for row in 0..batch.rows() {
            for (i, (field, column)) in fields.iter().zip(&columns).enumerate() {
                if i > 0 {
                    into.push(self.separator);
                }
                // A line of one empty field would be no record.
                if column.is_valid(row) {
                    values[i].write(row, field.nullable || fields.len() == 1, self.separator, into);
                } else if fields.len() == 1 {
                    into.extend_from_slice(b"\"\"");
                }
            }
            into.push(b'\n');
            ends.push(u32::try_from(into.len()).expect("the rows of a batch are far smaller than 4 GiB"));
        }
    }
}

/// Writes a text, with quotes where it needs them.
fn text(text: &[u8], visible: bool, separator: u8, into: &mut Vec<u8>) {
    let special = |byte: &u8| *byte == separator || matches!(byte, b'"' | b'\r' | b'\n');
    let quoted = text.iter().any(special) || (text.is_empty() && visible);
    if !quoted {
        return into.extend_from_slice(text);
    }
    into.push(b'"');
    for byte in text {
        if *byte == b'"' {
            into.push(b'"');
        }
        into.push(*byte);
    }
    into.push(b'"');
}
