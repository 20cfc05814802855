//! State under other tables: what a stage keeps when its code changes and its tables do not quite stay the same.
//!
//! Tables are told by their names, and fields by name, kind and whether they may be null. A field that is new is null
//! for every key; one that is not there any more is dropped. Keys, values, the times of changes and whether there were
//! any since the last restore stay as they are.

use super::entry::{Row, Value};
use super::{KeyedState, StateFull};
use crate::clock::Micros;
use crate::limits::KEY_GROUPS;
use crate::operator::Table;
use crate::schema::Kind;

impl KeyedState {
    /// What this state, whose tables are `from`, is under the tables `to`. Goes over all keys once.
    ///
    /// # Errors
    /// It does not fit.
    pub fn carried(&self, key: &[Kind], from: &[Table], to: &[Table], now: Micros) -> Result<Self, StateFull> {
        let mut new = Self::new(key, to, self.limit);
        let places: Vec<Option<Places>> = to.iter().map(|table| places(from, table)).collect();
        for entry in self.entries(0..KEY_GROUPS, now) {
            let rows = entry.rows();
            let row = |(table, places): (&Table, &Option<Places>)| {
                let Places { table: old, fields } = places.as_ref()?;
                let row = rows[*old].as_ref()?;
                // Without a time to live there is no time of a change: such a row begins to live now.
                let changed = match (from[*old].ttl_ms, table.ttl_ms) {
                    (None, Some(_)) => now,
                    (Some(_), None) => 0,
                    _ => row.changed,
                };
                let value = |place: &Option<usize>| place.map_or(Value::Null, |place| row.values[place]);
                Some(Row { changed, values: fields.iter().map(value).collect() })
            };
            let carried: Vec<Option<Row<'_>>> = to.iter().zip(&places).map(row).collect();
            new.put(&entry.key(), &carried, entry.dirty())?;
        }
        Ok(new)
    }
}

/// Where among the old tables a table is, and where among that one's fields its fields are.
struct Places {
    table: usize,
    fields: Vec<Option<usize>>,
}

fn places(from: &[Table], to: &Table) -> Option<Places> {
    let table = from.iter().position(|table| table.name == to.name)?;
    let place = |field| from[table].columns.iter().position(|old| old == field);
    Some(Places { table, fields: to.columns.iter().map(place).collect() })
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use std::sync::Arc;

    use super::*;
    use crate::key::Keys;
    use crate::operator::TableChanges;
    use crate::schema::Field;
    use crate::state::Entry;

    fn table(columns: &[Field], ttl_ms: Option<u64>) -> Vec<Table> {
        vec![Table { name: "seen".into(), version: 1, columns: columns.to_vec(), ttl_ms }]
    }

    /// State of a thousand keys: how often each was seen, and a text as long as a key's number.
    fn filled(tables: &[Table]) -> KeyedState {
        let mut state = KeyedState::new(&[Kind::Utf8], tables, u64::MAX);
        let names: ArrayRef =
            Arc::new(StringArray::from_iter_values((0..1_000).map(|i| "k".repeat(i % 50) + &i.to_string())));
        let turn = state.resolve(&Keys::encode(&[names]), 5).unwrap();
        let counts: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..1_000).map(|i| "x".repeat(i % 90))));
        turn.apply(&[TableChanges { forget: Vec::new(), columns: vec![counts, texts] }]).unwrap();
        state
    }

    type Shown = Vec<(Vec<u8>, u64, bool, String)>;

    fn shown(state: &KeyedState, fields: usize) -> Shown {
        let show = |entry: Entry<'_>| {
            let mut rows = entry.rows();
            rows.iter_mut().flatten().for_each(|row| row.values.truncate(fields));
            (entry.key(), entry.group().into(), entry.dirty(), format!("{rows:?}"))
        };
        let mut shown: Shown = state.entries(0..KEY_GROUPS, 6).map(show).collect();
        shown.sort();
        shown
    }

    #[test]
    fn added_fields_are_null_and_all_else_stays_as_it_was_there_and_back() {
        let columns = [Field::required("count", Kind::Int64), Field::required("text", Kind::Utf8)];
        let narrow = table(&columns, Some(1_000));
        let wide = table(&[&columns[..], &[Field::nullable("last", Kind::Timestamp)]].concat(), Some(1_000));
        let state = filled(&narrow);
        let carried = state.carried(&[Kind::Utf8], &narrow, &wide, 6).unwrap();
        assert_eq!(shown(&state, 2), shown(&carried, 2));
        let nulls =
            carried.entries(0..KEY_GROUPS, 6).map(|entry| entry.rows()[0].as_ref().unwrap().values[2] == Value::Null);
        assert_eq!(nulls.filter(|null| *null).count(), 1_000);
        let back = carried.carried(&[Kind::Utf8], &wide, &narrow, 6).unwrap();
        assert_eq!(shown(&state, 2), shown(&back, 2));
    }

    #[test]
    fn rows_that_get_a_time_to_live_begin_to_live_then() {
        let columns = [Field::required("count", Kind::Int64), Field::required("text", Kind::Utf8)];
        let (for_ever, mortal) = (table(&columns, None), table(&columns, Some(1)));
        let carried = filled(&for_ever).carried(&[Kind::Utf8], &for_ever, &mortal, 500_000).unwrap();
        assert_eq!(carried.entries(0..KEY_GROUPS, 500_999).count(), 1_000);
        assert_eq!(carried.entries(0..KEY_GROUPS, 501_000).count(), 0);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_the_state_is_as_it_was() {
        let columns = [Field::required("count", Kind::Int64), Field::required("text", Kind::Utf8)];
        let narrow = table(&columns, None);
        let added: Vec<Field> = (0..40).map(|i| Field::nullable(&format!("f{i}"), Kind::Int64)).collect();
        let wide = table(&[&columns[..], &added].concat(), None);
        let mut state = filled(&narrow);
        let before = shown(&state, 2);
        state.limit = state.bytes();
        assert!(state.carried(&[Kind::Utf8], &narrow, &wide, 6).is_err());
        assert_eq!(before, shown(&state, 2));
    }
}
