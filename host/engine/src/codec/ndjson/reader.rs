//! Reading one record into the slots: as predicted from those before, or key by key.
//!
//! The prediction only ever says that a record is good; whatever it stumbles over is read again from the start by
//! [`Reader::record`], which alone decides what is wrong.

use super::fault::{DEPTH_MAX, Fault, What};
use super::learned::{self, Action, Learned, Mark};
use super::scan::blank;
use super::skip::skip;
use super::slot::Slot;
use super::string;
use super::tree::{ROOT, Tree};
use crate::codec::DecodePlan;

/// Reads records.
#[derive(Debug)]
pub(super) struct Reader {
    /// The declared keys.
    pub(super) tree: Tree,
    /// The values, a slot a field.
    pub(super) slots: Vec<Slot>,
    /// Texts that had escapes.
    pub(super) unescaped: String,
    learned: Learned,
    /// For each node of the tree the last record that had its key.
    seen: Vec<u64>,
    /// Number of the record that is read key by key.
    record: u64,
    /// The steps of that record so far.
    marks: Vec<Mark>,
    /// Where the literal of the next step begins.
    literal: usize,
    /// Whether the steps tell all.
    learnable: bool,
    /// The fields that it lacks.
    absent: Vec<u32>,
}

/// Whether a record ends at `p`; `len` is where the chunk's last record ends.
#[inline(always)]
fn ends(b: &[u8], p: usize, len: usize) -> bool {
    b[p] == b'\n' || p >= len
}

impl Reader {
    /// A reader that has learned nothing yet.
    pub(super) fn new(plan: &DecodePlan) -> Self {
        let tree = Tree::new(&plan.schema);
        let slot = |(position, field)| {
            let number: usize = position;
            let is_time = plan.event_time == Some(number);
            let (fill, locate) = (plan.needs.fill[number] || is_time, plan.needs.locate[number]);
            Slot::new(u32::try_from(number).expect("fewer fields than 2^32"), field, is_time, fill, locate)
        };
        Self {
            slots: plan.schema.fields().iter().enumerate().map(slot).collect(),
            seen: vec![0; tree.nodes.len()],
            tree,
            unescaped: String::new(),
            learned: Learned::new(),
            record: 0,
            marks: Vec::new(),
            literal: 0,
            learnable: true,
            absent: Vec::new(),
        }
    }

    /// Takes the record at `start`, if it is a good one of a layout that is known; answers the position of its line end.
    /// If it answers none, the slots may have some of its values.
    #[inline(always)]
    pub(super) fn predicted(&mut self, b: &[u8], start: usize, len: usize) -> Option<usize> {
        let (mut p, mut at) = (start, learned::ROOT);
        loop {
            let (number, step) = self.learned.next(at, b, p)?;
            p += usize::from(step.len);
            match step.action {
                Action::Field(field) => {
                    p = self.slots[field as usize].take(b, p, step.depth, &mut self.unescaped).ok()?;
                }
                Action::Skip => p = skip(b, p, step.depth).ok()?,
                Action::End(list) => {
                    if !ends(b, p, len) {
                        return None;
                    }
                    for field in self.learned.absent(list) {
                        self.slots[*field as usize].absent();
                    }
                    return Some(p);
                }
            }
            at = number;
        }
    }

    /// Forgets the values of all records behind the first `rows`.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.slots.iter_mut().for_each(|slot| slot.truncate(rows));
    }

    /// Takes the record at `start`, whatever it looks like; answers the position of its line end.
    pub(super) fn record(&mut self, b: &[u8], start: usize, len: usize) -> Result<usize, Fault> {
        self.record += 1;
        self.marks.clear();
        (self.literal, self.learnable) = (start, true);
        let p = blank(b, start);
        if b[p] != b'{' {
            return Err(Fault { at: p, what: What::Record });
        }
        let end = self.object(ROOT, b, p, 1)?;
        let p = blank(b, end);
        if !ends(b, p, len) {
            return Err(Fault { at: p, what: What::Syntax("the end of the record") });
        }
        self.lack(end - 1)?;
        if self.learnable {
            self.mark(p, 0, Action::End(0));
            self.learned.learn(b, &self.marks, &self.absent);
        }
        Ok(p)
    }

    /// Settles the fields that the record which ends at `at` lacks.
    fn lack(&mut self, at: usize) -> Result<(), Fault> {
        self.absent.clear();
        for (node, seen) in self.tree.nodes.iter().zip(&self.seen) {
            let Some(field) = node.field.filter(|_| *seen != self.record) else { continue };
            let slot = &mut self.slots[field as usize];
            if !slot.nullable {
                return Err(Fault { at, what: What::Missing(field) });
            }
            slot.absent();
            self.absent.push(field);
        }
        Ok(())
    }

    /// Remembers that a value, or the record's end, is at `p`.
    fn mark(&mut self, p: usize, depth: u8, action: Action) {
        self.marks.push(Mark { start: self.literal, end: p, depth, action });
    }

    /// Takes the object at `p`, the `depth`th that is open; answers the position after it.
    fn object(&mut self, node: u32, b: &[u8], p: usize, depth: u8) -> Result<usize, Fault> {
        let mut p = blank(b, p + 1);
        if b[p] == b'}' {
            return Ok(p + 1);
        }
        let mut first = 0;
        loop {
            if b[p] != b'"' {
                return Err(Fault { at: p, what: What::Syntax("a key in quotes") });
            }
            let key = string::check(b, p)?;
            let child = if key.escaped {
                let mut unescaped = String::new();
                string::unescape(b, key, &mut unescaped);
                self.tree.child(node, unescaped.as_bytes(), &mut first)
            } else {
                self.tree.child(node, &b[key.start..key.end], &mut first)
            };
            let colon = blank(b, key.end + 1);
            if b[colon] != b':' {
                return Err(Fault { at: colon, what: What::Syntax("`:`") });
            }
            let value = blank(b, colon + 1);
            let next = match child {
                Some(child) => self.member(child, b, (p, value), depth)?,
                None => {
                    self.mark(value, depth, Action::Skip);
                    self.literal = skip(b, value, depth)?;
                    self.literal
                }
            };
            p = blank(b, next);
            match b[p] {
                b',' => p = blank(b, p + 1),
                b'}' => return Ok(p + 1),
                _ => return Err(Fault { at: p, what: What::Syntax("`,` or `}`") }),
            }
        }
    }

    /// Takes the value of a declared key; `key` and `p` are their positions.
    fn member(&mut self, child: u32, b: &[u8], (key, p): (usize, usize), depth: u8) -> Result<usize, Fault> {
        if std::mem::replace(&mut self.seen[child as usize], self.record) == self.record {
            return Err(Fault { at: key, what: What::Twice(child) });
        }
        let node = &self.tree.nodes[child as usize];
        let (field, parent) = (node.field, !node.children.is_empty());
        if parent {
            self.learnable &= field.is_none();
            let next = self.parent(child, b, p, depth)?;
            if field.is_none() {
                return Ok(next);
            }
        }
        let field = field.expect("a key that is no parent is a field");
        self.mark(p, depth, Action::Field(field));
        self.literal = self.slots[field as usize].take(b, p, depth, &mut self.unescaped)?;
        Ok(self.literal)
    }

    /// Takes the value at `p` of a key that fields are declared within: an object, or null for all of them.
    fn parent(&mut self, node: u32, b: &[u8], p: usize, depth: u8) -> Result<usize, Fault> {
        match b[p] {
            b'{' if depth >= DEPTH_MAX => Err(Fault { at: p, what: What::Depth }),
            b'{' => self.object(node, b, p, depth + 1),
            b'n' if b[p..p + 4] == *b"null" => {
                let mut required = None;
                let own = self.tree.nodes[node as usize].field;
                self.tree.fields_under(node, &mut |field| {
                    if Some(field) != own && !self.slots[field as usize].nullable {
                        required = required.or(Some(field));
                    }
                });
                required.map_or(Ok(p + 4), |field| Err(Fault { at: p, what: What::Null(field) }))
            }
            _ => Err(Fault { at: p, what: What::Object(node) }),
        }
    }
}
