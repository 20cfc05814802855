//! Values as the columns of a call, and the columns of an answer as values.
//!
//! Neighbours: [`crate::datum`] has the values, [`crate::driver`] calls.

use wasmill::abi::{Buffer, Buffers, List, bytes_of};
use wasmill::column::{Column, Kind, StateColumn};

use crate::datum::Datum;

/// A column of values.
pub(crate) fn column<'a>(values: &[Datum], kind: Kind, buffers: &'a Buffers) -> Column<'a> {
    let Parts { data, offsets, present } = parts(values, kind, buffers);
    Column { data: (&*data).into(), offsets: bytes_of(offsets).into(), present: (&*present).into() }
}

/// A column of state, which the call may change in place.
pub(crate) fn state<'a>(values: &[Datum], kind: Kind, buffers: &'a Buffers) -> StateColumn<'a> {
    let Parts { data, offsets, present } = parts(values, kind, buffers);
    StateColumn { data: Buffer::from(data), offsets: bytes_of(offsets).into(), present: Buffer::from(present) }
}

struct Parts<'a> {
    data: &'a mut [u8],
    offsets: &'a [u32],
    present: &'a mut [u8],
}

fn parts<'a>(values: &[Datum], kind: Kind, buffers: &'a Buffers) -> Parts<'a> {
    let nothing = Datum::nothing(kind);
    let (mut data, mut offsets) = (Vec::new(), vec![0_u32]);
    for value in values {
        match if *value == Datum::Null { &nothing } else { value } {
            Datum::Null => unreachable!("nothing of a kind is not null"),
            Datum::Boolean(truth) => data.push(u8::from(*truth)),
            Datum::Int64(number) => data.extend(number.to_le_bytes()),
            Datum::Float64(number) => data.extend(number.to_le_bytes()),
            Datum::Bytes(bytes) => data.extend(bytes),
        }
        offsets.push(u32::try_from(data.len()).expect("a test has less than 4 GiB"));
    }
    let present: Vec<u8> = values.iter().map(|value| u8::from(*value != Datum::Null)).collect();
    let present = if present.contains(&0) { &present[..] } else { &[] };
    let offsets = if kind.is_variable() { buffers.copy(&offsets) } else { &mut [] };
    Parts { data: buffers.copy(&data), offsets, present: buffers.copy(present) }
}

/// The values of a column of so many rows.
pub(crate) fn values(column: &Column<'_>, kind: Kind, rows: usize) -> Vec<Datum> {
    let value = |row: usize| match kind {
        Kind::Boolean => Datum::Boolean(column.numbers::<u8>()[row] != 0),
        Kind::Int64 | Kind::Timestamp => Datum::Int64(number(column.data, row, i64::from_le_bytes)),
        Kind::Float64 => Datum::Float64(number(column.data, row, f64::from_le_bytes)),
        Kind::Utf8 | Kind::Bytes | Kind::Json => Datum::Bytes(column.bytes(row).to_vec()),
    };
    (0..rows).map(|row| if column.is_present(row) { value(row) } else { Datum::Null }).collect()
}

fn number<T>(data: List<'_, u8>, row: usize, from: impl Fn([u8; 8]) -> T) -> T {
    from(data.get().as_chunks::<8>().0[row])
}
