//! Stories of lanes: how many there are changes how fast it goes and nothing else.

use std::collections::HashMap;
use std::sync::atomic::Ordering::SeqCst;

use serde_json::Value;
use wasmill_tests::house::built;
use wasmill_tests::process::{Folder, until};

use crate::streams::pour;

const BIDS: &str = "\
sources:
  bids:
    file: { path: in.ndjson }
    format: { ndjson: { columns: { id: int64, auction: int64, price: int64, date_time: timestamp } } }
    event_time: { column: date_time }
";

/// A folder with made-up bids, of which some are malformed, and a pipeline over them.
fn folder(stage: &str, lanes: u32) -> Folder {
    let folder = Folder::new();
    let arguments = ["generate", "bids", "--events", "40000", "--seed", "5", "--errors", "0.01"];
    let bids = std::process::Command::new(wasmill_tests::process::binary()).args(arguments).output().unwrap();
    assert!(bids.status.success());
    folder.write("in.ndjson", bids.stdout);
    folder.write(
        "pipeline.yaml",
        format!(
            "name: lanes\nlanes: {lanes}\n{BIDS}stages:\n  work: {{ from: bids, {stage} }}\n\
             sinks:\n  out: {{ from: work, file: {{ path: out/ }} }}\ndead_letters: {{ file: {{ path: dead/ }} }}\n"
        ),
    );
    folder
}

/// Dead letters without the time at which they were given up, in the order of the source: they are written as they
/// come.
fn letters(folder: &Folder) -> Vec<Value> {
    let mut letters = folder.rows("dead");
    letters.iter_mut().for_each(|letter| drop(letter.as_object_mut().unwrap().remove("at")));
    letters.sort_by_key(|letter| letter["offset"].as_u64());
    letters
}

#[test]
fn several_lanes_write_the_same_bytes_as_one() {
    let plugin = format!("plugin: {}", built("examples/currency/plugin").display());
    let run = |lanes| {
        let folder = folder(&plugin, lanes);
        let report = folder.run().report();
        (folder.visible("out"), letters(&folder), report["rows_out"].clone(), report["dead_letters"].clone())
    };
    let one = run(1);
    assert!(one.0.lines().count() > 30_000 && one.1.len() > 100, "{} rows, {} letters", one.2, one.3);
    for lanes in [2, 4] {
        let several = run(lanes);
        assert!(several.0 == one.0, "rows differ at {lanes} lanes");
        assert!(several.1 == one.1, "dead letters differ at {lanes} lanes");
        assert_eq!((several.2, several.3), (one.2.clone(), one.3.clone()));
    }
}

#[test]
fn on_two_lanes_the_rows_of_a_key_stay_in_order_and_its_state_is_its_own() {
    let stage = format!("plugin: {}, key: auction", built("tests/guests/rust/keyed").display());
    let folder = folder(&stage, 2);
    let report = folder.run().report();
    assert!(report["rows_out"].as_u64() > Some(30_000));
    let (mut totals, mut last): (HashMap<u64, (u64, u64)>, HashMap<u64, u64>) = Default::default();
    for line in folder.visible("out").lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let number = |name: &str| row[name].as_u64().unwrap_or_else(|| panic!("no `{name}` in {row}"));
        let (key, price, id) = (number("auction"), number("price"), number("id"));
        let (count, sum) = totals.entry(key).or_default();
        (*count, *sum) = (*count + 1, *sum + price);
        assert_eq!((number("count"), number("sum")), (*count, *sum), "{row}");
        // As text: the parser of these tests is off by a bit now and then.
        let average = format!("\"avg\":{:?}", *sum as f64 / *count as f64);
        assert!(line.contains(&average), "no {average} in {line}");
        assert!(last.insert(key, id).is_none_or(|before| before < id), "auction {key} is out of order at bid {id}");
    }
    assert!(totals.len() > 100, "{} keys", totals.len());
}

#[test]
fn an_interrupt_in_the_middle_of_a_keyed_stage_on_two_lanes_loses_no_row_and_no_count() {
    const KEYS: u64 = 100;
    let folder = Folder::with(&format!(
        "name: lanes
lanes: 2
sources:
  rows: {{ stdin: {{}}, format: {{ ndjson: {{ columns: {{ id: int64, auction: int64, price: int64 }} }} }} }}
stages:
  work: {{ from: rows, plugin: {}, key: auction }}
sinks:
  out: {{ from: work, file: {{ path: out/ }} }}
",
        built("tests/guests/rust/keyed").display()
    ));
    let mut running = folder.start(&[]);
    let line = |id| format!("{{\"id\":{id},\"auction\":{},\"price\":1}}\n", id % KEYS);
    let poured = pour(running.stdin.take().unwrap(), line);
    until("some of it was read", || poured.load(SeqCst) > 8 << 20);
    running.interrupt();
    let report = running.end().report();
    let (read, out) = (report["records_in"].as_u64().unwrap(), folder.visible("out"));
    assert!(read > 100_000 && report["rows_out"] == read, "{report:#}");
    let mut counts: HashMap<u64, u64> = HashMap::new();
    for line in out.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let count = counts.entry(row["auction"].as_u64().unwrap()).or_default();
        *count += 1;
        assert_eq!(row["count"], *count, "{row}");
    }
    assert_eq!(counts.values().sum::<u64>(), read, "every row that was read is out");
    assert!((0..KEYS).all(|key| counts[&key] == read / KEYS + u64::from(key < read % KEYS)), "the first rows, no gap");
}
