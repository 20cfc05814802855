//! The values of one declared field, row after row, on their way to an Arrow column.
//!
//! Every value is checked against the field's kind; it is kept only where the plan asks for the column, its place only
//! where the plan asks for that. Texts are kept as stretches of the chunk, and copied once, when the chunk is done.
//!
//! Always true between records: what is kept has one entry for each good record.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, BooleanArray, StringArray};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, Buffer, NullBuffer, OffsetBuffer};

use super::fault::{Fault, What};
use super::number::{self, NumberFault};
use super::scan::Scanned;
use super::skip::skip;
use super::string::{self, Text};
use super::time::{self, USUAL_BYTES};
use crate::batch::{Span, fixed};
use crate::schema::{Field, Kind};

/// A field and its values so far.
#[derive(Debug)]
pub(super) struct Slot {
    field: u32,
    kind: Kind,
    /// Whether a record without a value is good.
    pub(super) nullable: bool,
    fill: bool,
    locate: bool,
    /// Values of kinds that fit in a word: integers and timestamps, the bits of floats, 0 and 1.
    words: Vec<i64>,
    /// Values of the other kinds: where their text lies in the chunk, or, with [`UNESCAPED`], among the unescaped
    /// texts.
    texts: Vec<Span>,
    /// Rows that are null, in order.
    nulls: Vec<u32>,
    /// Where each value lies in the chunk, if the plan asks for it; an empty stretch where there is none.
    places: Vec<Span>,
    /// Reads timestamps that are texts.
    clock: time::Clock,
}

/// Bit of [`Span::start`] that says that the stretch is one of the unescaped texts.
const UNESCAPED: u32 = 1 << 31;

/// Bytes that a chunk may have at most, so that [`UNESCAPED`] is no position in it.
pub(super) const CHUNK_BYTES_MAX: usize = UNESCAPED as usize;

fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}

impl Slot {
    /// A slot for the field at that position, with nothing in it.
    pub(super) fn new(position: u32, field: &Field, required: bool, fill: bool, locate: bool) -> Self {
        let (words, texts, nulls, places) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let nullable = field.nullable && !required;
        let clock = time::Clock::default();
        Self { field: position, kind: field.kind, nullable, fill, locate, words, texts, nulls, places, clock }
    }

    /// Takes the value at `p`, within `depth` open containers; answers the position after it. Of a number that is no
    /// integer where one is declared it may take the beginning ([`Slot::is_cut`]).
    #[inline(always)]
    pub(super) fn take(&mut self, b: Scanned<'_>, p: usize, depth: u8, unescaped: &mut String) -> Result<usize, Fault> {
        let next = match self.kind {
            Kind::Int64 => match number::int(&b, p, self.fill) {
                Ok((value, next)) => self.word(value, next),
                Err(fault) => self.no_number(fault, b, p)?,
            },
            Kind::Timestamp if b[p] == b'"' => match self.clock.usual(&b, p) {
                Some(micros) => self.word(micros, p + USUAL_BYTES),
                None => self.time(b, p, unescaped)?,
            },
            Kind::Timestamp => match number::int(&b, p, self.fill) {
                Ok((millis, next)) => match millis.checked_mul(1_000) {
                    Some(micros) => self.word(micros, next),
                    None => return Err(Fault { at: p, what: What::Year(self.field) }),
                },
                Err(fault) => self.no_number(fault, b, p)?,
            },
            Kind::Utf8 | Kind::Bytes if b[p] == b'"' => {
                let text = string::check(b, p)?;
                self.text(b, text, unescaped)
            }
            Kind::Float64 => match number::float(&b, p) {
                Ok((value, next)) => self.word(value.to_bits().cast_signed(), next),
                Err(fault) => self.no_number(fault, b, p)?,
            },
            Kind::Boolean if b[p..p + 4] == *b"true" => self.word(1, p + 4),
            Kind::Boolean if b[p..p + 5] == *b"false" => self.word(0, p + 5),
            Kind::Json if b[p] != b'n' || !self.nullable => {
                let next = skip(b, p, depth)?;
                if self.fill {
                    self.texts.push(span(p, next));
                }
                next
            }
            Kind::Utf8 | Kind::Bytes | Kind::Boolean | Kind::Json => self.null_or(What::Kind(self.field), b, p)?,
        };
        if self.locate {
            self.places.push(span(p, next));
        }
        Ok(next)
    }

    #[inline(always)]
    fn word(&mut self, value: i64, next: usize) -> usize {
        if self.fill {
            self.words.push(value);
        }
        next
    }

    #[inline(always)]
    fn text(&mut self, b: Scanned<'_>, text: Text, unescaped: &mut String) -> usize {
        if self.fill {
            if text.escaped {
                let start = unescaped.len();
                string::unescape(b, text, unescaped);
                self.texts.push(Span { start: start as u32 | UNESCAPED, end: unescaped.len() as u32 });
            } else {
                self.texts.push(span(text.start, text.end));
            }
        }
        text.end + 1
    }

    /// Whether what was taken at `p` up to `next` is only the beginning of a number that is no integer.
    pub(super) fn is_cut(&self, b: Scanned<'_>, p: usize, next: usize) -> bool {
        let is_integer = matches!(self.kind, Kind::Int64 | Kind::Timestamp) && matches!(b[p], b'-' | b'0'..=b'9');
        is_integer && number::is_fraction(b[next])
    }

    /// As [`Slot::take`], for a timestamp that is a text.
    #[inline(never)]
    fn time(&mut self, b: Scanned<'_>, p: usize, unescaped: &mut String) -> Result<usize, Fault> {
        let text = string::check(b, p)?;
        let micros = if text.escaped {
            let start = unescaped.len();
            string::unescape(b, text, unescaped);
            self.clock.parse(&unescaped.as_bytes()[start..])
        } else {
            self.clock.parse(&b[text.start..text.end])
        };
        micros.map(|micros| self.word(micros, text.end + 1)).ok_or(Fault { at: p, what: What::Kind(self.field) })
    }

    #[cold]
    fn no_number(&mut self, fault: NumberFault, b: Scanned<'_>, p: usize) -> Result<usize, Fault> {
        let what = match fault {
            NumberFault::Other => What::Kind(self.field),
            NumberFault::Range => What::Large(self.field),
        };
        self.null_or(what, b, p)
    }

    /// Takes the null at `p`; if it is none, or not allowed, that is a fault.
    #[cold]
    fn null_or(&mut self, what: What, b: Scanned<'_>, p: usize) -> Result<usize, Fault> {
        if b[p..p + 4] != *b"null" {
            return Err(Fault { at: p, what });
        }
        if !self.nullable {
            return Err(Fault { at: p, what: What::Null(self.field) });
        }
        self.null();
        Ok(p + 4)
    }

    fn null(&mut self) {
        if !self.fill {
            return;
        }
        let row = if self.kind.is_variable() {
            self.texts.push(Span::default());
            self.texts.len() - 1
        } else {
            self.words.push(0);
            self.words.len() - 1
        };
        self.nulls.push(row as u32);
    }

    /// Takes that the record has no such field.
    pub(super) fn absent(&mut self) {
        self.null();
        if self.locate {
            self.places.push(Span::default());
        }
    }

    /// Forgets what is behind the first `rows`.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.words.truncate(rows);
        self.texts.truncate(rows);
        self.places.truncate(rows);
        while self.nulls.last().is_some_and(|row| *row as usize >= rows) {
            self.nulls.pop();
        }
    }

    /// The places so far, if the plan asks for them; the slot has none then.
    pub(super) fn finish_places(&mut self) -> Option<Vec<Span>> {
        let next = Vec::with_capacity(self.places.len());
        self.locate.then(|| std::mem::replace(&mut self.places, next))
    }

    /// The values so far as a column, if the plan asks for it; the slot has none then.
    pub(super) fn finish(&mut self, rows: usize, chunk: &[u8], unescaped: &str) -> Option<ArrayRef> {
        if !self.fill {
            return None;
        }
        let nulls = self.finish_nulls(rows);
        if self.kind.is_variable() {
            let column = self.finish_texts(nulls, chunk, unescaped.as_bytes());
            self.texts.clear();
            return Some(column);
        }
        let next = Vec::with_capacity(rows);
        let words = std::mem::replace(&mut self.words, next);
        Some(match self.kind {
            Kind::Boolean => {
                Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(rows, |row| words[row] != 0), nulls))
            }
            kind => fixed(kind, Buffer::from_vec(words), rows, nulls),
        })
    }

    fn finish_nulls(&mut self, rows: usize) -> Option<NullBuffer> {
        if self.nulls.is_empty() {
            return None;
        }
        let mut present = BooleanBufferBuilder::new(rows);
        present.append_n(rows, true);
        self.nulls.drain(..).for_each(|row| present.set_bit(row as usize, false));
        Some(NullBuffer::new(present.finish()))
    }

    fn finish_texts(&self, nulls: Option<NullBuffer>, chunk: &[u8], unescaped: &[u8]) -> ArrayRef {
        let bytes = self.texts.iter().map(|span| (span.end - (span.start & !UNESCAPED)) as usize).sum();
        let (mut values, mut offsets) = (Vec::with_capacity(bytes), Vec::with_capacity(self.texts.len() + 1));
        offsets.push(0);
        for span in &self.texts {
            let (whole, start) =
                if span.start & UNESCAPED == 0 { (chunk, span.start) } else { (unescaped, span.start & !UNESCAPED) };
            values.extend_from_slice(&whole[start as usize..span.end as usize]);
            offsets.push(values.len() as i32);
        }
        let (offsets, values) = (OffsetBuffer::new(offsets.into()), Buffer::from_vec(values));
        // The bytes were checked, but only another check makes them text.
        if self.kind == Kind::Bytes {
            Arc::new(BinaryArray::new(offsets, values, nulls))
        } else {
            Arc::new(StringArray::new(offsets, values, nulls))
        }
    }
}
