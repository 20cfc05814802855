//! Stories of plugins: those that fail on a row, and those that are none.

use std::fs;

use serde_json::Value;
use wasmill_tests::assembled::Image;
use wasmill_tests::process::Folder;

use crate::guests::{
    attacking_at, lying_at, passing, poisoned_by, poisoned_once_by, repeating_at, retrying_at, stopping_at,
};

/// A pipeline of one stage, which is the plugin `guest.wasm`; `more` are further keys of the stage.
fn pipeline(more: &str, dead_letters: bool) -> String {
    let dead = if dead_letters { "dead_letters: { file: { path: dead/ } }\n" } else { "" };
    format!(
        "name: guarded
sources:
  rows: {{ file: {{ path: in.ndjson }}, format: {{ ndjson: {{ columns: {{ n: int64 }} }} }} }}
stages:
  pass: {{ from: rows, plugin: ./guest.wasm{more} }}
sinks:
  out: {{ from: pass, file: {{ path: out/ }} }}
{dead}"
    )
}

fn line(n: u64) -> String {
    format!("{{\"n\":{n}}}\n")
}

/// A folder with such a pipeline, a thousand rows and that plugin.
fn folder(more: &str, dead_letters: bool, guest: &[u8]) -> Folder {
    let folder = Folder::with(&pipeline(more, dead_letters));
    folder.write("in.ndjson", (0..1_000).map(line).collect::<String>());
    folder.write("guest.wasm", guest);
    folder
}

/// What a guest answers.
type Lie = fn(&mut Image) -> u32;

fn stage(report: &Value) -> &Value {
    let nodes = report["nodes"].as_array().unwrap();
    nodes.iter().find(|node| node["part"] == "stage").unwrap()
}

#[test]
fn a_row_that_traps_is_a_dead_letter_with_the_backtrace_and_the_other_999_come_out() {
    let folder = folder("", true, &poisoned_by(3));
    let report = folder.run().report();
    assert_eq!(folder.visible("out"), (0..1_000).filter(|n| *n != 3).map(line).collect::<String>());
    let letters = folder.rows("dead");
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((&letter["offset"], &letter["line"], &letter["stage"]), (&24.into(), &4.into(), &"pass".into()));
    assert_eq!((&letter["record"], &letter["record_base64"]), (&"{\"n\":3}".into(), &Value::Null));
    assert!(letter["reason"].as_str().unwrap().contains("unreachable"), "{}", letter["reason"]);
    let backtrace: Vec<&str> = letter["backtrace"].as_str().unwrap().lines().collect();
    assert!(backtrace[0].contains("inner") && backtrace[1].contains("outer"), "innermost first: {backtrace:?}");
    let inspected = folder.wasmill(&["plugin", "inspect", "guest.wasm", "--output", "json"]).with_code(0).json();
    assert_eq!(letter["component"], inspected["digest"]);
    assert!(stage(&report)["failures"].as_u64() > Some(0), "{report:#}");
    assert_eq!((&report["rows_out"], &report["dead_letters"]), (&999.into(), &1.into()));
}

#[test]
fn a_row_that_traps_where_the_stage_says_stop_is_named_and_nothing_is_committed() {
    for (more, dead_letters) in [(", on_error: stop", true), ("", false)] {
        let folder = folder(more, dead_letters, &poisoned_by(3));
        let place = "pass: stopped before the record at in.ndjson: line 4, offset 24: ";
        folder.run().with_code(1).says(&["pipeline guarded stopped: ", place, "unreachable"]);
        assert_eq!((folder.visible("out"), folder.visible("dead")), Default::default());
    }
}

#[test]
fn a_row_at_which_the_plugin_says_stop_is_named_with_its_reason_and_nothing_is_committed() {
    let folder = folder("", true, &stopping_at(0));
    let place = "pass: stopped before the record at in.ndjson: line 1, offset 0: the sensor is broken";
    folder.run().with_code(1).says(&["pipeline guarded stopped: ", place]);
    assert_eq!((folder.visible("out"), folder.visible("dead")), Default::default());
}

#[test]
fn an_answer_that_breaks_the_contract_costs_the_row_that_it_is_about_and_nothing_else() {
    let wrong: [(&str, Lie); 6] = [
        ("port `main`: 1 columns, the plan has 0", |i| {
            let column = i.column(&[0; 8], &[], &[]);
            let emit = i.emit(0, None, &[column]);
            i.effects(&[emit], &[], &[])
        }),
        ("port `main`: `origin` names row 1000000 of a batch of 1 rows", |i| {
            let emit = i.emit(0, Some(&[1_000_000]), &[]);
            i.effects(&[emit], &[], &[])
        }),
        ("it emits to port 1, the plan has 1", |i| {
            let emit = i.emit(1, None, &[]);
            i.effects(&[emit], &[], &[])
        }),
        ("out of bounds", |i| {
            let mut emit = i.emit(0, Some(&[0]), &[]);
            emit[2] = 0xffff_0000;
            i.effects(&[emit], &[], &[])
        }),
        ("exceeded output_rows_max: limit 10000 rows, in use 0 rows, requested 20000 rows", |i| {
            let emit = i.emit(0, Some(&vec![0; 20_000]), &[]);
            i.effects(&[emit], &[], &[])
        }),
        ("exceeded output_bytes: limit ", |i| {
            let emit = i.emit(0, Some(&vec![0; 10_000_000]), &[]);
            i.effects(&[emit], &[], &[])
        }),
    ];
    for (said, lie) in wrong {
        let folder = folder("", true, &lying_at(3, lie));
        let report = folder.run().report();
        assert_eq!((&report["rows_out"], &report["dead_letters"]), (&999.into(), &1.into()), "{said}");
        assert_eq!(folder.visible("out"), (0..1_000).filter(|n| *n != 3).map(line).collect::<String>(), "{said}");
        let letter = &folder.rows("dead")[0];
        assert_eq!((&letter["line"], &letter["record"]), (&4.into(), &"{\"n\":3}".into()), "{said}");
        let reason = letter["reason"].as_str().unwrap();
        assert!(reason.contains(said), "expected `{said}`, was: {reason}");
    }
}

#[test]
fn a_row_that_traps_is_tried_again_where_the_stage_says_so_and_then_given_up() {
    let folder = folder(", on_error: { retry: { max: 2 } }", true, &poisoned_by(3));
    let report = folder.run().report();
    assert_eq!((&report["rows_out"], &report["dead_letters"]), (&999.into(), &1.into()));
    assert_eq!(stage(&report)["retries"], 2);
    assert_eq!(folder.rows("dead")[0]["line"], 4);
}

#[test]
fn a_row_that_is_taken_when_it_is_tried_again_is_not_lost() {
    let folder = folder(", on_error: retry", true, &poisoned_once_by(3));
    let report = folder.run().report();
    assert_eq!(
        (&report["rows_out"], &report["dead_letters"], &stage(&report)["retries"]),
        (&1_000.into(), &0.into(), &1.into())
    );
    assert_eq!(folder.visible("out"), (0..1_000).map(line).collect::<String>(), "and stays in its place");
}

#[test]
fn a_row_on_which_the_plugin_never_ends_or_takes_all_memory_costs_that_row_and_nothing_else() {
    let attacks = [
        ("(loop $on (br $on))", "call_ms_max", true),
        (
            "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
            "memory_bytes_max",
            true,
        ),
        ("(return (i32.const 7))", "the operator's answer is invalid: ", false),
    ];
    for (attack, named, interrupted) in attacks {
        let folder = folder("", true, &attacking_at(1, attack));
        folder.write("in.ndjson", (0..3).map(line).collect::<String>());
        let report = folder.run().report();
        assert_eq!((&report["rows_out"], &report["dead_letters"]), (&2.into(), &1.into()), "{attack}");
        assert_eq!(folder.visible("out"), [line(0), line(2)].concat());
        let letters = folder.rows("dead");
        assert_eq!(letters[0]["line"], 2);
        let reason = letters[0]["reason"].as_str().unwrap();
        assert!(reason.contains(named), "expected `{named}`, was: {reason}");
        let frames = letters[0]["backtrace"].as_str();
        assert_eq!(frames.is_some_and(|frames| frames.contains("!process")), interrupted, "{attack}: {frames:?}");
    }
}

#[test]
fn a_record_of_a_megabyte_that_is_named_ten_thousand_times_costs_that_record_and_no_memory() {
    let folder = folder("", true, &repeating_at(0, 10_000));
    let first = format!("{{\"n\":0,\"text\":\"{}\"}}\n", "x".repeat(1_000_000));
    folder.write("in.ndjson", [first.clone(), (1..20).map(line).collect()].concat());
    let report = folder.run().report();
    assert_eq!((&report["rows_out"], &report["dead_letters"]), (&19.into(), &1.into()));
    assert_eq!(folder.visible("out"), (1..20).map(line).collect::<String>());
    let letters = folder.rows("dead");
    let reason = letters[0]["reason"].as_str().unwrap();
    assert!(reason.contains("exceeded emitted_bytes_max: limit 67108864 B, in use 0 B, requested 10"), "{reason}");
    assert!(letters[0]["record"] == first.trim_end());
}

#[test]
fn a_pipeline_that_sets_a_limit_has_it() {
    let grows = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    let repeats = repeating_at(1, 5_000);
    let attacks = [
        ("call_ms_max: 50ms", attacking_at(1, "(loop $on (br $on))"), "call_ms_max: limit 50 ms"),
        ("memory_bytes_max: 4MiB", attacking_at(1, grows), "memory_bytes_max: limit 4194304 B"),
        ("output_rows_max: 4000", repeats, "output_rows_max: limit 4000 rows"),
        ("retry_ms_max: 20ms", retrying_at(1, 21), "retry_ms_max: limit 20 ms"),
    ];
    for (limit, guest, named) in attacks {
        let limited = pipeline("", true).replace("name: guarded", &format!("name: guarded\nlimits: {{ {limit} }}"));
        let folder = folder("", true, &guest);
        folder.write("pipeline.yaml", limited);
        folder.write("in.ndjson", (0..3).map(line).collect::<String>());
        let report = folder.run().report();
        assert_eq!((&report["rows_out"], &report["dead_letters"]), (&2.into(), &1.into()), "{limit}");
        let letters = folder.rows("dead");
        let reason = letters[0]["reason"].as_str().unwrap();
        assert!(reason.contains(named), "expected `{named}`, was: {reason}");
    }
}

#[test]
fn a_plugin_that_is_none_is_told_with_line_and_column_of_the_pipeline() {
    let core = b"\0asm\x01\0\0\0".to_vec();
    let cut = passing();
    let component = |text: &str| wat::parse_str(format!("(component {text})")).unwrap();
    let other = component(r#"(instance) (export "wasmill:operator/transform@0.2.0" (instance 0))"#);
    let hollow = component(r#"(instance) (export "wasmill:operator/transform@0.1.0" (instance 0))"#);
    let wasi = component(
        r#"(import "wasi:filesystem/types@0.2.0" (instance))
           (export "wasmill:operator/transform@0.1.0" (instance 0))"#,
    );
    let refused: [(&[u8], &str); 8] = [
        (b"#!/bin/sh\n", "not WebAssembly: the file begins with"),
        (&core, "this is a core WebAssembly module, not a component: run `wasmill build` on it"),
        (&cut[..cut.len() / 2], "guest.wasm: "),
        (b"", "the file is empty: a component was expected"),
        (&component(""), "found nothing"),
        (&wasi, "`wasi:filesystem/types@0.2.0`"),
        (&other, "the component speaks `wasmill:operator/transform@0.2.0`, this host speaks version 0.1.0"),
        (&hollow, "has no function `open`"),
    ];
    for (bytes, said) in refused {
        let folder = folder("", true, bytes);
        for verb in ["validate", "run", "graph"] {
            let ended = folder.wasmill(&[verb, "pipeline.yaml"]).with_code(2);
            ended.says(&["pipeline.yaml:5:31: error: ", said, " 5 |   pass: { from: rows, plugin: ./guest.wasm }"]);
        }
        assert!(folder.names("out").is_empty(), "nothing is opened");
        // What it lacks when it is linked shows where it is opened.
        if bytes != hollow {
            folder.wasmill(&["plugin", "inspect", "guest.wasm"]).with_code(2).says(&["error: ", said]);
        }
    }
}

#[test]
fn a_plugin_that_is_not_there_or_not_built_is_told_with_what_to_do() {
    let folder = folder("", true, b"");
    fs::remove_file(folder.path().join("guest.wasm")).unwrap();
    let check = || folder.wasmill(&["validate", "pipeline.yaml"]).with_code(2);
    check().says(&["pipeline.yaml:5:31: error: there is no plugin at ./guest.wasm", "= check the path"]);
    fs::create_dir(folder.path().join("guest.wasm")).unwrap();
    check().says(&["./guest.wasm was not built yet", "= run `wasmill build ./guest.wasm`"]);
    let named = pipeline("", true).replace("./guest.wasm", "guest@1");
    folder.write("pipeline.yaml", named);
    check().says(&["pipeline.yaml:5:31: error: there is no plugin `guest@1` in a folder `plugins` here or above"]);
}

#[test]
fn what_is_wrong_with_a_pipeline_is_told_with_what_was_meant() {
    let wrong = pipeline(", on_eror: stop", true).replace("int64", "int46");
    let folder = Folder::with(&wrong);
    folder.write("guest.wasm", passing());
    let kind = ["pipeline.yaml:3:72: error: there is no kind `int46`", "did you mean `int64`?"];
    let key = ["pipeline.yaml:5:45: error: `on_eror` is no key of stage `pass`", "did you mean `on_error`?"];
    folder.wasmill(&["run", "pipeline.yaml"]).with_code(2).says(&kind).says(&key);

    let told = folder.wasmill(&["validate", "pipeline.yaml", "--output", "json"]).with_code(2).json();
    assert_eq!(told["file"], "pipeline.yaml");
    let diagnostics = told["diagnostics"].as_array().unwrap();
    let places: Vec<_> = diagnostics.iter().map(|told| (told["line"].clone(), told["column"].clone())).collect();
    assert_eq!(places, [(3.into(), 72.into()), (5.into(), 45.into())], "{told:#}");
    assert!(diagnostics.iter().all(|told| told["severity"] == "error" && told["help"].is_string()), "{told:#}");

    folder.write("pipeline.yaml", pipeline("", true).replace("from: pass", "from: pas"));
    folder
        .wasmill(&["run", "pipeline.yaml"])
        .with_code(2)
        .says(&["pipeline.yaml:7:16: error: ", "did you mean `pass`?"]);
}
