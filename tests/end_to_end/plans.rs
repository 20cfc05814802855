//! What a server says of a change before anything happens.
//!
//! Neighbour: `serve.rs` has the changes themselves.

use std::fs;

use serde_json::{Value, json};
use wasmill_tests::house::built;
use wasmill_tests::process::{Folder, until};
use wasmill_tests::server::{Server, relabelled};

use crate::guests::{passing, retrying_at};
use crate::serve::{FOLLOWED, lines};

#[test]
fn a_plan_says_what_becomes_of_state_and_what_code_needs_and_leaves_nothing() {
    let total = built("tests/guests/rust/keyed");
    let text = format!(
        "name: totals\nlanes: 2\nsources:\n  bids: {{ generator: {{ kind: nexmark, only: bids, rate: 5000 }} }}\n\
         stages:\n  total: {{ from: bids, plugin: {}, key: bidder }}\n\
         sinks:\n  out: {{ from: total, file: {{ path: out/ }} }}\n",
        total.display()
    );
    let folder = Folder::with(&text);
    folder.write("same.wasm", relabelled(&fs::read(&total).unwrap(), 1));
    folder.write("other.wasm", passing());
    let server = Server::start(&folder);
    let wasmill = |arguments: &[&str]| server.wasmill(&folder, arguments);
    let json = |arguments: &[&str]| wasmill(&[arguments, &["--plan", "--output", "json"]].concat()).with_code(0).json();
    let plan = json(&["apply", "pipeline.yaml"]);
    let started = &plan["stages"][0];
    assert_eq!((&plan["way"], &plan["needs_replace"]), (&"start".into(), &false.into()));
    assert_eq!((&started["state"]["verdict"], &started["state"]["running"]), (&"empty".into(), &Value::Null));
    assert!(started["new_imports"].as_array().unwrap().contains(&"wasmill:operator/log@0.1.0".into()), "{plan:#}");
    assert_eq!((&started["needs"]["lanes"], &started["needs"]["instances"]), (&2.into(), &2.into()));
    assert_eq!(plan["needs"]["memory_bytes_max"], 2 * (128 << 20));
    wasmill(&["apply", "pipeline.yaml"]).with_code(0);
    server.until("there is state", "totals", |it| it["nodes"][1]["keys"].as_u64() > Some(10));
    let plan = json(&["swap", "totals/total", "same.wasm"]);
    let state = &plan["stages"][0]["state"];
    assert_eq!((&plan["way"], &state["verdict"]), (&"swap".into(), &"carried".into()), "{plan:#}");
    assert!(state["keys"].as_u64() > Some(10) && state["bytes"].as_u64() > Some(100), "{plan:#}");
    assert!(
        state["running"] == state["wanted"] && state["wanted"].as_str().unwrap().contains("sum: int64"),
        "{plan:#}"
    );
    assert_eq!(plan["stages"][0]["new_imports"], json!([]));
    assert_eq!(plan["stages"][0]["needs"]["instances"], 4);
    let shown = wasmill(&["swap", "totals/total", "same.wasm", "--plan"]).with_code(0).stdout;
    for words in
        ["swap the code of stage total", "state carried (", "needs 2 lanes, 4 instances", "nothing was changed"]
    {
        assert!(shown.contains(words), "no `{words}` in:\n{shown}");
    }
    let plan = json(&["swap", "totals/total", "other.wasm"]);
    assert_eq!(plan["way"], "refused");
    assert!(plan["refused"].as_str().unwrap().contains("only the same kind can take over"), "{plan:#}");
    wasmill(&["swap", "totals/total", "other.wasm", "--plan"]).with_code(1).says(&["this would be refused"]);
    wasmill(&["swap", "totals/total", "--back", "--plan"]).with_code(1).says(&["has no version before"]);
    folder.write("pipeline.yaml", text.replace("lanes: 2", "lanes: 1"));
    let plan = json(&["apply", "pipeline.yaml"]);
    let state = &plan["stages"][0]["state"];
    assert_eq!((&plan["way"], &plan["needs_replace"]), (&"restart".into(), &true.into()));
    assert!(state["verdict"] == "dropped" && state["keys"].as_u64() > Some(10), "{plan:#}");
    let shown = wasmill(&["apply", "pipeline.yaml", "--plan"]).with_code(0).stdout;
    assert!(shown.contains("state dropped (") && shown.contains("apply it with --replace"), "{shown}");
    assert_eq!(server.get("/api/v1/plugins").with(200).body.as_array().unwrap().len(), 1, "nothing was kept");
    let versions = server.get("/api/v1/pipelines/totals/stages/total/versions").with(200).body;
    assert_eq!(versions["digests"].as_array().unwrap().len(), 1, "nothing was changed");
    wasmill(&["swap", "totals/total", "same.wasm"]).with_code(0);
    assert_eq!(json(&["swap", "totals/total", "--back"])["stages"][0]["state"]["verdict"], "carried");
    server.kill();
}

#[test]
fn other_limits_are_a_restart_that_is_told_before_and_hold_from_then_on() {
    let folder = Folder::with(FOLLOWED);
    folder.write("in.ndjson", lines(0, 3));
    folder.write("guest.wasm", retrying_at(1, 21));
    let server = Server::start(&folder);
    let wasmill = |arguments: &[&str]| server.wasmill(&folder, arguments);
    let letters = |count| until("the row is given up", || folder.rows("dead").len() == count);
    wasmill(&["apply", "pipeline.yaml"]).with_code(0);
    letters(1);
    let limited = "name: followed\nlimits: { retry_ms_max: 20ms, memory_bytes_max: 4MiB, state_bytes_max: 1MiB }";
    folder.write("pipeline.yaml", FOLLOWED.replace("name: followed", limited));
    let change = "change limit retry_ms_max from its default to 20ms";
    let plan = wasmill(&["apply", "pipeline.yaml", "--plan", "--output", "json"]).with_code(0).json();
    assert_eq!((&plan["way"], &plan["needs_replace"]), (&"restart".into(), &true.into()));
    let limits = ["state_bytes_max from its default to 1MiB", "memory_bytes_max from its default to 4MiB"];
    let [state, memory] = limits.map(|limit| format!("change limit {limit}"));
    assert_eq!(plan["changes"], json!([state, memory, change]));
    assert_eq!(plan["needs"]["memory_bytes_max"], 4 << 20);
    let shown = wasmill(&["apply", "pipeline.yaml", "--plan"]).with_code(0).stdout;
    assert!(shown.contains(change) && shown.contains("apply it with --replace"), "{shown}");
    wasmill(&["apply", "pipeline.yaml"]).with_code(1).says(&[change, "apply it with `replace`"]);
    assert_eq!(server.pipeline("followed")["state"], "running");
    wasmill(&["apply", "pipeline.yaml", "--replace"]).with_code(0);
    letters(2);
    let reasons = folder.rows("dead").into_iter().map(|letter| letter["reason"].as_str().unwrap().to_owned());
    let reasons: Vec<_> = reasons.collect();
    assert!(reasons[0].contains("later (still after 6 tries)"), "{reasons:?}");
    assert!(reasons[1].contains("retry_ms_max: limit 20 ms, in use 0 ms, requested 21 ms"), "{reasons:?}");
    let plan = wasmill(&["apply", "pipeline.yaml", "--plan", "--output", "json"]).with_code(0).json();
    assert_eq!((&plan["way"], &plan["changes"]), (&"nothing".into(), &json!([])));
    folder.write("pipeline.yaml", FOLLOWED.replace("path: out/", "path: elsewhere/"));
    let plan = wasmill(&["apply", "pipeline.yaml", "--plan", "--output", "json"]).with_code(0).json();
    let from = |limit: &str| format!("change limit {limit} to its default");
    let limits = ["state_bytes_max from 1MiB", "memory_bytes_max from 4MiB", "retry_ms_max from 20ms"].map(from);
    assert_eq!(plan["changes"], json!(["replace sink out", limits[0], limits[1], limits[2]]));
    server.stop().with_code(0);
}

#[test]
fn what_state_is_needed_is_what_the_pipeline_may_have_however_many_lanes_share_it() {
    let total = built("tests/guests/rust/keyed");
    let stage = |name: &str| format!("  {name}: {{ from: bids, plugin: {}, key: bidder }}\n", total.display());
    let folder = Folder::with(&format!(
        "name: totals\nlanes: 2\nlimits: {{ state_bytes_max: 64MiB }}\n\
         sources:\n  bids: {{ generator: {{ kind: nexmark, only: bids }} }}\nstages:\n{}{}\
         sinks:\n  out: {{ from: [total, again], file: {{ path: out/ }} }}\n",
        stage("total"),
        stage("again")
    ));
    let server = Server::start(&folder);
    let plan = server.wasmill(&folder, &["apply", "pipeline.yaml", "--plan", "--output", "json"]).with_code(0).json();
    assert_eq!(plan["stages"][0]["needs"]["state_bytes_max"], 32 << 20);
    assert_eq!(plan["needs"]["state_bytes_max"], 64 << 20);
    server.kill();
}
