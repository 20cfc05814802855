//! Stories of code that takes another's place in a keyed stage under load: as good, with more in its state, with other
//! state, and broken.

use std::collections::HashMap;
use std::fs;

use serde_json::Value;
use wasmill_engine::operator::OperatorKind;
use wasmill_tests::assembled::Image;
use wasmill_tests::house::built;
use wasmill_tests::process::Folder;
use wasmill_tests::server::Server;
use wasmill_wasm::encode;

use crate::serve::{events, live};

/// A pipeline that counts how often each of a hundred sensors was there, and its server.
fn counting() -> (Folder, Server) {
    let folder = Folder::with(&format!(
        "name: counting\nlanes: 2\nsources:\n  readings: {{ generator: {{ kind: sensors, rate: 20000 }} }}\n\
         stages:\n  count: {{ from: readings, plugin: {}, key: sensor }}\n\
         sinks:\n  out: {{ from: count, file: {{ path: out/ }} }}\n\
         dead_letters: {{ file: {{ path: dead/ }} }}\n",
        built("tests/guests/rust/counted").display()
    ));
    let server = Server::start(&folder);
    server.apply(&folder, "counting", "pipeline.yaml").with(200);
    server.until("each sensor was there", "counting", |it| it["rows_out"].as_u64() > Some(1_000));
    (folder, server)
}

fn upload(server: &Server, guest: &str) -> String {
    server.upload(&fs::read(built(&format!("tests/guests/rust/{guest}"))).unwrap())
}

/// Ends it: each reading is there once, and each sensor's count goes up by one.
fn check(folder: &Folder, server: Server) {
    server.wasmill(folder, &["drain", "counting"]).with_code(0);
    let whole = server.pipeline("counting");
    server.stop().with_code(0);
    let rows = folder.rows("out");
    assert_eq!((Value::from(rows.len()), folder.visible("dead")), (whole["records_in"].clone(), String::new()));
    let mut counts: HashMap<String, i64> = HashMap::new();
    for row in &rows {
        let count = counts.entry(row["sensor"].as_str().unwrap().to_owned()).or_default();
        *count += 1;
        assert_eq!(row["count"], *count, "{row}");
    }
}

#[test]
fn code_that_fails_on_the_rows_of_the_moment_is_refused_and_the_old_code_works_on() {
    let (folder, server) = counting();
    let good = live(&server.pipeline("counting"), "count");
    let never = upload(&server, "counted_never");
    let refused = server.swap("counting", "count", &never, "").with(422);
    assert_eq!(refused.body["type"], "failed-trial");
    refused.says(&["stage count failed on rows that the old one can process", "a reading has a number"]);
    assert_eq!(live(&server.pipeline("counting"), "count"), good);
    check(&folder, server);
}

#[test]
fn code_that_fails_on_keys_that_were_there_before_is_gone_again_and_no_count_is_out_of_step() {
    let (folder, server) = counting();
    let good = live(&server.pipeline("counting"), "count");
    let later = upload(&server, "counted_broken");
    let taken_back = server.swap("counting", "count", &later, "").with(409).says(&["a key that was there before"]);
    assert_eq!(taken_back.body["type"], "went-back");
    assert_eq!(live(&server.pipeline("counting"), "count"), good);
    let told = events(&server, "went-back");
    assert!(told.len() == 1 && told[0]["facts"]["waited_us"].as_i64() > Some(0), "{told:#?}");
    check(&folder, server);
}

#[test]
fn a_field_that_is_added_to_the_state_is_null_for_each_key_and_goes_with_the_way_back() {
    let (folder, server) = counting();
    let more = upload(&server, "counted_more");
    let swapped = server.swap("counting", "count", &more, "").with(200).body;
    assert_eq!((&swapped["state"], &swapped["keys"]), (&"state carried, added seen.last".into(), &100.into()));
    let back = server.send("POST", "/api/v1/pipelines/counting/stages/count/back", "", b"").with(200).body;
    assert_eq!((&back["state"], &back["keys"]), (&"state carried, dropped seen.last".into(), &100.into()));
    check(&folder, server);
}

#[test]
fn code_with_other_state_is_refused_with_both_shown() {
    let (folder, server) = counting();
    let mut image = Image::default();
    let (count, n) = (image.field("count", "int64", false), image.field("n", "float64", false));
    let (port, table) = (image.port("main", &[count]), image.table("seen", &[n]));
    let read = image.read("id", "int64");
    let plan = image.plan(&[read], &[port], &[table]);
    let other = encode(&image.guest(OperatorKind::Keyed, plan, "unreachable", ""), None).unwrap();
    let refused = server.swap("counting", "count", &server.upload(&other), "").with(422);
    assert_eq!(refused.body["type"], "other-state");
    refused.says(&["[seen version 1: n: int64]", "[seen version 1: n: float64]", "`seen.n: float64` has no value"]);
    check(&folder, server);
}
