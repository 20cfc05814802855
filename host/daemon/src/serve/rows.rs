//! Rows as JSON, for people who look: what the pipeline has decoded or made, and what the record's own text has beside.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, UInt32Array};
use serde_json::{Map, Value};
use wasmill_engine::batch::{Batch, Place};
use wasmill_engine::codec::{Format, timestamp};
use wasmill_engine::schema::Kind;

/// The first `most` rows of a batch. A field that nobody decodes is read from the record where that is JSON, and left
/// out otherwise.
pub(crate) fn json(batch: &Batch, most: usize) -> Vec<Value> {
    let rows = u32::try_from(batch.rows().min(most)).unwrap_or(u32::MAX);
    let batch = batch.pick(&UInt32Array::from_iter_values(0..rows));
    (0..batch.rows()).map(|row| one(&batch, row)).collect()
}

fn one(batch: &Batch, row: usize) -> Value {
    let (records, record) = (batch.records(), batch.record(row));
    let is_json = records.raw.as_ref().is_some_and(|raw| raw.format == Format::Ndjson);
    let text = records.bytes(record).filter(|_| is_json);
    let whole: Option<Value> = text.and_then(|bytes| serde_json::from_slice(bytes).ok());
    let mut fields = Map::new();
    for (position, field) in batch.layout().schema.fields().iter().enumerate() {
        let decoded = match batch.layout().places[position] {
            Place::Made(_) => true,
            Place::Record(of_source) => records.columns[of_source].is_some(),
        };
        let value = if decoded {
            value(&*batch.column(position), field.kind, row)
        } else if let Some(whole) = &whole {
            field.name.split('.').try_fold(whole, |value, part| value.get(part)).cloned().unwrap_or(Value::Null)
        } else {
            continue;
        };
        fields.insert(field.name.to_string(), value);
    }
    Value::Object(fields)
}

fn value(column: &dyn Array, kind: Kind, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match kind {
        Kind::Boolean => column.as_boolean().value(row).into(),
        Kind::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        Kind::Float64 => column.as_primitive::<Float64Type>().value(row).into(),
        Kind::Utf8 => column.as_string::<i32>().value(row).into(),
        Kind::Bytes => String::from_utf8_lossy(column.as_binary::<i32>().value(row)).into(),
        Kind::Timestamp => {
            let mut text = Vec::new();
            timestamp::write(column.as_primitive::<TimestampMicrosecondType>().value(row), &mut text);
            String::from_utf8_lossy(&text).into()
        }
        Kind::Json => serde_json::from_str(column.as_string::<i32>().value(row)).unwrap_or(Value::Null),
    }
}
