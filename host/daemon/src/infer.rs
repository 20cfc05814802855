//! Which columns rows have: names, kinds and whether some row lacks them, from the rows themselves.
//!
//! For those who write a pipeline or a case down, never for a pipeline that runs. A column is of the narrowest kind
//! that all its values are of; whole numbers among others make a `float64`, all else that does not go together, and
//! what no row has a value for, `json`. Texts of a table are no JSON: [`crate::sample`] sees to that.
//! Neighbours: [`crate::row`] is what is looked at, [`crate::scaffold`] and [`crate::cases`] ask.

use serde_json::Value;
use wasmill_engine::codec::timestamp;
use wasmill_engine::schema::{Field, Kind};

use crate::row::Item;

/// The columns of these rows, in the order in which they were first seen. Those that no pipeline can name (an `@` in
/// front, a dot in a key) are left out: they pass through it unseen.
pub(crate) fn columns<'a>(rows: impl Iterator<Item = &'a [(String, Item)]>) -> Vec<Field> {
    let (mut seen, mut count) = (Vec::new(), 0);
    for row in rows {
        count += 1;
        look(&mut seen, row);
    }
    let mut columns = Vec::new();
    for (name, of) in &seen {
        if !name.starts_with('@') {
            of.columns(name, count, &mut columns);
        }
    }
    columns
}

/// What was seen under a key.
#[derive(Default)]
struct Seen {
    /// Rows that have a value here that is no object, and the kind that all of those are of.
    values: usize,
    kind: Option<Kind>,
    /// Rows that have an object here, and what is in it.
    objects: usize,
    inner: Vec<(String, Seen)>,
}

fn look(seen: &mut Vec<(String, Seen)>, row: &[(String, Item)]) {
    for (key, item) in row {
        if key.is_empty() || key.contains('.') {
            continue;
        }
        let at = seen.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
            seen.push((key.clone(), Seen::default()));
            seen.len() - 1
        });
        seen[at].1.add(item);
    }
}

impl Seen {
    fn add(&mut self, item: &Item) {
        match item {
            Item::Object(entries) => {
                self.objects += 1;
                look(&mut self.inner, entries);
            }
            Item::Value(Value::Null) => {}
            Item::Value(value) => {
                self.values += 1;
                let kind = kind(value);
                self.kind = Some(self.kind.map_or(kind, |other| join(other, kind)));
            }
        }
    }

    fn columns(&self, path: &str, rows: usize, columns: &mut Vec<Field>) {
        if self.values == 0 && !self.inner.is_empty() {
            for (key, inner) in &self.inner {
                inner.columns(&format!("{path}.{key}"), rows, columns);
            }
            return;
        }
        let kind = if self.objects > 0 { Kind::Json } else { self.kind.unwrap_or(Kind::Json) };
        columns.push(Field { name: path.into(), kind, nullable: self.values + self.objects < rows });
    }
}

/// The kind that all these values are of, nulls left out; none where there are no others.
pub(crate) fn kind_of<'a>(values: impl Iterator<Item = &'a Value>) -> Option<Kind> {
    values.filter(|value| !value.is_null()).map(kind).reduce(join)
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Bool(_) => Kind::Boolean,
        Value::Number(number) if number.is_i64() => Kind::Int64,
        Value::Number(_) => Kind::Float64,
        Value::String(text) if timestamp::parse(text.as_bytes()).is_some() => Kind::Timestamp,
        Value::String(_) => Kind::Utf8,
        Value::Null | Value::Array(_) | Value::Object(_) => Kind::Json,
    }
}

fn join(a: Kind, b: Kind) -> Kind {
    match (a, b) {
        (a, b) if a == b => a,
        (Kind::Int64, Kind::Float64) | (Kind::Float64, Kind::Int64) => Kind::Float64,
        (Kind::Timestamp, Kind::Utf8) | (Kind::Utf8, Kind::Timestamp) => Kind::Utf8,
        _ => Kind::Json,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inferred(rows: &[&str]) -> String {
        let object = |text: &&str| match serde_json::from_str(text).unwrap() {
            Item::Object(entries) => entries,
            Item::Value(_) => panic!("an object"),
        };
        let rows: Vec<Vec<(String, Item)>> = rows.iter().map(object).collect();
        let columns: Vec<String> = columns(rows.iter().map(Vec::as_slice)).iter().map(ToString::to_string).collect();
        columns.join(", ")
    }

    #[test]
    fn a_column_is_of_the_narrowest_kind_that_all_its_values_are_of() {
        let rows = [
            r#"{"n":1,"x":1,"at":"2026-01-01T00:00:00Z","ok":true,"text":"a","list":[1],"any":1}"#,
            r#"{"n":2,"x":1.5,"at":"2026-01-02T00:00:00Z","ok":true,"text":"2026-01-01T00:00:00Z","list":[],"any":[]}"#,
        ];
        let kinds = "n: int64, x: float64, at: timestamp, ok: boolean, text: utf8, list: json, any: json";
        assert_eq!(inferred(&rows), kinds);
        assert_eq!(inferred(&[r#"{"large":18446744073709551615}"#]), "large: float64");
    }

    #[test]
    fn what_some_row_lacks_is_nullable_and_nested_fields_are_paths() {
        let rows = [r#"{"a":1,"site":{"name":"x","deep":{"b":true}}}"#, r#"{"a":null,"site":{"name":"y"},"late":1}"#];
        assert_eq!(inferred(&rows), "a: int64?, site.name: utf8, site.deep.b: boolean?, late: int64?");
        assert_eq!(inferred(&[r#"{"site":{"name":"x"}}"#, r#"{"site":null}"#]), "site.name: utf8?");
        assert_eq!(inferred(&[r#"{"site":{"name":"x"}}"#, r#"{"site":"x"}"#]), "site: json");
        assert_eq!(inferred(&[r#"{"a":null,"e":{}}"#]), "a: json?, e: json");
        assert_eq!(inferred(&[r#"{"@a":1,"b.c":2,"d":3}"#]), "d: int64");
    }
}
