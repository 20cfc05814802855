//! Keyed state in memory: what the tables of a stage keep for each key of a lane.
//!
//! One cell a key holds the key, the fields of all tables and the bookkeeping side by side, so that a row costs one
//! cache miss however many fields there are; longer values lie in an arena. A call of the operator takes a [`Turn`]:
//! its keys are found (each distinct key is a *slot*, in order of first appearance), their rows gathered as columns,
//! and what the call made of them is written back. A turn that ends without [`Turn::apply`] leaves no trace.
//!
//! What it costs is in the benchmark `state`: a row takes a hash, a look at its cell, a slot; a distinct key a pass out
//! and one back over its fields; a batch's cache misses overlap. Memory: a cell of 8 bytes a word, in a table that is
//! 1/4 to 1/2 full. The call that fills the table to more than that waits for all cells to move, as the
//! header of `cells` says.
//!
//! Time to live: a row whose last change (a value that differs, or the first) is `ttl` or more ago is gone for every
//! reader at once; its memory comes back when a row of its key comes or [`KeyedState::sweep`] passes by.
//!
//! Always true between turns: every cell has a row in at least one table; no cell carries a slot.
//! Neighbours: [`crate::key`] gives keys, [`crate::operator`] the shapes of what crosses.

mod arena;
mod carry;
mod cell;
mod cells;
mod columns;
mod entry;
#[cfg(test)]
mod model;

use std::ops::Range;

use crate::clock::Micros;
use crate::key::{self, KeyBytes, Keys};
use crate::operator::{CallError, Table, TableChanges, TableRows};
use crate::schema::Kind;
use cell::{SLOT, Shape};
use cells::{Cells, Wanted};
use columns::Changes;

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
        Self::limit("state_bytes_max", "bytes", full.limit, full.current, full.requested)
    }
}

/// Most bytes that a lane can keep, whatever its limit: 32 bits number the words.
const BYTES_MAX: u64 = 8 << 32;

/// The state of one lane of a stage.
#[derive(Debug)]
pub struct KeyedState {
    shape: Shape,
    cells: Cells,
    limit: u64,
    /// Of the running turn: for each row its slot.
    slots: Vec<u32>,
    /// Of the running turn: for each slot its cell, which carries the slot.
    spots: Vec<u32>,
    /// Of the running turn: for each row the cell of its key; the rows whose search goes on; those whose key is new.
    found: Vec<u32>,
    searching: Vec<u32>,
    absent: Vec<u32>,
    /// Of the running turn: the slots whose cells are left without a row.
    loose: Vec<u32>,
    /// Number of the cell where the next sweep goes on.
    swept: usize,
}

impl KeyedState {
    /// Empty state for keys of these kinds, in memory of at most `limit` bytes, 32 GiB at most (the spare room of the
    /// arena, at most a quarter, not counted).
    #[must_use]
    pub fn new(key: &[Kind], tables: &[Table], limit: u64) -> Self {
        let shape = Shape::new(key, tables);
        let (cells, limit) = (Cells::empty(shape.frame), limit.min(BYTES_MAX));
        let [slots, spots, found, searching, absent, loose] = [const { Vec::new() }; 6];
        Self { shape, cells, limit, slots, spots, found, searching, absent, loose, swept: 0 }
    }

    /// Finds the keys of a call. `now` decides which rows are past their time and dates the changes.
    ///
    /// # Errors
    /// New keys do not fit.
    pub fn resolve(&mut self, keys: &Keys, now: Micros) -> Result<Turn<'_>, StateFull> {
        assert!(self.spots.is_empty(), "a turn ends before the next begins");
        let key_words = self.shape.frame.key_words;
        match &keys.bytes {
            // Cut to the rows, so that the compiler sees that every row has one.
            KeyBytes::Words(words) => {
                let words = &words[..keys.hashes().len()];
                self.enter(keys.hashes(), |row| Wanted::Word(words[row]))?;
            }
            KeyBytes::Spans(..) => self.enter(keys.hashes(), |row| Wanted::new(key_words, keys.get(row)))?,
        }
        self.number();
        if self.shape.expires {
            for at in &self.spots {
                expire(&self.shape, &mut self.cells, *at, now);
            }
        }
        Ok(Turn { state: self, now, applied: false })
    }

    /// Whether a row of some table is gone some time after its last change.
    #[must_use]
    pub fn expires(&self) -> bool {
        self.shape.expires
    }

    /// Number of keys, those past their time but not swept yet included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory in use.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.cells.bytes() as u64
    }

    /// What is kept for the keys of these key groups, in no order. Goes over the whole table once, however few groups.
    pub fn entries(&self, groups: Range<u32>, now: Micros) -> impl Iterator<Item = Entry<'_>> {
        let Self { shape, cells, .. } = self;
        let alive = move |at: &u32| shape.tables.iter().any(|table| table.alive(cells.cell(*at), now));
        let entry = move |at| Entry { shape, cells, at, now };
        cells.keys().filter(alive).map(entry).filter(move |entry| groups.contains(&entry.group()))
    }

    /// Puts back what an [`Entry`] had, in place of what is there for that key.
    ///
    /// # Errors
    /// It does not fit.
    pub fn restore(&mut self, key: &[u8], rows: &[Option<Row<'_>>]) -> Result<(), StateFull> {
        self.put(key, rows, false)
    }

    /// The same, for a key that changed since it was restored, or did not.
    fn put(&mut self, key: &[u8], rows: &[Option<Row<'_>>], dirty: bool) -> Result<(), StateFull> {
        assert_eq!(rows.len(), self.shape.tables.len(), "one row a table");
        let values = rows.iter().flatten().flat_map(|row| &row.values);
        let long = values.map(|value| if let Value::Bytes(bytes) = value { arena::room(bytes.len()) } else { 0 }).sum();
        self.check(long)?;
        let (at, _) = self.find_or_add(key::hash(key), Wanted::new(self.shape.frame.key_words, key))?;
        let (cell, arena) = self.cells.cell_mut(at);
        cell[0] = cell[0] & !cell::DIRTY | (cell::DIRTY * u64::from(dirty));
        for (table, row) in self.shape.tables.iter().zip(rows) {
            columns::clear(table, cell, arena);
            if let Some(row) = row {
                entry::put(table, cell, arena, row);
            }
        }
        if !self.shape.in_use(cell) {
            self.cells.remove(at, &mut []);
        }
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
            let Some((at, empty)) = self.cells.nth(self.swept) else {
                self.cells.settle(&self.shape);
                self.swept = 0;
                continue;
            };
            self.swept += 1;
            if !empty && expire(&self.shape, &mut self.cells, at, now) && !self.shape.in_use(self.cells.cell(at)) {
                self.cells.remove(at, &mut []);
                removed += 1;
                // Another cell may have moved here.
                self.swept -= 1;
            }
        }
        removed
    }

    /// Finds or adds the keys: `found` has then the cell of each row's. If the table grew, all are looked for again.
    #[inline(always)]
    fn enter<'k>(&mut self, hashes: &[u64], key: impl Fn(usize) -> Wanted<'k>) -> Result<(), StateFull> {
        self.cells.look(hashes, &key, [&mut self.found, &mut self.searching, &mut self.absent]);
        let mut grew = false;
        for i in 0..self.absent.len() {
            let row = self.absent[i] as usize;
            match self.find_or_add(hashes[row], key(row)) {
                Ok((at, moved)) => {
                    self.found[row] = at;
                    grew |= moved;
                }
                Err(full) => {
                    let added = std::mem::take(&mut self.absent);
                    self.leave(added[..i].iter().map(|row| (hashes[*row as usize], key(*row as usize))));
                    return Err(full);
                }
            }
        }
        if grew {
            self.cells.look(hashes, &key, [&mut self.found, &mut self.searching, &mut self.absent]);
            assert!(self.absent.is_empty(), "every key of the call was added");
        }
        Ok(())
    }

    /// Removes the keys that a call added before it failed.
    fn leave<'k>(&mut self, added: impl Iterator<Item = (u64, Wanted<'k>)>) {
        for (hash, key) in added {
            // A key that came twice is gone already.
            if let Ok(at) = self.cells.find(hash, key) {
                self.cells.remove(at, &mut []);
            }
        }
        self.cells.settle(&self.shape);
    }

    /// Gives the cells in `found` their slots, without a branch that could be guessed wrong.
    fn number(&mut self) {
        let Self { found, slots, spots, cells, .. } = self;
        let words = &mut cells.words[..];
        slots.resize(found.len(), 0);
        spots.resize(found.len(), 0);
        let mut count = 0;
        for (at, slot) in found.iter().zip(&mut *slots) {
            let meta = &mut words[*at as usize];
            let mark = (*meta & SLOT) as u32;
            *slot = if mark == 0 { count } else { mark - 1 };
            *meta = *meta & !SLOT | u64::from(*slot + 1);
            spots[count as usize] = *at;
            count += u32::from(mark == 0);
        }
        spots.truncate(count as usize);
    }

    /// The cell of a key, and whether all cells moved for it.
    #[inline(always)]
    fn find_or_add(&mut self, hash: u64, key: Wanted<'_>) -> Result<(u32, bool), StateFull> {
        match self.cells.find(hash, key) {
            Ok(at) => Ok((at, false)),
            Err(free) => {
                self.check(self.cells.growth(key))?;
                Ok(self.cells.insert(hash, key, free))
            }
        }
    }

    fn check(&self, requested: usize) -> Result<(), StateFull> {
        let full = StateFull { limit: self.limit, current: self.bytes(), requested: requested as u64 };
        if requested > 0 && full.current + full.requested > full.limit { Err(full) } else { Ok(()) }
    }

    /// Ends a turn: no cell carries a slot, and those without a row are removed.
    fn end(&mut self, applied: bool) {
        let Self { shape, cells, spots, loose, .. } = self;
        if !applied {
            release(shape, cells, spots, 0, loose);
        }
        for slot in loose.iter() {
            cells.remove(spots[*slot as usize], spots);
        }
        if !loose.is_empty() || cells.arena.wasteful() {
            cells.settle(shape);
        }
        loose.clear();
        spots.clear();
    }
}

/// Takes the slots, from `first` on, from the cells at `spots`; those without a row go to `loose`, and keep their slots
/// so that they are followed where they move.
#[inline(never)]
fn release(shape: &Shape, cells: &mut Cells, spots: &[u32], first: u32, loose: &mut Vec<u32>) {
    let (words, rows) = (&mut cells.words[..], shape.rows);
    for (slot, at) in (first..).zip(spots) {
        let at = *at as usize;
        // Most have a row in one of the first tables, which one look can tell.
        if words[at] & rows != 0 || shape.in_use(&words[at..]) {
            words[at] &= !SLOT;
        } else {
            loose.push(slot);
        }
    }
}

/// Takes the rows out of a cell that are past their time; whether there were any.
fn expire(shape: &Shape, cells: &mut Cells, at: u32, now: Micros) -> bool {
    let (cell, arena) = cells.cell_mut(at);
    let mut any = false;
    for table in &shape.tables {
        if table.expired(cell, now) {
            columns::clear(table, cell, arena);
            any = true;
        }
    }
    any
}

/// A call's hold on the state. Dropped without [`Turn::apply`], it leaves no trace.
#[derive(Debug)]
pub struct Turn<'a> {
    state: &'a mut KeyedState,
    now: Micros,
    /// Whether the cells have given back their slots.
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
        let KeyedState { shape, cells, spots, .. } = &*self.state;
        shape.tables.iter().map(|table| columns::gather(table, cells, spots)).collect()
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
        let KeyedState { shape, cells, spots, loose, .. } = &mut *self.state;
        let changes = shape.tables.iter().zip(changes).map(|(table, of)| Changes::new(table, of, spots.len()));
        let changes: Vec<Changes<'_>> = changes.collect();
        for (first, block) in (0..).step_by(columns::BLOCK).zip(spots.chunks(columns::BLOCK)) {
            for of_table in &changes {
                of_table.scatter(cells, block, first as usize, self.now);
            }
            release(shape, cells, block, first, loose);
        }
        self.applied = true;
        Ok(())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.state.end(self.applied);
    }
}
