//! Fields of cells to Arrow columns and back: gather before a call, scatter after it.
//!
//! Both go column by column over copies of the call's cells that lie back to back: the table itself, where each cell is
//! somewhere else, is walked once before the call and once after it. A row counts as changed where a value in it
//! differs from what was there (floats by their bits).

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

/// Copies of the cells of a call, back to back, and where their arenas are.
pub(super) struct Cells<'a> {
    pub(super) shape: &'a Shape,
    pub(super) words: &'a mut [u64],
    pub(super) spots: &'a [Spot],
    pub(super) segments: &'a mut [Segment],
}

/// The rows of a table for the keys of a call, whose cells are `words`.
pub(super) fn gather(
    table: &TableShape,
    shape: &Shape,
    words: &[u64],
    spots: &[Spot],
    segments: &[Segment],
) -> TableRows {
    let cells = || words.chunks_exact(shape.frame.words);
    let mut fresh = Vec::new();
    if !cells().all(|cell| table.has.get(cell)) {
        fresh.extend(cells().map(|cell| u8::from(!table.has.get(cell))));
    }
    let column = |field: &FieldShape| -> ArrayRef {
        let flags =
            |flag: Flag| BooleanBuffer::collect_bool(spots.len(), |i| flag.get(&words[i * shape.frame.words..]));
        let nulls = field.present.map(|present| NullBuffer::new(flags(present))).filter(|nulls| nulls.null_count() > 0);
        match field.place {
            Place::Flag(flag) => Arc::new(BooleanArray::new(flags(flag), nulls)),
            Place::Word(at) => {
                let words: Vec<u64> = cells().map(|cell| cell[at]).collect();
                fixed(field.kind, Buffer::from_vec(words), spots.len(), nulls)
            }
            Place::Arena(at) => {
                let values =
                    || cells().zip(spots).map(|(cell, spot)| segments[spot.group as usize].arena.get(cell[at]));
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

/// Writes what a call made of a table to the copies of its cells.
pub(super) fn scatter(table: &TableShape, cells: &mut Cells<'_>, changes: &TableChanges, now: Micros) {
    let TableChanges { forget, columns } = changes;
    let (rows, width) = (cells.spots.len(), cells.shape.frame.words);
    if !columns.is_empty() {
        assert_eq!(columns.len(), table.fields.len(), "one column a field, or none");
        let mut differs = vec![false; rows];
        for (field, column) in table.fields.iter().zip(columns) {
            scatter_column(field, column, cells, &mut differs);
        }
        for (cell, differs) in cells.words.chunks_exact_mut(width).zip(differs) {
            if differs || !table.has.get(cell) {
                table.has.set(cell, true);
                cell[0] |= DIRTY;
                if let Some((at, _)) = table.life {
                    cell[at] = now as u64;
                }
            }
        }
    }
    assert!(forget.is_empty() || forget.len() == rows, "one forget byte a slot");
    for ((cell, spot), _) in
        cells.words.chunks_exact_mut(width).zip(cells.spots).zip(forget).filter(|(_, forget)| **forget != 0)
    {
        clear(table, cell, &mut cells.segments[spot.group as usize].arena);
        cell[0] |= DIRTY;
    }
}

fn scatter_column(field: &FieldShape, column: &ArrayRef, cells: &mut Cells<'_>, differs: &mut [bool]) {
    assert_eq!(column.len(), cells.spots.len(), "one value a slot");
    let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
    assert!(nulls.is_none() || field.present.is_some(), "a field that is not nullable has no null");
    let null = |slot: usize| nulls.is_some_and(|nulls| nulls.is_null(slot));
    if let Some(present) = field.present {
        for ((slot, differs), cell) in
            differs.iter_mut().enumerate().zip(cells.words.chunks_exact_mut(cells.shape.frame.words))
        {
            *differs |= present.get(cell) == null(slot);
            present.set(cell, !null(slot));
        }
    }
    let rows = differs.iter_mut().enumerate().zip(cells.words.chunks_exact_mut(cells.shape.frame.words));
    match field.place {
        Place::Flag(flag) => {
            let bits = column.as_boolean().values();
            for ((slot, differs), cell) in rows {
                let new = bits.value(slot) && !null(slot);
                *differs |= flag.get(cell) != new;
                flag.set(cell, new);
            }
        }
        Place::Word(at) => {
            for (((slot, differs), cell), new) in rows.zip(words(field.kind, column)) {
                let new = if null(slot) { 0 } else { *new };
                *differs |= cell[at] != new;
                cell[at] = new;
            }
        }
        Place::Arena(at) => {
            let values = values(column);
            for (((slot, differs), cell), spot) in rows.zip(cells.spots) {
                let arena = &mut cells.segments[spot.group as usize].arena;
                let new = if null(slot) { &[] } else { values.get(slot) };
                if arena.get(cell[at]) != new {
                    *differs = true;
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
