//! Files of cases: the same that `wasmill test` runs on the compiled component.
//!
//! Neighbour: [`crate::driver`] runs the rows of a case.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use wasmill::column::Kind;
use wasmill::effects::Action;
use wasmill::native::Operator;
use wasmill::plan::Field;

use crate::datum::Datum;
use crate::driver::{Done, Driver};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite {
    #[serde(default)]
    columns: BTreeMap<String, String>,
    key: Option<Names>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    config: Map<String, Value>,
    now: Option<Value>,
    input: Vec<Value>,
    expect: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    row: usize,
    reason: String,
    #[serde(default = "dead_letter")]
    action: String,
}

fn dead_letter() -> String {
    "dead_letter".to_owned()
}

/// Runs each case of a file; the path is relative to the plugin's folder, where `cargo test` runs.
///
/// # Panics
/// When the file cannot be read or understood, and when a case fails, after all have run: with what was expected and
/// what came.
pub fn cases<O: Operator>(path: impl AsRef<Path>) {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // `no` is text in YAML 1.2, as in pipelines.
    let options = serde_saphyr::options! { strict_booleans: true };
    let suite: Suite = serde_saphyr::from_str_with_options(&text, options)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut failed = String::new();
    for case in &suite.cases {
        if let Err(difference) = run::<O>(&suite, case) {
            write!(failed, "\ncase `{}`:\n{difference}", case.name).expect("a string takes all");
        }
    }
    assert!(failed.is_empty(), "{} has cases that fail:\n{failed}", path.display());
}

fn run<O: Operator>(suite: &Suite, case: &Case) -> Result<(), String> {
    let fields: Vec<Field> = suite
        .columns
        .iter()
        .map(|(name, kind)| {
            let (kind, nullable) = kind.strip_suffix('?').map_or((&**kind, false), |kind| (kind, true));
            Field { name: name.clone().into(), kind: kind.to_owned().into(), nullable }
        })
        .collect();
    let driver = Driver::<O>::over(Value::Object(case.config.clone()), &fields);
    let driver = driver.map_err(|refusal| format!("  the operator cannot be opened: {}\n", refusal.message))?;
    let key = match &suite.key {
        None => Vec::new(),
        Some(Names::One(column)) => vec![&**column],
        Some(Names::Many(columns)) => columns.iter().map(|column| &**column).collect(),
    };
    let mut driver = driver.key(key);
    if let Some(now) = &case.now {
        let Some(Datum::Int64(micros)) = Datum::read(now, Kind::Timestamp) else {
            return Err(format!("  `now` is {now}, which is not a time like 2026-01-01T00:00:00Z\n"));
        };
        driver.set_now(micros);
    }
    let done = driver.process(case.input.iter().cloned()).map_err(|error| format!("  input {error}\n"))?;
    let plan = driver.plan();
    let made = kinds(plan.ports.iter().flat_map(|port| &port.makes));
    let kept = kinds(plan.tables.iter().flat_map(|table| &table.columns));
    let difference = differences(case, &done, &driver.state(), [&made, &kept])?;
    if difference.is_empty() { Ok(()) } else { Err(difference) }
}

/// The kinds of fields by their names.
fn kinds<'f>(fields: impl Iterator<Item = &'f Field>) -> BTreeMap<String, Kind> {
    fields.filter_map(|field| Some((field.name.to_string(), Kind::of(&field.kind)?))).collect()
}

fn differences(
    case: &Case,
    done: &Done,
    state: &BTreeMap<String, Value>,
    [made, kept]: [&BTreeMap<String, Kind>; 2],
) -> Result<String, String> {
    let mut found = String::new();
    let ports = done.ports.keys().chain(case.expect.keys().filter(|name| !["rejects", "state"].contains(&&***name)));
    let ports: std::collections::BTreeSet<&String> = ports.collect();
    for port in ports {
        let expected = case.expect.get(port).cloned().unwrap_or_else(|| Value::Array(Vec::new()));
        let Value::Array(expected) = expected else {
            return Err(format!("  `expect.{port}` is not a list of rows\n"));
        };
        rows(port, &expected, done.port(port), made, &mut found);
    }
    let expected = match case.expect.get("rejects") {
        None => Vec::new(),
        Some(list) => serde_json::from_value::<Vec<Expected>>(list.clone())
            .map_err(|error| format!("  `expect.rejects`: {error}\n"))?,
    };
    let expected: Vec<String> =
        expected.iter().map(|reject| refused(reject.row, &reject.action, &reject.reason)).collect();
    let action = |action| match action {
        Action::DeadLetter => "dead_letter",
        Action::Retry(_) => "retry",
        Action::Stop => "stop",
    };
    let actual: Vec<String> =
        done.rejects.iter().map(|reject| refused(reject.row, action(reject.action), &reject.reason)).collect();
    lines("rejects", &expected, &actual, |a, b| a == b, &mut found);
    if let Some(expected) = case.expect.get("state") {
        let actual = Value::Object(state.clone().into_iter().collect());
        let of_keys = |all: &Value| all.as_object().map(Map::len);
        let is_same = |(key, own): (&String, &Value)| {
            expected.get(key).is_some_and(|expected| same_rows(expected, own, "", kept))
        };
        if of_keys(expected) != Some(state.len()) || !state.iter().all(is_same) {
            lines("state", &[expected.to_string()], &[actual.to_string()], |_, _| false, &mut found);
        }
    }
    Ok(found)
}

fn refused(row: usize, action: &str, reason: &str) -> String {
    format!("row {row}, {action}: {reason}")
}

fn rows(port: &str, expected: &[Value], actual: &[Value], kinds: &BTreeMap<String, Kind>, found: &mut String) {
    let equal = |a: &Value, b: &Value| same_rows(a, b, "", kinds);
    lines(port, expected, actual, equal, found);
}

/// Says which lines differ: `-` was expected, `+` came.
fn lines<T: std::fmt::Display>(
    what: &str,
    expected: &[T],
    actual: &[T],
    equal: impl Fn(&T, &T) -> bool,
    to: &mut String,
) {
    let same = expected.len() == actual.len() && expected.iter().zip(actual).all(|(a, b)| equal(a, b));
    if same {
        return;
    }
    writeln!(to, "  {what}: expected {}, got {}", expected.len(), actual.len()).expect("a string takes all");
    for at in 0..expected.len().max(actual.len()) {
        match (expected.get(at), actual.get(at)) {
            (Some(a), Some(b)) if equal(a, b) => writeln!(to, "      {a}"),
            (a, b) => {
                let gone = a.map(|a| format!("    - {a}\n")).unwrap_or_default();
                let come = b.map(|b| format!("    + {b}\n")).unwrap_or_default();
                write!(to, "{gone}{come}")
            }
        }
        .expect("a string takes all");
    }
}

/// Whether two rows are equal, timestamps by the time that they say.
fn same_rows(a: &Value, b: &Value, path: &str, kinds: &BTreeMap<String, Kind>) -> bool {
    let (Value::Object(a), Value::Object(b)) = (a, b) else { return same(a, b, kinds.get(path).copied()) };
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    a.len() == b.len()
        && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same_rows(value, other, &below(key), kinds)))
}

/// Whether two values are equal; 1 and 1.0 are.
fn same(a: &Value, b: &Value, kind: Option<Kind>) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, None)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b, None)))
        }
        _ if kind == Some(Kind::Timestamp) => {
            let (a, b) = (Datum::read(a, Kind::Timestamp), Datum::read(b, Kind::Timestamp));
            a.is_some() && a == b
        }
        _ => a == b,
    }
}
