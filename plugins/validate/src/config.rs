//! What a configuration says: checks of columns, and rules in words.
//!
//! Both stand side by side: an entry with a mapping checks the column of its name, an entry with a text is a rule.

use std::collections::BTreeMap;
use std::fmt;

use expression::Literal;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

/// Checks and rules by name.
#[derive(Deserialize)]
pub(crate) struct Config(pub(crate) BTreeMap<String, Entry>);

/// A check of a column, or a rule.
pub(crate) enum Entry {
    Checks(Box<Checks>),
    Rule(String),
}

/// What the values of a column must be.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Checks {
    pub(crate) kind: Option<String>,
    pub(crate) required: bool,
    pub(crate) min: Option<Literal>,
    pub(crate) max: Option<Literal>,
    pub(crate) min_length: Option<u32>,
    pub(crate) max_length: Option<u32>,
    pub(crate) one_of: Option<Vec<Literal>>,
}

/// The fields of [`Checks`].
const CHECKS: [&str; 7] = ["kind", "required", "min", "max", "min_length", "max_length", "one_of"];

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As a struct, so that an unknown key is told with the one that was meant.
        deserializer.deserialize_struct("Checks", &CHECKS, AnyEntry)
    }
}

struct AnyEntry;

impl<'de> Visitor<'de> for AnyEntry {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("checks of a column, as in `{ required: true, min: 0 }`, or a rule, as in `start <= end`")
    }

    fn visit_str<E: Error>(self, rule: &str) -> Result<Entry, E> {
        Ok(Entry::Rule(rule.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
        Checks::deserialize(MapAccessDeserializer::new(map)).map(|checks| Entry::Checks(Box::new(checks)))
    }
}
