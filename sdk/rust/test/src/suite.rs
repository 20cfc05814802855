//! Files of cases: the same that `wasmill test` runs on the compiled component, by the same rules.
//!
//! Neighbours: [`crate::file`] reads a file, [`crate::input`] finds the columns of its rows, [`crate::driver`] runs the
//! rows of a case.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use wasmill::config::nearest;
use wasmill::effects::Action;
use wasmill::native::Operator;

use crate::driver::{Done, Driver};
use crate::file::{ACTIONS, Case, Expect, Suite, parse};
use crate::{input, row};

/// Rows of a call, at most: as a pipeline cuts them.
const ROWS_A_CALL: usize = 1_024;

/// Runs each case of a file; the path is relative to the plugin's folder, where `cargo test` runs.
///
/// # Panics
/// When the file cannot be read or understood, and when a case fails, after all have run: with what was expected and
/// what came.
///
/// # Examples
/// In a plugin, whose operator is `fn score`:
/// ```no_run
/// # use wasmill::prelude::*;
/// # #[derive(Row)] struct Reading { value: f64 }
/// # #[transform] fn score(reading: Reading) -> bool { reading.value > 0.0 }
/// # fn main() {
/// wasmill_test::cases::<score>("cases.yaml");
/// # }
/// ```
pub fn cases<O: Operator>(path: impl AsRef<Path>) {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let suite = parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut failed = String::new();
    for case in &suite.cases.0 {
        if let Err(difference) = run::<O>(path, &suite, case) {
            let (file, place, name) = (path.display(), case.place(), case.name());
            write!(failed, "\n{file}:{place}: case `{name}`:\n{difference}").expect("a string takes all");
        }
    }
    assert!(failed.is_empty(), "{} has cases that fail:\n{failed}", path.display());
}

fn run<O: Operator>(path: &Path, suite: &Suite, case: &Case) -> Result<(), String> {
    let key = suite.key.as_ref().map_or(&[][..], |names| &names.0);
    let (came, ports) = called::<O>(path, suite, key, case).map_err(|wrong| format!("  {wrong}\n"))?;
    let names = || ports.iter().map(String::as_str).chain(["rejects", "state"]);
    let mut expected = case.steps.iter().flat_map(|step| &step.expect.ports);
    if let Some((name, _)) = expected.find(|(name, _)| !ports.contains(name)) {
        let meant = nearest(name, names()).map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
        return Err(format!("  `{name}` is no port of the operator{meant}\n"));
    }
    let mut found = String::new();
    for (number, (step, (done, state))) in (1..).zip(case.steps.iter().zip(came)) {
        let difference = differences(&step.expect, &ports, &done, &state);
        if !difference.is_empty() && case.steps.len() > 1 {
            writeln!(found, "  step {number}:").expect("a string takes all");
        }
        found += &difference;
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}

/// What came of the rows of each step, with the state after it, and the operator's ports.
type Came = (Vec<(Done, BTreeMap<String, Value>)>, Vec<String>);

fn called<O: Operator>(path: &Path, suite: &Suite, key: &[String], case: &Case) -> Result<Came, String> {
    match (O::KEYED, key.is_empty()) {
        (true, true) => return Err("the operator has state for each key; name its columns, `key: sensor`".to_owned()),
        (false, false) => return Err("the operator has no state, and so no key; remove `key`".to_owned()),
        _ => {}
    }
    let (places, mut rows): (Vec<String>, Vec<Value>) =
        case.input().map(|(place, row)| (place, row::nested(&row))).unzip();
    let config = case.config();
    let fields = input::columns::<O>(&config, &suite.columns.0, key, &rows)?;
    let driver = Driver::<O>::over(config, &fields).map_err(input::refused)?;
    let named = |row: usize| format!("{}:{}", path.display(), places[row]);
    input::check(driver.plan(), &fields, key, &rows, &named)?;
    input::write_moments(&fields, &mut rows);
    let mut driver = driver.key(key.iter().map(String::as_str));
    let ports = driver.plan().ports.iter().map(|port| port.name.to_string()).collect();
    let (mut came, mut rows) = (Vec::new(), &rows[..]);
    for step in &case.steps {
        let (own, later) = rows.split_at(step.rows());
        driver.set_now(step.now);
        driver.set_watermark(step.watermark);
        came.push((processed(&mut driver, own)?, driver.state()));
        rows = later;
    }
    Ok((came, ports))
}

/// What comes of rows in as many calls as they take.
fn processed<O: Operator>(driver: &mut Driver<O>, rows: &[Value]) -> Result<Done, String> {
    let mut all = Done::default();
    for (number, rows) in rows.chunks(ROWS_A_CALL).enumerate() {
        let done = driver.process(rows.iter().cloned()).map_err(|error| format!("input {error}"))?;
        for (port, rows) in done.ports {
            all.ports.entry(port).or_default().extend(rows);
        }
        let first = number * ROWS_A_CALL;
        all.rejects.extend(done.rejects.into_iter().map(|mut rejected| {
            rejected.row += first;
            rejected
        }));
    }
    Ok(all)
}

/// What differs between what was expected and what came; nothing where they are the same.
fn differences(expect: &Expect, ports: &[String], done: &Done, state: &BTreeMap<String, Value>) -> String {
    let mut found = String::new();
    let same_rows = |a: &Value, b: &Value| row::differences(a, b).is_empty();
    for port in ports {
        let expected = expect.ports.iter().find(|(name, _)| name == port).map_or(&[][..], |(_, rows)| rows);
        lines(port, expected, done.port(port), same_rows, &mut found);
    }
    let action = |action| match action {
        Action::DeadLetter => ACTIONS[0],
        Action::Retry(_) => ACTIONS[1],
        Action::Stop => ACTIONS[2],
    };
    let line =
        |row: usize, action: &str, reason: &Option<String>| json!({ "row": row, "action": action, "reason": reason });
    let expected: Vec<Value> = expect.rejects.iter().map(|no| line(no.row, &no.action, &no.reason)).collect();
    let came: Vec<Value> =
        done.rejects.iter().map(|no| line(no.row, action(no.action), &Some(no.reason.clone()))).collect();
    // A reason that is not said may be any.
    let same_reject = |a: &Value, b: &Value| {
        a["row"] == b["row"] && a["action"] == b["action"] && (a["reason"].is_null() || a["reason"] == b["reason"])
    };
    lines("rejects", &expected, &came, same_reject, &mut found);
    if let Some(keys) = &expect.state {
        let mut keys = keys.clone();
        keys.sort_by(|(a, _), (b, _)| a.cmp(b));
        let of_key = |(key, row): (&String, &Value)| json!({ key: row });
        let expected: Vec<Value> = keys.iter().map(|(key, row)| of_key((key, row))).collect();
        let came: Vec<Value> = state.iter().map(of_key).collect();
        let same_key = |a: &Value, b: &Value| {
            let (a, b) = (a.as_object().and_then(|a| a.iter().next()), b.as_object().and_then(|b| b.iter().next()));
            a.zip(b).is_some_and(|((key, a), (other, b))| key == other && same_rows(a, b))
        };
        lines("state", &expected, &came, same_key, &mut found);
    }
    found
}

/// Says which lines differ: `-` was expected, `+` came, and below them in which columns.
fn lines(what: &str, expected: &[Value], came: &[Value], same: impl Fn(&Value, &Value) -> bool, to: &mut String) {
    let all_same = expected.len() == came.len() && expected.iter().zip(came).all(|(a, b)| same(a, b));
    if all_same {
        return;
    }
    writeln!(to, "  {what}: expected {}, got {}", expected.len(), came.len()).expect("a string takes all");
    for at in 0..expected.len().max(came.len()) {
        match (expected.get(at), came.get(at)) {
            (Some(a), Some(b)) if same(a, b) => writeln!(to, "      {a}"),
            (a, b) => {
                let gone = a.map(|a| format!("    - {a}\n")).unwrap_or_default();
                let come = b.map(|b| format!("    + {b}\n")).unwrap_or_default();
                let columns = a.zip(b).map_or_else(Vec::new, |(a, b)| row::differences(a, b));
                let shown =
                    |value: Option<Value>| value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
                let column = |(path, a, b)| format!("        {path}: expected {}, is {}\n", shown(a), shown(b));
                write!(to, "{gone}{come}{}", columns.into_iter().map(column).collect::<String>())
            }
        }
        .expect("a string takes all");
    }
}
