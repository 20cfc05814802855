//! What is kept for a key, one value at a time: for inspection, tests, snapshots and restores, not for the path of
//! rows.

use super::arena::Arena;
use super::cell::{DIRTY, FieldShape, Place, Shape, TableShape};
use super::cells::Cells;
use crate::clock::Micros;
use crate::key;

/// A value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// None.
    Null,
    /// Of a `boolean`.
    Boolean(bool),
    /// The 8 bytes of an `int64`, `timestamp` or `float64`.
    Word(u64),
    /// Of a `utf8`, `json` or `bytes`.
    Bytes(&'a [u8]),
}

/// What a table has for a key.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<'a> {
    /// When it was last changed; 0 in a table without a time to live.
    pub changed: Micros,
    /// One value a field.
    pub values: Vec<Value<'a>>,
}

/// What is kept for a key.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub(super) shape: &'a Shape,
    pub(super) cells: &'a Cells,
    pub(super) at: u32,
    pub(super) now: Micros,
}

impl<'a> Entry<'a> {
    /// The key group.
    #[must_use]
    pub fn group(&self) -> u32 {
        key::group(self.cells.hash(self.at))
    }

    /// The key, as [`crate::key`] encodes it.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        let mut key = Vec::new();
        self.cells.push_key(self.at, &mut key);
        key
    }

    /// Whether it changed since it was restored.
    #[must_use]
    pub fn dirty(&self) -> bool {
        self.cell()[0] & DIRTY != 0
    }

    /// For each table its row, none where it has none that is not past its time.
    #[must_use]
    pub fn rows(&self) -> Vec<Option<Row<'a>>> {
        let row = |table: &TableShape| Row {
            changed: table.life.map_or(0, |(at, _)| self.cell()[at] as Micros),
            values: table.fields.iter().map(|field| self.value(field)).collect(),
        };
        self.shape.tables.iter().map(|table| table.alive(self.cell(), self.now).then(|| row(table))).collect()
    }

    fn cell(&self) -> &'a [u64] {
        self.cells.cell(self.at)
    }

    fn value(&self, field: &FieldShape) -> Value<'a> {
        let cell = self.cell();
        match field.place {
            _ if field.present.is_some_and(|present| !present.get(cell)) => Value::Null,
            Place::Flag(flag) => Value::Boolean(flag.get(cell)),
            Place::Word(at) => Value::Word(cell[at]),
            Place::Arena(at) => Value::Bytes(self.cells.arena.get(cell[at])),
        }
    }
}

/// Puts a row into a cell that has none in this table.
pub(super) fn put(table: &TableShape, cell: &mut [u64], arena: &mut Arena, row: &Row<'_>) {
    assert_eq!(table.fields.len(), row.values.len(), "one value a field");
    table.has.set(cell, true);
    if let Some((at, _)) = table.life {
        cell[at] = row.changed as u64;
    }
    for (field, value) in table.fields.iter().zip(&row.values) {
        if let Some(present) = field.present {
            present.set(cell, *value != Value::Null);
        }
        match (field.place, value) {
            (_, Value::Null) => assert!(field.present.is_some(), "a field that is not nullable has no null"),
            (Place::Flag(flag), Value::Boolean(value)) => flag.set(cell, *value),
            (Place::Word(at), Value::Word(value)) => cell[at] = *value,
            (Place::Arena(at), Value::Bytes(value)) => cell[at] = arena.insert(value),
            (_, value) => panic!("{value:?} is not a value of kind {}", field.kind),
        }
    }
}
