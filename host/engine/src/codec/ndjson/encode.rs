//! Rows to lines: spliced where that can be, else anew.
//!
//! What is decided for a layout is decided when it first comes, what for a batch once a batch; a row only copies, and
//! rows that lie behind each other are copied from new value to new value, line ends included.

use std::sync::Arc;

use super::scan::{Scanned, blank};
use super::skip::skip;
use super::splice::{Splice, plan};
use super::string;
use super::tree::{ROOT, Tree};
use super::write::{self, Values};
use crate::batch::{Batch, Layout, PADDING, Raw, Span};
use crate::codec::Encoder;
use crate::schema::Format;

/// The encoder.
#[derive(Debug, Default)]
pub(crate) struct NdjsonEncoder {
    /// The layout of the last batch and what follows from it.
    known: Option<(Arc<Layout>, Plan)>,
    /// The edits of the row at hand, in the order of their places, and those without a place.
    edits: Vec<(Span, usize)>,
    tail: Vec<usize>,
}

/// How rows of a layout are written.
#[derive(Debug)]
struct Plan {
    splice: Option<Splice>,
    /// What stands between the values of a row that is written anew: a literal before each field's value, and the last.
    literals: Vec<(Vec<u8>, usize)>,
    last: Vec<u8>,
}

impl Plan {
    fn new(layout: &Layout) -> Self {
        let (mut literals, mut last) = (Vec::new(), Vec::new());
        object(&Tree::new(&layout.schema), ROOT, &mut last, &mut literals);
        last.push(b'\n');
        Self { splice: plan(layout), literals, last }
    }
}

/// Adds what stands between the values of an object. A field that others are within is written whole, they are not
/// again.
fn object(tree: &Tree, node: u32, literal: &mut Vec<u8>, literals: &mut Vec<(Vec<u8>, usize)>) {
    let mut before = b'{';
    if tree.nodes[node as usize].children.is_empty() {
        literal.push(b'{');
    }
    for child in &tree.nodes[node as usize].children {
        let child_node = &tree.nodes[*child as usize];
        literal.push(before);
        before = b',';
        write::string(&child_node.key, literal);
        literal.push(b':');
        match child_node.field {
            Some(field) => literals.push((std::mem::take(literal), field as usize)),
            None => object(tree, *child, literal, literals),
        }
    }
    literal.push(b'}');
}

impl Encoder for NdjsonEncoder {
    fn encode(&mut self, batch: &Batch, into: &mut Vec<u8>, ends: &mut Vec<u32>) {
        let layout = batch.layout();
        if !self.known.as_ref().is_some_and(|(known, _)| Arc::ptr_eq(known, layout)) {
            self.known = Some((layout.clone(), Plan::new(layout)));
        }
        let Some((_, plan)) = self.known.as_ref() else { return };
        let raw = batch.records().raw.as_ref().filter(|raw| raw.format == Format::Ndjson);
        if let (Some(splice), Some(raw)) = (&plan.splice, raw)
            && let Some(edits) = Edits::new(splice, batch, raw)
        {
            into.reserve(edits.bytes(batch));
            let mut copied = Copied::default();
            for row in 0..batch.rows() {
                edits.write(row, batch.record(row), &mut self.edits, &mut self.tail, &mut copied, into);
                ends.push(end(into.len() + copied.owed()));
            }
            copied.settle(&raw.data, into);
            return;
        }
        let kinds = layout.schema.fields();
        let values = |(literal, field): &'_ (Vec<u8>, usize)| {
            (literal.clone(), Values::new(kinds[*field].kind, &batch.column(*field)))
        };
        let values: Vec<_> = plan.literals.iter().map(values).collect();
        for row in 0..batch.rows() {
            for (literal, values) in &values {
                into.extend_from_slice(literal);
                values.write(row, into);
            }
            into.extend_from_slice(&plan.last);
            ends.push(end(into.len()));
        }
    }
}

/// The end of a row among the bytes of a batch.
fn end(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("the rows of a batch are far smaller than 4 GiB, as stages hold them to a limit")
}

/// What is spliced into the records of a batch.
struct Edits<'a> {
    raw: &'a Raw,
    /// The new values: first those that replace others, with the places of these in each record.
    values: Vec<(Values, &'a [Span])>,
    /// Keys of the values, with quotes and colon.
    keys: Vec<Vec<u8>>,
    /// Keys of the values that are added, each with a finder of what it may look like in a record.
    added: Vec<(&'a str, memchr::memmem::Finder<'a>)>,
}

/// How much of the records was copied.
#[derive(Clone, Copy, Debug, Default)]
struct Copied {
    /// The first byte that was not, and the end of the last record, if its end is not copied yet.
    from: usize,
    to: usize,
    open: bool,
}

impl Copied {
    /// Bytes that are still to be written for the rows so far.
    #[inline(always)]
    fn owed(self) -> usize {
        if self.open { self.to - self.from + 1 } else { 0 }
    }

    /// Writes these bytes.
    #[inline(always)]
    fn settle(self, data: &[u8], into: &mut Vec<u8>) {
        if self.open {
            into.extend_from_slice(&data[self.from..self.to]);
            into.push(b'\n');
        }
    }

    /// Goes on with the record at `start`.
    #[inline(always)]
    fn begin(&mut self, data: &[u8], start: usize, into: &mut Vec<u8>) {
        if !(self.open && start == self.to + 1 && data[self.to] == b'\n') {
            self.settle(data, into);
            (self.from, self.open) = (start, false);
        }
    }

    /// Copies up to a value, and goes on behind it.
    #[inline(always)]
    fn up_to(&mut self, data: &[u8], place: Span, into: &mut Vec<u8>) {
        into.extend_from_slice(&data[self.from..place.start as usize]);
        self.from = place.end as usize;
    }

    /// The record ends there.
    #[inline(always)]
    fn end(&mut self, to: u32) {
        (self.to, self.open) = (to as usize, true);
    }
}

impl<'a> Edits<'a> {
    /// None = a value is to be replaced whose places are not known.
    fn new(splice: &'a Splice, batch: &Batch, raw: &'a Raw) -> Option<Self> {
        let (mut values, mut keys) = (Vec::new(), Vec::new());
        let mut key = |name: &str| {
            let mut key = Vec::new();
            write::string(name, &mut key);
            key.push(b':');
            keys.push(key);
        };
        for replaced in &splice.replaced {
            let (_, places) = raw.values.iter().find(|(field, _)| *field == replaced.field)?;
            values.push((Values::new(replaced.kind, batch.made(replaced.made)), &places[..]));
            key(&replaced.name);
        }
        for added in &splice.added {
            values.push((Values::new(added.kind, batch.made(added.made)), &[][..]));
            key(&added.name);
        }
        let added = splice.added.iter().map(|added| (&*added.name, memchr::memmem::Finder::new(&added.name))).collect();
        Some(Self { raw, values, keys, added })
    }

    /// About how many bytes the rows will take.
    fn bytes(&self, batch: &Batch) -> usize {
        let span = |row: usize| self.raw.spans[batch.record(row)];
        let copied: usize = (0..batch.rows()).map(|row| (span(row).end - span(row).start) as usize).sum();
        copied + batch.rows() * (1 + 24 * self.values.len())
    }

    /// Writes a row, which is from that record.
    #[inline(always)]
    fn write(
        &self,
        row: usize,
        record: usize,
        edits: &mut Vec<(Span, usize)>,
        tail: &mut Vec<usize>,
        copied: &mut Copied,
        into: &mut Vec<u8>,
    ) {
        let (data, span) = (&self.raw.data[..], self.raw.spans[record]);
        copied.begin(data, span.start as usize, into);
        if let ([(values, places)], []) = (&self.values[..], &self.added[..])
            && places[record] != Span::default()
        {
            copied.up_to(data, places[record], into);
            values.write(row, into);
            return copied.end(span.end);
        }
        edits.clear();
        tail.clear();
        let replaced = self.values.len() - self.added.len();
        for (number, (_, places)) in self.values[..replaced].iter().enumerate() {
            let place = places[record];
            if place.start == place.end { tail.push(number) } else { edits.push((place, number)) }
        }
        for (number, (name, finder)) in self.added.iter().enumerate() {
            match self.undeclared(span, name, finder) {
                Some(place) => edits.push((place, replaced + number)),
                None => tail.push(replaced + number),
            }
        }
        if !edits.is_sorted_by_key(|(place, _)| place.start) {
            edits.sort_unstable_by_key(|(place, _)| place.start);
        }
        for (place, number) in edits.iter() {
            copied.up_to(data, *place, into);
            self.values[*number].0.write(row, into);
        }
        if !tail.is_empty() {
            self.append(row, &data[copied.from..span.end as usize], tail, into);
            copied.from = span.end as usize;
        }
        copied.end(span.end);
    }

    /// Writes the rest of a record with values added before its closing brace.
    fn append(&self, row: usize, rest: &[u8], tail: &[usize], into: &mut Vec<u8>) {
        let brace = memchr::memrchr(b'}', rest).expect("a record ends with its closing brace");
        into.extend_from_slice(&rest[..brace]);
        while matches!(into.last(), Some(b' ' | b'\t' | b'\r')) {
            into.pop();
        }
        let mut first = into.last() == Some(&b'{');
        for number in tail {
            if !std::mem::replace(&mut first, false) {
                into.push(b',');
            }
            into.extend_from_slice(&self.keys[*number]);
            self.values[*number].0.write(row, into);
        }
        into.extend_from_slice(&rest[brace..]);
    }

    /// Where a record has a value under a key that its source did not declare: adding another would make two of them.
    #[inline(always)]
    fn undeclared(&self, span: Span, name: &str, finder: &memchr::memmem::Finder<'_>) -> Option<Span> {
        let record = span.of(&self.raw.data);
        if finder.find(record).is_none() && memchr::memchr(b'\\', record).is_none() {
            return None;
        }
        find(&self.raw.data, span, name)
    }
}

/// The place of the last value under that key in a record, which was checked.
fn find(data: &[u8], span: Span, name: &str) -> Option<Span> {
    const CHECKED: &str = "the record was checked";
    let (mut place, mut specials) = (None, Vec::new());
    let b = Scanned::new(&data[span.start as usize..span.end as usize + PADDING], &mut specials);
    let mut p = blank(&b, blank(&b, 0) + 1);
    while b[p] != b'}' {
        let key = string::check(b, p).expect(CHECKED);
        let value = blank(&b, blank(&b, key.end + 1) + 1);
        let next = skip(b, value, 1).expect(CHECKED);
        let is_name = if key.escaped {
            let mut unescaped = String::new();
            string::unescape(b, key, &mut unescaped);
            unescaped == name
        } else {
            &b[key.start..key.end] == name.as_bytes()
        };
        if is_name {
            place = Some(Span { start: span.start + value as u32, end: span.start + next as u32 });
        }
        p = blank(&b, next);
        if b[p] == b',' {
            p = blank(&b, p + 1);
        }
    }
    place
}
