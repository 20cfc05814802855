//! A row as people write it and read it: columns by their paths, in the order in which they were written.
//!
//! `site: { name: x }` and `site.name: x` are one and the same column; null is the same as no value. 1 and 1.0 are the
//! same, and so are two texts that say the same moment. Neighbours:
//! [`crate::cases`] reads rows from YAML, [`crate::trial`] from what an operator made, [`crate::infer`] from samples.

use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use wasmill_engine::codec::timestamp;

/// A JSON value whose keys are in the order of their text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    /// A list or a single value.
    Value(Value),
    /// An object.
    Object(Vec<(String, Item)>),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Item, E> {
                Ok(Item::Value(Value::Null))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Item, E> {
                Ok(Item::Value(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Item, E> {
                Ok(Item::Value(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Item, E> {
                Ok(Item::Value(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Item, E> {
                Ok(Item::Value(value.into()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Item, E> {
                Ok(Item::Value(value.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Item, A::Error> {
                let mut list: Vec<Value> = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Item::Value(list.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Item, A::Error> {
                let mut object = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    object.push(entry);
                }
                Ok(Item::Object(object))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Object(entries) => serializer.collect_map(entries.iter().map(|(key, item)| (key, item))),
        }
    }
}

/// A row: the path of each column that has a value, and the value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row(pub(crate) Vec<(String, Value)>);

impl Row {
    /// The row that an object is.
    pub(crate) fn of(entries: Vec<(String, Item)>) -> Self {
        let mut row = Self::default();
        row.flatten("", entries);
        row
    }

    fn flatten(&mut self, parent: &str, entries: Vec<(String, Item)>) {
        for (key, item) in entries {
            let path = if parent.is_empty() { key } else { format!("{parent}.{key}") };
            match item {
                Item::Value(Value::Null) => {}
                Item::Value(value) => self.0.push((path, value)),
                Item::Object(entries) if entries.is_empty() => self.0.push((path, Value::Object(Map::new()))),
                Item::Object(entries) => self.flatten(&path, entries),
            }
        }
    }

    /// The value of a column.
    pub(crate) fn get(&self, path: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == path).map(|(_, value)| value)
    }

    /// The row as an object, columns with a path within each other.
    pub(crate) fn object(&self) -> Vec<(String, Item)> {
        let mut object = Vec::new();
        for (path, value) in &self.0 {
            put(&mut object, path, value);
        }
        object
    }

    /// The row as a JSON text, columns in their order.
    pub(crate) fn json(&self) -> String {
        let text = serde_json::to_string(&Item::Object(self.object()));
        text.expect("names and values can always be written as JSON")
    }

    /// The columns in which two rows differ: path, value here, value there.
    pub(crate) fn differences<'a>(&'a self, other: &'a Self) -> Vec<(&'a str, Option<&'a Value>, Option<&'a Value>)> {
        let mine = self.0.iter().map(|(path, value)| (path.as_str(), Some(value), other.get(path)));
        let theirs = other.0.iter().filter(|(path, _)| self.get(path).is_none());
        let all = mine.chain(theirs.map(|(path, value)| (path.as_str(), None, Some(value))));
        let differ = |(_, a, b): &(&str, Option<&Value>, Option<&Value>)| match (a, b) {
            (Some(a), Some(b)) => !same(a, b),
            _ => true,
        };
        all.filter(differ).collect()
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.differences(other).is_empty()
    }
}

/// Puts a value at a path into an object. What is there already and no object is taken for no parent.
fn put(object: &mut Vec<(String, Item)>, path: &str, value: &Value) {
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    let Some(rest) = rest else {
        object.push((key.to_owned(), Item::Value(value.clone())));
        return;
    };
    let at = object.iter().position(|(name, item)| name == key && matches!(item, Item::Object(_)));
    let at = at.unwrap_or_else(|| {
        object.push((key.to_owned(), Item::Object(Vec::new())));
        object.len() - 1
    });
    if let Item::Object(inner) = &mut object[at].1 {
        put(inner, rest, value);
    }
}

/// Whether two values are the same to somebody who reads them.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let whole = a.as_i64().zip(b.as_i64()).map(|(a, b)| a == b);
            whole.unwrap_or_else(|| a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| a == b))
        }
        (Value::String(a), Value::String(b)) if a != b => {
            let moment = |text: &str| timestamp::parse(text.as_bytes());
            moment(a).zip(moment(b)).is_some_and(|(a, b)| a == b)
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        (a, b) => a == b,
    }
}

impl fmt::Display for Item {
    /// As YAML in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => value_yaml(value, f),
            Self::Object(entries) => {
                let entries = entries.iter().map(|(key, item)| (key.as_str(), item));
                object_yaml(entries, |item, f| write!(f, "{item}"), f)
            }
        }
    }
}

impl fmt::Display for Row {
    /// As YAML in one line: `{ sensor: a, value: 1.5 }`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Item::Object(self.object()))
    }
}

fn object_yaml<'a, T>(
    entries: impl Iterator<Item = (&'a str, T)>,
    value: impl Fn(T, &mut fmt::Formatter<'_>) -> fmt::Result,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    f.write_str("{")?;
    let mut first = true;
    for (key, item) in entries {
        f.write_str(if first { " " } else { ", " })?;
        first = false;
        write!(f, "{}: ", Plain(key))?;
        value(item, f)?;
    }
    f.write_str(if first { "}" } else { " }" })
}

fn value_yaml(value: &Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::String(text) => write!(f, "{}", Plain(text)),
        Value::Array(items) => {
            f.write_str("[")?;
            for (i, item) in items.iter().enumerate() {
                f.write_str(if i == 0 { "" } else { ", " })?;
                value_yaml(item, f)?;
            }
            f.write_str("]")
        }
        Value::Object(map) => object_yaml(map.iter().map(|(key, value)| (key.as_str(), value)), value_yaml, f),
        other => write!(f, "{other}"),
    }
}

/// Text as YAML: without quotes where every reader of YAML takes it for the same text, else as JSON has it.
pub(crate) struct Plain<'a>(pub(crate) &'a str);

/// What some version of YAML takes for something else than text.
const WORDS: [&str; 8] = ["true", "false", "null", "yes", "no", "on", "off", "nan"];

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        let letters = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
        if letters && text.chars().all(good) && !WORDS.contains(&text.to_lowercase().as_str()) {
            return f.write_str(text);
        }
        write!(f, "{}", Value::from(*text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Row {
        match serde_json::from_str(json).unwrap() {
            Item::Object(entries) => Row::of(entries),
            Item::Value(_) => panic!("an object"),
        }
    }

    #[test]
    fn a_nested_column_is_its_path_and_null_is_no_value() {
        let (nested, flat) = (r#"{"b":1,"site":{"name":"x","id":null}}"#, r#"{"site.name":"x","b":1.0,"c":null}"#);
        assert_eq!(row(nested), row(flat));
        assert_eq!(row(flat).to_string(), "{ site: { name: x }, b: 1.0 }");
        assert_ne!(row(nested), row(r#"{"b":1}"#));
    }

    #[test]
    fn values_are_the_same_but_for_the_way_a_number_or_a_moment_is_written() {
        let alike = |a: &str, b: &str| same(&serde_json::from_str(a).unwrap(), &serde_json::from_str(b).unwrap());
        assert!(alike("1", "1.0") && alike("[1, {\"a\": 2}]", "[1.0, {\"a\": 2}]"));
        assert!(alike("\"2026-01-01T00:00:00Z\"", "\"2026-01-01T01:00:00.000000+01:00\""));
        assert!(
            !alike("0.30000000000000004", "0.3")
                && !alike("9007199254740993", "9007199254740992")
                && !alike("1", "\"1\"")
        );
    }

    #[test]
    fn text_has_quotes_where_yaml_would_take_it_for_something_else() {
        for (text, yaml) in [
            ("plain-text.x", "plain-text.x"),
            ("No", "\"No\""),
            ("1", "\"1\""),
            ("a b: c", "\"a b: c\""),
            ("", "\"\""),
            ("2026-01-01T00:00:00Z", "\"2026-01-01T00:00:00Z\""),
            ("\"\n", "\"\\\"\\n\""),
        ] {
            assert_eq!(Plain(text).to_string(), yaml);
        }
    }
}
