//! Rows and the kinds of their fields: how a value is read from a column and written to one.
//!
//! Readers and writers are typed slices: per row there is no allocation and no branch but those of the values
//! themselves. Neighbours: the derive `Row` puts readers and writers together to rows, [`crate::operator`] loops.

use std::hint::black_box;

use crate::abi::{Buffers, List, Plain, text};
use crate::column::Column;
use crate::plan::{Field, Read};

/// Rows that are read in one turn of the loop of an operator, where all their values have one width.
pub const TURN: usize = 16;

/// Microseconds since 1970-01-01 UTC.
///
/// ```
/// use wasmill::prelude::*;
///
/// let (from, to) = (Timestamp(1_000_000), Timestamp(3_500_000));
/// assert!(from < to);
/// assert_eq!((to.0 - from.0) as f64 / 1e6, 2.5, "seconds");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A JSON value as its text: an array, an object, or anything else. `Json<&str>` is borrowed from the input.
///
/// ```
/// use wasmill::prelude::*;
///
/// #[derive(Row)]
/// struct Order<'a> {
///     items: Json<&'a str>,
/// }
/// #[derive(Row)]
/// struct Counted {
///     summary: Json,
/// }
///
/// #[transform]
/// fn count(order: Order) -> Result<Counted, Reject> {
///     let items: Vec<serde_json::Value> = serde_json::from_str(order.items.0).map_err(|no| format!("items: {no}"))?;
///     Ok(Counted { summary: Json(format!("{{\"items\":{}}}", items.len())) })
/// }
/// # fn main() { assert_eq!(count(Order { items: Json("[1, 2]") }).unwrap().summary.0, "{\"items\":2}"); }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Json<T = String>(pub T);

/// A row that an operator is given: `#[derive(Row)]`.
///
/// ```
/// use wasmill::prelude::*;
/// use wasmill::row::Row as _;
///
/// #[derive(Row)]
/// struct Reading<'a> {
///     /// Borrowed from the input.
///     sensor: &'a str,
///     /// Rows that have no value here have none.
///     value: Option<f64>,
///     /// A field within an object.
///     #[row(name = "site.name")]
///     site: &'a str,
///     /// Rows that have no value here have 1.
///     #[row(default = 1)]
///     count: i64,
/// }
/// let names: Vec<_> = Reading::READS.iter().map(|read| &*read.field.name).collect();
/// assert_eq!(names, ["sensor", "value", "site.name", "count"]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a row",
    label = "an operator's first parameter is a row",
    note = "put `#[derive(Row)]` on a struct with named fields"
)]
pub trait Row<'a>: Sized {
    /// The columns that it is read from.
    const READS: &'static [Read];
    /// Whether all of their values have one width.
    const FIXED: bool;
    /// Their readers.
    type Readers;
    /// The readers for a call's columns, `count` rows each.
    fn readers(columns: &'a [Column<'a>], count: usize) -> Self::Readers;
    /// The readers of the [`TURN`] rows from number `from` on.
    fn part(readers: &Self::Readers, from: usize) -> Self::Readers;
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
    type Writers<'w>;
    /// Writers with room for so many rows.
    fn writers(buffers: &Buffers, rows: usize) -> Self::Writers<'_>;
    /// Makes room for so many rows, more than before.
    fn grow<'w>(writers: &mut Self::Writers<'w>, buffers: &'w Buffers, rows: usize);
    /// Asserts, where all values have one width, that there is room for [`TURN`] rows from number `from` on, so that
    /// this need not be looked at for each of them.
    fn has_room(writers: &Self::Writers<'_>, from: usize);
    /// Makes it the row of that number, which is the number after that of the row that was written last, or an earlier
    /// one: what was written from there on is taken back.
    fn write(self, writers: &mut Self::Writers<'_>, row: usize);
    /// The columns of the first so many rows.
    fn made(writers: Self::Writers<'_>, rows: usize) -> Vec<Column<'_>>;
}

impl Made for () {
    const MAKES: &'static [Field] = &[];
    type Writers<'w> = ();
    fn writers(_: &Buffers, _: usize) {}
    fn grow((): &mut (), _: &Buffers, _: usize) {}
    fn has_room((): &(), _: usize) {}
    fn write(self, (): &mut (), _: usize) {}
    fn made(_: Self::Writers<'_>, _: usize) -> Vec<Column<'_>> {
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
    /// Whether all values have one width.
    const FIXED: bool;
    /// A column as it is read.
    type Reader;
    /// A column as it is written.
    type Writer<'w>;
    /// The reader of a column of `count` rows.
    fn reader(column: &Column<'a>, count: usize) -> Self::Reader;
    /// As [`Row::part`].
    fn part(reader: &Self::Reader, from: usize) -> Self::Reader;
    /// The value in that row.
    fn read(reader: &Self::Reader, row: usize) -> Self;
    /// A writer with room for so many rows.
    fn writer(buffers: &Buffers, rows: usize) -> Self::Writer<'_>;
    /// As [`Made::grow`].
    fn grow<'w>(writer: &mut Self::Writer<'w>, buffers: &'w Buffers, rows: usize);
    /// As [`Made::has_room`].
    fn has_room(writer: &Self::Writer<'_>, from: usize);
    /// As [`Made::write`].
    fn write(self, writer: &mut Self::Writer<'_>, row: usize);
    /// The same with a value that stands where there is none.
    fn fill(writer: &mut Self::Writer<'_>, row: usize);
    /// As [`Made::made`].
    fn made(writer: Self::Writer<'_>, rows: usize) -> Column<'_>;
}

/// Numbers of a column, exactly one a row.
fn numbers<'a, T: Plain>(column: &Column<'a>, count: usize) -> &'a [T] {
    let numbers = column.data.numbers();
    assert_eq!(numbers.len(), count, "a column has a value for each row");
    numbers
}

/// More room for a column of one width.
#[cold]
pub(crate) fn grown<'w, T: Plain>(values: &mut &'w mut [T], buffers: &'w Buffers, rows: usize) {
    let more = buffers.numbers(rows);
    more[..values.len()].copy_from_slice(values);
    *values = more;
}

/// The numbers of a turn. Where they lie is kept from the compiler, which else makes an address for each row out of the
/// one before; so it reads all of them by their distance from one address, as WebAssembly's instructions can.
#[inline(always)]
fn turn_of<T: Plain>(numbers: &[T], from: usize) -> &[T] {
    let turn: &[T; TURN] = numbers[from..].first_chunk().expect("a turn has all of its rows");
    let turn: &[T; TURN] = black_box(turn);
    turn
}

macro_rules! fixed_value {
    ($value:ty, $kind:literal, $stored:ty, $load:expr, $store:expr) => {
        #[diagnostic::do_not_recommend]
        impl<'a> Value<'a> for $value {
            const KIND: &'static str = $kind;
            const FIXED: bool = true;
            type Reader = &'a [$stored];
            // Only slices: what has no address stays in registers while rows go by.
            type Writer<'w> = &'w mut [$stored];

            fn reader(column: &Column<'a>, count: usize) -> Self::Reader {
                numbers(column, count)
            }

            #[inline(always)]
            fn part(reader: &Self::Reader, from: usize) -> Self::Reader {
                turn_of(reader, from)
            }

            #[inline(always)]
            fn read(reader: &Self::Reader, row: usize) -> Self {
                $load(reader[row])
            }

            fn writer(buffers: &Buffers, rows: usize) -> Self::Writer<'_> {
                buffers.numbers(rows)
            }

            fn grow<'w>(writer: &mut Self::Writer<'w>, buffers: &'w Buffers, rows: usize) {
                grown(writer, buffers, rows);
            }

            #[inline(always)]
            fn has_room(writer: &Self::Writer<'_>, from: usize) {
                assert!(from <= writer.len() && writer.len() - from >= TURN, "there is room for each row");
            }

            #[inline(always)]
            fn write(self, writer: &mut Self::Writer<'_>, row: usize) {
                writer[row] = $store(self);
            }

            fn fill(writer: &mut Self::Writer<'_>, row: usize) {
                writer[row] = <$stored>::default();
            }

            fn made(writer: Self::Writer<'_>, rows: usize) -> Column<'_> {
                Column::fixed(&writer[..rows])
            }
        }
    };
}

fixed_value!(i64, "int64", i64, |value| value, |value| value);
fixed_value!(f64, "float64", f64, |value| value, |value| value);
fixed_value!(bool, "boolean", u8, |value| value != 0, u8::from);
fixed_value!(Timestamp, "timestamp", i64, Timestamp, |Timestamp(value)| value);

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
pub struct SpanWriter<'w> {
    buffers: &'w Buffers,
    data: &'w mut [u8],
    /// Where the values begin, the last one's end among them.
    offsets: &'w mut [u32],
}

/// Bytes for which a text column has room at first, a row.
const SPAN_BYTES: usize = 24;

impl<'w> SpanWriter<'w> {
    pub(crate) fn new(buffers: &'w Buffers, rows: usize) -> Self {
        let offsets = buffers.numbers(rows + 1);
        offsets[0] = 0;
        Self { buffers, data: buffers.numbers(rows * SPAN_BYTES), offsets }
    }

    #[inline(always)]
    pub(crate) fn write(&mut self, bytes: &[u8], row: usize) {
        let start = self.offsets[row] as usize;
        let end = start + bytes.len();
        if end > self.data.len() {
            self.grow(start, end);
        }
        copy(bytes, &mut self.data[start..end]);
        self.offsets[row + 1] = u32::try_from(end).expect("a component has less than 4 GiB of memory");
    }

    #[cold]
    fn grow(&mut self, kept: usize, end: usize) {
        let more = self.buffers.numbers(end.max(self.data.len() * 2));
        more[..kept].copy_from_slice(&self.data[..kept]);
        self.data = more;
    }

    pub(crate) fn made(self, rows: usize) -> Column<'w> {
        Column::spans(&self.data[..self.offsets[rows] as usize], &self.offsets[..=rows])
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
        #[diagnostic::do_not_recommend]
        impl<'a> Value<'a> for $value {
            const KIND: &'static str = $kind;
            const FIXED: bool = false;
            type Reader = Spans<'a>;
            type Writer<'w> = SpanWriter<'w>;

            fn reader(column: &Column<'a>, count: usize) -> Self::Reader {
                Spans::new(column.data.get(), column.offsets.numbers(), count)
            }

            #[inline(always)]
            fn part(reader: &Self::Reader, from: usize) -> Self::Reader {
                Spans { data: reader.data, offsets: &reader.offsets[from..][..=TURN] }
            }

            #[inline(always)]
            fn read(reader: &Self::Reader, row: usize) -> Self {
                $load(reader.get(row))
            }

            fn writer(buffers: &Buffers, rows: usize) -> Self::Writer<'_> {
                SpanWriter::new(buffers, rows)
            }

            fn grow<'w>(writer: &mut Self::Writer<'w>, buffers: &'w Buffers, rows: usize) {
                grown(&mut writer.offsets, buffers, rows + 1);
            }

            #[inline(always)]
            fn has_room(_: &Self::Writer<'_>, _: usize) {}

            #[inline(always)]
            fn write(self, writer: &mut Self::Writer<'_>, row: usize) {
                writer.write($bytes(&self), row);
            }

            fn fill(writer: &mut Self::Writer<'_>, row: usize) {
                writer.write(&[], row);
            }

            fn made(writer: Self::Writer<'_>, rows: usize) -> Column<'_> {
                writer.made(rows)
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

#[diagnostic::do_not_recommend]
impl<'a, T: Value<'a>> Value<'a> for Option<T> {
    const KIND: &'static str = {
        assert!(!T::NULLABLE, "an `Option` within an `Option` cannot be a field of a row");
        T::KIND
    };
    const NULLABLE: bool = true;
    const FIXED: bool = T::FIXED;
    type Reader = (T::Reader, &'a [u8]);
    type Writer<'w> = (T::Writer<'w>, &'w mut [u8]);

    fn reader(column: &Column<'a>, count: usize) -> Self::Reader {
        let present = column.present.get();
        assert!(present.is_empty() || present.len() == count, "a column says of each row whether it has a value");
        (T::reader(column, count), present)
    }

    #[inline(always)]
    fn part((values, present): &Self::Reader, from: usize) -> Self::Reader {
        (T::part(values, from), if present.is_empty() { present } else { turn_of(present, from) })
    }

    #[inline(always)]
    fn read((values, present): &Self::Reader, row: usize) -> Self {
        (present.is_empty() || present[row] != 0).then(|| T::read(values, row))
    }

    fn writer(buffers: &Buffers, rows: usize) -> Self::Writer<'_> {
        (T::writer(buffers, rows), buffers.numbers(rows))
    }

    fn grow<'w>((values, present): &mut Self::Writer<'w>, buffers: &'w Buffers, rows: usize) {
        T::grow(values, buffers, rows);
        grown(present, buffers, rows);
    }

    #[inline(always)]
    fn has_room((values, present): &Self::Writer<'_>, from: usize) {
        T::has_room(values, from);
        <bool as Value<'_>>::has_room(present, from);
    }

    #[inline(always)]
    fn write(self, (values, present): &mut Self::Writer<'_>, row: usize) {
        present[row] = u8::from(self.is_some());
        match self {
            Some(value) => value.write(values, row),
            None => T::fill(values, row),
        }
    }

    fn fill(writer: &mut Self::Writer<'_>, row: usize) {
        None::<T>.write(writer, row);
    }

    fn made((values, present): Self::Writer<'_>, rows: usize) -> Column<'_> {
        let present = &present[..rows];
        let present = if present.contains(&0) { present.into() } else { List::default() };
        Column { present, ..T::made(values, rows) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_any_length_are_written_back_to_back() {
        let texts: Vec<String> = (0..100).map(|length| "abcdefghij".repeat(10)[..length].to_owned()).collect();
        let buffers = Buffers::new();
        let mut writer = SpanWriter::new(&buffers, 101);
        texts.iter().enumerate().for_each(|(row, text)| writer.write(text.as_bytes(), row));
        writer.write(b"taken back", 100);
        writer.write(b"!", 100);
        let made = writer.made(101);
        assert_eq!(made.data.get(), (texts.concat() + "!").as_bytes());
        assert_eq!(made.offsets.numbers::<u32>().len(), 102);
    }
}
