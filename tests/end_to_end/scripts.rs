//! Stories of scripts, which read JSON and nothing else: where it stands, and what it is made of.
//!
//! Neighbour: `verbs.rs` has what the verbs say to people.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use wasmill_tests::process::{Ended, Folder, ended, wasmill};

use crate::guests::{passing, poisoned_by, speaking_at};

const PIPELINE: &str = "\
name: read-by-scripts
sources:
  rows: { stdin: {}, format: { ndjson: { columns: { n: int64, text: utf8? } } } }
stages:
  pass: { from: rows, plugin: ./guest.wasm, on_error: stop }
sinks:
  out: { from: pass, stdout: {} }
  too: { from: [pass, rows], file: { path: out/ } }
dead_letters: { file: { path: dead/ } }
";

fn folder() -> Folder {
    let folder = Folder::with(PIPELINE);
    folder.write("guest.wasm", passing());
    folder
}

/// All that it wrote to its standard error stream, which is one JSON value and nothing else.
#[track_caller]
fn only(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stderr).unwrap_or_else(|error| panic!("no JSON: {error}\n{}", ended.stderr))
}

/// Runs the pipeline on a few rows.
fn run(folder: &Folder, log: Option<&str>) -> Ended {
    let mut command = wasmill(folder.path(), &["run", "pipeline.yaml", "--output", "json"]);
    log.map(|log| command.env("WASMILL_LOG", log));
    let rows = folder.write("rows.ndjson", "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
    ended(command.stdin(std::fs::File::open(rows).unwrap()))
}

#[test]
fn a_run_leaves_stdout_to_rows_and_says_one_json_object_on_stderr_however_it_ends() {
    let folder = folder();
    folder.write("guest.wasm", speaking_at(1, "one came by"));
    let good = run(&folder, None).with_code(0);
    assert_eq!((&only(&good)["records_in"], good.stdout.lines().count()), (&3.into(), 3));
    run(&folder, Some("info")).with_code(0).says(&["one came by", "\"records_in\": 3"]);

    folder.write("guest.wasm", poisoned_by(1));
    let stopped = run(&folder, None).with_code(1);
    let why = only(&stopped)["error"].as_str().unwrap().to_owned();
    assert!(why.contains("pipeline read-by-scripts stopped: pass: stopped before the record at "), "{why}");

    folder.write("pipeline.yaml", PIPELINE.replace("from: rows,", "from: rosw,"));
    let wrong = run(&folder, None).with_code(2);
    assert_eq!(wrong.stdout, "", "it belongs to the rows");
    let validated = folder.wasmill(&["validate", "pipeline.yaml", "--output", "json"]).with_code(2).json();
    assert_eq!(only(&wrong), validated);
    assert_eq!(validated["diagnostics"][0]["help"], "did you mean `rows`?");
}

#[test]
fn an_interrupted_run_says_nothing_but_its_report_to_scripts() {
    let folder = folder();
    let mut running = folder.start(&[]);
    std::io::Write::write_all(running.stdin.as_mut().unwrap(), b"{\"n\":0}\n").unwrap();
    assert_eq!(running.line(), "{\"n\":0}");
    // It ends by the interrupt alone: its input stays open.
    let _stdin = running.stdin.take();
    running.interrupt();
    let report = only(&running.end().with_code(0));
    assert_eq!((&report["records_in"], &report["interrupted"]), (&1.into(), &true.into()));
}

#[test]
fn verbs_that_read_a_wrong_pipeline_say_so_on_stdout_as_validate_does() {
    let folder = folder();
    folder.write("pipeline.yaml", PIPELINE.replace("from: rows,", "from: rosw,"));
    let told = |verb: &str| folder.wasmill(&[verb, "pipeline.yaml", "--output", "json"]).with_code(2).json();
    assert_eq!(told("graph"), told("validate"));
    let server = wasmill_tests::server::Server::start(&folder);
    let serve = PIPELINE
        .replace("stdin: {}", "file: { path: in.ndjson, follow: true }")
        .replace("stdout: {}", "file: { path: a/ }");
    folder.write("pipeline.yaml", serve.replace("from: rows,", "from: rosw,"));
    for arguments in
        [&["apply", "pipeline.yaml", "--output", "json"][..], &["apply", "pipeline.yaml", "--plan", "--output", "json"]]
    {
        let applied = server.wasmill(&folder, arguments).with_code(2).says(&["pipeline.yaml is not valid: 1 error"]);
        assert_eq!(applied.json(), told("validate"));
    }
}

#[test]
fn a_graph_is_told_with_ports_keys_lanes_columns_and_edges() {
    let folder = folder();
    let graph = folder.wasmill(&["graph", "pipeline.yaml", "--output", "json"]).with_code(0).json();
    let parts: Vec<_> = graph["nodes"].as_array().unwrap().iter().map(|node| node["part"].clone()).collect();
    assert_eq!(parts, ["source", "stage", "sink", "sink", "dead letters"]);
    let columns = json!([
        { "name": "n", "kind": "int64", "nullable": false },
        { "name": "text", "kind": "utf8", "nullable": true },
    ]);
    let pass = &graph["nodes"][1];
    assert_eq!((&pass["name"], &pass["from"], &pass["key"]), (&"pass".into(), &json!(["rows"]), &json!([])));
    assert_eq!(pass["columns"], columns);
    let port = json!({ "name": "main", "carries": "everything", "makes": [], "columns": columns });
    assert_eq!((&pass["ports"], &pass["lanes"]), (&json!([port]), &1.into()), "{graph:#}");
    assert_eq!(graph["nodes"][3]["from"], json!(["pass", "rows"]));
    assert_eq!(graph["edges"][1], json!({ "from": "pass", "port": "main", "to": "out" }));
    assert_eq!(graph["edges"].as_array().unwrap().len(), 4);
    let drawn = folder.wasmill(&["graph", "pipeline.yaml", "--svg", "--output", "json"]).with_code(2);
    drawn.says(&["--svg is a drawing, and --output json is none"]);
}

#[test]
fn a_plugin_is_told_with_what_it_reads_and_its_ports_as_objects() {
    let folder = folder();
    let inspect = ["plugin", "inspect", "guest.wasm", "--fields", "n=int64,text=utf8?", "--output", "json"];
    let facts = folder.wasmill(&inspect).with_code(0).json();
    assert_eq!(facts["reads"], json!([{ "name": "n", "kind": "int64", "nullable": false, "fallback": null }]));
    assert_eq!(facts["ports"], json!([{ "name": "main", "carries": "everything", "makes": [] }]));
    assert_eq!((&facts["state"], &facts["metrics"]), (&json!([]), &json!([])));
    let text = folder.wasmill(&inspect[..5]).with_code(0).stdout;
    assert!(text.contains("\nreads       n: int64\n") && text.contains("main: carries everything"), "{text}");
}

#[test]
fn a_misspelt_plugin_is_told_with_the_one_that_was_meant() {
    let folder = folder();
    folder.write("my-anomaly/Cargo.toml", "");
    for (wrong, meant) in [("./gest.wasm", "guest.wasm"), ("./my-anomoly", "my-anomaly")] {
        folder.write("pipeline.yaml", PIPELINE.replace("./guest.wasm", wrong));
        let told = folder.wasmill(&["validate", "pipeline.yaml", "--output", "json"]).with_code(2).json();
        assert_eq!(told["diagnostics"][0]["help"], format!("did you mean `{meant}`?"), "{told:#}");
        folder.wasmill(&["plugin", "inspect", wrong]).with_code(2).says(&[&format!("did you mean `{meant}`?")]);
    }
}

/// Exit code, output and errors where one of the streams is a device that has no room.
fn with_full(
    folder: &Folder,
    arguments: &[&str],
    stream: fn(&mut Command, Stdio) -> &mut Command,
) -> (Option<i32>, String, String) {
    let mut command = wasmill(folder.path(), arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ended = stream(&mut command, full.into()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ended.status.code(), text(ended.stdout), text(ended.stderr))
}

#[test]
fn work_goes_on_where_nobody_can_hear_what_is_said_of_it() {
    let folder = folder();
    folder.write("pipeline.yaml", PIPELINE.replace("stdin: {}", "file: { path: in.ndjson }"));
    folder.write("in.ndjson", "{\"n\":7}\nbad\n");
    let (code, out, _) = with_full(&folder, &["run", "pipeline.yaml"], Command::stderr::<Stdio>);
    assert_eq!((code, out.as_str()), (Some(0), "{\"n\":7}\n"));
    folder.write("pipeline.yaml", PIPELINE.replace("from: rows,", "from: rosw,"));
    assert_eq!(with_full(&folder, &["validate", "pipeline.yaml"], Command::stderr::<Stdio>).0, Some(2));
}

#[test]
fn an_output_that_cannot_be_written_is_told_unless_its_reader_went_away() {
    let folder = folder();
    let (code, _, errors) = with_full(&folder, &["validate", "pipeline.yaml"], Command::stdout::<Stdio>);
    assert_eq!(code, Some(1));
    assert!(errors.contains("error: stdout cannot be written: No space left on device"), "{errors}");
}

#[test]
fn what_an_argument_cannot_be_is_said_at_once() {
    let folder = folder();
    for share in ["2", "-1", "nan", "half"] {
        let told = folder.wasmill(&["generate", "bids", &format!("--errors={share}")]);
        told.with_code(2).says(&["a share is a number from 0 to 1"]);
    }
    folder.write("guest.wasm", passing());
    let twice = folder.wasmill(&["plugin", "inspect", "guest.wasm", "--fields", "n=int64,n=int64"]);
    twice.with_code(2).says(&["error: --fields names `n` twice"]);
}
