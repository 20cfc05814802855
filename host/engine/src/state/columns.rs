//! Fields of cells to Arrow columns and back: gather before a call, scatter after it.
//!
//! Column by column over the cells of a call, which the search has just brought into the cache. A row counts as changed
//! where a value in it differs from what was there (floats by their bits).

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, StringArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};

use super::arena::Arena;
use super::cell::{DIRTY, FieldShape, Flag, Place, Shape, TableShape};
use super::segment::{Segment, Spot};
use crate::batch::fixed;
use crate::clock::Micros;
use crate::operator::{TableChanges, TableRows};
use crate::schema::Kind;

/// The rows of a table for the keys of a call.
pub(super) fn gather(table: &TableShape, shape: &Shape, segments: &[Segment], spots: &[Spot]) -> TableRows {
    let cell = |spot: &Spot| segments[spot.group as usize].cell(shape, spot.at);
    let mut fresh: Vec<u8> = spots.iter().map(|spot| u8::from(!table.has.get(cell(spot)))).collect();
    if !fresh.contains(&1) {
        fresh.clear();
    }
    let columns = table.fields.iter().map(|field| column(field, shape, segments, spots)).collect();
    TableRows { fresh, columns }
}

fn column(field: &FieldShape, shape: &Shape, segments: &[Segment], spots: &[Spot]) -> ArrayRef {
    let rows = spots.len();
    let flags = |flag: Flag| {
        BooleanBuffer::collect_bool(rows, |i| {
            flag.get(segments[spots[i].group as usize].cell(shape, spots[i].at))
        })
    };
    let nulls = field.present.map(|present| NullBuffer::new(flags(present))).filter(|nulls| nulls.null_count() > 0);
    match field.place {
        Place::Flag(flag) => Arc::new(BooleanArray::new(flags(flag), nulls)),
        Place::Word(word) => {
            let words = spots.iter().map(|spot| segments[spot.group as usize].word(spot.at, word));
            fixed(field.kind, Buffer::from_vec(words.collect::<Vec<u64>>()), rows, nulls)
        }
        Place::Arena(word) => {
            let value = |spot: &Spot| {
                let segment = &segments[spot.group as usize];
                segment.arena.get(segment.word(spot.at, word))
            };
            let ends = OffsetBuffer::from_lengths(spots.iter().map(|spot| value(spot).len()));
            let mut data = Vec::with_capacity(ends[rows] as usize);
            spots.iter().for_each(|spot| data.extend_from_slice(value(spot)));
            match field.kind {
                Kind::Bytes => Arc::new(BinaryArray::new(ends, data.into(), nulls)),
                _ => Arc::new(StringArray::new(ends, data.into(), nulls)),
            }
        }
    }
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

/// Writes what a call made of a table back to the cells of its keys.
pub(super) fn scatter(
    table: &TableShape,
    shape: &Shape,
    segments: &mut [Segment],
    spots: &[Spot],
    changes: &TableChanges,
    now: Micros,
) {
    let TableChanges { forget, columns } = changes;
    assert!(forget.is_empty() || forget.len() == spots.len(), "one forget byte a slot");
    let forgotten = |slot: usize| forget.get(slot).is_some_and(|byte| *byte != 0);
    for spot in spots.iter().enumerate().filter_map(|(slot, spot)| forgotten(slot).then_some(spot)) {
        let (cell, arena) = segments[spot.group as usize].cell_mut(shape, spot.at);
        clear(table, cell, arena);
        cell[0] |= DIRTY;
    }
    if columns.is_empty() {
        return;
    }
    assert_eq!(columns.len(), table.fields.len(), "one column a field, or none");
    let mut differs = vec![false; spots.len()];
    for (field, column) in table.fields.iter().zip(columns) {
        assert_eq!(column.len(), spots.len(), "one value a slot");
        scatter_column(field, column, shape, segments, spots, &mut differs, &forgotten);
    }
    for (slot, spot) in spots.iter().enumerate().filter(|(slot, _)| !forgotten(*slot)) {
        let (cell, _) = segments[spot.group as usize].cell_mut(shape, spot.at);
        if differs[slot] || !table.has.get(cell) {
            table.has.set(cell, true);
            cell[0] |= DIRTY;
            if let Some((at, _)) = table.life {
                cell[at] = now as u64;
            }
        }
    }
}

fn scatter_column(
    field: &FieldShape,
    column: &ArrayRef,
    shape: &Shape,
    segments: &mut [Segment],
    spots: &[Spot],
    differs: &mut [bool],
    forgotten: &impl Fn(usize) -> bool,
) {
    let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
    assert!(nulls.is_none() || field.present.is_some(), "a field that is not nullable has no null");
    let null = |slot: usize| nulls.is_some_and(|nulls| nulls.is_null(slot));
    let slots = || spots.iter().enumerate().filter(|(slot, _)| !forgotten(*slot));
    if let Some(present) = field.present {
        for (slot, spot) in slots() {
            let (cell, _) = segments[spot.group as usize].cell_mut(shape, spot.at);
            differs[slot] |= present.get(cell) == null(slot);
            present.set(cell, !null(slot));
        }
    }
    match field.place {
        Place::Flag(flag) => {
            let bits = column.as_boolean().values();
            for (slot, spot) in slots() {
                let (cell, _) = segments[spot.group as usize].cell_mut(shape, spot.at);
                let new = bits.value(slot) && !null(slot);
                differs[slot] |= flag.get(cell) != new;
                flag.set(cell, new);
            }
        }
        Place::Word(at) => {
            let words = words(field.kind, column);
            for (slot, spot) in slots() {
                let word = segments[spot.group as usize].word_mut(spot.at, at);
                let new = if null(slot) { 0 } else { words[slot] };
                differs[slot] |= *word != new;
                *word = new;
            }
        }
        Place::Arena(at) => {
            let values = values(column);
            for (slot, spot) in slots() {
                let (cell, arena) = segments[spot.group as usize].cell_mut(shape, spot.at);
                let new = if null(slot) { &[] } else { values.get(slot) };
                if arena.get(cell[at]) != new {
                    differs[slot] = true;
                    cell[at] = arena.replace(cell[at], new);
                }
            }
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
