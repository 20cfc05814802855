//! Keyed state in memory: what the tables of a stage keep for each key of a lane.
//!
//! One cell a key holds the key, the fields of all tables and the bookkeeping side by side, so that a row costs one
//! cache miss however many fields there are; longer values lie in an arena. A call of the operator takes a [`Turn`]:
//! its keys are found (each distinct key is a *slot*, in order of first appearance), their rows gathered as columns,
//! and what the call made of them is written back. A turn that ends without [`Turn::apply`] leaves no trace.
//!
//! What it costs is in the benchmark `state`: a row of count and sum under a whole number takes a hash, a look at a
//! cell, and two copies of it; a batch's cache misses overlap. Memory: a cell of 8 bytes a word, in tables that are 1/4
//! to 1/2 full. Growth is by key group, 1/128 of the whole at a time, so no call waits for all of it.
//!
//! Time to live: a row whose last change (a value that differs, or the first) is `ttl` or more ago is gone for every
//! reader at once; its memory comes back when a row of its key comes or [`KeyedState::sweep`] passes by.
//!
//! Always true between turns: every cell has a row in at least one table; no cell carries a slot.
//! Neighbours: [`crate::key`] gives keys, [`crate::operator`] the shapes of what crosses.

mod arena;
mod cell;
mod segment;
mod columns;
mod entry;
#[cfg(test)]
mod model;

use std::ops::Range;

use crate::clock::Micros;
use crate::key::{self, KeyBytes, Keys};
use crate::limits::KEY_GROUPS;
use crate::operator::{CallError, Table, TableChanges, TableRows};
use crate::schema::Kind;
use cell::{SLOT, Shape};
use segment::{Segment, Spot, Wanted};

pub use entry::{Entry, Row, Value};

/// State would grow past its limit. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "state would exceed its limit of {limit} bytes: {current} are in use, {requested} more are needed; \
     raise the limit or give the tables a time to live"
)]
pub struct StateFull {
    /// The limit in bytes.
    pub limit: u64,
    /// Bytes in use.
    pub current: u64,
    /// Bytes asked for on top.
    pub requested: u64,
}

impl From<StateFull> for CallError {
    fn from(full: StateFull) -> Self {
        Self::Limit {
            limit: "state_bytes",
            unit: "bytes",
            allowed: full.limit,
            current: full.current,
            requested: full.requested,
        }
    }
}

/// In place of a cell: the key has none.
const ABSENT: u32 = u32::MAX;

/// The state of one lane of a stage.
#[derive(Debug)]
pub struct KeyedState {
    shape: Shape,
    /// One a key group, those of other lanes empty.
    segments: Vec<Segment>,
    limit: usize,
    used: usize,
    /// Of the running turn: for each row its slot.
    slots: Vec<u32>,
    /// Of the running turn: for each slot its cell.
    spots: Vec<Spot>,
    /// Of the running turn: for each row the cell of its key, and the rows whose search goes on.
    found: Vec<u32>,
    elsewhere: Vec<u32>,
    /// Of the running turn: for each slot a copy of its cell, back to back. What a call changes is changed here, and
    /// put back at once.
    copies: Vec<u64>,
    /// Where the next sweep goes on: key group and number of the cell.
    swept: (usize, usize),
}

impl KeyedState {
    /// Empty state for keys of these kinds, in memory of at most `limit` bytes (the spare room of arenas,
    /// at most a quarter, not counted).
    #[must_use]
    pub fn new(key: &[Kind], tables: &[Table], limit: u64) -> Self {
        let shape = Shape::new(key, tables);
        let segments: Vec<Segment> = (0..KEY_GROUPS).map(|_| Segment::empty(shape.frame)).collect();
        let used = segments.iter().map(Segment::bytes).sum();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (slots, spots, found, elsewhere) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { shape, segments, limit, used, slots, spots, found, elsewhere, copies: Vec::new(), swept: (0, 0) }
    }

    /// Finds the keys of a call. `now` decides which rows are past their time and dates the changes.
    ///
    /// # Errors
    /// New keys do not fit.
    pub fn resolve(&mut self, keys: &Keys, now: Micros) -> Result<Turn<'_>, StateFull> {
        assert!(self.spots.is_empty(), "a turn ends before the next begins");
        let key_words = self.shape.frame.key_words;
        let entered = match &keys.bytes {
            KeyBytes::Words(words) => self.enter(keys.hashes(), |row| Wanted::Word(words[row])),
            KeyBytes::Spans(..) => self.enter(keys.hashes(), |row| Wanted::new(key_words, keys.get(row))),
        };
        let turn = Turn { state: self, now, applied: false };
        entered?;
        turn.state.copy(now);
        Ok(turn)
    }

    /// Number of keys, those past their time but not swept yet included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.segments.iter().map(Segment::len).sum()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory in use.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.used as u64
    }

    /// What is kept for the keys of these key groups, group by group, in no order within one.
    pub fn entries(&self, groups: Range<u32>, now: Micros) -> impl Iterator<Item = Entry<'_>> {
        groups.flat_map(move |group| {
            let (shape, segment) = (&self.shape, &self.segments[group as usize]);
            let entry = move |at| Entry { shape, segment, group, at, now };
            let alive = move |entry: &Entry<'_>| {
                let cell = segment.cell(shape.frame, entry.at);
                shape.tables.iter().any(|table| table.alive(cell, now))
            };
            segment.cells(shape.frame).map(entry).filter(alive)
        })
    }

    /// Puts back what an [`Entry`] had, in place of what is there for that key.
    ///
    /// # Errors
    /// It does not fit.
    pub fn restore(&mut self, key: &[u8], rows: &[Option<Row<'_>>]) -> Result<(), StateFull> {
        assert_eq!(rows.len(), self.shape.tables.len(), "one row a table");
        let values = rows.iter().flatten().flat_map(|row| &row.values);
        let long = values.map(|value| if let Value::Bytes(bytes) = value { arena::room(bytes.len()) } else { 0 }).sum();
        self.check(long)?;
        let hash = key::hash(key);
        let (at, group) =
            (self.find_or_add(hash, Wanted::new(self.shape.frame.key_words, key))?, key::group(hash) as usize);
        let segment = &mut self.segments[group];
        let before = segment.bytes();
        let (cell, arena) = segment.cell_mut(self.shape.frame, at);
        cell[0] &= !cell::DIRTY;
        for (table, row) in self.shape.tables.iter().zip(rows) {
            columns::clear(table, cell, arena);
            if let Some(row) = row {
                entry::put(table, cell, arena, row);
            }
        }
        if !self.shape.in_use(cell) {
            segment.remove(self.shape.frame, at, &mut []);
        }
        self.used += segment.bytes() - before;
        Ok(())
    }

    /// Gives back the memory of rows past their time, looking at no more than `budget` cells from where it last
    /// stopped. Answers how many keys it removed.
    pub fn sweep(&mut self, now: Micros, budget: usize) -> usize {
        if !self.shape.expires {
            return 0;
        }
        let mut removed = 0;
        for _ in 0..budget {
            let (group, index) = self.swept;
            let segment = &mut self.segments[group];
            let Some((at, empty)) = segment.nth(self.shape.frame, index) else {
                self.settle(group);
                self.swept = ((group + 1) % self.segments.len(), 0);
                continue;
            };
            self.swept.1 += 1;
            if !empty
                && self.expire(group, at, now)
                && !self.shape.in_use(self.segments[group].cell(self.shape.frame, at))
            {
                self.segments[group].remove(self.shape.frame, at, &mut []);
                removed += 1;
                // Another cell may have moved here.
                self.swept.1 = index;
            }
        }
        removed
    }

    /// Finds or adds the keys and gives them slots.
    ///
    /// Three passes over the batch, because what a CPU waits for is a cell that is not in the cache and a branch that
    /// it could not guess: the first looks only where each search begins, so that the misses of a batch overlap; the
    /// second searches on for the few keys that lie elsewhere; the third, in order and without a branch for keys that
    /// exist, hands out slots.
    #[inline(always)]
    fn enter<'k>(&mut self, hashes: &[u64], key: impl Fn(usize) -> Wanted<'k>) -> Result<(), StateFull> {
        self.look(hashes, &key);
        let rows = hashes.len();
        self.slots.clear();
        self.slots.resize(rows, 0);
        self.spots.resize(rows, Spot { group: 0, at: 0 });
        let (mut count, mut moved) = (0, false);
        for (row, hash) in hashes.iter().enumerate() {
            let mut at = self.found[row];
            if at == ABSENT || moved {
                let before = self.used;
                at = self.find_or_add(*hash, key(row)).inspect_err(|_| self.spots.truncate(count))?;
                moved |= self.used != before;
            }
            let group = key::group(*hash);
            let meta = self.segments[group as usize].meta_mut(at);
            let mark = (*meta & SLOT) as u32;
            let slot = if mark == 0 { count as u32 } else { mark - 1 };
            *meta = *meta & !SLOT | u64::from(slot + 1);
            self.slots[row] = slot;
            self.spots[count] = Spot { group, at };
            count += usize::from(mark == 0);
        }
        self.spots.truncate(count);
        Ok(())
    }

    /// The first two passes of [`Self::enter`]: the cell of each row's key, where it has one.
    #[inline(always)]
    fn look<'k>(&mut self, hashes: &[u64], key: &impl Fn(usize) -> Wanted<'k>) {
        let Self { shape: Shape { frame, .. }, segments, found, elsewhere, .. } = self;
        let (frame, segments) = (*frame, &segments[..]);
        found.resize(hashes.len(), 0);
        elsewhere.resize(hashes.len(), 0);
        let mut count = 0;
        for ((row, hash), found) in hashes.iter().enumerate().zip(found.iter_mut()) {
            let (at, hit) = segments[key::group(*hash) as usize].home(frame, *hash, key(row));
            *found = at;
            elsewhere[count] = row as u32;
            count += usize::from(!hit);
        }
        for row in &elsewhere[..count] {
            let row = *row as usize;
            let segment = &segments[key::group(hashes[row]) as usize];
            found[row] = segment.find(frame, hashes[row], key(row)).unwrap_or(ABSENT);
        }
    }

    /// Copies the cells of the slots, without what is past its time. In a pass of its own: right after a slot was
    /// written into a cell, the CPU could not yet read the cell by more than a word at once.
    fn copy(&mut self, now: Micros) {
        self.copies.clear();
        self.copies.reserve(self.spots.len() * self.shape.frame.words);
        for i in 0..self.spots.len() {
            let Spot { group, at } = self.spots[i];
            if self.shape.expires {
                self.expire(group as usize, at, now);
            }
            self.segments[group as usize].copy(self.shape.frame, at, &mut self.copies);
        }
    }

    #[inline(always)]
    fn find_or_add(&mut self, hash: u64, key: Wanted<'_>) -> Result<u32, StateFull> {
        let segment = &self.segments[key::group(hash) as usize];
        match segment.find(self.shape.frame, hash, key) {
            Ok(at) => Ok(at),
            Err(free) => self.add(hash, key, free),
        }
    }

    #[inline(never)]
    fn add(&mut self, hash: u64, key: Wanted<'_>, free: u32) -> Result<u32, StateFull> {
        let group = key::group(hash) as usize;
        self.check(self.segments[group].growth(self.shape.frame, key))?;
        let segment = &mut self.segments[group];
        let before = segment.bytes();
        let at = segment.insert(self.shape.frame, hash, key, free, &mut self.spots);
        self.used += segment.bytes() - before;
        Ok(at)
    }

    fn check(&self, requested: usize) -> Result<(), StateFull> {
        let full = StateFull { limit: self.limit as u64, current: self.used as u64, requested: requested as u64 };
        if requested > 0 && self.used + requested > self.limit { Err(full) } else { Ok(()) }
    }

    /// Takes the rows out of a cell that are past their time; whether there were any.
    fn expire(&mut self, group: usize, at: u32, now: Micros) -> bool {
        let (cell, arena) = self.segments[group].cell_mut(self.shape.frame, at);
        let mut any = false;
        for table in &self.shape.tables {
            if table.expired(cell, now) {
                columns::clear(table, cell, arena);
                any = true;
            }
        }
        any
    }

    fn settle(&mut self, group: usize) {
        let before = self.segments[group].bytes();
        self.segments[group].settle(&self.shape);
        self.used = self.used + self.segments[group].bytes() - before;
    }

    /// Ends a turn: the copies go back if they count, no cell carries a slot, and those without a row are removed.
    fn end(&mut self, applied: bool) {
        let mut loose = 0u128;
        for slot in 0..self.spots.len() {
            let Spot { group, at } = self.spots[slot];
            let segment = &mut self.segments[group as usize];
            if applied {
                segment.write(at, &self.copies[slot * self.shape.frame.words..(slot + 1) * self.shape.frame.words]);
            } else {
                *segment.meta_mut(at) &= !SLOT;
            }
            if !self.shape.in_use(segment.cell(self.shape.frame, at)) {
                segment.remove(self.shape.frame, at, &mut self.spots);
                loose |= 1 << group;
            } else if segment.arena.wasteful() {
                loose |= 1 << group;
            }
        }
        self.spots.clear();
        while loose != 0 {
            self.settle(loose.trailing_zeros() as usize);
            loose &= loose - 1;
        }
    }
}

const _: () = assert!(KEY_GROUPS <= u128::BITS, "a set of key groups is a u128");

/// A call's hold on the state. Dropped without [`Turn::apply`], it leaves no trace.
#[derive(Debug)]
pub struct Turn<'a> {
    state: &'a mut KeyedState,
    now: Micros,
    applied: bool,
}

impl Turn<'_> {
    /// For each row the slot of its key.
    #[must_use]
    pub fn slots(&self) -> &[u32] {
        &self.state.slots
    }

    /// Number of slots.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.state.spots.len() as u32
    }

    /// For each table the rows of the slots. What is new has zero, false, the empty text or null.
    #[must_use]
    pub fn gather(&self) -> Vec<TableRows> {
        let KeyedState { shape, segments, spots, copies, .. } = &*self.state;
        shape.tables.iter().map(|table| columns::gather(table, shape, copies, spots, segments)).collect()
    }

    /// Does what the call wants done: `changes` has one entry a table, or is empty. Whoever made them from outside data
    /// has checked their shape.
    ///
    /// # Errors
    /// It might not fit (every longer value counted as if none took the place of another). Nothing was changed.
    pub fn apply(mut self, changes: &[TableChanges]) -> Result<(), StateFull> {
        let tables = &self.state.shape.tables;
        assert!(changes.is_empty() || changes.len() == tables.len(), "one entry a table, or none");
        let long = tables.iter().zip(changes).map(|(table, changes)| columns::arena_bytes(table, changes)).sum();
        self.state.check(long)?;
        let KeyedState { shape, segments, spots, copies, .. } = &mut *self.state;
        let mut cells = columns::Cells { shape, words: copies, spots, segments };
        for (table, changes) in shape.tables.iter().zip(changes) {
            columns::scatter(table, &mut cells, changes, self.now);
        }
        self.applied = true;
        if long > 0 {
            self.state.used = self.state.segments.iter().map(Segment::bytes).sum();
        }
        Ok(())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.state.end(self.applied);
    }
}
