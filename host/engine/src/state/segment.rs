//! The cells of one key group: an open-addressing table with linear probing, and its arena.
//!
//! One table for each of the 128 key groups, not one for all: each grows and compacts on its own, so that a stall is
//! 1/128 of the whole (1 M keys of 32 bytes: 8,000 cells, a fraction of a millisecond), a snapshot goes group by group,
//! and rescaling moves tables. A growing table doubles at half full: amortised, a key is moved once or twice in its
//! life. Removal shifts back the cells behind, so there are no tombstones and probing never slows down. Hashes are not
//! stored but computed again when a cell moves: two multiplications for a short key.
//!
//! Always true: `len` cells are not empty; every cell can be reached from its home over non-empty cells; while a call
//! runs, `places[slot]` is the cell that carries that slot, wherever it moves.

use super::arena::{self, Arena};
use super::cell::{Frame, KEY_LEN, KEY_LEN_8, KEY_LONG, KEY_WORDS_MAX, SLOT, Shape};
use crate::key;

/// Where the cell of a slot lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    /// Its segment.
    pub(super) group: u32,
    /// Its first word there.
    pub(super) at: u32,
}

/// Cells of a table that has any.
const CELLS_MIN: usize = 8;

/// Words of a cache line.
const LINE: usize = 8;

/// The cells of a key group.
#[derive(Debug)]
pub(super) struct Segment {
    words: Vec<u64>,
    /// First word of the first cell: where a cache line begins.
    base: usize,
    /// Cells, a power of two, minus 1.
    mask: usize,
    len: usize,
    pub(super) arena: Arena,
}

/// A key that is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted<'a> {
    /// 8 bytes.
    Word(u64),
    /// What fits into a cell: its length as a cell has it, and its bytes padded with zeros.
    Short(u64, [u64; KEY_WORDS_MAX]),
    /// More.
    Long(&'a [u8]),
}

impl<'a> Wanted<'a> {
    /// A key of any length.
    #[inline(always)]
    pub(super) fn new(key_words: usize, key: &'a [u8]) -> Self {
        if key.len() > key_words * 8 { Self::Long(key) } else { Self::Short(key_len(key.len()), padded(key)) }
    }
}

impl Segment {
    /// A segment without keys: one cell, which stays empty, so that a search needs no special case.
    pub(super) fn empty(frame: Frame) -> Self {
        Self { words: vec![0; frame.words], base: 0, mask: 0, len: 0, arena: Arena::default() }
    }

    /// Number of keys.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> usize {
        self.words.len() * 8 + self.arena.len()
    }

    /// The cell that begins there.
    pub(super) fn cell(&self, frame: Frame, at: u32) -> &[u64] {
        &self.words[at as usize..at as usize + frame.words]
    }

    /// The cell that begins there, and the arena.
    pub(super) fn cell_mut(&mut self, frame: Frame, at: u32) -> (&mut [u64], &mut Arena) {
        (&mut self.words[at as usize..at as usize + frame.words], &mut self.arena)
    }

    /// The first word of the cell that begins there.
    #[inline(always)]
    pub(super) fn meta_mut(&mut self, at: u32) -> &mut u64 {
        &mut self.words[at as usize]
    }

    /// Appends a copy of the cell that begins there, without its slot.
    #[inline(always)]
    pub(super) fn copy(&self, frame: Frame, at: u32, into: &mut Vec<u64>) {
        let start = into.len();
        // By four words: a length that is known spares a call of memcpy for each of the most common, smallest cells.
        let (fours, rest) = self.cell(frame, at).as_chunks::<4>();
        fours.iter().for_each(|four| into.extend_from_slice(four));
        rest.iter().for_each(|word| into.push(*word));
        into[start] &= !SLOT;
    }

    /// Puts a copy back.
    #[inline(always)]
    pub(super) fn write(&mut self, at: u32, cell: &[u64]) {
        let (from, from_rest) = cell.as_chunks::<4>();
        let (to, to_rest) = self.words[at as usize..at as usize + cell.len()].as_chunks_mut::<4>();
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        to_rest.iter_mut().zip(from_rest).for_each(|(to, from)| *to = *from);
    }

    /// The cell where the search for a key begins, and whether it is already the key's.
    #[inline(always)]
    pub(super) fn home(&self, frame: Frame, hash: u64, key: Wanted<'_>) -> (u32, bool) {
        let at = self.base + (hash as usize & self.mask) * frame.words;
        (at as u32, self.same(frame, at, self.words[at], hash, key))
    }

    /// The cell of a key, or the empty cell where the search ended.
    #[inline(always)]
    pub(super) fn find(&self, frame: Frame, hash: u64, key: Wanted<'_>) -> Result<u32, u32> {
        self.probe(frame, hash, |at, meta| self.same(frame, at, meta, hash, key))
    }

    #[inline(always)]
    fn same(&self, frame: Frame, at: usize, meta: u64, hash: u64, key: Wanted<'_>) -> bool {
        let at = at + frame.key_at;
        match key {
            // Both are compared whatever the first says: a branch that is taken every other time costs more.
            Wanted::Word(word) => (meta & KEY_LEN == KEY_LEN_8) & (self.words[at] == word),
            Wanted::Short(len, key) => {
                meta & KEY_LEN == len && self.words[at..at + frame.key_words] == key[..frame.key_words]
            }
            Wanted::Long(key) => {
                meta & KEY_LEN == KEY_LONG && self.words[at + 1] == hash && self.arena.get(self.words[at]) == key
            }
        }
    }

    #[inline(always)]
    fn probe(&self, frame: Frame, hash: u64, same: impl Fn(usize, u64) -> bool) -> Result<u32, u32> {
        let mut index = hash as usize & self.mask;
        loop {
            let at = self.base + index * frame.words;
            let meta = self.words[at];
            if meta & KEY_LEN == 0 {
                return Err(at as u32);
            }
            if same(at, meta) {
                return Ok(at as u32);
            }
            index = (index + 1) & self.mask;
        }
    }

    /// Bytes that [`Self::insert`] of this key would add.
    pub(super) fn growth(&self, frame: Frame, key: Wanted<'_>) -> usize {
        let cells = if self.full() { self.grown() * frame.words * 8 - self.words.len() * 8 + LINE * 8 } else { 0 };
        let long = if let Wanted::Long(key) = key { arena::room(key.len()) } else { 0 };
        cells + long
    }

    /// Puts a key that is not there into the empty cell where its search ended, with zeros in all else, and answers the
    /// cell, which is another one if the table had to grow.
    pub(super) fn insert(&mut self, frame: Frame, hash: u64, key: Wanted<'_>, at: u32, spots: &mut [Spot]) -> u32 {
        let mut at = at;
        if self.full() {
            self.resize(frame, self.grown(), spots);
            at = self.find(frame, hash, key).expect_err("a key that was not found is not there after moving");
        }
        let start = at as usize + frame.key_at;
        match key {
            Wanted::Word(word) => {
                self.words[at as usize] = KEY_LEN_8;
                self.words[start] = word;
            }
            Wanted::Short(len, key) => {
                self.words[at as usize] = len;
                self.words[start..start + frame.key_words].copy_from_slice(&key[..frame.key_words]);
            }
            Wanted::Long(key) => {
                assert!(frame.key_words > 1, "a fixed-width key has at most 8 bytes");
                self.words[at as usize] = KEY_LONG;
                self.words[start] = self.arena.insert(key);
                self.words[start + 1] = hash;
            }
        }
        self.len += 1;
        at
    }

    /// Removes the cell that begins there and closes the gap. Its fields in the arena have been given up already.
    pub(super) fn remove(&mut self, frame: Frame, at: u32, spots: &mut [Spot]) {
        let key_place = self.words[at as usize + frame.key_at];
        if self.words[at as usize] & KEY_LEN == KEY_LONG {
            self.arena.remove(key_place);
        }
        let mut gap = (at as usize - self.base) / frame.words;
        let mut index = gap;
        loop {
            index = (index + 1) & self.mask;
            let from = self.base + index * frame.words;
            if self.words[from] & KEY_LEN == 0 {
                break;
            }
            let home = hash_of(frame, &self.words[from..from + frame.words]) as usize & self.mask;
            // The cell may go back to the gap unless that lies before its home.
            if index.wrapping_sub(home) & self.mask >= index.wrapping_sub(gap) & self.mask {
                let to = self.base + gap * frame.words;
                self.words.copy_within(from..from + frame.words, to);
                follow(spots, self.words[to], to);
                gap = index;
            }
        }
        let at = self.base + gap * frame.words;
        self.words[at..at + frame.words].fill(0);
        self.len -= 1;
    }

    /// Gives memory back after removals: a table that is 1/8 full halves, an arena that is half dead moves. Only
    /// between calls.
    pub(super) fn settle(&mut self, shape: &Shape) {
        let frame = shape.frame;
        if self.len == 0 {
            *self = Self::empty(frame);
        } else if self.len * 8 < self.mask + 1 && self.mask + 1 > CELLS_MIN {
            self.resize(frame, self.mask.div_ceil(2), &mut []);
        }
        if self.arena.wasteful() {
            self.compact(shape);
        }
    }

    /// The places of all cells that are not empty, and of those only, in the order of the table.
    pub(super) fn cells(&self, frame: Frame) -> impl Iterator<Item = u32> {
        (0..=self.mask)
            .map(move |index| self.base + index * frame.words)
            .filter(|at| self.words[*at] & KEY_LEN != 0)
            .map(|at| at as u32)
    }

    /// The place of the cell of that number, none past the last; and whether it is empty.
    pub(super) fn nth(&self, frame: Frame, index: usize) -> Option<(u32, bool)> {
        let at = self.base + index * frame.words;
        (index <= self.mask).then(|| (at as u32, self.words[at] & KEY_LEN == 0))
    }

    /// Appends the key of the cell that begins there.
    pub(super) fn push_key(&self, frame: Frame, at: u32, into: &mut Vec<u8>) {
        let at = at as usize;
        match self.words[at] & KEY_LEN {
            KEY_LONG => into.extend_from_slice(self.arena.get(self.words[at + frame.key_at])),
            len => {
                let key = inline_key(frame, &self.words[at..at + frame.words]);
                into.extend_from_slice(&key[..(len >> 32) as usize - 1]);
            }
        }
    }

    fn full(&self) -> bool {
        (self.len + 1) * 2 > self.mask + 1
    }

    fn grown(&self) -> usize {
        ((self.mask + 1) * 2).max(CELLS_MIN)
    }

    fn resize(&mut self, frame: Frame, cells: usize, spots: &mut [Spot]) {
        assert!(cells.is_power_of_two() && cells > self.len, "a table has a free cell");
        let old = std::mem::replace(&mut self.words, vec![0; cells * frame.words + LINE]);
        let old_base = std::mem::replace(&mut self.base, line_start(&self.words));
        let old_cells = std::mem::replace(&mut self.mask, cells - 1) + 1;
        for cell in old[old_base..].chunks_exact(frame.words).take(old_cells).filter(|cell| cell[0] & KEY_LEN != 0) {
            let hash = hash_of(frame, cell);
            let to = self.probe(frame, hash, |_, _| false).expect_err("no cell is the same") as usize;
            self.words[to..to + frame.words].copy_from_slice(cell);
            follow(spots, cell[0], to);
        }
    }

    fn compact(&mut self, shape: &Shape) {
        let frame = shape.frame;
        let mut arena = Arena::with_capacity(self.arena.alive());
        for index in 0..=self.mask {
            let at = self.base + index * frame.words;
            let cell = &mut self.words[at..at + frame.words];
            if cell[0] & KEY_LEN == 0 {
                continue;
            }
            let long_key = (cell[0] & KEY_LEN == KEY_LONG).then_some(frame.key_at);
            for word in shape.arena.iter().copied().chain(long_key) {
                cell[word] = arena.insert(self.arena.get(cell[word]));
            }
        }
        self.arena = arena;
    }
}

/// A cell moved to `to`: the slot that it carries, if any, follows.
fn follow(spots: &mut [Spot], meta: u64, to: usize) {
    let slot = (meta & SLOT) as usize;
    if slot > 0 {
        spots[slot - 1].at = to as u32;
    }
}

fn inline_key(frame: Frame, cell: &[u64]) -> [u8; KEY_WORDS_MAX * 8] {
    let mut key = [0; KEY_WORDS_MAX * 8];
    for (into, word) in key.chunks_exact_mut(8).zip(&cell[frame.key_at..frame.key_at + frame.key_words]) {
        into.copy_from_slice(&word.to_le_bytes());
    }
    key
}

fn hash_of(frame: Frame, cell: &[u64]) -> u64 {
    match cell[0] & KEY_LEN {
        KEY_LONG => cell[frame.key_at + 1],
        KEY_LEN_8 => key::hash_word(cell[frame.key_at]),
        len => key::hash(&inline_key(frame, cell)[..(len >> 32) as usize - 1]),
    }
}

fn line_start(words: &[u64]) -> usize {
    // An address decides nothing but speed: cells of 32 or 64 bytes never straddle two cache lines.
    (words.as_ptr() as usize / 8).wrapping_neg() % LINE
}

fn key_len(len: usize) -> u64 {
    (len as u64 + 1) << 32
}

/// A short key in words, padded with zeros.
fn padded(key: &[u8]) -> [u64; KEY_WORDS_MAX] {
    let mut bytes = [0; KEY_WORDS_MAX * 8];
    bytes[..key.len()].copy_from_slice(key);
    let mut words = [0; KEY_WORDS_MAX];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().expect("a chunk of 8 bytes is 8 bytes"));
    }
    words
}
