//! What a cell looks like: where in its words the bookkeeping, the key and each field of each table lie.
//!
//! ```text
//! word 0    bits 0..32   slot of the key in the running call, plus 1; 0 = none
//!           bits 32..40  0 = the cell is empty; length of the key plus 1; 255 = the key lies in the arena
//!           bit  40      dirty: changed since it was restored
//!           bits 41..    flags: for each table whether it has a row, then for each field whether it is present, if
//!                        nullable, and its value, if boolean
//! then      the key: 1 word for a fixed-width column, else 2, or 3 for several columns, padded with zeros; a longer
//!           one: its place in the arena and its hash
//! then      the flags that word 0 has no room for
//! then      for each table with a time to live: when its row was last changed
//! then      for each other field a word: the value, or its place in the arena
//! ```
//!
//! Always true: a table without a row has only zeros in its fields, which is what an absent row reads as.
//! Neighbours: [`super::cells`] keeps cells, [`super::columns`] moves their fields.

use crate::clock::Micros;
use crate::operator::Table;
use crate::schema::Kind;

/// The slot of the key in the running call, plus 1.
pub(super) const SLOT: u64 = 0xFFFF_FFFF;
/// The length of the key plus 1, in its place.
pub(super) const KEY_LEN: u64 = 0xFF << 32;
/// A key of 8 bytes in the cell.
pub(super) const KEY_LEN_8: u64 = 9 << 32;
/// A key in the arena.
pub(super) const KEY_LONG: u64 = 0xFF << 32;
/// The cell changed since it was restored.
pub(super) const DIRTY: u64 = 1 << 40;
const FIRST_FLAG: usize = 41;

/// First word of the key.
pub(super) const KEY_AT: usize = 1;
/// Most words that a key has in its cell.
pub(super) const KEY_WORDS_MAX: usize = 3;

/// A flag: a bit of a word of a cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    word: usize,
    bit: u64,
}

impl Flag {
    pub(super) fn get(self, cell: &[u64]) -> bool {
        cell[self.word] & self.bit != 0
    }

    pub(super) fn set(self, cell: &mut [u64], value: bool) {
        cell[self.word] = cell[self.word] & !self.bit | (self.bit * u64::from(value));
    }

    /// The bit, if it is in the first word.
    pub(super) fn first(self) -> Option<u64> {
        (self.word == 0).then_some(self.bit)
    }
}

/// Where the value of a field lies.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// It is this flag.
    Flag(Flag),
    /// It is this word.
    Word(usize),
    /// This word says where in the arena it is.
    Arena(usize),
}

/// A field of a table.
#[derive(Clone, Debug)]
pub(super) struct FieldShape {
    pub(super) kind: Kind,
    pub(super) place: Place,
    /// Whether it is not null; none = it never is.
    pub(super) present: Option<Flag>,
}

/// A table.
#[derive(Clone, Debug)]
pub(super) struct TableShape {
    /// Whether it has a row for the key.
    pub(super) has: Flag,
    /// The word that says when the row was last changed, and how long it lives after that.
    pub(super) life: Option<(usize, Micros)>,
    pub(super) fields: Vec<FieldShape>,
}

impl TableShape {
    /// Whether the table has a row for the key that is not past its time.
    pub(super) fn alive(&self, cell: &[u64], now: Micros) -> bool {
        self.has.get(cell) && !self.expired(cell, now)
    }

    /// Whether the table has a row for the key that is past its time.
    pub(super) fn expired(&self, cell: &[u64], now: Micros) -> bool {
        self.life.is_some_and(|(at, ttl)| self.has.get(cell) && now.saturating_sub(cell[at] as Micros) >= ttl)
    }
}

/// What a search has to know of cells. Small, so that it stays in registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Words of a cell.
    pub(super) words: usize,
    /// Words of the key.
    pub(super) key_words: usize,
}

/// What all cells of a state look like.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) frame: Frame,
    pub(super) tables: Vec<TableShape>,
    /// Of the first word, the flags of tables.
    pub(super) rows: u64,
    /// Whether any table has a time to live.
    pub(super) expires: bool,
    /// The words of all fields that lie in the arena.
    pub(super) arena: Vec<usize>,
}

impl Shape {
    pub(super) fn new(key: &[Kind], tables: &[Table]) -> Self {
        let key_words = match key {
            [single] if !single.is_variable() => 1,
            [_] => 2,
            _ => KEY_WORDS_MAX,
        };
        let mut flags = FIRST_FLAG;
        let mut flag = || {
            flags += 1;
            let word = (flags - 1) / 64;
            Flag { word: if word == 0 { 0 } else { key_words + word }, bit: 1 << ((flags - 1) % 64) }
        };
        let has: Vec<Flag> = tables.iter().map(|_| flag()).collect();
        let mut shapes: Vec<TableShape> = tables
            .iter()
            .zip(has)
            .map(|(table, has)| {
                let field = |field: &crate::schema::Field, flag: &mut dyn FnMut() -> Flag| FieldShape {
                    kind: field.kind,
                    present: field.nullable.then(&mut *flag),
                    place: match field.kind {
                        Kind::Boolean => Place::Flag(flag()),
                        kind if kind.is_variable() => Place::Arena(0),
                        _ => Place::Word(0),
                    },
                };
                let ttl = table.ttl_ms.map(|ms| Micros::try_from(ms).unwrap_or(Micros::MAX).saturating_mul(1_000));
                let fields = table.columns.iter().map(|column| field(column, &mut flag)).collect();
                TableShape { has, life: ttl.map(|ttl| (0, ttl)), fields }
            })
            .collect();
        let mut words = key_words + flags.div_ceil(64);
        let mut take = || {
            words += 1;
            words - 1
        };
        shapes.iter_mut().filter_map(|table| table.life.as_mut()).for_each(|(at, _)| *at = take());
        for place in shapes.iter_mut().flat_map(|table| &mut table.fields).map(|field| &mut field.place) {
            match place {
                Place::Word(at) | Place::Arena(at) => *at = take(),
                Place::Flag(_) => {}
            }
        }
        let in_arena = |field: &FieldShape| if let Place::Arena(at) = field.place { Some(at) } else { None };
        let arena = shapes.iter().flat_map(|table| &table.fields).filter_map(in_arena).collect();
        let expires = shapes.iter().any(|table| table.life.is_some());
        let rows = shapes.iter().filter_map(|table| table.has.first()).fold(0, |rows, bit| rows | bit);
        Self { frame: Frame { words, key_words }, tables: shapes, rows, expires, arena }
    }

    /// Whether any table has a row for the key.
    pub(super) fn in_use(&self, cell: &[u64]) -> bool {
        self.tables.iter().any(|table| table.has.get(cell))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Field;

    fn table(columns: Vec<Field>, ttl_ms: Option<u64>) -> Table {
        Table { name: "t".into(), version: 1, columns, ttl_ms }
    }

    #[test]
    fn two_numbers_under_a_whole_number_fill_half_a_cache_line() {
        let fields = vec![Field::required("count", Kind::Int64), Field::required("sum", Kind::Int64)];
        let shape = Shape::new(&[Kind::Int64], &[table(fields, None)]);
        assert_eq!(shape.frame.words, 4);
    }

    #[test]
    fn flags_go_on_in_more_words() {
        let fields = (0..20).map(|i| Field::nullable(&format!("f{i}"), Kind::Boolean)).collect();
        let shape = Shape::new(&[Kind::Utf8, Kind::Int64], &[table(fields, Some(5))]);
        let Frame { words, key_words } = shape.frame;
        assert_eq!((key_words, words), (3, 6));
        let mut cell = vec![u64::MAX; words];
        let Place::Flag(last) = shape.tables[0].fields[19].place else { panic!("a boolean is a flag") };
        last.set(&mut cell, false);
        assert!(!last.get(&cell) && shape.in_use(&cell));
        assert_eq!(cell.iter().map(|word| word.count_zeros()).sum::<u32>(), 1);
    }
}
