//! The columns of a case's rows, and whether they suit the operator: what the host finds when a pipeline opens.
//!
//! Columns that the file does not name follow from what the operator reads, else from their values. Neighbours:
//! [`crate::suite`] asks before it calls.

use serde_json::Value;
use wasmill::column::Kind;
use wasmill::native::Operator;
use wasmill::plan::{Field, Plan, Read};

use crate::datum::{Datum, get, moment, put};

/// What every row has beside its columns: name, kind, whether it may be null.
const METADATA: [(&str, Kind, bool); 6] = [
    ("@source", Kind::Utf8, false),
    ("@partition", Kind::Utf8, false),
    ("@offset", Kind::Int64, false),
    ("@event-time", Kind::Timestamp, true),
    ("@key", Kind::Bytes, true),
    ("@headers", Kind::Json, true),
];

/// The columns of rows, of which those are `given`, for an operator with that configuration.
///
/// # Errors
/// The operator refuses the configuration.
pub(crate) fn columns<O: Operator>(
    config: &Value,
    given: &[Field],
    key: &[String],
    rows: &[Value],
) -> Result<Vec<Field>, String> {
    let mut fields = given.to_vec();
    let own = given.len();
    let is_given = |field: &Field| {
        let within = |other: &Field| is_within(&field.name, &other.name) || is_within(&other.name, &field.name);
        given.iter().any(|other| other.name == field.name || within(other))
    };
    fields.extend(inferred(rows).into_iter().filter(|field| !is_given(field)));
    // What an operator reads does not depend on the fields that there are.
    let (_, plan) = O::open(&config.to_string(), &fields).map_err(refused)?;
    for read in plan.reads.iter().filter(|read| !read.field.name.starts_with('@')) {
        let name = &read.field.name;
        if fields[..own].iter().any(|field| field.name == *name) {
            continue;
        }
        let inner = |field: &Field| is_within(&field.name, name);
        if let Some(field) = fields[own..].iter_mut().find(|field| field.name == *name) {
            field.kind = read.field.kind.clone();
        } else if fields[own..].iter().any(inner) {
            let nullable = fields[own..].iter().filter(|field| inner(field)).all(|field| field.nullable);
            let mut position = 0..;
            fields.retain(|field| position.next() < Some(own) || !inner(field));
            fields.push(Field { nullable, ..read.field.clone() });
        } else if rows.is_empty() {
            fields.push(Field { nullable: false, ..read.field.clone() });
        }
    }
    for name in key.iter().filter(|_| rows.is_empty()) {
        if !fields.iter().any(|field| field.name == **name) {
            fields.push(Field { name: name.clone().into(), kind: Kind::Utf8.name().into(), nullable: false });
        }
    }
    Ok(fields)
}

/// Says why an operator cannot be opened.
pub(crate) fn refused(refusal: wasmill::plan::Refusal) -> String {
    format!("the operator cannot be opened: {}", refusal.message)
}

/// Checks that these columns suit the operator, and that the rows are what their columns say. Rows are called as
/// `named` calls them.
///
/// # Errors
/// What does not, in a sentence.
pub(crate) fn check(
    plan: &Plan,
    fields: &[Field],
    key: &[String],
    rows: &[Value],
    named: &dyn Fn(usize) -> String,
) -> Result<(), String> {
    plan.reads.iter().try_for_each(|read| suits(read, fields))?;
    let has = |name: &str| fields.iter().any(|field| field.name == name);
    if let Some(name) = key.iter().find(|name| !has(name)) {
        return Err(format!("the key has `{name}`, which the input does not have"));
    }
    let carried = plan.ports.iter().flat_map(|port| port.carries.iter().flatten().map(move |name| (port, name)));
    for (port, name) in carried {
        if !has(&name.input) {
            let (port, name) = (&port.name, &name.input);
            return Err(format!("port `{port}` carries `{name}`, which the input does not have"));
        }
    }
    for (number, row) in rows.iter().enumerate() {
        for Field { name, kind, nullable } in fields {
            let of = Kind::of(kind).expect("fields are of kinds that there are");
            match get(row, name) {
                None if !nullable => return Err(format!("{}: there is no `{name}`", named(number))),
                Some(value) if Datum::read(value, of).is_none() => {
                    return Err(format!("{}: `{name}` is {value}, which is not {kind}", named(number)));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Writes timestamps that are numbers as texts, as they leave the host.
pub(crate) fn write_moments(fields: &[Field], rows: &mut [Value]) {
    for field in fields.iter().filter(|field| field.kind == Kind::Timestamp.name()) {
        for row in rows.iter_mut() {
            let number = get(row, &field.name).filter(|value| value.is_number());
            if let Some(at) = number.and_then(|number| Datum::read(number, Kind::Timestamp)) {
                put(row, &field.name, at.show(Kind::Timestamp));
            }
        }
    }
}

/// Checks that a read finds what it wants.
fn suits(read: &Read, fields: &[Field]) -> Result<(), String> {
    let Field { name, kind, nullable } = &read.field;
    let takes_null = *nullable || read.fallback.is_some();
    if let Some(fallback) = &read.fallback {
        let value = serde_json::from_str(fallback).ok();
        let of = Kind::of(kind);
        if of.and_then(|of| Datum::fallback(&value?, of)).is_none() {
            return Err(format!("the operator has the default {fallback} for `{name}`, which is no {kind}"));
        }
    }
    let metadata = METADATA.iter().find(|(known, ..)| known == name);
    let metadata = metadata.map(|(_, kind, nullable)| (kind.name(), *nullable));
    let found = fields.iter().find(|field| field.name == *name).map(|field| (&*field.kind, field.nullable));
    match found.or(metadata) {
        None if takes_null && !name.starts_with('@') => Ok(()),
        None => Err(format!("the operator reads `{name}`, which its input does not have")),
        Some((found, _)) if found != kind && (found, &**kind) != (Kind::Int64.name(), Kind::Float64.name()) => {
            Err(format!("the operator reads `{name}` as {kind}, but it is {found} here"))
        }
        Some((_, true)) if !takes_null => {
            Err(format!("the operator reads `{name}` and takes no null, but it may be null here"))
        }
        Some(_) => Ok(()),
    }
}

fn is_within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'))
}

/// The columns that rows have, each of the narrowest kind that all its values are of.
fn inferred(rows: &[Value]) -> Vec<Field> {
    let mut seen = Vec::new();
    rows.iter().for_each(|row| look(&mut seen, row));
    let mut columns = Vec::new();
    for (name, of) in seen.iter().filter(|(name, _)| !name.starts_with('@')) {
        of.columns(name, rows.len(), &mut columns);
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

fn look(seen: &mut Vec<(String, Seen)>, row: &Value) {
    for (key, value) in row.as_object().into_iter().flatten() {
        let at = seen.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
            seen.push((key.clone(), Seen::default()));
            seen.len() - 1
        });
        let of = &mut seen[at].1;
        // An object with nothing in it has no columns.
        if value.as_object().is_some_and(|object| !object.is_empty()) {
            of.objects += 1;
            look(&mut of.inner, value);
        } else {
            of.values += 1;
            of.kind = Some(of.kind.map_or(kind(value), |other| join(other, kind(value))));
        }
    }
}

impl Seen {
    fn columns(&self, path: &str, rows: usize, columns: &mut Vec<Field>) {
        if self.values == 0 {
            for (key, inner) in &self.inner {
                inner.columns(&format!("{path}.{key}"), rows, columns);
            }
            return;
        }
        let kind = if self.objects > 0 { Kind::Json } else { self.kind.unwrap_or(Kind::Json) };
        let nullable = self.values + self.objects < rows;
        columns.push(Field { name: path.to_owned().into(), kind: kind.name().into(), nullable });
    }
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Bool(_) => Kind::Boolean,
        Value::Number(number) if number.is_i64() => Kind::Int64,
        Value::Number(_) => Kind::Float64,
        Value::String(text) if moment(text).is_some() => Kind::Timestamp,
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
