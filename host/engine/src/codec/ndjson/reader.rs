//! Reading one record into the slots: as predicted from those before, or key by key.
//!
//! The prediction only ever says that a record is good; where it does not know how to go on [`Reader::record`] does,
//! key by key, and what it stumbles over is read again from the start by that function, which alone decides what is
//! wrong.

use super::fault::{DEPTH_MAX, Fault, What};
use super::learned::{self, Action, Learned, Mark};
use super::number::is_fraction;
use super::scan::{Scanned, blank};
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
    /// Whether no declared parent was met.
    plain: bool,
    /// The fields that it lacks.
    absent: Vec<u32>,
}

/// Whether a record ends at `p`; `len` is where the chunk's last record ends.
#[inline(always)]
fn ends(b: Scanned<'_>, p: usize, len: usize) -> bool {
    b[p] == b'\n' || p >= len
}

/// The position after the comma or closing brace that follows a value of an object, and whether it was the brace.
#[inline(always)]
fn separator(b: Scanned<'_>, p: usize) -> Result<(usize, bool), Fault> {
    let p = blank(&b, p);
    match b[p] {
        b',' => Ok((blank(&b, p + 1), false)),
        b'}' => Ok((p + 1, true)),
        _ => Err(Fault { at: p, what: What::Syntax("`,` or `}`") }),
    }
}

/// A record that is not like those before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stray {
    /// The last step that it shares with others, whose value is taken.
    at: u32,
    /// Where the record begins.
    start: usize,
    /// Where it is read on.
    p: usize,
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
            plain: true,
            absent: Vec::new(),
        }
    }

    /// Takes the record at `start`, if it is a good one of a layout that is known; answers the position of its line
    /// end.
    #[inline(always)]
    pub(super) fn predicted(&mut self, b: Scanned<'_>, start: usize, len: usize) -> Result<usize, Stray> {
        let (ways, slots) = (self.learned.ways(), &mut self.slots[..]);
        let (mut p, mut at, mut step) = (start, learned::ROOT, ways.root());
        loop {
            let Some((number, next)) = ways.next(step, &b, p) else { return Err(self.stray(at, start, p, &b)) };
            (at, step) = (number, next);
            p += usize::from(step.len);
            let taken = match step.action {
                Action::Field(field) => slots[field as usize].take(b, p, step.depth, &mut self.unescaped),
                Action::Skip => skip(b, p, step.depth),
                Action::End(_) if !ends(b, p, len) => return Err(self.stray(learned::ROOT, start, start, &b)),
                Action::End(list) => {
                    for field in self.learned.absent(list) {
                        slots[*field as usize].absent();
                    }
                    return Ok(p);
                }
            };
            let Ok(next) = taken else { return Err(self.stray(learned::ROOT, start, start, &b)) };
            p = next;
        }
    }

    /// Where a record that left the known ways behind step `at` is read on: there, or, where more than the keys of the
    /// record itself would have to be recalled, or the last value was but the beginning of a number, at its start.
    fn stray(&self, at: u32, start: usize, p: usize, b: &[u8]) -> Stray {
        let goes_on = self.learned.step(at).plain && !is_fraction(b[p]);
        let at = if goes_on { at } else { learned::ROOT };
        Stray { at, start, p: if at == learned::ROOT { start } else { p } }
    }

    /// Forgets the values of all records behind the first `rows`.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.slots.iter_mut().for_each(|slot| slot.truncate(rows));
    }

    /// Takes the rest of a record, whatever it looks like; answers the position of its line end. The slots have the
    /// values of `rows` records before.
    pub(super) fn record(&mut self, b: Scanned<'_>, stray: Stray, rows: usize, len: usize) -> Result<usize, Fault> {
        self.record += 1;
        self.marks.clear();
        (self.literal, self.learnable, self.plain) = (stray.p, true, true);
        let end = if stray.at == learned::ROOT {
            self.truncate(rows);
            let p = blank(&b, stray.start);
            if b[p] != b'{' {
                return Err(Fault { at: p, what: What::Record });
            }
            self.object(ROOT, b, p, 1)?
        } else {
            self.recall(stray.at);
            let (p, ended) = separator(b, stray.p)?;
            if ended { p } else { self.entries(ROOT, b, p, 1)? }
        };
        let p = blank(&b, end);
        if !ends(b, p, len) {
            return Err(Fault { at: p, what: What::Syntax("the end of the record") });
        }
        self.lack(end - 1)?;
        if self.learnable {
            self.mark(p, 0, Action::End(0));
            self.learned.learn(stray.at, &b, &self.marks, &self.absent);
        }
        Ok(p)
    }

    /// Remembers that the fields on the way to that step were seen.
    fn recall(&mut self, mut at: u32) {
        while at != learned::ROOT {
            let step = self.learned.step(at);
            if let Action::Field(field) = step.action {
                self.seen[self.tree.leaves[field as usize] as usize] = self.record;
            }
            at = step.before;
        }
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
        self.marks.push(Mark { start: self.literal, end: p, depth, plain: self.plain, action });
    }

    /// Takes the object at `p`, the `depth`th that is open; answers the position after it.
    fn object(&mut self, node: u32, b: Scanned<'_>, p: usize, depth: u8) -> Result<usize, Fault> {
        let p = blank(&b, p + 1);
        if b[p] == b'}' { Ok(p + 1) } else { self.entries(node, b, p, depth) }
    }

    /// Takes the rest of an object from the key at `p`.
    fn entries(&mut self, node: u32, b: Scanned<'_>, mut p: usize, depth: u8) -> Result<usize, Fault> {
        let mut first = 0;
        loop {
            if b[p] != b'"' {
                return Err(Fault { at: p, what: What::Syntax("a key in quotes") });
            }
            let (child, value) = match self.tree.spelled(node, &b, p, &mut first) {
                Some((child, next)) => (Some(child), blank(&b, next)),
                None => self.key(node, b, p, &mut first)?,
            };
            let next = match child {
                Some(child) => self.member(child, b, (p, value), depth)?,
                None => {
                    self.mark(value, depth, Action::Skip);
                    self.literal = skip(b, value, depth)?;
                    self.literal
                }
            };
            let (next, ended) = separator(b, next)?;
            if ended {
                return Ok(next);
            }
            p = next;
        }
    }

    /// The child that the key at `p` names, however it is written, and the position of its value.
    fn key(&self, node: u32, b: Scanned<'_>, p: usize, first: &mut usize) -> Result<(Option<u32>, usize), Fault> {
        let key = string::check(b, p)?;
        let child = if key.escaped {
            let mut unescaped = String::new();
            string::unescape(b, key, &mut unescaped);
            self.tree.child(node, unescaped.as_bytes(), first)
        } else {
            self.tree.child(node, &b[key.start..key.end], first)
        };
        let colon = blank(&b, key.end + 1);
        if b[colon] != b':' {
            return Err(Fault { at: colon, what: What::Syntax("`:`") });
        }
        Ok((child, blank(&b, colon + 1)))
    }

    /// Takes the value of a declared key; `key` and `p` are their positions.
    fn member(&mut self, child: u32, b: Scanned<'_>, (key, p): (usize, usize), depth: u8) -> Result<usize, Fault> {
        if std::mem::replace(&mut self.seen[child as usize], self.record) == self.record {
            return Err(Fault { at: key, what: What::Twice(child) });
        }
        let node = &self.tree.nodes[child as usize];
        let (field, parent) = (node.field, !node.children.is_empty());
        if parent {
            self.learnable &= field.is_none();
            self.plain = false;
            let next = self.parent(child, b, p, depth)?;
            if field.is_none() {
                return Ok(next);
            }
        }
        let field = field.expect("a key that is no parent is a field");
        self.mark(p, depth, Action::Field(field));
        let slot = &mut self.slots[field as usize];
        self.literal = slot.take(b, p, depth, &mut self.unescaped)?;
        if slot.is_cut(b, p, self.literal) {
            return Err(Fault { at: p, what: What::Kind(field) });
        }
        Ok(self.literal)
    }

    /// Takes the value at `p` of a key that fields are declared within: an object, or null for all of them.
    fn parent(&mut self, node: u32, b: Scanned<'_>, p: usize, depth: u8) -> Result<usize, Fault> {
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
