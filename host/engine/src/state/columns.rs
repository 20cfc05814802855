//! Fields of cells to Arrow columns and back: gather before a call, scatter after it.
//!
//! Fields of a word, the most common, go by blocks of cells: a block's cells are in the cache from its first field on,
//! and what kind of field it is is asked once a block and not once a row. A row counts as changed where a value in it
//! differs from what was there (floats by their bits).

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, StringArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};

use super::arena::Arena;
use super::cell::{DIRTY, FieldShape, Flag, Place, TableShape};
use super::cells::Cells;
use crate::batch::fixed;
use crate::clock::Micros;
use crate::operator::{TableChanges, TableRows};
use crate::schema::Kind;

/// Cells of a block: few enough for a CPU's first cache. Fewer in tests, so that short histories have several.
pub(super) const BLOCK: usize = if cfg!(test) { 16 } else { 256 };

/// The rows of a table for the keys of a call, whose cells are at `spots`.
pub(super) fn gather(table: &TableShape, cells: &Cells, spots: &[u32]) -> TableRows {
    let words = &cells.words[..];
    let flag = |flag: Flag, i: usize| flag.get(&words[spots[i] as usize..]);
    let flags = |of: Flag| BooleanBuffer::collect_bool(spots.len(), |i| flag(of, i));
    let mut fixed_width = words_of(table).map(|at| (at, Vec::with_capacity(spots.len()))).collect::<Vec<_>>();
    let mut old = true;
    for block in spots.chunks(BLOCK) {
        old &= block.iter().fold(true, |old, spot| old & table.has.get(&words[*spot as usize..]));
        for (at, column) in &mut fixed_width {
            gather_words(words, block, *at, column);
        }
    }
    let fresh = if old { Vec::new() } else { (0..spots.len()).map(|i| u8::from(!flag(table.has, i))).collect() };
    let mut fixed_width = fixed_width.into_iter();
    let column = |field: &FieldShape| -> ArrayRef {
        let nulls = field.present.map(|present| NullBuffer::new(flags(present))).filter(|nulls| nulls.null_count() > 0);
        match field.place {
            Place::Flag(flag) => Arc::new(BooleanArray::new(flags(flag), nulls)),
            Place::Word(_) => {
                let (_, words) = fixed_width.next().expect("one for each field of a word");
                fixed(field.kind, Buffer::from_vec(words), spots.len(), nulls)
            }
            Place::Arena(at) => {
                let values = || spots.iter().map(|spot| cells.arena.get(words[*spot as usize + at]));
                let ends = OffsetBuffer::from_lengths(values().map(<[u8]>::len));
                let mut data = Vec::with_capacity(ends[spots.len()] as usize);
                values().for_each(|value| data.extend_from_slice(value));
                match field.kind {
                    Kind::Bytes => Arc::new(BinaryArray::new(ends, data.into(), nulls)),
                    _ => Arc::new(StringArray::new(ends, data.into(), nulls)),
                }
            }
        }
    };
    TableRows { fresh, columns: table.fields.iter().map(column).collect() }
}

fn words_of(table: &TableShape) -> impl Iterator<Item = usize> {
    table.fields.iter().filter_map(|field| if let Place::Word(at) = field.place { Some(at) } else { None })
}

/// Bytes that the longer values of these columns may add to arenas, at most.
pub(super) fn arena_bytes(table: &TableShape, changes: &TableChanges) -> usize {
    let fields = table.fields.iter().zip(&changes.columns).filter(|(field, _)| matches!(field.place, Place::Arena(_)));
    fields
        .map(|(_, column)| {
            let values = values(column);
            (0..column.len()).map(|i| super::arena::room(values.get(i).len())).sum::<usize>()
        })
        .sum()
}

/// What a call made of a table, taken apart once for all blocks.
pub(super) struct Changes<'a> {
    table: &'a TableShape,
    forget: &'a [u8],
    columns: Vec<Change<'a>>,
}

struct Change<'a> {
    present: Option<Flag>,
    nulls: Option<&'a NullBuffer>,
    values: New<'a>,
}

/// Where values go and what they are.
enum New<'a> {
    Flags(Flag, &'a BooleanBuffer),
    Words(usize, &'a [u64]),
    Arena(usize, Values<'a>),
}

impl<'a> Changes<'a> {
    /// Of so many slots.
    pub(super) fn new(table: &'a TableShape, changes: &'a TableChanges, slots: usize) -> Self {
        let TableChanges { forget, columns } = changes;
        assert!(columns.is_empty() || columns.len() == table.fields.len(), "one column a field, or none");
        assert!(forget.is_empty() || forget.len() == slots, "one forget byte a slot");
        let columns = table.fields.iter().zip(columns).map(|(field, column)| {
            assert_eq!(column.len(), slots, "one value a slot");
            let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
            assert!(nulls.is_none() || field.present.is_some(), "a field that is not nullable has no null");
            let values = match field.place {
                Place::Flag(flag) => New::Flags(flag, column.as_boolean().values()),
                Place::Word(at) => New::Words(at, words(field.kind, column)),
                Place::Arena(at) => New::Arena(at, values(column)),
            };
            Change { present: field.present, nulls, values }
        });
        Self { table, forget, columns: columns.collect() }
    }

    /// Writes it to the cells of one block, whose first slot is `first`.
    pub(super) fn scatter(&self, cells: &mut Cells, block: &[u32], first: usize, now: Micros) {
        let (words, arena) = (&mut cells.words[..], &mut cells.arena);
        if !self.columns.is_empty() {
            let mut differs = [0; BLOCK];
            for column in &self.columns {
                column.scatter(words, arena, block, first, &mut differs);
            }
            if let Some((life, _)) = self.table.life {
                for (at, differs) in block.iter().zip(&differs) {
                    if *differs != 0 || !self.table.has.get(&words[*at as usize..]) {
                        words[*at as usize + life] = now as u64;
                    }
                }
            }
            mark(words, block, self.table.has, &differs);
        }
        for (at, forget) in block.iter().zip(self.forget.iter().skip(first)) {
            if *forget != 0 {
                clear(self.table, &mut words[*at as usize..], arena);
                words[*at as usize] |= DIRTY;
            }
        }
    }
}

impl Change<'_> {
    /// Writes the values; not 0 in `differs` is then where one is another than before.
    fn scatter(&self, words: &mut [u64], arena: &mut Arena, block: &[u32], first: usize, differs: &mut [u64; BLOCK]) {
        let null = |slot: usize| self.nulls.is_some_and(|nulls| nulls.is_null(slot));
        let rows = || (first..).zip(block.iter().map(|at| *at as usize));
        if let Some(present) = self.present {
            for ((slot, at), differs) in rows().zip(&mut *differs) {
                *differs |= u64::from(present.get(&words[at..]) == null(slot));
                present.set(&mut words[at..], !null(slot));
            }
        }
        match self.values {
            New::Words(word, new) if self.nulls.is_none() => {
                scatter_words(words, block, word, &new[first..], differs);
            }
            New::Words(word, new) => {
                for ((slot, at), differs) in rows().zip(differs) {
                    let new = if null(slot) { 0 } else { new[slot] };
                    *differs |= words[at + word] ^ new;
                    words[at + word] = new;
                }
            }
            New::Flags(flag, bits) => {
                for ((slot, at), differs) in rows().zip(differs) {
                    let new = bits.value(slot) && !null(slot);
                    *differs |= u64::from(flag.get(&words[at..]) != new);
                    flag.set(&mut words[at..], new);
                }
            }
            New::Arena(word, ref values) => {
                for ((slot, at), differs) in rows().zip(differs) {
                    let new = if null(slot) { &[] } else { values.get(slot) };
                    if arena.get(words[at + word]) != new {
                        *differs = 1;
                        words[at + word] = arena.replace(words[at + word], new);
                    }
                }
            }
        }
    }
}

// The loops that every row passes are functions of their own, so that what they need stays in registers.

#[inline(never)]
fn gather_words(words: &[u64], block: &[u32], word: usize, into: &mut Vec<u64>) {
    into.extend(block.iter().map(|at| words[*at as usize + word]));
}

#[inline(never)]
fn scatter_words(words: &mut [u64], block: &[u32], word: usize, new: &[u64], differs: &mut [u64; BLOCK]) {
    for ((at, differs), new) in block.iter().zip(differs).zip(new) {
        let word = &mut words[*at as usize + word];
        *differs |= *word ^ new;
        *word = *new;
    }
}

/// Notes that the cells have a row, and which of them changed.
#[inline(never)]
fn mark(words: &mut [u64], block: &[u32], has: Flag, differs: &[u64; BLOCK]) {
    let rows = block.iter().map(|at| *at as usize).zip(differs);
    if let Some(bit) = has.first() {
        for (at, differs) in rows {
            let changed = (*differs != 0) | (words[at] & bit == 0);
            words[at] |= bit | (DIRTY * u64::from(changed));
        }
    } else {
        for (at, differs) in rows {
            let changed = (*differs != 0) | !has.get(&words[at..]);
            has.set(&mut words[at..], true);
            words[at] |= DIRTY * u64::from(changed);
        }
    }
}

/// Takes a table's row out of a cell.
pub(super) fn clear(table: &TableShape, cell: &mut [u64], arena: &mut Arena) {
    table.has.set(cell, false);
    if let Some((at, _)) = table.life {
        cell[at] = 0;
    }
    for field in &table.fields {
        if let Some(present) = field.present {
            present.set(cell, false);
        }
        match field.place {
            Place::Flag(flag) => flag.set(cell, false),
            Place::Word(at) => cell[at] = 0,
            Place::Arena(at) => arena.remove(std::mem::take(&mut cell[at])),
        }
    }
}

/// The values of a column of 8 bytes each, as they lie in a cell.
fn words(kind: Kind, column: &ArrayRef) -> &[u64] {
    match kind {
        Kind::Float64 => column.as_primitive::<Float64Type>().values().inner(),
        Kind::Timestamp => column.as_primitive::<TimestampMicrosecondType>().values().inner(),
        _ => column.as_primitive::<Int64Type>().values().inner(),
    }
    .typed_data()
}

/// The values of a column of text or bytes.
struct Values<'a>(&'a [i32], &'a [u8]);

impl<'a> Values<'a> {
    fn get(&self, row: usize) -> &'a [u8] {
        &self.1[self.0[row] as usize..self.0[row + 1] as usize]
    }
}

fn values(column: &ArrayRef) -> Values<'_> {
    match column.as_string_opt::<i32>() {
        Some(text) => Values(text.value_offsets(), text.value_data()),
        None => Values(column.as_binary::<i32>().value_offsets(), column.as_binary::<i32>().value_data()),
    }
}
