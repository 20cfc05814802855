//! The batch: rows on their way through a pipeline, columnar, and shared where nobody changed them.
//!
//! A batch is its source's [`Records`] (raw bytes, spans, the columns that some stage reads), a selection of their
//! rows, and the columns that stages have made since. A filter therefore makes a list of row numbers and nothing else;
//! what no stage touches is never copied. What each field is and where it lies is the [`Layout`], worked out once when
//! the pipeline is planned.
//!
//! Always true: `selection` and every made column have [`Batch::rows`] entries; every selected row exists in the
//! records. Neighbours: [`crate::codec`] fills and writes records.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, StringArray, TimestampMicrosecondArray, UInt32Array};
use arrow_array::{new_null_array, types::Int64Type};
use arrow_buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow_select::take::take;

use crate::clock::Micros;
use crate::schema::{Format, Kind, Schema};

/// A stretch of bytes within [`Raw::data`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The bytes of `data` that it means.
    #[must_use]
    pub fn of(self, data: &[u8]) -> &[u8] {
        &data[self.start as usize..self.end as usize]
    }
}

/// What a record's number in its partition counts.
#[derive(Clone, Debug)]
pub enum Offsets {
    /// Bytes: the offset of `data[0]`; a record's is this plus its span's start.
    Bytes(u64),
    /// Messages: one number a record.
    Each(Vec<u64>),
}

/// The bytes of records as their source had them.
#[derive(Clone, Debug)]
pub struct Raw {
    /// The format of the bytes: only an encoder of the same one may copy them.
    pub format: Format,
    /// The bytes, shared. At least [`PADDING`] more follow the last record, so that a decoder may load words.
    pub data: Buffer,
    /// Where each record lies, without its line end.
    pub spans: Vec<Span>,
    /// Numbers of the records in their partition.
    pub offsets: Offsets,
    /// Line of the first record, counted from 1; 0 where lines mean nothing.
    pub first_line: u64,
    /// Lines from the first record to each; empty = one after the other.
    pub lines: Vec<u32>,
    /// For fields whose values may be replaced in place: the field's position in the source schema, and where the value
    /// of each record lies (`start == end` = the record has no such field).
    pub values: Vec<(usize, Vec<Span>)>,
}

/// Zero bytes that follow the records in [`Raw::data`].
pub const PADDING: usize = 64;

/// Records of one partition of one source, decoded as far as somebody reads them.
#[derive(Clone, Debug)]
pub struct Records {
    /// Name of the source in the pipeline.
    pub source: Arc<str>,
    /// Partition within the source: a file's path, or topic and number.
    pub partition: Arc<str>,
    /// Number of records.
    pub rows: usize,
    /// One entry for each field of the source's schema; none = no stage reads it, so it was not filled.
    pub columns: Vec<Option<ArrayRef>>,
    /// Event time of each record, where the source has one.
    pub event_time: Option<ScalarBuffer<i64>>,
    /// Keys and headers of messages, where the source has them: `(key, headers)`.
    pub message: Option<(BinaryArray, StringArray)>,
    /// The bytes; none for a source that makes columns itself.
    pub raw: Option<Raw>,
    /// Number of the first record in its partition, where there are no bytes that tell.
    pub first: u64,
}

impl Records {
    /// The number of a record in its partition.
    #[must_use]
    pub fn offset(&self, row: usize) -> u64 {
        match self.raw.as_ref().map(|raw| (&raw.offsets, raw.spans[row])) {
            Some((Offsets::Bytes(base), span)) => base + u64::from(span.start),
            Some((Offsets::Each(each), _)) => each[row],
            None => self.first + row as u64,
        }
    }

    /// The line of a record, counted from 1, where lines mean something.
    #[must_use]
    pub fn line(&self, row: usize) -> Option<u64> {
        let raw = self.raw.as_ref().filter(|raw| raw.first_line > 0)?;
        Some(raw.first_line + raw.lines.get(row).map_or(row as u64, |lines| u64::from(*lines)))
    }

    /// The bytes of a record, where the source has bytes.
    #[must_use]
    pub fn bytes(&self, row: usize) -> Option<&[u8]> {
        self.raw.as_ref().map(|raw| raw.spans[row].of(&raw.data))
    }
}

/// A column of metadata, read by a name with `@`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meta {
    /// `@event-time`
    EventTime,
    /// `@key`
    Key,
    /// `@source`
    Source,
    /// `@partition`
    Partition,
    /// `@offset`
    Offset,
    /// `@headers`
    Headers,
}

impl Meta {
    /// The metadata of that name, with its kind and whether it may be null.
    #[must_use]
    pub fn parse(name: &str) -> Option<(Self, Kind, bool)> {
        Some(match name {
            "@event-time" => (Self::EventTime, Kind::Timestamp, true),
            "@key" => (Self::Key, Kind::Bytes, true),
            "@source" => (Self::Source, Kind::Utf8, false),
            "@partition" => (Self::Partition, Kind::Utf8, false),
            "@offset" => (Self::Offset, Kind::Int64, false),
            "@headers" => (Self::Headers, Kind::Json, true),
            _ => return None,
        })
    }
}

/// Where the values of a field lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the records: position in the source's schema.
    Record(usize),
    /// Made by a stage: position in [`Batch::made`].
    Made(usize),
}

/// What the rows of a batch are made of and where each field lies. One for each source and port that a row can come
/// from.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    /// The schema of the source that the records are from.
    pub source: Schema,
    /// The fields as they are here.
    pub schema: Schema,
    /// The place of each field.
    pub places: Vec<Place>,
    /// Whether every field of the record, declared or not, is still part of the row: no stage has chosen among them.
    pub whole: bool,
}

impl Layout {
    /// The layout of rows fresh from a source.
    #[must_use]
    pub fn of_source(schema: &Schema) -> Self {
        let places = (0..schema.fields().len()).map(Place::Record).collect();
        Self { source: schema.clone(), schema: schema.clone(), places, whole: true }
    }
}

/// Rows on their way. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Where the rows come from.
    records: Arc<Records>,
    /// For each row its record; none = all records in order.
    selection: Option<UInt32Array>,
    /// Columns that stages made, an entry a row.
    made: Vec<ArrayRef>,
    /// What the fields are.
    layout: Arc<Layout>,
    /// When the records were read.
    read_at: Option<Micros>,
}

impl Batch {
    /// All records, as they are.
    #[must_use]
    pub fn new(records: Arc<Records>, layout: Arc<Layout>) -> Self {
        assert_eq!(records.columns.len(), layout.source.fields().len(), "records fit their source's schema");
        Self { records, selection: None, made: Vec::new(), layout, read_at: None }
    }

    /// The same, read then: what is made of it was too.
    #[must_use]
    pub fn read_then(self, at: Option<Micros>) -> Self {
        Self { read_at: at, ..self }
    }

    /// When the records were read; none where nobody noted it.
    #[must_use]
    pub fn read_at(&self) -> Option<Micros> {
        self.read_at
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.selection.as_ref().map_or(self.records.rows, Array::len)
    }

    /// What the rows are made of.
    #[must_use]
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The records that the rows are from.
    #[must_use]
    pub fn records(&self) -> &Arc<Records> {
        &self.records
    }

    /// The record that a row is from.
    #[must_use]
    pub fn record(&self, row: usize) -> usize {
        self.selection.as_ref().map_or(row, |selection| selection.value(row) as usize)
    }

    /// The record of each row; none = all records in order.
    #[must_use]
    pub fn selection(&self) -> Option<&[u32]> {
        self.selection.as_ref().map(|selection| &selection.values()[..])
    }

    /// The column that a stage made at `position`.
    #[must_use]
    pub fn made(&self, position: usize) -> &ArrayRef {
        &self.made[position]
    }

    /// The values of the field at `position` of the layout's schema, one a row.
    ///
    /// # Panics
    /// When the field was not filled: the plan has not asked the decoder for it, which is a mistake of ours.
    #[must_use]
    pub fn column(&self, position: usize) -> ArrayRef {
        match self.layout.places[position] {
            Place::Made(made) => self.made[made].clone(),
            Place::Record(field) => {
                let column = self.records.columns[field].as_ref().expect("the plan asks for every column that is read");
                self.select(column)
            }
        }
    }

    /// A column of metadata, one value a row.
    #[must_use]
    pub fn meta(&self, meta: Meta) -> ArrayRef {
        let rows = self.rows();
        let records = &*self.records;
        let constant = |text: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values((0..rows).map(|_| text))) };
        match meta {
            Meta::Source => constant(&records.source),
            Meta::Partition => constant(&records.partition),
            Meta::Offset => {
                let offsets = (0..rows).map(|row| i64::try_from(records.offset(self.record(row))).unwrap_or(i64::MAX));
                Arc::new(Int64Array::from_iter_values(offsets))
            }
            Meta::EventTime => match &records.event_time {
                Some(times) => {
                    self.select(&(Arc::new(TimestampMicrosecondArray::new(times.clone(), None)) as ArrayRef))
                }
                None => new_null_array(&Kind::Timestamp.data_type(), rows),
            },
            Meta::Key => match &records.message {
                Some((keys, _)) => self.select(&(Arc::new(keys.clone()) as ArrayRef)),
                None => new_null_array(&Kind::Bytes.data_type(), rows),
            },
            Meta::Headers => match &records.message {
                Some((_, headers)) => self.select(&(Arc::new(headers.clone()) as ArrayRef)),
                None => new_null_array(&Kind::Json.data_type(), rows),
            },
        }
    }

    /// These rows of the batch, in this order; the layout stays.
    #[must_use]
    pub fn pick(&self, rows: &UInt32Array) -> Self {
        let selection = match &self.selection {
            None => rows.clone(),
            Some(selection) => {
                UInt32Array::from_iter_values(rows.values().iter().map(|row| selection.value(*row as usize)))
            }
        };
        let made = self.made.iter().map(|column| gather(column, rows)).collect();
        let (records, layout, read_at) = (self.records.clone(), self.layout.clone(), self.read_at);
        Self { records, selection: Some(selection), made, layout, read_at }
    }

    /// The batch that an output port has: rows `origin` of this one (none = all), the columns that the operator made in
    /// front, behind them those made earlier that `keeps` names, under the layout that the plan gave that port.
    #[must_use]
    pub fn derive(
        &self,
        origin: Option<&UInt32Array>,
        new: Vec<ArrayRef>,
        keeps: &[usize],
        layout: &Arc<Layout>,
    ) -> Self {
        let mut made = new;
        let picked = |column: &ArrayRef| origin.map_or_else(|| column.clone(), |rows| gather(column, rows));
        made.extend(keeps.iter().map(|position| picked(&self.made[*position])));
        let selection = match (origin, &self.selection) {
            (None, selection) => selection.clone(),
            (Some(rows), None) => Some(rows.clone()),
            (Some(rows), Some(selection)) => {
                let composed = rows.values().iter().map(|row| selection.value(*row as usize));
                Some(UInt32Array::from_iter_values(composed))
            }
        };
        let (records, layout, read_at) = (self.records.clone(), layout.clone(), self.read_at);
        let batch = Self { records, selection, made, layout, read_at };
        assert!(batch.made.iter().all(|column| column.len() == batch.rows()), "made columns have a value for each row");
        batch
    }

    /// The batch in pieces of at most so many rows: itself, where it has no more.
    pub fn pieces(self, most: usize) -> impl Iterator<Item = Self> {
        let (rows, whole) = (self.rows(), self.rows() <= most);
        (0..rows.div_ceil(most).max(1)).map(move |number| match whole {
            true => self.clone(),
            false => {
                let piece = number * most..rows.min((number + 1) * most);
                self.pick(&UInt32Array::from_iter_values(piece.map(|row| row as u32)))
            }
        })
    }

    /// Bytes that these rows bring with them, one as often as it stands there: their records, and the values made
    /// earlier that `keeps` names, as [`Self::derive`] has it.
    #[must_use]
    pub fn carried_bytes(&self, rows: &[u32], keeps: &[usize]) -> u64 {
        let records = &*self.records;
        let made: Vec<Lengths<'_>> = keeps.iter().filter_map(|at| Lengths::of(&self.made[*at])).collect();
        let columns: Vec<Lengths<'_>> = match &records.raw {
            Some(raw) => vec![Lengths::Spans(&raw.spans)],
            None => records.columns.iter().flatten().filter_map(Lengths::of).collect(),
        };
        let of_row = |row: &u32| {
            let record = self.record(*row as usize);
            let made: u64 = made.iter().map(|lengths| lengths.get(*row as usize)).sum();
            made + columns.iter().map(|lengths| lengths.get(record)).sum::<u64>()
        };
        rows.iter().map(of_row).sum()
    }

    fn select(&self, column: &ArrayRef) -> ArrayRef {
        self.selection.as_ref().map_or_else(|| column.clone(), |selection| gather(column, selection))
    }
}

/// How long each value is.
enum Lengths<'a> {
    Spans(&'a [Span]),
    Offsets(&'a [i32]),
}

impl<'a> Lengths<'a> {
    /// Of a column whose values have lengths.
    fn of(column: &'a ArrayRef) -> Option<Self> {
        let text = column.as_string_opt::<i32>().map(|text| text.value_offsets());
        text.or_else(|| column.as_binary_opt::<i32>().map(|bytes| bytes.value_offsets())).map(Self::Offsets)
    }

    fn get(&self, at: usize) -> u64 {
        match self {
            Self::Spans(spans) => u64::from(spans[at].end - spans[at].start),
            Self::Offsets(offsets) => (offsets[at + 1] - offsets[at]).unsigned_abs().into(),
        }
    }
}

/// Bytes of a column's values.
#[must_use]
pub fn bytes_of(column: &ArrayRef) -> u64 {
    match Lengths::of(column) {
        Some(Lengths::Offsets([first, .., last])) => (last - first).unsigned_abs().into(),
        Some(_) => 0,
        None => 8 * column.len() as u64,
    }
}

/// `column[rows[i]]` for each i.
fn gather(column: &ArrayRef, rows: &UInt32Array) -> ArrayRef {
    take(column, rows, None).expect("row numbers were checked to lie within the column")
}

/// An array of 64-bit values of that kind over a buffer that is aligned for them.
///
/// # Panics
/// For a kind that is not 8 bytes a value, or a misaligned buffer.
#[must_use]
pub fn fixed(kind: Kind, values: Buffer, rows: usize, nulls: Option<NullBuffer>) -> ArrayRef {
    use arrow_array::{Float64Array, PrimitiveArray};
    match kind {
        Kind::Int64 => Arc::new(PrimitiveArray::<Int64Type>::new(ScalarBuffer::new(values, 0, rows), nulls)),
        Kind::Float64 => Arc::new(Float64Array::new(ScalarBuffer::new(values, 0, rows), nulls)),
        Kind::Timestamp => Arc::new(TimestampMicrosecondArray::new(ScalarBuffer::new(values, 0, rows), nulls)),
        Kind::Boolean | Kind::Utf8 | Kind::Bytes | Kind::Json => panic!("{kind} values are not 8 bytes each"),
    }
}

#[cfg(test)]
mod tests;
