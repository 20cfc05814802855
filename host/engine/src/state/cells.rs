//! The cells of all keys of a lane: one open-addressing table with linear probing, and its arena.
//!
//! A table that is half full doubles, and the call that added the key waits for it: 0.1 to 0.2 s for a million keys,
//! most of it the operating system's, which has to find the memory. Amortised, a key is moved once or twice in its
//! life. Removal shifts back the cells behind, so there are no tombstones and probing never slows down.
//!
//! Hashes are not stored but computed again when a cell moves: two multiplications for a short key. A cell is known by
//! its first word (`at`), not its number, which spares a multiplication wherever it is used.
//!
//! Always true: `len` cells are not empty; every cell can be reached from its home over non-empty cells; a table has an
//! empty cell.

use super::arena::{self, Arena};
use super::cell::{Frame, KEY_AT, KEY_LEN, KEY_LEN_8, KEY_LONG, KEY_WORDS_MAX, SLOT, Shape};
use crate::key;

/// Cells of a table that has any.
const CELLS_MIN: usize = 8;

/// Words of a cache line.
const LINE: usize = 8;

/// The cells of a lane.
#[derive(Debug)]
pub(super) struct Cells {
    pub(super) words: Vec<u64>,
    pub(super) arena: Arena,
    frame: Frame,
    /// First word of the first cell: where a cache line begins.
    base: usize,
    /// Cells, a power of two, minus 1.
    mask: usize,
    len: usize,
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

impl Cells {
    /// No keys: one cell, which stays empty, so that a search needs no special case.
    pub(super) fn empty(frame: Frame) -> Self {
        Self { words: vec![0; frame.words], arena: Arena::default(), frame, base: 0, mask: 0, len: 0 }
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
    pub(super) fn cell(&self, at: u32) -> &[u64] {
        &self.words[at as usize..at as usize + self.frame.words]
    }

    /// The cell that begins there, and the arena.
    pub(super) fn cell_mut(&mut self, at: u32) -> (&mut [u64], &mut Arena) {
        (&mut self.words[at as usize..at as usize + self.frame.words], &mut self.arena)
    }

    /// For each row the cell of its key in `found`; in `absent` the rows whose key has none.
    ///
    /// What a CPU waits for is a cell that is not in its cache, and a branch that it guessed wrong. So each round takes
    /// one step for all rows whose search goes on: their misses overlap, and which rows those are is no branch.
    #[inline(always)]
    pub(super) fn look<'k>(
        &self,
        hashes: &[u64],
        key: impl Fn(usize) -> Wanted<'k>,
        [found, searching, absent]: [&mut Vec<u32>; 3],
    ) {
        let (frame, base, mask, words, arena) = (self.frame, self.base, self.mask, &self.words[..], &self.arena);
        found.resize(hashes.len(), 0);
        searching.resize(hashes.len(), 0);
        absent.clear();
        let (found, searching) = (&mut found[..hashes.len()], &mut searching[..hashes.len()]);
        let mut count = 0;
        for (row, found) in found.iter_mut().enumerate() {
            let at = base + (hashes[row] as usize & mask) * frame.words;
            *found = at as u32;
            searching[count] = row as u32;
            count += usize::from(!same(frame, words, arena, at, hashes[row], key(row)));
        }
        let mut step = 0;
        while count > 0 {
            step += 1;
            for i in 0..std::mem::take(&mut count) {
                let row = searching[i] as usize;
                if words[found[row] as usize] & KEY_LEN == 0 {
                    absent.push(row as u32);
                    continue;
                }
                let at = base + ((hashes[row] as usize).wrapping_add(step) & mask) * frame.words;
                found[row] = at as u32;
                searching[count] = row as u32;
                count += usize::from(!same(frame, words, arena, at, hashes[row], key(row)));
            }
        }
    }

    /// The cell of a key, or the empty cell where the search ended.
    #[inline(always)]
    pub(super) fn find(&self, hash: u64, key: Wanted<'_>) -> Result<u32, u32> {
        self.probe(hash, |at| same(self.frame, &self.words, &self.arena, at, hash, key))
    }

    #[inline(always)]
    fn probe(&self, hash: u64, same: impl Fn(usize) -> bool) -> Result<u32, u32> {
        let mut index = hash as usize & self.mask;
        loop {
            let at = self.base + index * self.frame.words;
            if self.words[at] & KEY_LEN == 0 {
                return Err(at as u32);
            }
            if same(at) {
                return Ok(at as u32);
            }
            index = (index + 1) & self.mask;
        }
    }

    /// Bytes that [`Self::insert`] of this key would add.
    pub(super) fn growth(&self, key: Wanted<'_>) -> usize {
        let cells = if self.full() { (self.grown() * self.frame.words + LINE - self.words.len()) * 8 } else { 0 };
        let long = if let Wanted::Long(key) = key { arena::room(key.len()) } else { 0 };
        cells + long
    }

    /// Puts a key that is not there into the empty cell where its search ended, with zeros in all else. Answers its
    /// cell, and whether all cells moved because the table had to grow.
    pub(super) fn insert(&mut self, hash: u64, key: Wanted<'_>, at: u32) -> (u32, bool) {
        let (mut at, grows) = (at, self.full());
        if grows {
            self.resize(self.grown());
            at = self.find(hash, key).expect_err("a key that was not found is not there after moving");
        }
        let key_words = self.frame.key_words;
        let start = at as usize + KEY_AT;
        match key {
            Wanted::Word(word) => {
                self.words[at as usize] = KEY_LEN_8;
                self.words[start] = word;
            }
            Wanted::Short(len, key) => {
                self.words[at as usize] = len;
                self.words[start..start + key_words].copy_from_slice(&key[..key_words]);
            }
            Wanted::Long(key) => {
                assert!(key_words > 1, "a fixed-width key has at most 8 bytes");
                self.words[at as usize] = KEY_LONG;
                self.words[start] = self.arena.insert(key);
                self.words[start + 1] = hash;
            }
        }
        self.len += 1;
        (at, grows)
    }

    /// Removes the cell that begins there and closes the gap; a cell that moves and carries a slot is followed in
    /// `spots`. The removed cell's fields in the arena have been given up already.
    pub(super) fn remove(&mut self, at: u32, spots: &mut [u32]) {
        let width = self.frame.words;
        if self.words[at as usize] & KEY_LEN == KEY_LONG {
            self.arena.remove(self.words[at as usize + KEY_AT]);
        }
        let mut gap = (at as usize - self.base) / width;
        let mut index = gap;
        loop {
            index = (index + 1) & self.mask;
            let from = self.base + index * width;
            if self.words[from] & KEY_LEN == 0 {
                break;
            }
            let home = hash_of(self.frame, &self.words[from..from + width]) as usize & self.mask;
            // The cell may go back to the gap unless that lies before its home.
            if index.wrapping_sub(home) & self.mask >= index.wrapping_sub(gap) & self.mask {
                let to = self.base + gap * width;
                self.words.copy_within(from..from + width, to);
                let slot = (self.words[to] & SLOT) as usize;
                if slot > 0 {
                    spots[slot - 1] = to as u32;
                }
                gap = index;
            }
        }
        let at = self.base + gap * width;
        self.words[at..at + width].fill(0);
        self.len -= 1;
    }

    /// Gives memory back after removals: a table that is not even 1/8 full shrinks, an arena that is half dead moves.
    /// Only between calls.
    pub(super) fn settle(&mut self, shape: &Shape) {
        if self.len == 0 {
            *self = Self::empty(self.frame);
        } else if self.len * 8 < self.mask + 1 && self.mask + 1 > CELLS_MIN {
            self.resize((self.len * 3).next_power_of_two().max(CELLS_MIN));
        }
        if self.arena.wasteful() {
            self.compact(shape);
        }
    }

    /// The places of all cells that are not empty, and of those only, in the order of the table.
    pub(super) fn keys(&self) -> impl Iterator<Item = u32> {
        (0..=self.mask).filter_map(|index| self.nth(index).filter(|(_, empty)| !empty).map(|(at, _)| at))
    }

    /// The place of the cell of that number, none past the last; and whether it is empty.
    pub(super) fn nth(&self, index: usize) -> Option<(u32, bool)> {
        let at = self.base + index * self.frame.words;
        (index <= self.mask).then(|| (at as u32, self.words[at] & KEY_LEN == 0))
    }

    /// The hash of the key of the cell that begins there.
    pub(super) fn hash(&self, at: u32) -> u64 {
        hash_of(self.frame, self.cell(at))
    }

    /// Appends the key of the cell that begins there.
    pub(super) fn push_key(&self, at: u32, into: &mut Vec<u8>) {
        let cell = self.cell(at);
        match cell[0] & KEY_LEN {
            KEY_LONG => into.extend_from_slice(self.arena.get(cell[KEY_AT])),
            len => into.extend_from_slice(&inline_key(self.frame, cell)[..(len >> 32) as usize - 1]),
        }
    }

    fn full(&self) -> bool {
        (self.len + 1) * 2 > self.mask + 1
    }

    fn grown(&self) -> usize {
        ((self.mask + 1) * 2).max(CELLS_MIN)
    }

    #[inline(never)]
    fn resize(&mut self, cells: usize) {
        assert!(cells.is_power_of_two() && cells > self.len, "a table has a free cell");
        let frame = self.frame;
        let old = std::mem::replace(&mut self.words, vec![0; cells * frame.words + LINE]);
        let old_base = std::mem::replace(&mut self.base, line_start(&self.words));
        let old_cells = std::mem::replace(&mut self.mask, cells - 1) + 1;
        for cell in old[old_base..].chunks_exact(frame.words).take(old_cells).filter(|cell| cell[0] & KEY_LEN != 0) {
            let to = self.probe(hash_of(frame, cell), |_| false).expect_err("no cell is the same") as usize;
            self.words[to..to + frame.words].copy_from_slice(cell);
        }
    }

    fn compact(&mut self, shape: &Shape) {
        let frame = self.frame;
        let mut arena = Arena::with_capacity(self.arena.alive());
        for cell in self.words[self.base..].chunks_exact_mut(frame.words).take(self.mask + 1) {
            if cell[0] & KEY_LEN == 0 {
                continue;
            }
            let long_key = (cell[0] & KEY_LEN == KEY_LONG).then_some(KEY_AT);
            for word in shape.arena.iter().copied().chain(long_key) {
                cell[word] = arena.insert(self.arena.get(cell[word]));
            }
        }
        self.arena = arena;
    }
}

/// Whether the cell at `at` is that key's.
#[inline(always)]
fn same(frame: Frame, words: &[u64], arena: &Arena, at: usize, hash: u64, key: Wanted<'_>) -> bool {
    let (len, at) = (words[at] & KEY_LEN, at + KEY_AT);
    match key {
        // Both are compared whatever the first says: a branch that is taken every other time costs more.
        Wanted::Word(word) => (len == KEY_LEN_8) & (words[at] == word),
        Wanted::Short(short, key) => len == short && words[at..at + frame.key_words] == key[..frame.key_words],
        Wanted::Long(key) => len == KEY_LONG && words[at + 1] == hash && arena.get(words[at]) == key,
    }
}

fn inline_key(frame: Frame, cell: &[u64]) -> [u8; KEY_WORDS_MAX * 8] {
    let mut key = [0; KEY_WORDS_MAX * 8];
    for (into, word) in key.chunks_exact_mut(8).zip(&cell[KEY_AT..KEY_AT + frame.key_words]) {
        into.copy_from_slice(&word.to_le_bytes());
    }
    key
}

fn hash_of(frame: Frame, cell: &[u64]) -> u64 {
    match cell[0] & KEY_LEN {
        KEY_LONG => cell[KEY_AT + 1],
        KEY_LEN_8 => key::hash_word(cell[KEY_AT]),
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
