//! Chunks of lines to records and columns.

use arrow_array::TimestampMicrosecondArray;
use arrow_buffer::Buffer;

use super::fault::not_utf8;
use super::reader::Reader;
use super::scan::Scanned;
use super::slot::CHUNK_BYTES_MAX;
use crate::batch::{Offsets, PADDING, Raw, Records, Span};
use crate::codec::{Chunk, DecodePlan, Decoded, Decoder};
use crate::dead_letter::DeadLetter;
use crate::limits::RECORD_BYTES_MAX;
use crate::schema::{Format, Kind};

/// The decoder.
#[derive(Debug)]
pub(crate) struct NdjsonDecoder {
    reader: Reader,
    event_time: Option<usize>,
    /// Where texts may end in the last chunk.
    specials: Vec<u8>,
    /// Records of the last chunk, for which there is room at once.
    rows: usize,
}

/// What of a chunk was gone through.
struct Progress {
    /// The next byte.
    p: usize,
    /// Lines before it.
    line: u32,
    /// The good records.
    spans: Vec<Span>,
    /// Their lines, once one is not that after the one before.
    lines: Vec<u32>,
    /// Line of the first.
    first_line: u32,
    /// The bad ones.
    bad: Vec<DeadLetter>,
}

impl NdjsonDecoder {
    /// A decoder for that plan.
    ///
    /// # Panics
    /// When the event time is not a timestamp: the plan has checked that.
    pub(crate) fn new(plan: &DecodePlan) -> Self {
        let is_time = |field: usize| plan.schema.fields()[field].kind == Kind::Timestamp;
        assert!(plan.event_time.is_none_or(is_time), "the event time is a timestamp");
        Self { reader: Reader::new(plan), event_time: plan.event_time, specials: Vec::new(), rows: 0 }
    }

    /// Decodes the lines before `stop`.
    fn lines(&mut self, chunk: &Chunk, b: Scanned<'_>, stop: usize, done: &mut Progress) {
        while done.p < stop {
            let start = done.p;
            if b[start] == b'\n' {
                done.p += 1;
                done.line += 1;
                continue;
            }
            let end = match self.reader.predicted(b, start, stop) {
                Ok(end) => Ok(end),
                Err(stray) => self.reader.record(b, stray, done.spans.len(), stop),
            };
            let end = match end {
                Ok(end) => end,
                Err(fault) => {
                    self.reader.truncate(done.spans.len());
                    let record = line(&b[..stop], start);
                    if !record.is_empty() {
                        let reason = fault.reason(&self.reader.tree, record, start);
                        done.bad.push(chunk.letter(record, start, done.line, reason));
                    }
                    done.pass(&b, start, stop);
                    continue;
                }
            };
            if end - start > RECORD_BYTES_MAX {
                self.reader.truncate(done.spans.len());
                let record = line(&b[..stop], start);
                done.bad.push(chunk.letter(record, start, done.line, String::new()));
                done.pass(&b, start, stop);
                continue;
            }
            done.good(start, if b[end - 1] == b'\r' { end - 1 } else { end });
            done.p = end + 1;
            done.line += 1;
        }
    }
}

impl Progress {
    /// Adds a good record, which is on the current line.
    #[inline(always)]
    fn good(&mut self, start: usize, end: usize) {
        let rows = self.spans.len();
        if rows == 0 {
            self.first_line = self.line;
        }
        let line = self.line - self.first_line;
        if line as usize != rows {
            if self.lines.is_empty() {
                self.lines.extend(0..rows as u32);
            }
            self.lines.push(line);
        }
        self.spans.push(Span { start: start as u32, end: end as u32 });
    }

    /// Goes on behind the line that `start` is on.
    fn pass(&mut self, b: &[u8], start: usize, stop: usize) {
        self.p = memchr::memchr(b'\n', &b[start..stop]).map_or(stop, |end| start + end + 1);
        self.line += 1;
    }
}

impl Decoder for NdjsonDecoder {
    fn decode(&mut self, chunk: &Chunk) -> Decoded {
        assert!(chunk.len < CHUNK_BYTES_MAX, "spans within a chunk are 31 bits");
        let padding = chunk.data.get(chunk.len..chunk.len + PADDING);
        assert!(padding.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0)), "zeros follow the records");
        let (mut data, mut bad) = (chunk.data.clone(), Vec::new());
        let mut specials = std::mem::take(&mut self.specials);
        let mut bytes = Scanned::new(&data[..chunk.len + PADDING], &mut specials);
        if !bytes.is_ascii() && simdutf8::basic::from_utf8(&bytes[..chunk.len]).is_err() {
            data = scrub(chunk, &mut bad);
            bytes = Scanned::new(&data[..chunk.len + PADDING], &mut specials);
        }
        let stop = chunk.broken.as_ref().map_or(chunk.len, |_| last(&data[..chunk.len]));
        let spans = Vec::with_capacity(self.rows + self.rows / 8);
        let mut done = Progress { p: 0, line: 0, spans, lines: Vec::new(), first_line: 0, bad };
        self.lines(chunk, bytes, stop, &mut done);
        self.specials = specials;
        if let Some(reason) = &chunk.broken {
            let record = line(&chunk.data[..chunk.len], stop);
            done.bad.retain(|letter| letter.offset != chunk.offset + stop as u64);
            done.bad.push(chunk.letter(record, stop, done.line, reason.clone()));
        }
        done.bad.sort_by_key(|letter| letter.offset);
        self.finish(chunk, data, done)
    }
}

impl NdjsonDecoder {
    fn finish(&mut self, chunk: &Chunk, data: Buffer, done: Progress) -> Decoded {
        let rows = done.spans.len();
        self.rows = rows;
        let Reader { slots, unescaped, .. } = &mut self.reader;
        let values =
            slots.iter_mut().enumerate().filter_map(|(field, slot)| Some((field, slot.finish_places()?))).collect();
        let columns: Vec<_> = slots.iter_mut().map(|slot| slot.finish(rows, &data, unescaped)).collect();
        unescaped.clear();
        let event_time = self.event_time.map(|field| {
            let times =
                columns[field].as_ref().and_then(|column| column.as_any().downcast_ref::<TimestampMicrosecondArray>());
            times.expect("the event time is a timestamp and always filled").values().clone()
        });
        let raw = Raw {
            format: Format::Ndjson,
            data,
            spans: done.spans,
            offsets: Offsets::Bytes(chunk.offset),
            first_line: chunk.line + u64::from(done.first_line),
            lines: done.lines,
            values,
        };
        let (source, partition) = (chunk.source.clone(), chunk.partition.clone());
        let records = Records { source, partition, rows, columns, event_time, message: None, raw: Some(raw), first: 0 };
        Decoded { records, bad: done.bad }
    }
}

/// The line at `start`, without its end; empty if it is blank.
fn line(b: &[u8], start: usize) -> &[u8] {
    let end = memchr::memchr(b'\n', &b[start..]).map_or(b.len(), |end| start + end);
    let line = b[start..end].strip_suffix(b"\r").unwrap_or(&b[start..end]);
    if line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) { &[] } else { line }
}

/// Where the last line begins, which may have an end or not.
fn last(b: &[u8]) -> usize {
    let b = b.strip_suffix(b"\n").unwrap_or(b);
    memchr::memrchr(b'\n', b).map_or(0, |end| end + 1)
}

/// The chunk's bytes with every line blanked that is not UTF-8; these are bad.
#[cold]
fn scrub(chunk: &Chunk, bad: &mut Vec<DeadLetter>) -> Buffer {
    let mut data = chunk.data.to_vec();
    let (mut start, mut number) = (0, 0);
    while start < chunk.len {
        let end = memchr::memchr(b'\n', &data[start..chunk.len]).map_or(chunk.len, |end| start + end);
        if let Err(fault) = std::str::from_utf8(&data[start..end]) {
            let record = line(&chunk.data[..chunk.len], start);
            bad.push(chunk.letter(record, start, number, not_utf8(fault.valid_up_to())));
            data[start..end].fill(b' ');
        }
        (start, number) = (end + 1, number + 1);
    }
    Buffer::from_vec(data)
}
