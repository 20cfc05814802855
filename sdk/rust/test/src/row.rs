//! Rows as people write them, and when two of them are the same: by the rules of `wasmill test`.
//!
//! `site: { name: x }` and `site.name: x` are one column, null is the same as no value, 1 and 1.0 are the same, and so
//! are two texts that say the same moment. Neighbours: [`crate::driver`] takes and gives rows, [`crate::suite`]
//! compares.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::datum::{moment, put};

/// The columns that have a value, by their paths.
type Flat = BTreeMap<String, Value>;

fn flat(row: &Value) -> Flat {
    let mut flat = Flat::new();
    flatten("", row, &mut flat);
    flat
}

fn flatten(path: &str, value: &Value, into: &mut Flat) {
    match value {
        Value::Null => {}
        Value::Object(entries) if path.is_empty() || !entries.is_empty() => {
            for (key, value) in entries {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, into);
            }
        }
        value => {
            into.insert(path.to_owned(), value.clone());
        }
    }
}

/// The same row with each path taken apart, and without nulls.
pub(crate) fn nested(row: &Value) -> Value {
    let mut nested = Value::Object(Map::new());
    for (path, value) in flat(row) {
        put(&mut nested, &path, value);
    }
    nested
}

/// The columns in which two rows differ: path, value here, value there.
pub(crate) fn differences(a: &Value, b: &Value) -> Vec<(String, Option<Value>, Option<Value>)> {
    let (a, b) = (flat(a), flat(b));
    let paths: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let of = |path: &String| (path.clone(), a.get(path).cloned(), b.get(path).cloned());
    let differ = |(_, a, b): &(String, Option<Value>, Option<Value>)| match (a, b) {
        (Some(a), Some(b)) => !same(a, b),
        _ => true,
    };
    paths.into_iter().map(of).filter(differ).collect()
}

/// Whether two values are the same to somebody who reads them.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let whole = a.as_i64().zip(b.as_i64()).map(|(a, b)| a == b);
            whole.unwrap_or_else(|| a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| a == b))
        }
        (Value::String(a), Value::String(b)) if a != b => moment(a).zip(moment(b)).is_some_and(|(a, b)| a == b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}
