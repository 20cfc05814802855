//! Keyed state in memory: what the tables of a stage keep for each key of a lane.
//!
//! One cell a key holds the key, the fields of all tables and the bookkeeping side by side, so that a row costs one cache
//! miss however many fields there are; longer values lie in an arena. A call of the operator takes a [`Turn`]: its keys are
//! found (each distinct key is a *slot*, in order of first appearance), their rows gathered as columns, and what the call
//! made of them is written back. A turn that ends without [`Turn::apply`] leaves no trace.
//!
//! What it costs, a row, for count and sum under a whole number (the benchmark `state`): about 13 ns with 10,000 keys, 37 with a
//! million. Memory: a cell of 8 bytes a word, in tables that are 5/16 to 5/8 full. Growth is by key group, 1/128 of the whole
//! at a time, so no call waits for all of it.
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

use std::hint::black_box;
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
    /// Where the next sweep goes on: key group and number of the cell.
    swept: (usize, usize),
}

impl KeyedState {
    /// Empty state for keys of these kinds, in memory of at most `limit` bytes (the spare room of arenas,
    /// at most a quarter, not counted).
    #[must_use]
    pub fn new(key: &[Kind], tables: &[Table], limit: u64) -> Self {
        let shape = Shape::new(key, tables);
        let segments: Vec<Segment> = (0..KEY_GROUPS).map(|_| Segment::empty(&shape)).collect();
        let used = segments.iter().map(Segment::bytes).sum();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { shape, segments, limit, used, slots: Vec::new(), spots: Vec::new(), swept: (0, 0) }
    }

    /// Finds the keys of a call. `now` decides which rows are past their time and dates the changes.
    ///
    /// # Errors
    /// New keys do not fit.
    pub fn resolve(&mut self, keys: &Keys, now: Micros) -> Result<Turn<'_>, StateFull> {
        assert!(self.spots.is_empty(), "a turn ends before the next begins");
        // Reading where each search will begin lets the cache misses of a batch overlap; a search at a time waits for each.
        let touch = |hash: &u64| self.segments[key::group(*hash) as usize].touch(&self.shape, *hash);
        black_box(keys.hashes().iter().map(touch).fold(0, |a, b| a ^ b));
        self.slots.clear();
        self.slots.reserve(keys.hashes().len());
        let entered = match &keys.bytes {
            KeyBytes::Words(words) => self.enter(keys.hashes(), now, |row| Wanted::Word(words[row])),
            KeyBytes::Spans(..) => self.enter(keys.hashes(), now, |row| Wanted::Bytes(keys.get(row))),
        };
        let turn = Turn { state: self, now };
        entered.map(|()| turn)
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
                let cell = segment.cell(shape, entry.at);
                shape.tables.iter().any(|table| table.alive(cell, now))
            };
            segment.cells(shape).map(entry).filter(alive)
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
        let (at, group) = (self.find_or_add(hash, Wanted::Bytes(key))?, key::group(hash) as usize);
        let segment = &mut self.segments[group];
        let before = segment.bytes();
        let (cell, arena) = segment.cell_mut(&self.shape, at);
        cell[0] &= !cell::DIRTY;
        for (table, row) in self.shape.tables.iter().zip(rows) {
            columns::clear(table, cell, arena);
            if let Some(row) = row {
                entry::put(table, cell, arena, row);
            }
        }
        if !self.shape.in_use(cell) {
            segment.remove(&self.shape, at, &mut []);
        }
        self.used += segment.bytes() - before;
        Ok(())
    }

    /// Gives back the memory of rows past their time, looking at no more than `budget` cells from where it last stopped.
    /// Answers how many keys it removed.
    pub fn sweep(&mut self, now: Micros, budget: usize) -> usize {
        if !self.shape.expires {
            return 0;
        }
        let mut removed = 0;
        for _ in 0..budget {
            let (group, index) = self.swept;
            let segment = &mut self.segments[group];
            let Some((at, empty)) = segment.nth(&self.shape, index) else {
                self.settle(group);
                self.swept = ((group + 1) % self.segments.len(), 0);
                continue;
            };
            self.swept.1 += 1;
            if !empty && self.expire(group, at, now) && !self.shape.in_use(self.segments[group].cell(&self.shape, at)) {
                self.segments[group].remove(&self.shape, at, &mut []);
                removed += 1;
                // Another cell may have moved here.
                self.swept.1 = index;
            }
        }
        removed
    }

    fn enter<'k>(&mut self, hashes: &[u64], now: Micros, key: impl Fn(usize) -> Wanted<'k>) -> Result<(), StateFull> {
        for (row, hash) in hashes.iter().enumerate() {
            let at = self.find_or_add(*hash, key(row))?;
            let group = key::group(*hash);
            let meta = self.segments[group as usize].word_mut(at, 0);
            let mut mark = (*meta & SLOT) as u32;
            if mark == 0 {
                self.spots.push(Spot { group, at });
                mark = self.spots.len() as u32;
                *meta |= u64::from(mark);
                if self.shape.expires {
                    self.expire(group as usize, at, now);
                }
            }
            self.slots.push(mark - 1);
        }
        Ok(())
    }

    #[inline]
    fn find_or_add(&mut self, hash: u64, key: Wanted<'_>) -> Result<u32, StateFull> {
        let segment = &self.segments[key::group(hash) as usize];
        match segment.find(&self.shape, hash, key) {
            Ok(at) => Ok(at),
            Err(free) => self.add(hash, key, free),
        }
    }

    fn add(&mut self, hash: u64, key: Wanted<'_>, free: u32) -> Result<u32, StateFull> {
        let group = key::group(hash) as usize;
        self.check(self.segments[group].growth(&self.shape, key))?;
        let segment = &mut self.segments[group];
        let before = segment.bytes();
        let at = segment.insert(&self.shape, hash, key, free, &mut self.spots);
        self.used += segment.bytes() - before;
        Ok(at)
    }

    fn check(&self, requested: usize) -> Result<(), StateFull> {
        let full = StateFull { limit: self.limit as u64, current: self.used as u64, requested: requested as u64 };
        if requested > 0 && self.used + requested > self.limit { Err(full) } else { Ok(()) }
    }

    /// Takes the rows out of a cell that are past their time; whether there were any.
    fn expire(&mut self, group: usize, at: u32, now: Micros) -> bool {
        let (cell, arena) = self.segments[group].cell_mut(&self.shape, at);
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

    /// Ends a turn: no cell carries a slot, and those without a row are removed.
    fn end(&mut self) {
        let mut loose = 0u128;
        for slot in 0..self.spots.len() {
            let Spot { group, at } = self.spots[slot];
            let segment = &mut self.segments[group as usize];
            *segment.word_mut(at, 0) &= !SLOT;
            if !self.shape.in_use(segment.cell(&self.shape, at)) {
                segment.remove(&self.shape, at, &mut self.spots);
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
        let KeyedState { shape, segments, spots, .. } = &*self.state;
        shape.tables.iter().map(|table| columns::gather(table, shape, segments, spots)).collect()
    }

    /// Does what the call wants done: `changes` has one entry a table, or is empty. Whoever made them from outside data
    /// has checked their shape.
    ///
    /// # Errors
    /// It might not fit (every longer value counted as if none took the place of another). Nothing was changed.
    pub fn apply(self, changes: &[TableChanges]) -> Result<(), StateFull> {
        let tables = &self.state.shape.tables;
        assert!(changes.is_empty() || changes.len() == tables.len(), "one entry a table, or none");
        let long = tables.iter().zip(changes).map(|(table, changes)| columns::arena_bytes(table, changes)).sum();
        self.state.check(long)?;
        let KeyedState { shape, segments, spots, .. } = &mut *self.state;
        for (table, changes) in shape.tables.iter().zip(changes) {
            columns::scatter(table, shape, segments, spots, changes, self.now);
        }
        if long > 0 {
            self.state.used = self.state.segments.iter().map(Segment::bytes).sum();
        }
        Ok(())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.state.end();
    }
}
