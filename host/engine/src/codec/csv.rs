//! CSV: separated values as RFC 4180 has them.
//!
//! **Read.** A record is good if it keeps the rules of quoting, is UTF-8, has as many fields as the header (or the
//! schema, without a header) and every declared field is of its kind, whether somebody reads it or not. With a header,
//! columns are found by name in any order and others are passed over; a nullable field may have no column, and where a
//! required one has none, every record of the partition is bad and says so. Lines end in `\n` or `\r\n`; empty ones are
//! no records; the quote is `"`.
//!
//! | kind | what is read | what is written |
//! |---|---|---|
//! | `boolean` | `true`, `false` | the same |
//! | `int64` | a whole number of 64 bits | the same |
//! | `float64` | a finite decimal number | the shortest text that reads as the same; `NaN`, `inf`, `-inf` |
//! | `utf8`, `json` | the text, JSON checked | the same |
//! | `bytes` | the text's UTF-8 bytes | the same; where they are not UTF-8, their base64 |
//! | `timestamp` | RFC 3339, or milliseconds since 1970 UTC | `2026-11-21T14:50:16.123456Z` |
//!
//! An empty field without quotes is null where the field is nullable; else the empty text, or bad where the kind has no
//! empty value. `""` is the empty text; a kind that has none takes it as it takes nothing, for files with quotes around
//! all that they have.
//!
//! **Where we are stricter than the `csv` crate**, which reads on: a quote within an unquoted field, text after a
//! closing quote, a quote never closed, a `\r` without `\n`. In all else the two agree (`agreement`).
//!
//! **Written.** Quotes only where they are needed, fields in the schema's order, a nested field under its path. Null is
//! the empty field; the empty text in a nullable field, and in a record of one field, is `""`.
//!
//! `record` cuts, `column` reads values, this file puts them together; `encode` is the way back.

mod record;
mod column;
mod encode;
#[cfg(test)]
mod agreement;

use std::sync::Arc;

use arrow_buffer::ScalarBuffer;
use memchr::memchr_iter;

use crate::batch::{Offsets, Raw, Records, Span};
use crate::codec::{BYTE_ORDER_MARK, Chunk, DecodePlan, Decoded, Decoder, Framing};
use crate::dead_letter::DeadLetter;
use crate::limits::RECORD_BYTES_MAX;
use crate::schema::{Format, Kind, Schema};
use column::Column;
use record::{Cutter, Fault, FieldSpan};

pub(crate) use encode::CsvEncoder;
pub use encode::header;

/// Most bytes of a value that a reason shows.
const SHOWN_BYTES_MAX: usize = 64;

/// Why records cannot be read where a partition's header is too long, or could not be had any more.
const NO_HEADER: &str = "the header of the partition was not read, so it is not known which column is which";

/// How a source of that format is cut.
pub(crate) fn framing(separator: u8, header: bool) -> impl Framing {
    record::Cuts { cutter: Cutter::new(separator), header }
}

/// Where the columns of a partition are.
#[derive(Debug)]
struct Columns {
    /// Fields of a record.
    width: usize,
    /// For each field of the schema its place in a record.
    at: Vec<Option<usize>>,
}

/// The decoder.
#[derive(Debug)]
pub(crate) struct CsvDecoder {
    format: Format,
    schema: Schema,
    locate: Vec<usize>,
    event_time: Option<usize>,
    cutter: Cutter,
    /// The header last seen, and what it says; or why none of its partition's records can be read.
    header: Option<Arc<[u8]>>,
    found: Result<Columns, String>,
    columns: Vec<Column>,
    /// Of the record at hand.
    fields: Vec<FieldSpan>,
    unescaped: Vec<u8>,
}

/// What of a chunk was gone through.
#[derive(Default)]
struct Done {
    spans: Vec<Span>,
    /// For each good record the lines of the chunk before it.
    lines: Vec<u32>,
    values: Vec<(usize, Vec<Span>)>,
    bad: Vec<DeadLetter>,
}

impl CsvDecoder {
    /// A decoder for that plan, whose format is CSV.
    ///
    /// # Panics
    /// When the event time is not a timestamp: the plan has checked that.
    pub(crate) fn new(plan: &DecodePlan, separator: u8, header: bool) -> Self {
        let (schema, needs) = (plan.schema.clone(), &plan.needs);
        let is_time = |field: usize| schema.fields()[field].kind == Kind::Timestamp;
        assert!(plan.event_time.is_none_or(is_time), "the event time is a timestamp");
        let fill = |field: usize| needs.fill[field] || plan.event_time == Some(field);
        let columns = schema.fields().iter().enumerate().map(|(i, field)| Column::new(field, fill(i))).collect();
        let width = schema.fields().len();
        let found =
            if header { Err(NO_HEADER.to_owned()) } else { Ok(Columns { width, at: (0..width).map(Some).collect() }) };
        Self {
            format: plan.format.clone(),
            locate: (0..width).filter(|field| needs.locate[*field]).collect(),
            event_time: plan.event_time,
            cutter: Cutter::new(separator),
            header: None,
            schema,
            found,
            columns,
            fields: Vec::new(),
            unescaped: Vec::new(),
        }
    }

    /// Finds the declared fields in a header.
    fn read_header(&mut self, header: &[u8]) -> Result<Columns, String> {
        let header = header.strip_prefix(BYTE_ORDER_MARK).unwrap_or(header);
        let start = header.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(header.len());
        let cut = self.cutter.cut(header, start, &mut self.fields);
        if let Some(fault) = cut.fault {
            return Err(format!("the header is broken: {}", self.fault(fault)));
        }
        let fields = std::mem::take(&mut self.fields);
        let names: Vec<Vec<u8>> = fields.iter().map(|field| unescape(*field, header)).collect();
        let place = |name: &str| {
            let mut places = (0..names.len()).filter(|at| names[*at] == name.as_bytes());
            (places.next(), places.next().is_some())
        };
        let mut at = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            match place(&field.name) {
                (_, true) => return Err(format!("the header has two columns `{}`", field.name)),
                (None, _) if !field.nullable => {
                    let header = shown(header[start..cut.end].trim_ascii());
                    return Err(format!("the header has no column `{}`: it is `{header}`", field.name));
                }
                (place, _) => at.push(place),
            }
        }
        Ok(Columns { width: fields.len(), at })
    }

    /// Appends the values of the record at hand, or says what is wrong with it.
    fn row(&mut self, data: &[u8], fault: Option<Fault>) -> Result<(), String> {
        let found = self.found.as_ref().map_err(Clone::clone)?;
        if let Some(fault) = fault {
            return Err(self.fault(fault));
        }
        if self.fields.len() != found.width {
            return Err(format!("expected {} fields, found {}", found.width, self.fields.len()));
        }
        for ((field, at), column) in self.schema.fields().iter().zip(&found.at).zip(&mut self.columns) {
            let Some(place) = at.map(|at| self.fields[at]) else {
                column.push(None, false).expect("a field without a column is nullable");
                continue;
            };
            let mut text = place.text.of(data);
            if place.doubled {
                self.unescaped = unescape(place, data);
                text = &self.unescaped;
            }
            if column.push(Some(text), place.quoted).is_err() {
                let what = if text.is_empty() { "nothing".to_owned() } else { format!("`{}`", shown(text)) };
                let detail = column::detail(field.kind, text);
                return Err(format!("field `{}`: expected {}, found {what}{detail}", field.name, field.kind));
            }
        }
        match self.event_time {
            Some(field) if !self.columns[field].last_is_present() => Err(format!(
                "field `{}`: required, as it is the event time, but empty",
                self.schema.fields()[field].name
            )),
            _ => Ok(()),
        }
    }

    /// The sentence for a fault of quoting.
    fn fault(&self, fault: Fault) -> String {
        let field = |number: usize| {
            let columns = self.found.as_ref().ok();
            let named = columns.and_then(|columns| columns.at.iter().position(|at| *at == Some(number)));
            match named {
                Some(field) => format!("field `{}`", self.schema.fields()[field].name),
                None => format!("field {}", number + 1),
            }
        };
        match fault {
            Fault::Unclosed(number) => format!("{}: the quote that opens it is never closed", field(number)),
            Fault::AfterQuote(number) => {
                format!("{}: expected a separator or the line's end after the closing quote, found text", field(number))
            }
            Fault::BareQuote(number) => {
                let field = field(number);
                format!("{field}: a quote within it, but none around it; quote the field and double the quotes in it")
            }
            Fault::BareReturn(number) => {
                format!("{}: a carriage return without a line feed, and no quotes around it", field(number))
            }
        }
    }

    /// Goes through the records of a chunk.
    fn records(&mut self, chunk: &Chunk, data: &[u8]) -> Done {
        let mut done =
            Done { values: self.locate.iter().map(|field| (*field, Vec::new())).collect(), ..Done::default() };
        let is_text = simdutf8::basic::from_utf8(data).is_ok();
        let (mut at, mut line, mut broken) = (0, 0, chunk.broken.clone());
        while at < data.len() {
            let (start, before) = (at, line);
            let mut fields = std::mem::take(&mut self.fields);
            let cut = self.cutter.cut(data, start, &mut fields);
            self.fields = fields;
            at = cut.next;
            line += memchr_iter(b'\n', &data[start..at]).count() as u32;
            let record = &data[start..cut.end];
            let read = match broken.take_if(|_| at == data.len()) {
                Some(reason) => Err(reason),
                None if record.is_empty() => continue,
                None if record.len() > RECORD_BYTES_MAX => Err(String::new()),
                None if !is_text && simdutf8::basic::from_utf8(record).is_err() => {
                    let valid = record.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
                    Err(format!("the record is not UTF-8 from its byte {valid} on"))
                }
                None => self.row(data, cut.fault),
            };
            match read {
                Ok(()) => {
                    done.spans.push(Span { start: start as u32, end: cut.end as u32 });
                    done.lines.push(before);
                    self.located(&mut done.values);
                }
                Err(reason) => {
                    self.columns.iter_mut().for_each(|column| column.truncate(done.spans.len()));
                    done.bad.push(chunk.letter(record, start, before, reason));
                }
            }
        }
        if let Some(reason) = broken {
            done.bad.push(chunk.letter(&[], data.len(), line, reason));
        }
        done
    }

    /// Remembers where values of the record at hand lie.
    fn located(&self, values: &mut [(usize, Vec<Span>)]) {
        for (field, spans) in values {
            let at = self.found.as_ref().ok().and_then(|found| found.at[*field]);
            spans.push(at.map_or_else(Span::default, |at| self.fields[at].whole()));
        }
    }
}

impl Decoder for CsvDecoder {
    fn decode(&mut self, chunk: &Chunk) -> Decoded {
        let has_header = matches!(self.format, Format::Csv { header: true, .. });
        if has_header && self.header != chunk.header {
            // What an earlier partition's header said holds for that partition alone.
            self.found = match &chunk.header {
                Some(header) => self.read_header(header),
                None => Err(NO_HEADER.to_owned()),
            };
            self.header.clone_from(&chunk.header);
        }
        let mut done = self.records(chunk, &chunk.data[..chunk.len]);
        let rows = done.spans.len();
        let times = self.event_time.map(|field| self.columns[field].words().iter().map(|word| *word as i64));
        let event_time = times.map(ScalarBuffer::from_iter);
        let first = done.lines.first().copied().unwrap_or_default();
        done.lines.iter_mut().for_each(|line| *line -= first);
        if done.lines.last().is_none_or(|last| *last as usize + 1 == rows) {
            done.lines.clear();
        }
        let raw = Raw {
            format: self.format.clone(),
            data: chunk.data.clone(),
            spans: done.spans,
            offsets: Offsets::Bytes(chunk.offset),
            first_line: chunk.line + u64::from(first),
            lines: done.lines,
            values: done.values,
        };
        let (source, partition) = (chunk.source.clone(), chunk.partition.clone());
        let columns = self.columns.iter_mut().map(Column::finish).collect();
        let records = Records { source, partition, rows, columns, event_time, message: None, raw: Some(raw), first: 0 };
        Decoded { records, bad: done.bad }
    }
}

/// The text of a field, doubled quotes made single.
fn unescape(field: FieldSpan, data: &[u8]) -> Vec<u8> {
    let mut text = field.text.of(data).to_vec();
    if field.doubled {
        let mut second = false;
        text.retain(|byte| {
            second = *byte == b'"' && !second;
            *byte != b'"' || second
        });
    }
    text
}

/// Text for a reason: cut where it is long.
fn shown(text: &[u8]) -> String {
    let cut = &text[..text.len().min(SHOWN_BYTES_MAX)];
    let dots = if cut.len() < text.len() { "..." } else { "" };
    format!("{}{dots}", String::from_utf8_lossy(cut))
}
