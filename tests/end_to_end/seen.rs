//! What is seen of a server from outside: how long batches take, how old rows are, what is behind and where it waits.
//!
//! Neighbours: `serve.rs` has the pipeline, `page.rs` the page of it.

use serde_json::Value;
use wasmill_tests::process::Folder;
use wasmill_tests::server::{Server, relabelled};

use crate::guests::{passing, poisoned_by};
use crate::serve::{append, followed, lines};

fn node<'a>(pipeline: &'a Value, name: &str) -> &'a Value {
    let nodes = pipeline["nodes"].as_array().unwrap();
    nodes.iter().find(|node| node["name"] == name).unwrap()
}

/// The value of a metric with these labels.
fn metric(server: &Server, labelled: &str) -> Option<f64> {
    let text = server.get("/metrics").with(200).body;
    let line = text.as_str().unwrap().lines().find(|line| line.starts_with(labelled)).map(str::to_owned)?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn how_long_batches_take_and_how_old_rows_are_is_told_of_each_stage_version_and_sink() {
    let folder = followed();
    let server = Server::start(&folder);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    server.until("the first rows are through", "followed", |it| it["rows_out"] == 1_000);
    let digest = server.upload(&relabelled(&passing(), 7));
    server.swap("followed", "pass", &digest, "").with(200);
    append(&folder, &lines(1_000, 1_500));
    server.until("the others are too", "followed", |it| it["rows_out"] == 1_500);
    let whole = server.pipeline("followed");
    let (stage, sink) = (node(&whole, "pass"), node(&whole, "out"));
    let versions = stage["versions"].as_array().unwrap();
    let took = versions.iter().map(|version| &version["took"]);
    for times in took.chain([&stage["took"], &stage["age"], &sink["age"]]) {
        let of = |key: &str| times[key].as_u64().unwrap();
        assert!(of("p50_us") <= of("p95_us") && of("p95_us") <= of("p99_us"), "{times}");
        assert!(of("p99_us") <= of("max_us") && of("max_us") > 0, "{times}");
    }
    assert!(stage["age"]["max_us"].as_u64() >= stage["took"]["max_us"].as_u64(), "{stage:#}");
    assert!(sink["took"].is_null() && node(&whole, "rows")["age"].is_null());
    for (version, number) in versions.iter().zip(1..) {
        let labels = format!("pipeline=\"followed\",stage=\"pass\",version=\"{number}\",digest={}", version["digest"]);
        let batches = version["batches"].as_f64();
        assert!(batches > Some(0.0));
        assert_eq!(metric(&server, &format!("wasmill_batch_seconds_count{{{labels}}}")), batches);
        assert_eq!(metric(&server, &format!("wasmill_batch_seconds_bucket{{{labels},le=\"+Inf\"}}")), batches);
    }
    let sink = "wasmill_row_age_seconds_count{pipeline=\"followed\",part=\"sink\",node=\"out\"}";
    assert!(metric(&server, sink) >= Some(2.0));
    let shown = server.wasmill(&folder, &["status", "followed"]).with_code(0).stdout;
    assert!(shown.contains("a batch took p50 ") && shown.contains("rows were there after p50 "), "{shown}");
}

#[test]
fn top_prints_a_frame_where_there_is_no_terminal() {
    let folder = followed();
    let server = Server::start(&folder);
    let none = server.wasmill(&folder, &["top"]).with_code(0).stdout;
    assert!(none.contains("0 pipelines") && none.contains("no pipelines; apply one"), "{none}");
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    append(&folder, "nonsense\n");
    server.until("all is through", "followed", |it| it["rows_out"] == 1_000 && it["dead_letters"] == 1);
    let whole = server.pipeline("followed");
    let digest = &node(&whole, "pass")["versions"][0]["digest"].as_str().unwrap()[..8];
    for arguments in [&["top"][..], &["top", "--once"], &["top", "followed", "--once"]] {
        let shown = server.wasmill(&folder, arguments).with_code(0).stdout;
        let line = |words: &str| shown.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{shown}"));
        assert!(line("> followed").contains("running"), "{shown}");
        assert!(line("stage  pass").contains(&format!("v1 {digest}")), "{shown}");
        assert!(line("source rows").ends_with(" 1"), "the dead letter: {shown}");
        assert!(!shown.contains('\x1b') && !shown.contains("q end"), "no colour and no keys: {shown:?}");
    }
    let told = server.wasmill(&folder, &["top", "--output", "json"]).with_code(0).json();
    assert_eq!((&told["pipelines"][0]["name"], &told["pipeline"]["rows_out"]), (&"followed".into(), &1_000.into()));
    server.wasmill(&folder, &["top", "folowed"]).with_code(2).says(&["there is no pipeline `folowed`"]);
    server.stop().with_code(0);
    let gone = Folder::new().wasmill(&["top", "--server", "127.0.0.1:1"]).with_code(1);
    gone.says(&["start one with `wasmill serve --data DIR`"]);
}

#[test]
fn a_pipeline_that_does_not_keep_up_says_how_far_it_is_behind_and_where_rows_wait() {
    // No row can ever be done, and each is tried again after a wait: rows come to stand in front of the stage.
    let folder = Folder::with(
        "name: stuck\nsources:\n  rows:\n    file: { path: in.ndjson, follow: true }\n\
         \x20   format: { ndjson: { columns: { n: int64, at: timestamp } } }\n    event_time: { column: at }\n\
         stages:\n  pass: { from: rows, plugin: ./guest.wasm, on_error: { retry: { max: 5 } } }\n\
         sinks:\n  out: { from: pass, file: { path: out/ } }\ndead_letters: { file: { path: dead/ } }\n",
    );
    folder.write("guest.wasm", poisoned_by(0));
    let line = "{\"n\":0,\"at\":\"2020-01-01T00:00:00Z\"}\n";
    folder.write("in.ndjson", line.repeat(200_000));
    let server = Server::start(&folder);
    server.apply(&folder, "stuck", "pipeline.yaml").with(200);
    let mut whole = Value::Null;
    server.until("rows wait, and what was not read is what is left of the file", "stuck", |it| {
        whole = it.clone();
        let (source, input) = (node(it, "rows"), &node(it, "pass")["inputs"][0]);
        let left = source["bytes"].as_u64().map(|bytes| 200_000 * line.len() as u64 - bytes);
        println!("{source:#} {input:#}");
        // A status is no snapshot: its figures agree once nothing moves any more.
        let still = input["waiting_messages"] == 4 && it["waiting_rows"] == input["waiting_rows"];
        still && left > Some(1_000_000) && source["lag"]["behind_bytes"].as_u64() == left
    });
    let (lag, input) = (&node(&whole, "rows")["lag"], &node(&whole, "pass")["inputs"][0]);
    assert!(lag["event_time_s"].as_f64() > Some(1e8) && lag["behind_rows"].is_null(), "{lag}");
    assert!(input["from"] == "rows" && input["waiting_rows"].as_u64() > Some(1_000), "{input}");
    assert_eq!(node(&whole, "out")["inputs"][0]["waiting_rows"], 0, "nothing comes that far");
    assert!(whole["lag"]["behind_bytes"].as_u64() > Some(1_000_000), "{}", whole["lag"]);
    let waiting = metric(&server, "wasmill_waiting_rows{pipeline=\"stuck\",from=\"rows\",to=\"pass\"}");
    assert_eq!(waiting, input["waiting_rows"].as_f64());
    assert!(metric(&server, "wasmill_source_behind_bytes{pipeline=\"stuck\",source=\"rows\"}") > Some(1e6));
    assert!(metric(&server, "wasmill_source_event_time_lag_seconds{pipeline=\"stuck\",source=\"rows\"}") > Some(1e8));
    let shown = server.wasmill(&folder, &["status", "stuck"]).with_code(0).stdout;
    for words in [" bytes behind, event time ", " rows from rows wait, in "] {
        assert!(shown.contains(words), "{shown}");
    }
    server.kill();
}

#[test]
fn every_path_that_is_described_is_there_and_takes_what_is_described_and_nothing_else() {
    let folder = followed();
    let server = Server::start(&folder);
    let described = server.get("/api/v1/openapi.json").with(200).body;
    let paths = described["paths"].as_object().unwrap();
    assert!(paths.len() > 15, "{paths:#?}");
    for (path, operations) in paths {
        let asked = path.replace("{name}", "absent").replace("{stage}", "absent").replace("{digest}", "absent");
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            let answer = server.send(method, &asked, "", b"");
            let is_described = operations.get(method.to_lowercase()).is_some();
            assert_eq!(answer.status == 405, !is_described, "{method} {path}: {answer:#?}");
            assert_ne!(answer.body["type"], "unknown-path", "{method} {path}");
            if answer.status >= 400 {
                let problem = &described["components"]["schemas"]["Problem"]["properties"];
                let told = answer.body.as_object().unwrap();
                assert!(told.keys().all(|key| problem.get(key).is_some()), "{told:?} as {problem:#}");
            }
        }
    }
}

#[test]
fn what_is_told_of_a_pipeline_is_as_it_is_described() {
    let folder = followed();
    let server = Server::start(&folder);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    server.until("all is through", "followed", |it| it["rows_out"] == 1_000);
    let described = server.get("/api/v1/openapi.json").with(200).body;
    let whole = server.pipeline("followed");
    let schema =
        &described["paths"]["/api/v1/pipelines/{name}"]["get"]["responses"]["200"]["content"]["application/json"];
    fits(&whole, &schema["schema"], &described, "Whole");
    let all = server.get("/api/v1/pipelines").with(200).body;
    let schema = &described["paths"]["/api/v1/pipelines"]["get"]["responses"]["200"]["content"]["application/json"];
    fits(&all, &schema["schema"], &described, "all");
}

/// Whether a value has nothing but what a schema says, and all that it requires.
fn fits(value: &Value, schema: &Value, described: &Value, place: &str) {
    let properties = all_properties(schema, described);
    match value {
        Value::Array(items) => {
            let inner = resolved(schema, described)["items"].clone();
            items.iter().for_each(|item| fits(item, &inner, described, place));
        }
        Value::Object(fields) if !properties.is_empty() => {
            for (name, value) in fields {
                let schema =
                    properties.get(name).unwrap_or_else(|| panic!("{place} has `{name}`, which nobody describes"));
                fits(value, schema, described, &format!("{place}.{name}"));
            }
        }
        _ => {}
    }
}

fn resolved<'a>(schema: &'a Value, described: &'a Value) -> &'a Value {
    let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    name.map_or(schema, |name| &described["components"]["schemas"][name])
}

/// The fields of a schema, with those of the schemas that it is made of.
fn all_properties(schema: &Value, described: &Value) -> serde_json::Map<String, Value> {
    let schema = resolved(schema, described);
    let mut all = schema["properties"].as_object().cloned().unwrap_or_default();
    for kind in ["allOf", "oneOf"] {
        for part in schema[kind].as_array().into_iter().flatten() {
            all.extend(all_properties(part, described));
        }
    }
    all
}
