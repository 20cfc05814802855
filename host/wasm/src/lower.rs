//! From Arrow columns to the contract's packed columns.
//!
//! Values and offsets are lent as they lie in Arrow's buffers. What has another shape there (bits, offsets of a
//! slice, values behind nulls) is written to a scratch that lives as long as the operator: no allocation a call once
//! it has grown. Neighbours: [`crate::operator`] lends the result to a call.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use wasmill_engine::schema::Kind;

use crate::contract::ColumnIn;

/// Room for what does not lie in Arrow's buffers in the contract's shape.
#[derive(Default)]
pub(crate) struct Scratch(Vec<u8>);

/// Where one of a column's three buffers is.
#[derive(Clone, Debug)]
enum Source {
    /// In the array, as it is.
    Array,
    /// In the scratch.
    Scratch(Range<usize>),
    /// Nowhere: it is empty.
    Empty,
}

/// Where a column's buffers are.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    data: Source,
    offsets: Source,
    present: Source,
}

impl Scratch {
    /// Forgets the last call's columns.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Finds out where each column's buffers are, and writes those that have to be written.
    pub(crate) fn place(&mut self, columns: &[ArrayRef]) -> Vec<Placed> {
        columns.iter().map(|column| self.place_one(column)).collect()
    }

    /// The columns, lent.
    pub(crate) fn lend<'a>(&'a self, placed: &[Placed], columns: &'a [ArrayRef]) -> Vec<ColumnIn<'a>> {
        let lend = |(placed, column): (&Placed, &'a ArrayRef)| {
            let buffer = |source: &Source, own: &dyn Fn() -> &'a [u8]| match source {
                Source::Array => own(),
                Source::Scratch(range) => &self.0[range.clone()],
                Source::Empty => &[],
            };
            let data = buffer(&placed.data, &|| values(column));
            let offsets = buffer(&placed.offsets, &|| variable(column).0);
            let present = buffer(&placed.present, &|| &[]);
            ColumnIn { data, offsets, present }
        };
        placed.iter().zip(columns).map(lend).collect()
    }

    fn place_one(&mut self, column: &ArrayRef) -> Placed {
        let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
        let present = match nulls {
            None => Source::Empty,
            Some(nulls) => self.write(nulls.iter().map(u8::from)),
        };
        if let Some(column) = column.as_boolean_opt() {
            let bits = column.values().iter();
            let data = match nulls {
                None => self.write(bits.map(u8::from)),
                Some(nulls) => self.write(bits.zip(nulls).map(|(bit, present)| u8::from(bit & present))),
            };
            return Placed { data, offsets: Source::Empty, present };
        }
        if is_variable(column) {
            let (data, offsets) = self.place_variable(column, nulls);
            return Placed { data, offsets, present };
        }
        let data = match nulls {
            None => Source::Array,
            Some(nulls) => {
                let (values, _) = values(column).as_chunks::<8>();
                let value = |(value, present): (&[u8; 8], bool)| if present { *value } else { [0; 8] };
                self.write(values.iter().zip(nulls).flat_map(value))
            }
        };
        Placed { data, offsets: Source::Empty, present }
    }

    /// Offsets begin with 0, and there is no text behind a null.
    fn place_variable(&mut self, column: &ArrayRef, nulls: Option<&NullBuffer>) -> (Source, Source) {
        let offsets = offsets(column);
        let behind_null =
            |nulls: &NullBuffer| offsets.windows(2).zip(nulls).any(|(ends, present)| !present && ends[0] != ends[1]);
        if let Some(nulls) = nulls.filter(|nulls| behind_null(nulls)) {
            return self.without_hidden(column, nulls);
        }
        let first = offsets[0];
        if first == 0 {
            return (Source::Array, Source::Array);
        }
        (Source::Array, self.write(offsets.iter().flat_map(|offset| (offset - first).to_le_bytes())))
    }

    fn without_hidden(&mut self, column: &ArrayRef, nulls: &NullBuffer) -> (Source, Source) {
        let (all, offsets) = (variable(column).1, offsets(column));
        let start = self.0.len();
        let mut ends = vec![0_u8; 4];
        for (row, present) in offsets.windows(2).zip(nulls) {
            if present {
                self.0.extend_from_slice(&all[byte(row[0])..byte(row[1])]);
            }
            let end = u32::try_from(self.0.len() - start).expect("it is not longer than the column");
            ends.extend_from_slice(&end.to_le_bytes());
        }
        let data = Source::Scratch(start..self.0.len());
        (data, self.write(ends.into_iter()))
    }

    fn write(&mut self, bytes: impl Iterator<Item = u8>) -> Source {
        let start = self.0.len();
        self.0.extend(bytes);
        Source::Scratch(start..self.0.len())
    }
}

/// Bytes of columns as they cross.
pub(crate) fn bytes(columns: &[ColumnIn<'_>]) -> u64 {
    columns.iter().map(|column| (column.data.len() + column.offsets.len() + column.present.len()) as u64).sum()
}

fn is_variable(column: &ArrayRef) -> bool {
    let kind = column.data_type();
    *kind == Kind::Utf8.data_type() || *kind == Kind::Bytes.data_type()
}

/// The values of all kinds but boolean, back to back.
fn values(column: &ArrayRef) -> &[u8] {
    if is_variable(column) {
        let offsets = offsets(column);
        return &variable(column).1[byte(offsets[0])..byte(offsets[column.len()])];
    }
    let values = if let Some(column) = column.as_primitive_opt::<Int64Type>() {
        column.values().inner()
    } else if let Some(column) = column.as_primitive_opt::<Float64Type>() {
        column.values().inner()
    } else {
        column.as_primitive::<TimestampMicrosecondType>().values().inner()
    };
    &values.as_slice()[..column.len() * 8]
}

/// The offsets as bytes and all values, also those outside a slice.
fn variable(column: &ArrayRef) -> (&[u8], &[u8]) {
    match column.as_string_opt::<i32>() {
        Some(column) => (column.offsets().inner().inner().as_slice(), column.value_data()),
        None => {
            let column = column.as_binary::<i32>();
            (column.offsets().inner().inner().as_slice(), column.value_data())
        }
    }
}

fn offsets(column: &ArrayRef) -> &[i32] {
    match column.as_string_opt::<i32>() {
        Some(column) => column.value_offsets(),
        None => column.as_binary::<i32>().value_offsets(),
    }
}

fn byte(offset: i32) -> usize {
    usize::try_from(offset).expect("Arrow's offsets are not negative")
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{BinaryArray, BooleanArray, Int64Array, StringArray};
    use std::sync::Arc;

    /// data, offsets and present of a column.
    fn packed(column: impl Array + 'static) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let columns: [ArrayRef; 1] = [Arc::new(column)];
        let mut scratch = Scratch::default();
        let placed = scratch.place(&columns);
        let lent = scratch.lend(&placed, &columns);
        (lent[0].data.to_vec(), lent[0].offsets.to_vec(), lent[0].present.to_vec())
    }

    fn u32s(values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn i64s(values: &[i64]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn slices_cross_as_what_they_show() {
        let numbers = Int64Array::from(vec![1, 2, 3, 4]).slice(1, 2);
        assert_eq!(packed(numbers), (i64s(&[2, 3]), vec![], vec![]));
        let texts = StringArray::from(vec!["ab", "c", "", "def"]).slice(1, 3);
        assert_eq!(packed(texts), (b"cdef".to_vec(), u32s(&[0, 1, 1, 4]), vec![]));
        let bits = BooleanArray::from(vec![true, false, true, true]).slice(1, 2);
        assert_eq!(packed(bits), (vec![0, 1], vec![], vec![]));
        let nullable = Int64Array::from(vec![Some(1), None, Some(3)]).slice(1, 2);
        assert_eq!(packed(nullable), (i64s(&[0, 3]), vec![], vec![0, 1]));
    }

    #[test]
    fn nothing_crosses_behind_a_null() {
        let nulls = || Some(NullBuffer::from(vec![true, false, true]));
        let numbers = Int64Array::new(vec![1, 99, 3].into(), nulls());
        assert_eq!(packed(numbers), (i64s(&[1, 0, 3]), vec![], vec![1, 0, 1]));
        let whole = StringArray::from(vec!["a", "hidden", "b"]);
        let texts = StringArray::new(whole.offsets().clone(), whole.values().clone(), nulls());
        assert_eq!(packed(texts), (b"ab".to_vec(), u32s(&[0, 1, 1, 2]), vec![1, 0, 1]));
        let bits = BooleanArray::new(vec![true, true, false].into(), nulls());
        assert_eq!(packed(bits), (vec![1, 0, 0], vec![], vec![1, 0, 1]));
    }

    #[test]
    fn empty_columns_have_one_offset() {
        assert_eq!(packed(StringArray::from(Vec::<&str>::new())), (vec![], u32s(&[0]), vec![]));
        assert_eq!(packed(BinaryArray::from_vec(vec![b"x"]).slice(1, 0)), (vec![], u32s(&[0]), vec![]));
        assert_eq!(packed(Int64Array::from(Vec::<i64>::new())), (vec![], vec![], vec![]));
    }
}
