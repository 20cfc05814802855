//! Takes events down as columns.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use wasmill_engine::clock::Micros;
use wasmill_engine::schema::{Kind, Schema};

use super::fields::Fields;

/// Columns under construction: the fields of the schema in order, one event after the other.
pub(super) struct Columns {
    columns: Vec<Column>,
    at: usize,
    /// Position of the event time.
    time: usize,
}

struct Column {
    values: Values,
    nulls: NullBufferBuilder,
}

enum Values {
    Int(Vec<i64>),
    Float(Vec<f64>),
    Time(Vec<i64>),
    Text { bytes: Vec<u8>, ends: Vec<i32> },
}

/// Bytes that a text has at first guess; a batch grows what it needs.
const TEXT_BYTES: usize = 48;

impl Columns {
    /// Empty columns with room for so many rows.
    pub(super) fn new(schema: &Schema, rows: usize) -> Self {
        let column = |kind: Kind| match kind {
            Kind::Int64 => Values::Int(Vec::with_capacity(rows)),
            Kind::Float64 => Values::Float(Vec::with_capacity(rows)),
            Kind::Timestamp => Values::Time(Vec::with_capacity(rows)),
            Kind::Boolean | Kind::Utf8 | Kind::Bytes | Kind::Json => {
                let mut ends = Vec::with_capacity(rows + 1);
                ends.push(0);
                Values::Text { bytes: Vec::with_capacity(rows * TEXT_BYTES), ends }
            }
        };
        let columns = schema.fields().iter();
        let columns = columns.map(|f| Column { values: column(f.kind), nulls: NullBufferBuilder::new(rows) }).collect();
        let time = schema.position("date_time").or_else(|| schema.position("at")).expect("every event has a time");
        Self { columns, at: 0, time }
    }

    /// Says that an event is whole.
    pub(super) fn end_row(&mut self) {
        assert_eq!(self.at, self.columns.len(), "an event describes each field of its schema");
        self.at = 0;
    }

    /// The columns, and the times of the events.
    pub(super) fn finish(self) -> (Vec<Option<ArrayRef>>, Option<ScalarBuffer<i64>>) {
        let mut times = None;
        let columns = self.columns.into_iter().enumerate().map(|(i, mut column)| -> Option<ArrayRef> {
            let nulls = column.nulls.finish();
            Some(match column.values {
                Values::Int(values) => Arc::new(Int64Array::new(values.into(), nulls)),
                Values::Float(values) => Arc::new(Float64Array::new(values.into(), nulls)),
                Values::Time(values) => {
                    let values = ScalarBuffer::from(values);
                    if i == self.time {
                        times = Some(values.clone());
                    }
                    Arc::new(TimestampMicrosecondArray::new(values, nulls))
                }
                Values::Text { bytes, ends } => {
                    Arc::new(StringArray::new(OffsetBuffer::new(ends.into()), Buffer::from_vec(bytes), nulls))
                }
            })
        });
        (columns.collect(), times)
    }

    #[inline]
    fn next(&mut self) -> &mut Values {
        let column = &mut self.columns[self.at];
        self.at += 1;
        column.nulls.append_non_null();
        &mut column.values
    }

    fn null(&mut self) {
        let column = &mut self.columns[self.at];
        self.at += 1;
        column.nulls.append_null();
        match &mut column.values {
            Values::Int(values) | Values::Time(values) => values.push(0),
            Values::Float(values) => values.push(0.0),
            Values::Text { bytes, ends } => ends.push(bytes.len() as i32),
        }
    }
}

/// An event and its schema disagree: a mistake of ours.
#[cold]
fn misfit(name: &str) -> ! {
    panic!("`{name}` is not of the kind that the schema says")
}

impl Fields for Columns {
    #[inline]
    fn int(&mut self, name: &str, value: i64) {
        let Values::Int(values) = self.next() else { misfit(name) };
        values.push(value);
    }

    #[inline]
    fn hundredths(&mut self, name: &str, value: Option<i64>) {
        let Some(value) = value else { return self.null() };
        let Values::Float(values) = self.next() else { misfit(name) };
        values.push(value as f64 / 100.0);
    }

    #[inline]
    fn time(&mut self, name: &str, value: Micros) {
        let Values::Time(values) = self.next() else { misfit(name) };
        values.push(value);
    }

    #[inline]
    fn text(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let Values::Text { bytes, ends } = self.next() else { misfit(name) };
        write(bytes);
        ends.push(bytes.len() as i32);
    }

    fn open(&mut self, _: &str) {}

    fn close(&mut self) {}

    fn absent(&mut self, fields: usize) {
        (0..fields).for_each(|_| self.null());
    }
}
