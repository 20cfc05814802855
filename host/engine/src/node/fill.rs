//! From a batch to the columns that an operator asked for.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, new_null_array};
use serde_json::Value;

use crate::batch::Batch;
use crate::graph::{Column, Fill};
use crate::operator::Read;
use crate::schema::Kind;

/// One column for each read, of its kind, without nulls where it accepts none.
#[must_use]
pub fn columns(batch: &Batch, reads: &[Read], fills: &[Fill]) -> Vec<ArrayRef> {
    reads.iter().zip(fills).map(|(read, fill)| column(batch, read, fill)).collect()
}

fn column(batch: &Batch, read: &Read, fill: &Fill) -> ArrayRef {
    let mut column = match &fill.column {
        Column::Field(position) => batch.column(*position),
        Column::Meta(meta) => batch.meta(*meta),
        Column::Absent => new_null_array(&read.kind.data_type(), batch.rows()),
    };
    if fill.widen {
        let widened: Float64Array = column.as_primitive::<Int64Type>().unary(|value| value as f64);
        column = Arc::new(widened);
    }
    match &fill.fallback {
        Some(value) if column.null_count() > 0 => without_nulls(&column, read.kind, value),
        _ => column,
    }
}

/// `column` with `value` in place of null. The plan has checked that the value is of that kind.
fn without_nulls(column: &ArrayRef, kind: Kind, value: &Value) -> ArrayRef {
    const CHECKED: &str = "a fallback of the column's kind, which the plan checks";
    macro_rules! filled {
        ($builder:expr, $array:expr, $value:expr) => {
            match ($builder, $array, $value) {
                (mut builder, array, value) => {
                    for row in 0..array.len() {
                        builder.append_value(if array.is_null(row) { value } else { array.value(row) });
                    }
                    Arc::new(builder.finish())
                }
            }
        };
    }
    match kind {
        Kind::Boolean => filled!(BooleanBuilder::new(), column.as_boolean(), value.as_bool().expect(CHECKED)),
        Kind::Int64 => {
            filled!(Int64Builder::new(), column.as_primitive::<Int64Type>(), value.as_i64().expect(CHECKED))
        }
        Kind::Float64 => {
            filled!(Float64Builder::new(), column.as_primitive::<Float64Type>(), value.as_f64().expect(CHECKED))
        }
        Kind::Timestamp => {
            let array = column.as_primitive::<TimestampMicrosecondType>();
            filled!(TimestampMicrosecondBuilder::new(), array, value.as_i64().expect(CHECKED))
        }
        Kind::Utf8 => filled!(StringBuilder::new(), column.as_string::<i32>(), value.as_str().expect(CHECKED)),
        Kind::Json => filled!(StringBuilder::new(), column.as_string::<i32>(), value.to_string().as_str()),
        Kind::Bytes => {
            filled!(BinaryBuilder::new(), column.as_binary::<i32>(), value.as_str().expect(CHECKED).as_bytes())
        }
    }
}
