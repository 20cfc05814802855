//! Rows and the kinds of their fields: how a value is read from a column and written to one.
//!
//! A reader is a typed slice, a writer a `Vec`: per row there is no allocation and no branch but those of the values
//! themselves. Neighbours: the derive `Row` puts readers and writers together to rows, [`crate::operator`] loops.

use crate::abi::{Plain, text};
use crate::column::{Column, MadeColumn, Values};
use crate::plan::{Field, Read};

/// Microseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A JSON value as its text: an array, an object, or anything else. `Json<&str>` is borrowed from the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Json<T = String>(pub T);

/// A row that an operator is given: `#[derive(Row)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a row",
    label = "an operator's first parameter is a row",
    note = "put `#[derive(Row)]` on a struct with named fields"
)]
pub trait Row<'a>: Sized {
    /// The columns that it is read from.
    const READS: &'static [Read];
    /// Their readers.
    type Readers;
    /// The readers for a call's columns, `count` rows each.
    fn readers(columns: &'a [Column<'a>], count: usize) -> Self::Readers;
    /// The row of that number.
    fn read(readers: &Self::Readers, row: usize) -> Self;
}

/// A row that an operator makes: `#[derive(Row)]`, or `()` for none beside what it carries.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a row that an operator can make",
    note = "put `#[derive(Row)]` on a struct with named fields"
)]
pub trait Made: Sized {
    /// The columns that it is written to.
    const MAKES: &'static [Field];
    /// Their writers.
    type Writers;
    /// Writers with room for so many rows.
    fn writers(rows: usize) -> Self::Writers;
    /// Adds the row.
    fn write(self, writers: &mut Self::Writers);
    /// Takes the last row back.
    fn unwrite(writers: &mut Self::Writers);
    /// The columns.
    fn made(writers: Self::Writers) -> Vec<MadeColumn<'static>>;
}

impl Made for () {
    const MAKES: &'static [Field] = &[];
    type Writers = ();
    fn writers(_: usize) {}
    fn write(self, (): &mut ()) {}
    fn unwrite((): &mut ()) {}
    fn made((): ()) -> Vec<MadeColumn<'static>> {
        Vec::new()
    }
}

/// A type that a field of a row can have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a row",
    label = "no kind of column has values of this type",
    note = "fields are `bool`, `i64`, `f64`, `&str` or `String`, `&[u8]` or `Vec<u8>`, `Timestamp`, `Json<&str>` or \
            `Json`, or an `Option` of one of these"
)]
pub trait Value<'a>: Sized {
    /// The contract's name of the kind.
    const KIND: &'static str;
    /// Whether it may be null.
    const NULLABLE: bool = false;
    /// A column as it is read.
    type Reader;
    /// A column as it is written.
    type Writer;
    /// The reader of a column of `count` rows.
    fn reader(column: &Column<'a>, count: usize) -> Self::Reader;
    /// The value in that row.
    fn read(reader: &Self::Reader, row: usize) -> Self;
    /// A writer with room for so many rows.
    fn writer(rows: usize) -> Self::Writer;
    /// Adds the value.
    fn write(self, writer: &mut Self::Writer);
    /// Adds a value that stands where there is none.
    fn fill(writer: &mut Self::Writer);
    /// Takes the last value back.
    fn unwrite(writer: &mut Self::Writer);
    /// The column.
    fn made(writer: Self::Writer) -> MadeColumn<'static>;
}

/// Numbers of a column, exactly one a row.
fn numbers<'a, T: Plain>(column: &Column<'a>, count: usize) -> &'a [T] {
    let numbers = column.data.numbers();
    assert_eq!(numbers.len(), count, "a column has a value for each row");
    numbers
}

/// A column of values of one width as it is written.
///
/// Values go into room that is there, and room is made by value: no address of a writer ever leaves the loop over the
/// rows, so that the compiler keeps its fields in registers.
pub struct FixedWriter<T> {
    /// The values so far, and zeros behind them.
    values: Vec<T>,
    len: usize,
}

impl<T: Plain + Default> FixedWriter<T> {
    /// A writer with room for so many values.
    pub(crate) fn new(room: usize) -> Self {
        Self { values: vec![T::default(); room], len: 0 }
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, value: T) {
        if self.len == self.values.len() {
            self.values = grown(std::mem::take(&mut self.values));
        }
        self.values[self.len] = value;
        self.len += 1;
    }

    pub(crate) fn last(&self) -> Option<T> {
        self.values[..self.len].last().copied()
    }

    pub(crate) fn pop(&mut self) {
        self.len = self.len.saturating_sub(1);
    }

    pub(crate) fn into_values(mut self) -> Vec<T> {
        self.values.truncate(self.len);
        self.values
    }
}

#[cold]
fn grown<T: Plain + Default>(mut values: Vec<T>) -> Vec<T> {
    values.resize((values.len() * 2).max(64), T::default());
    values
}

macro_rules! fixed_value {
    ($value:ty, $kind:literal, $stored:ty, $values:ident, $load:expr, $store:expr) => {
        impl<'a> Value<'a> for $value {
            const KIND: &'static str = $kind;
            type Reader = &'a [$stored];
            type Writer = FixedWriter<$stored>;

            fn reader(column: &Column<'a>, count: usize) -> Self::Reader {
                numbers(column, count)
            }

            #[inline(always)]
            fn read(reader: &Self::Reader, row: usize) -> Self {
                $load(reader[row])
            }

            fn writer(rows: usize) -> Self::Writer {
                FixedWriter::new(rows)
            }

            #[inline(always)]
            fn write(self, writer: &mut Self::Writer) {
                writer.push($store(self));
            }

            fn fill(writer: &mut Self::Writer) {
                writer.push(<$stored>::default());
            }

            fn unwrite(writer: &mut Self::Writer) {
                writer.pop();
            }

            fn made(writer: Self::Writer) -> MadeColumn<'static> {
                MadeColumn::fixed(Values::$values(writer.into_values()))
            }
        }
    };
}

fixed_value!(i64, "int64", i64, Int64, |value| value, |value| value);
fixed_value!(f64, "float64", f64, Float64, |value| value, |value| value);
fixed_value!(bool, "boolean", u8, Bytes, |value| value != 0, u8::from);
fixed_value!(Timestamp, "timestamp", i64, Int64, Timestamp, |Timestamp(value)| value);

/// A column of values of differing length as it is read.
pub struct Spans<'a> {
    data: &'a [u8],
    offsets: &'a [u32],
}

impl<'a> Spans<'a> {
    pub(crate) fn new(data: &'a [u8], offsets: &'a [u32], count: usize) -> Self {
        assert_eq!(offsets.len(), count + 1, "a column has an offset for each row and one more");
        Self { data, offsets }
    }

    /// The bytes of that row.
    #[inline(always)]
    pub(crate) fn get(&self, row: usize) -> &'a [u8] {
        &self.data[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }
}

/// A column of values of differing length as it is written.
pub struct SpanWriter {
    /// The values so far, and zeros behind them.
    data: Vec<u8>,
    /// Where the values so far end.
    end: usize,
    offsets: Vec<u32>,
}

/// Bytes for which a text column has room at first, a row.
const SPAN_BYTES: usize = 24;

impl SpanWriter {
    pub(crate) fn new(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { data: vec![0; rows * SPAN_BYTES], end: 0, offsets }
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let end = self.end + bytes.len();
        if end > self.data.len() {
            self.grow(end);
        }
        copy(bytes, &mut self.data[self.end..end]);
        self.end = end;
        self.offsets.push(u32::try_from(end).expect("a component has less than 4 GiB of memory"));
    }

    #[cold]
    fn grow(&mut self, end: usize) {
        self.data.resize(end.max(self.data.len() * 2), 0);
    }

    fn pop(&mut self) {
        self.offsets.pop();
        self.end = self.offsets.last().map_or(0, |end| *end as usize);
    }

    pub(crate) fn made(mut self) -> MadeColumn<'static> {
        self.data.truncate(self.end);
        let present = Values::Bytes(Vec::new());
        MadeColumn { data: Values::Bytes(self.data), offsets: self.offsets, present }
    }
}

/// Copies between slices of one length. In a component a copy whose length is not known when it is compiled calls the
/// host; for short texts that costs more than all else, so they are copied in pieces of known length, the last of which
/// may overlap the one before.
#[inline(always)]
fn copy(from: &[u8], to: &mut [u8]) {
    match from.len() {
        16..=64 => pieces::<16>(from, to),
        8..16 => pieces::<8>(from, to),
        4..8 => pieces::<4>(from, to),
        0..4 => from.iter().zip(to).for_each(|(from, to)| *to = *from),
        _ => to.copy_from_slice(from),
    }
}

#[inline(always)]
fn pieces<const N: usize>(from: &[u8], to: &mut [u8]) {
    for (from, to) in from.as_chunks::<N>().0.iter().zip(to.as_chunks_mut::<N>().0) {
        *to = *from;
    }
    if let (Some(from), Some(to)) = (from.last_chunk::<N>(), to.last_chunk_mut::<N>()) {
        *to = *from;
    }
}

macro_rules! span_value {
    ($value:ty, $kind:literal, $load:expr, $bytes:expr) => {
        impl<'a> Value<'a> for $value {
            const KIND: &'static str = $kind;
            type Reader = Spans<'a>;
            type Writer = SpanWriter;

            fn reader(column: &Column<'a>, count: usize) -> Self::Reader {
                Spans::new(column.data.get(), column.offsets.numbers(), count)
            }

            #[inline(always)]
            fn read(reader: &Self::Reader, row: usize) -> Self {
                $load(reader.get(row))
            }

            fn writer(rows: usize) -> Self::Writer {
                SpanWriter::new(rows)
            }

            #[inline(always)]
            fn write(self, writer: &mut Self::Writer) {
                writer.push($bytes(&self));
            }

            fn fill(writer: &mut Self::Writer) {
                writer.push(&[]);
            }

            fn unwrite(writer: &mut Self::Writer) {
                writer.pop();
            }

            fn made(writer: Self::Writer) -> MadeColumn<'static> {
                writer.made()
            }
        }
    };
}

span_value!(&'a str, "utf8", text, |value: &&'a str| value.as_bytes());
span_value!(String, "utf8", |bytes| text(bytes).to_owned(), String::as_bytes);
span_value!(&'a [u8], "bytes", |bytes| bytes, |value: &&'a [u8]| *value);
span_value!(Vec<u8>, "bytes", <[u8]>::to_vec, Vec::as_slice);
span_value!(Json<&'a str>, "json", |bytes| Json(text(bytes)), Json::bytes);
span_value!(Json, "json", |bytes| Json(text(bytes).to_owned()), Json::bytes);

impl<T: AsRef<str>> Json<T> {
    fn bytes(&self) -> &[u8] {
        self.0.as_ref().as_bytes()
    }
}

/// A column with nulls as it is written.
pub struct NullableWriter<W> {
    values: W,
    present: Vec<u8>,
    nulls: usize,
}

impl<'a, T: Value<'a>> Value<'a> for Option<T> {
    const KIND: &'static str = {
        assert!(!T::NULLABLE, "an `Option` within an `Option` cannot be a field of a row");
        T::KIND
    };
    const NULLABLE: bool = true;
    type Reader = (T::Reader, &'a [u8]);
    type Writer = NullableWriter<T::Writer>;

    fn reader(column: &Column<'a>, count: usize) -> Self::Reader {
        let present = column.present.get();
        assert!(present.is_empty() || present.len() == count, "a column says of each row whether it has a value");
        (T::reader(column, count), present)
    }

    #[inline(always)]
    fn read((values, present): &Self::Reader, row: usize) -> Self {
        (present.is_empty() || present[row] != 0).then(|| T::read(values, row))
    }

    fn writer(rows: usize) -> Self::Writer {
        NullableWriter { values: T::writer(rows), present: Vec::with_capacity(rows), nulls: 0 }
    }

    #[inline(always)]
    fn write(self, writer: &mut Self::Writer) {
        writer.present.push(u8::from(self.is_some()));
        match self {
            Some(value) => value.write(&mut writer.values),
            None => {
                writer.nulls += 1;
                T::fill(&mut writer.values);
            }
        }
    }

    fn fill(writer: &mut Self::Writer) {
        None::<T>.write(writer);
    }

    fn unwrite(writer: &mut Self::Writer) {
        writer.nulls -= usize::from(writer.present.pop() == Some(0));
        T::unwrite(&mut writer.values);
    }

    fn made(writer: Self::Writer) -> MadeColumn<'static> {
        let present = if writer.nulls == 0 { Vec::new() } else { writer.present };
        MadeColumn { present: Values::Bytes(present), ..T::made(writer.values) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_any_length_are_written_back_to_back() {
        let texts: Vec<String> = (0..100).map(|length| "abcdefghij".repeat(10)[..length].to_owned()).collect();
        let mut writer = SpanWriter::new(1);
        texts.iter().for_each(|text| writer.push(text.as_bytes()));
        writer.push(b"taken back");
        writer.pop();
        let made = writer.made();
        assert_eq!(made.data, Values::Bytes(texts.concat().into_bytes()));
        assert_eq!(made.offsets.len(), 101);
    }
}
