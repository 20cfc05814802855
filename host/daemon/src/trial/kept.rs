//! The state of a trial: what the engine keeps for each key, and who the keys are.

use std::collections::HashSet;

use serde_json::{Map, Value};
use wasmill_engine::clock::Micros;
use wasmill_engine::codec::timestamp;
use wasmill_engine::key::Keys;
use wasmill_engine::limits::KEY_GROUPS;
use wasmill_engine::operator::Table;
use wasmill_engine::schema::Kind;
use wasmill_engine::state::{KeyedState, StateFull, Turn, Value as Stored};

use crate::row::{Item, Row};

/// The state of a trial.
pub(super) struct Kept {
    state: KeyedState,
    /// The key of each row so far, as the engine has it.
    keys: Vec<Vec<u8>>,
}

impl Kept {
    pub(super) fn new(state: KeyedState) -> Self {
        Self { state, keys: Vec::new() }
    }

    /// As [`KeyedState::resolve`].
    pub(super) fn resolve(&mut self, keys: &Keys, now: Micros) -> Result<Turn<'_>, StateFull> {
        self.keys.extend((0..keys.hashes().len()).map(|row| keys.get(row).to_vec()));
        self.state.resolve(keys, now)
    }

    /// What is kept for each key, in the order in which they first came. `texts` has the key of each row. Where there
    /// are several tables, each is an object of its own.
    pub(super) fn rows(&self, texts: &[String], tables: &[Table], now: Micros) -> Vec<(String, Row)> {
        let mut seen = HashSet::new();
        let distinct = self.keys.iter().zip(texts).filter(|(key, _)| seen.insert(key.as_slice()));
        let order: Vec<(&Vec<u8>, &String)> = distinct.collect();
        let mut rows: Vec<(usize, Row)> = Vec::new();
        for entry in self.state.entries(0..KEY_GROUPS, now) {
            let key = entry.key();
            let Some(at) = order.iter().position(|(other, _)| **other == key) else { continue };
            let mut fields = Vec::new();
            for (table, row) in tables.iter().zip(entry.rows()) {
                let values = row.into_iter().flat_map(|row| row.values);
                let named = table.columns.iter().zip(values);
                let inner: Vec<(String, Item)> = named
                    .map(|(field, value)| (field.name.to_string(), Item::Value(json(field.kind, value))))
                    .collect();
                match tables.len() {
                    1 => fields.extend(inner),
                    _ => fields.push((table.name.clone(), Item::Object(inner))),
                }
            }
            rows.push((at, Row::of(fields)));
        }
        rows.sort_by_key(|(at, _)| *at);
        rows.into_iter().map(|(at, row)| (order[at].1.clone(), row)).collect()
    }
}

fn json(kind: Kind, value: Stored<'_>) -> Value {
    match (kind, value) {
        (_, Stored::Null) => Value::Null,
        (_, Stored::Boolean(value)) => value.into(),
        (Kind::Float64, Stored::Word(word)) => f64::from_bits(word).into(),
        (Kind::Timestamp, Stored::Word(word)) => {
            let mut text = Vec::new();
            timestamp::write(word as Micros, &mut text);
            String::from_utf8_lossy(&text).into_owned().into()
        }
        (_, Stored::Word(word)) => (word as i64).into(),
        (Kind::Json, Stored::Bytes(bytes)) => {
            let parsed: Result<Map<String, Value>, _> = serde_json::from_slice(bytes);
            parsed.map_or_else(|_| String::from_utf8_lossy(bytes).into_owned().into(), Value::Object)
        }
        (_, Stored::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned().into(),
    }
}
