//! What serde_json makes of a line, and with it what a decoder must make of it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use wasmill_engine::schema::{Kind, Schema};

/// Any JSON value; unlike serde_json's own it keeps every key of an object, and numbers as they were parsed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Large(u64),
    Float(f64),
    Text(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(i64::try_from(value).map_or(Node::Large(value), Node::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Node::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut object = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            object.push(entry);
        }
        Ok(Node::Object(object))
    }
}

/// What a field of a good record is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Json(Node),
}

/// Texts of timestamps that lines are generated with, and their moments. What mutation makes of them is left open.
pub(crate) const MOMENTS: [(&str, i64); 4] = [
    ("2026-11-21T14:50:16.123456Z", 1_795_272_616_123_456),
    ("1970-01-01T00:00:00Z", 0),
    ("2024-02-29T23:59:59.5+02:00", 1_709_243_999_500_000),
    ("1969-12-31 23:59:59.999999", -1),
];

/// What must become of a line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It is no record.
    Blank,
    /// It is a dead letter.
    Bad,
    /// It is a record with these values, one a field.
    Good(Vec<Cell>),
    /// The oracle does not know (the text of a timestamp was mutated).
    Open,
}

/// What must become of a line under a schema.
pub(crate) fn judge(schema: &Schema, line: &[u8]) -> Verdict {
    if line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
        return Verdict::Blank;
    }
    let Ok(text) = std::str::from_utf8(line) else { return Verdict::Bad };
    let Ok(record @ Node::Object(_)) = serde_json::from_str::<Node>(text) else { return Verdict::Bad };
    let mut cells = Vec::new();
    let mut open = false;
    for field in schema.fields() {
        let found = match at_path(&record, &field.name) {
            Ok(found) => found,
            Err(Wrong) => return Verdict::Bad,
        };
        match found.map_or(Some(Ok(Cell::Null)), |node| cell(field.kind, field.nullable, node)) {
            Some(Ok(Cell::Null)) if !field.nullable => return Verdict::Bad,
            Some(Ok(cell)) => cells.push(cell),
            Some(Err(Wrong)) => return Verdict::Bad,
            None => open = true,
        }
    }
    if open { Verdict::Open } else { Verdict::Good(cells) }
}

/// Not what the schema says.
struct Wrong;

/// The value at a path, if it is there: no key on the way may stand twice, and parents are objects or null.
fn at_path<'a>(record: &'a Node, path: &str) -> Result<Option<&'a Node>, Wrong> {
    let mut node = record;
    for key in path.split('.') {
        let entries = match node {
            Node::Object(entries) => entries,
            Node::Null => return Ok(None),
            _ => return Err(Wrong),
        };
        let mut found = entries.iter().filter(|(other, _)| other == key);
        let Some((_, child)) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return Err(Wrong);
        }
        node = child;
    }
    Ok(Some(node))
}

/// A value as one of that kind; none = the oracle does not know.
fn cell(kind: Kind, nullable: bool, node: &Node) -> Option<Result<Cell, Wrong>> {
    Some(Ok(match (kind, node) {
        (Kind::Json, Node::Null) if !nullable => Cell::Json(Node::Null),
        (_, Node::Null) => Cell::Null,
        (Kind::Boolean, Node::Bool(value)) => Cell::Bool(*value),
        (Kind::Int64, Node::Int(value)) => Cell::Int(*value),
        (Kind::Float64, Node::Int(value)) => Cell::Float(*value as f64),
        (Kind::Float64, Node::Large(value)) => Cell::Float(*value as f64),
        (Kind::Float64, Node::Float(value)) => Cell::Float(*value),
        (Kind::Utf8 | Kind::Bytes, Node::Text(text)) => Cell::Text(text.clone()),
        (Kind::Timestamp, Node::Int(millis)) => match millis.checked_mul(1_000) {
            Some(micros) => Cell::Int(micros),
            None => return Some(Err(Wrong)),
        },
        (Kind::Timestamp, Node::Text(text)) => Cell::Int(MOMENTS.iter().find(|(known, _)| known == text)?.1),
        (Kind::Json, node) => Cell::Json(node.clone()),
        _ => return Some(Err(Wrong)),
    }))
}

/// Whether two values are the same, but for the last bits of floats, which serde_json does not round correctly.
pub(crate) fn same(a: &Cell, b: &Cell) -> bool {
    match (a, b) {
        (Cell::Float(a), Cell::Float(b)) => a == b || (a - b).abs() <= 4.0 * f64::EPSILON * a.abs().max(b.abs()),
        _ => a == b,
    }
}
