//! Stories of formats: rows come in as one and go out as another.

use serde_json::{Value, json};
use wasmill_tests::process::{Folder, rows};

const FROM_CSV: &str = "\
name: from-csv
sources:
  table:
    file: { path: in.csv }
    format: { csv: { columns: { sensor: utf8, at: timestamp, value: float64?, ok: boolean } } }
sinks:
  out: { from: table, file: { path: out/ }, format: ndjson }
dead_letters: { file: { path: dead/ } }
";

const FROM_NDJSON: &str = "\
name: from-ndjson
sources:
  rows:
    file: { path: in.ndjson }
    format: { ndjson: { columns: { sensor: utf8, at: timestamp, value: float64?, site.name: utf8? } } }
sinks:
  out: { from: rows, file: { path: out/ }, format: csv }
dead_letters: { file: { path: dead/ } }
";

#[test]
fn csv_becomes_ndjson() {
    let folder = Folder::with(FROM_CSV);
    let input = "sensor,at,value,ok\n\
        a,2026-01-01T00:00:00Z,1.5,true\n\
        \"b, \"\"the\nother\"\"\",2026-01-01T00:00:01Z,,false\n\
        c,never,1,true\n\
        d,2026-01-01T00:00:02Z,-2e3,true\n";
    folder.write("in.csv", input);
    let report = folder.run().report();
    let rows = folder.rows("out");
    assert_eq!(rows.len(), 3);
    assert_eq!((&rows[0]["sensor"], &rows[0]["value"], &rows[0]["ok"]), (&json!("a"), &json!(1.5), &json!(true)));
    assert_eq!((&rows[1]["sensor"], &rows[1]["value"]), (&json!("b, \"the\nother\""), &json!(null)));
    assert_eq!((&rows[2]["sensor"], rows[2]["value"].as_f64()), (&json!("d"), Some(-2e3)));
    assert!(rows[0]["at"].as_str().unwrap().starts_with("2026-01-01T00:00:00"), "{}", rows[0]);
    let letters = folder.rows("dead");
    assert_eq!((letters.len(), &report["dead_letters"]), (1, &json!(1)));
    // The line counts those within quotes.
    let offset = input.find("c,never").unwrap();
    assert_eq!((&letters[0]["line"], &letters[0]["offset"]), (&json!(5), &json!(offset)), "{}", letters[0]);
    assert_eq!(letters[0]["record"].as_str().map(str::trim_end), Some("c,never,1,true"));
    let reason = letters[0]["reason"].as_str().unwrap();
    assert!(reason.contains("`at`") && reason.contains("never"), "{reason}");
}

#[test]
fn ndjson_becomes_csv_with_a_header() {
    let folder = Folder::with(FROM_NDJSON);
    folder.write(
        "in.ndjson",
        "{\"sensor\":\"a\",\"at\":\"2026-01-01T00:00:00Z\",\"value\":1.5,\"site\":{\"name\":\"here\"}}\n\
         {\"sensor\":\"b, \\\"the\\nother\\\"\",\"at\":\"2026-01-01T00:00:01Z\"}\n",
    );
    folder.run().report();
    assert_eq!(folder.names("out"), ["part-00000.csv"]);
    let out = folder.visible("out");
    let mut records = csv::Reader::from_reader(out.as_bytes());
    assert_eq!(records.headers().unwrap(), vec!["sensor", "at", "value", "site.name"]);
    let records: Vec<csv::StringRecord> = records.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), 2, "{out}");
    assert_eq!((&records[0][0], records[0][2].parse(), &records[0][3]), ("a", Ok(1.5), "here"));
    assert_eq!((&records[1][0], &records[1][2], &records[1][3]), ("b, \"the\nother\"", "", ""));
}

#[test]
fn what_the_generator_makes_in_a_pipeline_is_what_it_writes_as_text() {
    for (config, what) in
        [("kind: nexmark, only: bids", "bids"), ("kind: sensors", "sensors"), ("kind: nexmark", "nexmark")]
    {
        let folder = Folder::with(&format!(
            "name: made
sources:
  made: {{ generator: {{ {config}, events: 5000, seed: 3 }} }}
sinks:
  out: {{ from: made, file: {{ path: out/ }}, format: ndjson }}
"
        ));
        assert_eq!(folder.run().report()["rows_out"], 5_000, "{what}");
        let text = folder.wasmill(&["generate", what, "--events", "5000", "--seed", "3"]).with_code(0).stdout;
        for (made, written) in folder.rows("out").iter().zip(&rows(&text)) {
            assert_eq!(present(made), present(written), "{what}");
        }
    }
}

/// A row without its nulls: a row of columns has every field, a text leaves out those that are not there.
fn present(row: &Value) -> Value {
    match row {
        Value::Object(fields) => {
            let there = fields.iter().map(|(name, value)| (name.clone(), present(value)));
            Value::Object(there.filter(|(_, value)| !value.is_null() && *value != json!({})).collect())
        }
        other => other.clone(),
    }
}
