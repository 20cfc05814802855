//! What the sinks show, held to what a plain loop makes of the same records.

use std::collections::{BTreeMap, BTreeSet};

use super::input::{PARTITIONS, Row};
use super::outside::{Outside, SINKS, Seen};

/// A row of a sink by what tells it from others: its id and value, or where a dead letter is from, and its line.
type Mark = (i64, i64);

/// Where a record is from, as a number.
fn place(source: usize, partition: usize, offset: i64) -> i64 {
    (offset * 2 + source as i64) * PARTITIONS as i64 + partition as i64
}

/// What this run should show of the rows of a source, at these sinks: those between where it began and `to`.
fn expected(outside: &Outside, source: usize, to: &[u64]) -> [Vec<Mark>; 4] {
    let mut marks: [Vec<Mark>; 4] = Default::default();
    for row in outside.input.between(source, &outside.from[source], to) {
        let Row { id, value, .. } = *row;
        let [raw, text, wild, dead] = &mut marks;
        raw.extend((row.good && source == 0).then_some((id, value)));
        text.extend(row.is_low().then_some((id, value)));
        wild.extend(row.is_high().then_some((id, value)));
        if row.is_high() && !row.is_given_up() {
            text.push((id, value * 2));
            wild.push((id, value * 2));
        }
        dead.extend((!row.good || row.is_given_up()).then_some(dead_mark(source, row)));
    }
    marks.iter_mut().for_each(|marks| marks.sort_unstable());
    marks
}

fn dead_mark(source: usize, row: &Row) -> Mark {
    (place(source, row.partition, row.offset as i64), row.line)
}

/// The rows of a source that this run shows at a sink.
fn shown(outside: &Outside, source: usize, sink: usize) -> impl Iterator<Item = &Seen> {
    let of_run = outside.ledgers[sink].visible.iter().filter(|(run, ..)| *run == outside.run);
    of_run.map(|(_, _, seen)| seen).filter(move |seen| match seen.numbers.get("id") {
        Some(id) => *id % 2 == source as i64,
        None => seen.source == ["lines", "rows"][source],
    })
}

fn mark(seen: &Seen) -> Mark {
    let number = |name: &str| seen.numbers.get(name).copied().unwrap_or_default();
    if seen.numbers.contains_key("id") {
        return (number("id"), number("value"));
    }
    let partition = seen.partition.parse().expect("partitions are named by numbers");
    (place(usize::from(seen.source == "rows"), partition, number("offset")), number("line"))
}

/// What is wrong with what this run shows of a source whose records up to `to` are done.
pub(crate) fn source(outside: &Outside, source: usize, to: &[u64]) -> Vec<String> {
    let mut found = Vec::new();
    for (sink, mut wanted) in expected(outside, source, to).into_iter().enumerate() {
        let mut got: Vec<Mark> = shown(outside, source, sink).map(mark).collect();
        got.sort_unstable();
        if got == wanted {
            continue;
        }
        let extra: Vec<Mark> = got.into_iter().filter(|mark| !take(&mut wanted, *mark)).collect();
        found.push(format!(
            "{} of source {source} up to {to:?}: lacks {:?}, has beside that {:?}",
            SINKS[sink],
            &wanted[..wanted.len().min(5)],
            &extra[..extra.len().min(5)]
        ));
    }
    found.extend(order(outside, source));
    found
}

fn take(marks: &mut Vec<Mark>, mark: Mark) -> bool {
    let at = marks.iter().position(|other| *other == mark);
    at.map(|at| marks.remove(at)).is_some()
}

/// Rows of one partition, key and way are in order; their text is what it was.
fn order(outside: &Outside, source: usize) -> Vec<String> {
    let mut found = Vec::new();
    for (sink, name) in SINKS.iter().enumerate().take(3) {
        let mut last: BTreeMap<_, i64> = BTreeMap::new();
        for seen in shown(outside, source, sink) {
            let (id, value) = mark(seen);
            let Some(row) = outside.row(id) else {
                found.push(format!("{name} shows a row {id} that is nobody's"));
                continue;
            };
            let key = if *name == "text" { row.key } else { 0 };
            let before = last.insert((row.partition, key, value == row.value), id);
            if before.is_some_and(|before| before >= id) {
                found.push(format!("{name} shows row {id} behind {before:?}"));
            }
            let (raw, note) = (*name == "raw" && seen.text != row.text, format!("n {id} é"));
            if raw || *name == "text" && source == 0 && note_of(&seen.text) != note {
                found.push(format!("{name} shows row {id} as {}", seen.text));
            }
        }
    }
    found
}

fn note_of(text: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(text).expect("a line of NDJSON");
    value["note"].as_str().unwrap_or_default().to_owned()
}

/// The state of each key is in step with its rows, from the beginning of each run.
pub(crate) fn state(outside: &Outside) -> Vec<String> {
    let mut found = Vec::new();
    let mut sums: BTreeMap<(usize, i64), (i64, i64)> = BTreeMap::new();
    for (run, _, Seen { numbers, .. }) in &outside.ledgers[1].visible {
        let (n, sum) = sums.entry((*run, numbers["key"])).or_default();
        (*n, *sum) = (*n + 1, *sum + numbers["value"]);
        if (numbers["n"], numbers["sum"]) != (*n, *sum) {
            found.push(format!("run {run}: {numbers:?} is not row {n} of its key, with the sum {sum}"));
        }
    }
    found
}

/// Rows that no run shows, though the sources were told that they may forget them or have no more.
pub(crate) fn lost(outside: &Outside) -> Vec<String> {
    let mut found = Vec::new();
    let start = [vec![0; PARTITIONS], vec![0]];
    let all = |sink: usize| -> BTreeSet<Mark> {
        outside.ledgers[sink].visible.iter().map(|(_, _, seen)| mark(seen)).collect()
    };
    let [raw, text, wild, dead] = [0, 1, 2, 3].map(all);
    for (source, start) in start.iter().enumerate() {
        for row in outside.input.between(source, start, &outside.input.ends(source)) {
            let mark = (row.id, row.value);
            let there = match (row.is_low(), row.is_high()) {
                (true, _) => text.contains(&mark),
                (_, true) => wild.contains(&mark),
                _ if !row.good => dead.contains(&dead_mark(source, row)),
                _ => source == 1 || raw.contains(&mark),
            };
            if !there {
                found.push(format!("row {} of source {source} is lost", row.id));
            }
        }
    }
    found
}
