//! Raw lines: each line is a record, and the record is the value of the schema's only field.
//!
//! The line end (`\n` or `\r\n`) is not part of the value, nor is a byte order mark that a partition begins with; an
//! empty line is an empty value. A `utf8` field takes only lines that are UTF-8, a `bytes` field all. Written is the
//! value and `\n`; a value that has line ends in it becomes several lines.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, StringArray};
use arrow_buffer::{Buffer, OffsetBuffer};
use memchr::memchr;

use crate::batch::{Batch, Offsets, Place, Raw, Records, Span};
use crate::codec::{Chunk, DecodePlan, Decoded, Decoder, Encoder};
use crate::limits::RECORD_BYTES_MAX;
use crate::schema::{Format, Kind};

/// The decoder.
#[derive(Debug)]
pub(crate) struct RawDecoder {
    kind: Kind,
    fill: bool,
    locate: bool,
}

impl RawDecoder {
    /// A decoder for that plan.
    ///
    /// # Panics
    /// When the schema is not one field of kind `utf8` or `bytes`: the plan has checked that.
    pub(crate) fn new(plan: &DecodePlan) -> Self {
        let [field] = plan.schema.fields() else { panic!("raw lines have one field") };
        assert!(matches!(field.kind, Kind::Utf8 | Kind::Bytes), "a raw line is utf8 or bytes");
        assert!(plan.event_time.is_none(), "raw lines have no event time");
        Self { kind: field.kind, fill: plan.needs.fill[0], locate: plan.needs.locate[0] }
    }

    /// What is wrong with a line, if anything; empty where that is its length alone.
    fn fault(&self, line: &[u8], is_text: bool) -> Option<String> {
        if line.len() > RECORD_BYTES_MAX {
            return Some(String::new());
        }
        if is_text || self.kind == Kind::Bytes || simdutf8::basic::from_utf8(line).is_ok() {
            return None;
        }
        let valid = line.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
        Some(format!("the record is not UTF-8 from its byte {valid} on"))
    }

    /// The lines as values.
    fn column(&self, data: &[u8], spans: &[Span]) -> ArrayRef {
        let ends = OffsetBuffer::from_lengths(spans.iter().map(|span| (span.end - span.start) as usize));
        let mut values = Vec::with_capacity(data.len());
        spans.iter().for_each(|span| values.extend_from_slice(span.of(data)));
        match self.kind {
            Kind::Bytes => Arc::new(BinaryArray::new(ends, values.into(), None)),
            _ => Arc::new(StringArray::new(ends, Buffer::from_vec(values), None)),
        }
    }
}

impl Decoder for RawDecoder {
    fn decode(&mut self, chunk: &Chunk) -> Decoded {
        let data = &chunk.data[..chunk.len];
        let is_text = self.kind == Kind::Utf8 && simdutf8::basic::from_utf8(data).is_ok();
        let (mut spans, mut lines, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        let (mut at, mut line, mut broken) = (0, 0u32, chunk.broken.clone());
        while at < data.len() {
            let end = memchr(b'\n', &data[at..]).map_or(data.len(), |end| at + end);
            let record = data[at..end].strip_suffix(b"\r").unwrap_or(&data[at..end]);
            let reason = broken.take_if(|_| end + 1 >= data.len()).or_else(|| self.fault(record, is_text));
            match reason {
                Some(reason) => bad.push(chunk.letter(record, at, line, reason)),
                None => {
                    spans.push(Span { start: at as u32, end: (at + record.len()) as u32 });
                    lines.push(line);
                }
            }
            (at, line) = (end + 1, line + 1);
        }
        if let Some(reason) = broken {
            bad.push(chunk.letter(&[], data.len(), line, reason));
        }
        let first = lines.first().copied().unwrap_or_default();
        lines.iter_mut().for_each(|line| *line -= first);
        if lines.last().is_none_or(|last| *last as usize + 1 == spans.len()) {
            lines.clear();
        }
        let rows = spans.len();
        let columns = vec![self.fill.then(|| self.column(data, &spans))];
        let raw = Raw {
            format: Format::Raw,
            data: chunk.data.clone(),
            values: if self.locate { vec![(0, spans.clone())] } else { Vec::new() },
            spans,
            offsets: Offsets::Bytes(chunk.offset),
            first_line: chunk.line + u64::from(first),
            lines,
        };
        let (source, partition) = (chunk.source.clone(), chunk.partition.clone());
        let records =
            Records { source, partition, rows, columns, event_time: None, message: None, raw: Some(raw), first: 0 };
        Decoded { records, bad }
    }
}

/// The encoder.
#[derive(Debug)]
pub(crate) struct RawEncoder;

impl Encoder for RawEncoder {
    fn encode(&mut self, batch: &Batch, into: &mut Vec<u8>, ends: &mut Vec<u32>) {
        let records = batch.records();
        let from_lines = records.raw.as_ref().is_some_and(|raw| raw.format == Format::Raw);
        let mut push = |value: &[u8]| {
            into.extend_from_slice(value);
            into.push(b'\n');
            ends.push(u32::try_from(into.len()).expect("the rows of a batch are far smaller than 4 GiB"));
        };
        if from_lines && matches!(batch.layout().places[..], [Place::Record(_)]) {
            for row in 0..batch.rows() {
                push(records.bytes(batch.record(row)).expect("a record of lines has bytes"));
            }
            return;
        }
        let column = batch.column(0);
        match column.as_string_opt::<i32>() {
            Some(text) => (0..text.len()).for_each(|row| push(text.value(row).as_bytes())),
            None => (0..column.len()).for_each(|row| push(column.as_binary::<i32>().value(row))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Layout, PADDING};
    use crate::codec::{Needs, decoder, encoder};
    use crate::schema::{Field, Schema};

    fn decode(kind: Kind, fill: bool, bytes: &[u8], broken: Option<&str>) -> Decoded {
        let schema = Schema::new(vec![Field::required("line", kind)]);
        let needs = Needs { fill: vec![fill], locate: vec![false] };
        let data = [bytes, &[0; PADDING]].concat().into();
        let (source, partition, broken) = ("s".into(), "p".into(), broken.map(str::to_owned));
        let chunk = Chunk { source, partition, data, len: bytes.len(), offset: 100, line: 7, header: None, broken };
        decoder(DecodePlan { format: Format::Raw, schema, needs, event_time: None }).decode(&chunk)
    }

    fn written(decoded: Decoded, kind: Kind) -> Vec<u8> {
        let layout = Arc::new(Layout::of_source(&Schema::new(vec![Field::required("line", kind)])));
        let (mut into, mut ends) = (Vec::new(), Vec::new());
        encoder(&Format::Raw).encode(&Batch::new(Arc::new(decoded.records), layout), &mut into, &mut ends);
        into
    }

    #[test]
    fn a_line_is_a_value_without_its_end() {
        let decoded = decode(Kind::Utf8, true, b"a\r\n\nb c", None);
        let column = decoded.records.columns[0].as_ref().unwrap();
        assert_eq!(column.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["a", "", "b c"]);
        assert_eq!((decoded.records.line(2), decoded.records.offset(2)), (Some(9), 104));
    }

    #[test]
    fn text_that_is_none_costs_one_line_and_bytes_may_be_anything() {
        let decoded = decode(Kind::Utf8, true, b"a\n\xFFb\nc\nd", Some("cut off"));
        let reasons: Vec<_> = decoded.bad.iter().map(|letter| (letter.line, &*letter.reason)).collect();
        assert_eq!(reasons, [(Some(8), "the record is not UTF-8 from its byte 0 on"), (Some(10), "cut off")]);
        assert_eq!(decoded.records.line(1), Some(9));
        assert_eq!(decode(Kind::Bytes, true, b"a\n\xFFb\n", None).records.rows, 2);
    }

    #[test]
    fn untouched_lines_are_written_from_their_records_though_nobody_filled_the_column() {
        assert_eq!(written(decode(Kind::Bytes, false, b"a\n\xFF\r\nc", None), Kind::Bytes), b"a\n\xFF\nc\n");
        let mut decoded = decode(Kind::Utf8, true, b"a\nb", None);
        decoded.records.raw = None;
        assert_eq!(written(decoded, Kind::Utf8), b"a\nb\n");
    }
}
