//! Where a record ends and where its fields lie: RFC 4180, seen byte by byte.
//!
//! A field that begins with a quote goes on to its closing quote, whatever is in between; any other ends at the next
//! separator or line end, `\n` or `\r\n`. What breaks the rules (a quote within an unquoted field, text after a closing
//! quote, a `\r` on its own, a quote never closed) is a [`Fault`], and cutting goes on as the `csv` crate does: at the
//! next line end. So the framing and the decoder, which both cut with [`Cutter`], always agree, and one bad line costs
//! one record.

use memchr::{memchr, memrchr};

use crate::batch::Span;
use crate::codec::{Framing, mark};

/// A field of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldSpan {
    /// Its text, without quotes around it.
    pub(super) text: Span,
    /// Whether quotes stood around it.
    pub(super) quoted: bool,
    /// Whether it has doubled quotes, each of which stands for one.
    pub(super) doubled: bool,
}

impl FieldSpan {
    /// Its text as it stands in the record, quotes included.
    pub(super) fn whole(self) -> Span {
        let quote = u32::from(self.quoted);
        Span { start: self.text.start - quote, end: self.text.end + quote }
    }
}

/// What is wrong with a record, and the number of the field, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The record ends within quotes.
    Unclosed(usize),
    /// Text follows a closing quote.
    AfterQuote(usize),
    /// A quote within an unquoted field.
    BareQuote(usize),
    /// A carriage return that no line feed follows, in an unquoted field.
    BareReturn(usize),
}

/// The extent of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// One past its last byte, without line end.
    pub(super) end: usize,
    /// Where the next begins.
    pub(super) next: usize,
    /// Whether a line end was found.
    pub(super) ended: bool,
    /// The first thing that is wrong with it.
    pub(super) fault: Option<Fault>,
}

/// Cuts records and fields.
#[derive(Clone, Debug)]
pub(super) struct Cutter {
    separator: u8,
    /// The bytes that mean something in an unquoted field.
    special: [bool; 256],
}

impl Cutter {
    pub(super) fn new(separator: u8) -> Self {
        let mut special = [false; 256];
        for byte in [separator, b'"', b'\r', b'\n'] {
            special[usize::from(byte)] = true;
        }
        Self { separator, special }
    }

    /// The record that begins at `start`; its fields replace those in `fields`. An empty line has one empty field.
    pub(super) fn cut(&self, data: &[u8], start: usize, fields: &mut Vec<FieldSpan>) -> Cut {
        fields.clear();
        let (mut at, mut fault) = (start, None);
        loop {
            let number = fields.len();
            let quoted = data.get(at) == Some(&b'"');
            let (mut text, mut doubled) = (at..at, false);
            if quoted {
                match quoted_end(data, at + 1) {
                    Some((end, has_doubled)) => {
                        (text, doubled, at) = (at + 1..end, has_doubled, end + 1);
                    }
                    None => {
                        fault = fault.or(Some(Fault::Unclosed(number)));
                        return Cut { end: data.len(), next: data.len(), ended: false, fault };
                    }
                }
            }
            let after_quote = at;
            let stop = self.unquoted_end(data, at, number, &mut fault);
            if !quoted {
                text.end = stop;
            } else if stop > after_quote {
                fault = Some(Fault::AfterQuote(number));
            }
            fields.push(FieldSpan { text: span(text), quoted, doubled });
            match data.get(stop) {
                Some(byte) if *byte == self.separator => at = stop + 1,
                Some(b'\r') => {
                    let ended = data.get(stop + 1) == Some(&b'\n');
                    return Cut { end: stop, next: stop + 1 + usize::from(ended), ended, fault };
                }
                Some(_) => return Cut { end: stop, next: stop + 1, ended: true, fault },
                None => return Cut { end: stop, next: stop, ended: false, fault },
            }
        }
    }

    /// Where an unquoted field ends: at a separator, a line end, or the end of the data.
    fn unquoted_end(&self, data: &[u8], from: usize, number: usize, fault: &mut Option<Fault>) -> usize {
        let mut at = from;
        loop {
            let Some(found) = data[at..].iter().position(|byte| self.special[usize::from(*byte)]) else {
                return data.len();
            };
            at += found;
            let wrong = match data[at] {
                byte if byte == self.separator => return at,
                b'"' => Fault::BareQuote(number),
                b'\r' if data.get(at + 1).is_some_and(|next| *next != b'\n') => Fault::BareReturn(number),
                _ => return at,
            };
            *fault = fault.or(Some(wrong));
            at += 1;
        }
    }
}

/// Where the closing quote is, from just after the opening one, and whether there are doubled quotes before it.
fn quoted_end(data: &[u8], from: usize) -> Option<(usize, bool)> {
    let (mut at, mut doubled) = (from, false);
    loop {
        at += memchr(b'"', &data[at..])?;
        if data.get(at + 1) != Some(&b'"') {
            return Some((at, doubled));
        }
        doubled = true;
        at += 2;
    }
}

fn span(range: std::ops::Range<usize>) -> Span {
    Span { start: range.start as u32, end: range.end as u32 }
}

/// Cuts partitions.
pub(super) struct Cuts {
    pub(super) cutter: Cutter,
    /// Whether a partition begins with a header.
    pub(super) header: bool,
}

impl Framing for Cuts {
    fn header(&mut self, bytes: &[u8]) -> Option<usize> {
        if !self.header {
            return mark(bytes);
        }
        // Empty lines before the header are no header, as they are no records.
        let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
        let cut = self.cutter.cut(bytes, start, &mut Vec::new());
        cut.ended.then_some(cut.next)
    }

    fn boundary(&mut self, bytes: &[u8]) -> Option<usize> {
        if memchr(b'"', bytes).is_none() {
            return memrchr(b'\n', bytes).map(|end| end + 1);
        }
        let (mut fields, mut boundary) = (Vec::new(), 0);
        loop {
            let cut = self.cutter.cut(bytes, boundary, &mut fields);
            if !cut.ended {
                return (boundary > 0).then_some(boundary);
            }
            boundary = cut.next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(data: &str) -> (Vec<String>, Cut) {
        let mut fields = Vec::new();
        let cut = Cutter::new(b',').cut(data.as_bytes(), 0, &mut fields);
        (fields.iter().map(|field| String::from_utf8(field.text.of(data.as_bytes()).to_vec()).unwrap()).collect(), cut)
    }

    #[test]
    fn a_record_ends_at_the_first_line_end_outside_quotes() {
        let (fields, record) = cut("a,\"b\nc\",\"d\"\"e\",\r\nnext");
        assert_eq!(fields, ["a", "b\nc", "d\"\"e", ""]);
        assert_eq!(record, Cut { end: 15, next: 17, ended: true, fault: None });
        assert_eq!(cut("a,b").1, Cut { end: 3, next: 3, ended: false, fault: None });
        assert_eq!(cut("a\r").1, Cut { end: 1, next: 2, ended: false, fault: None });
        assert_eq!(cut("\n").1, Cut { end: 0, next: 1, ended: true, fault: None });
    }

    #[test]
    fn what_breaks_the_rules_is_named_and_costs_one_record() {
        for (text, fault) in [
            ("a,b\"c\"\nx", Fault::BareQuote(1)),
            ("\"a\"b,c\nx", Fault::AfterQuote(0)),
            ("\"a\" \"b\",c\nx", Fault::AfterQuote(0)),
            ("a,b\rc\nx", Fault::BareReturn(1)),
        ] {
            let (_, record) = cut(text);
            assert_eq!((record.fault, record.next), (Some(fault), text.len() - 1), "{text:?}");
        }
        assert_eq!(cut("a,\"b\nc").1, Cut { end: 6, next: 6, ended: false, fault: Some(Fault::Unclosed(1)) });
    }

    #[test]
    fn a_boundary_never_lies_within_quotes() {
        let boundary = |bytes: &[u8]| Cuts { cutter: Cutter::new(b','), header: true }.boundary(bytes);
        assert_eq!(boundary(b"a\nb\nc"), Some(4));
        assert_eq!(boundary(b"a\n\"b\nc"), Some(2));
        assert_eq!(boundary(b"\"b\nc"), None);
        assert_eq!(boundary(b"a,\"b\n\"\n\"c\n"), Some(7));
        assert_eq!(boundary(b"it's 5\" wide\n1\n"), Some(15));
        assert_eq!(boundary(b""), None);
        let header = |bytes: &[u8]| Cuts { cutter: Cutter::new(b','), header: true }.header(bytes);
        assert_eq!(header(b"a,b\n1,2\n"), Some(4));
        assert_eq!(header(b"\r\n\"a\nb\",c\n"), Some(10));
        assert_eq!(header(b"a,b"), None);
    }
}
