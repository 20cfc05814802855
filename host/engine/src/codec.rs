//! Formats: bytes to columns and back.
//!
//! A decoder checks every record whole, fills only the columns that the plan says somebody reads, and remembers where
//! the values lie that somebody replaces. An encoder copies what is untouched. One file (or folder) a format and one
//! line in [`decoder`] and [`encoder`]. Neighbours: the read node cuts chunks with [`Framing`], the decode node calls
//! [`Decoder`], the write node calls [`Encoder`].

pub mod timestamp;

use std::sync::Arc;

use arrow_buffer::Buffer;

use crate::batch::{Batch, Records};
use crate::dead_letter::DeadLetter;
use crate::limits::RECORD_BYTES_MAX;
pub use crate::schema::Format;
use crate::schema::Schema;

pub mod ndjson;
pub mod csv;
mod raw;

/// Bytes of whole records of one partition.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Name of the source.
    pub source: Arc<str>,
    /// Name of the partition.
    pub partition: Arc<str>,
    /// The bytes, followed by [`crate::batch::PADDING`] zeros.
    pub data: Buffer,
    /// How many of them are records.
    pub len: usize,
    /// Offset of the first byte in the partition.
    pub offset: u64,
    /// Line of the first byte, counted from 1.
    pub line: u64,
    /// What the partition began with, where the format has a header and it has been read; a byte order mark where it
    /// has none.
    pub header: Option<Arc<[u8]>>,
    /// Whether the last record was broken off, and why: it goes to the dead letters.
    pub broken: Option<String>,
}

impl Chunk {
    /// A dead letter for the record that begins at byte `start`, on the `line`th line after the chunk's first. A record
    /// that is too long is cut, and the reason, which may be empty then, says so. When and by which node it was given
    /// up, the node fills in.
    pub(crate) fn letter(&self, record: &[u8], start: usize, line: u32, mut reason: String) -> DeadLetter {
        let len = record.len();
        if len > RECORD_BYTES_MAX {
            let cut = too_long(len as u64);
            reason = if reason.is_empty() { cut } else { format!("{reason}; {cut}") };
        }
        DeadLetter {
            at: 0,
            source: self.source.clone(),
            partition: self.partition.clone(),
            offset: self.offset + start as u64,
            line: Some(self.line + u64::from(line)),
            stage: self.source.clone(),
            component: None,
            reason,
            backtrace: None,
            record: record[..len.min(RECORD_BYTES_MAX)].to_vec(),
        }
    }
}

/// What a dead letter says of a record of so many bytes, line end not counted, which is more than one may have.
pub(crate) fn too_long(bytes: u64) -> String {
    format!("the record has {bytes} bytes, more than the {RECORD_BYTES_MAX} that one may have; it is cut to these")
}

/// Which columns to fill and which values to find: one entry a field of the source's schema each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Fill the column.
    pub fill: Vec<bool>,
    /// Remember where each value lies, as [`crate::batch::Raw::values`].
    pub locate: Vec<bool>,
}

/// What a chunk was decoded to.
#[derive(Debug)]
pub struct Decoded {
    /// The good records. `event_time` is filled where the decoder was told a column for it.
    pub records: Records,
    /// The bad ones, with line, offset and reason; `at` and `stage` are filled by the node.
    pub bad: Vec<DeadLetter>,
}

/// How a stream of bytes is cut.
pub trait Framing: Send {
    /// One past the last byte of what a partition begins with that is no record, a header or a byte order mark: `bytes`
    /// are its first. 0 where there is nothing such; none = it is not whole. Of no bytes it is 0 where the format has
    /// no header.
    fn header(&mut self, bytes: &[u8]) -> Option<usize> {
        mark(bytes)
    }

    /// One past the last byte of the last whole record in `bytes`, which begins at a record; none = no record is whole.
    fn boundary(&mut self, bytes: &[u8]) -> Option<usize>;
}

/// What editors and spreadsheets begin a text with, to say that it is UTF-8. It is no part of the first record.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// [`Framing::header`] of a format that has no header.
fn mark(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        return Some(BYTE_ORDER_MARK.len());
    }
    (bytes.is_empty() || !BYTE_ORDER_MARK.starts_with(bytes)).then_some(0)
}

/// Bytes to columns.
pub trait Decoder: Send {
    /// Decodes whole records.
    fn decode(&mut self, chunk: &Chunk) -> Decoded;
}

/// Columns to bytes.
pub trait Encoder: Send {
    /// Appends the rows of a batch, and for each the end of its bytes (line end included) in `into`.
    fn encode(&mut self, batch: &Batch, into: &mut Vec<u8>, ends: &mut Vec<u32>);
}

/// The schema and format of a source, and what of it is needed.
#[derive(Clone, Debug)]
pub struct DecodePlan {
    /// The format.
    pub format: Format,
    /// The declared fields.
    pub schema: Schema,
    /// What somebody reads.
    pub needs: Needs,
    /// Position of the field that is the event time. It is always filled; a record without it is bad.
    pub event_time: Option<usize>,
}

/// The decoder of a source.
#[must_use]
pub fn decoder(plan: DecodePlan) -> Box<dyn Decoder> {
    match plan.format {
        Format::Ndjson => Box::new(ndjson::NdjsonDecoder::new(&plan)),
        Format::Csv { separator, header } => Box::new(csv::CsvDecoder::new(&plan, separator, header)),
        Format::Raw => Box::new(raw::RawDecoder::new(&plan)),
    }
}

/// The encoder of a sink.
#[must_use]
pub fn encoder(format: &Format) -> Box<dyn Encoder> {
    match format {
        Format::Ndjson => Box::new(ndjson::NdjsonEncoder::default()),
        Format::Csv { separator, .. } => Box::new(csv::CsvEncoder::new(*separator)),
        Format::Raw => Box::new(raw::RawEncoder),
    }
}

/// How the bytes of a source are cut.
#[must_use]
pub fn framing(format: &Format) -> Box<dyn Framing> {
    match format {
        Format::Csv { separator, header } => Box::new(csv::framing(*separator, *header)),
        Format::Ndjson | Format::Raw => Box::new(ndjson::Lines),
    }
}

/// What the names of files in a format end in, without a dot.
#[must_use]
pub fn extension(format: &Format) -> &'static str {
    match format {
        Format::Ndjson => "ndjson",
        Format::Csv { .. } => "csv",
        Format::Raw => "txt",
    }
}

/// The bytes that each output in a format begins with: a header where the format has one.
#[must_use]
pub fn header(format: &Format, schema: &Schema) -> Vec<u8> {
    match format {
        Format::Csv { separator, header: true } => csv::header(schema, *separator),
        Format::Csv { .. } | Format::Ndjson | Format::Raw => Vec::new(),
    }
}
