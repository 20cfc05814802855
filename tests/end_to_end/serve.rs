//! Stories of a server: pipelines that come and go, code that changes while rows flow, and ends of every kind.

use std::collections::HashMap;
use std::io::Write as _;
use std::{fs, thread};

use serde_json::{Value, json};
use wasmill_engine::operator::OperatorKind;
use wasmill_tests::assembled::Image;
use wasmill_tests::house::built;
use wasmill_tests::process::{Folder, until, wasmill};
use wasmill_tests::server::{Server, relabelled};
use wasmill_wasm::encode;

use crate::guests::{attacking_at, passing};

/// A pipeline over a file that grows, of one stage `pass`.
pub(crate) const FOLLOWED: &str = "\
name: followed
sources:
  rows: { file: { path: in.ndjson, follow: true }, format: { ndjson: { columns: { n: int64, m: int64 } } } }
stages:
  pass: { from: rows, plugin: ./guest.wasm }
sinks:
  out: { from: pass, file: { path: out/ } }
dead_letters: { file: { path: dead/ } }
";

/// Its rows.
pub(crate) fn lines(from: u64, to: u64) -> String {
    (from..to).map(|n| format!("{{\"n\":{n},\"m\":{n}}}\n")).collect()
}

/// A folder with that pipeline, a thousand rows, and a guest that passes all.
pub(crate) fn followed() -> Folder {
    let folder = Folder::with(FOLLOWED);
    folder.write("in.ndjson", lines(0, 1_000));
    folder.write("guest.wasm", passing());
    folder
}

/// Adds to what its source reads.
pub(crate) fn append(folder: &Folder, text: &str) {
    let mut file = fs::File::options().append(true).open(folder.path().join("in.ndjson")).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

pub(crate) fn stage<'a>(pipeline: &'a Value, name: &str) -> &'a Value {
    let nodes = pipeline["nodes"].as_array().unwrap();
    nodes.iter().find(|node| node["part"] == "stage" && node["name"] == name).unwrap()
}

/// The digest that a stage works with.
pub(crate) fn live(pipeline: &Value, name: &str) -> String {
    let versions = stage(pipeline, name)["versions"].as_array().unwrap();
    versions.iter().find(|version| version["live"] == true).unwrap()["digest"].as_str().unwrap().to_owned()
}

pub(crate) fn events(server: &Server, kind: &str) -> Vec<Value> {
    let events = server.get("/api/v1/events").with(200).body;
    events.as_array().unwrap().iter().filter(|event| event["kind"] == kind).cloned().collect()
}

#[test]
fn code_that_is_swapped_under_load_loses_and_doubles_no_row_and_keeps_the_state_of_every_key() {
    let total = built("tests/guests/rust/keyed");
    let folder = Folder::with(&format!(
        "name: totals\nlanes: 2\nsources:\n  bids: {{ generator: {{ kind: nexmark, only: bids, rate: 30000 }} }}\n\
         stages:\n  total: {{ from: bids, plugin: {}, key: bidder }}\n\
         sinks:\n  out: {{ from: total, file: {{ path: out/ }} }}\n",
        total.display()
    ));
    let server = Server::start(&folder);
    server.wasmill(&folder, &["apply", "pipeline.yaml"]).with_code(0);
    server.until("rows flow", "totals", |pipeline| stage(pipeline, "total")["rows_in"].as_u64() > Some(2_000));
    let component = fs::read(total).unwrap();
    for label in 0..8 {
        let digest = server.upload(&relabelled(&component, label));
        let swapped = server.swap("totals", "total", &digest, "").with(200).body;
        assert_eq!((&swapped["lost"], &swapped["state"]), (&0.into(), &"state carried".into()), "{swapped:#}");
        assert!(swapped["keys"].as_u64() > Some(10), "{swapped:#}");
        assert_eq!(live(&server.pipeline("totals"), "total"), digest);
    }
    let before = live(&server.pipeline("totals"), "total");
    let back = server.wasmill(&folder, &["swap", "totals/total", "--back", "--output", "json"]).with_code(0).json();
    assert_eq!(back["from"], before);
    server.wasmill(&folder, &["drain", "totals"]).with_code(0);
    let whole = server.pipeline("totals");
    assert_eq!(whole["state"], "done", "{whole:#}");
    let rows = folder.rows("out");
    assert_eq!(Value::from(rows.len()), whole["records_in"], "each row once");
    let mut counts: HashMap<i64, i64> = HashMap::new();
    for row in &rows {
        let count = counts.entry(row["bidder"].as_i64().unwrap()).or_default();
        *count += 1;
        assert_eq!(row["count"], *count, "the state of a key is in step with its rows: {row}");
    }
    let versions = stage(&whole, "total")["versions"].as_array().unwrap().clone();
    let by_version: u64 = versions.iter().map(|version| version["rows_in"].as_u64().unwrap()).sum();
    assert_eq!((versions.len(), by_version), (10, rows.len() as u64), "{versions:#?}");
    assert_eq!(events(&server, "swapped").len(), 9);
    server.stop().with_code(0);
}

#[test]
fn code_that_fails_after_the_swap_is_gone_again_and_its_batch_is_done_by_the_code_before() {
    let folder = followed();
    let server = Server::start(&folder);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    server.until("the first rows are through", "followed", |it| it["rows_out"] == 1_000);
    let good = live(&server.pipeline("followed"), "pass");
    let bad = server.upload(&attacking_at(1_500, "unreachable"));
    let swapped = server.swap("followed", "pass", &bad, "").with(200).body;
    assert_eq!(swapped["watched"], true, "no rows have come yet");
    assert_eq!(live(&server.pipeline("followed"), "pass"), bad);
    append(&folder, &lines(1_000, 2_000));
    server.until("the old code is back", "followed", |it| live(it, "pass") == good);
    server.until("all rows are through", "followed", |it| it["rows_out"] == 2_000);
    until("what shall be is what is", || {
        let versions = server.get("/api/v1/pipelines/followed/stages/pass/versions").with(200).body;
        versions["digests"].as_array().unwrap().last().unwrap() == &Value::from(good.clone())
    });
    let went_back = events(&server, "went-back");
    assert!(went_back[0]["message"].as_str().unwrap().contains("unreachable"), "{went_back:#?}");
    server.stop().with_code(0);
    assert_eq!(folder.visible("out"), lines(0, 2_000));
    assert_eq!(folder.visible("dead"), "");
}

#[test]
fn what_does_not_fit_is_refused_with_the_reason_and_the_old_code_works_on() {
    let folder = followed();
    let server = Server::start(&folder);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    let good = live(&server.pipeline("followed"), "pass");
    let swap = |digest: &str| server.swap("followed", "pass", digest, "");
    swap(&"0".repeat(64)).with(404).says(&["upload it first"]);
    swap("../../etc/passwd").with(404);
    swap(&good).with(409).says(&["already"]);
    let digest = server.upload(&fs::read(built("tests/guests/rust/keyed")).unwrap());
    swap(&digest).with(422).says(&["runs a transform operator and the new code is keyed"]);
    let digest = server.upload(&guest("elsewhere", "n"));
    swap(&digest).with(422).says(&["[main: makes nothing, carries all]", "[elsewhere: makes"]);
    let digest = server.upload(&guest("main", "m"));
    swap(&digest).with(422).says(&["reads `m`, which the running pipeline does not decode"]);
    let digest = server.upload(&guest("main", "absent"));
    swap(&digest).with(422).says(&["reads `absent`, which its input does not have"]);
    server.swap("followed", "psas", &digest, "").with(404).says(&["did you mean `pass`"]);
    server.swap("folowed", "pass", &digest, "").with(404).says(&["did you mean `followed`"]);
    assert_eq!(live(&server.pipeline("followed"), "pass"), good);
    let list = server.get("/api/v1/plugins").with(200).body;
    assert_eq!(list.as_array().unwrap().len(), 5);
    server.send("DELETE", &format!("/api/v1/plugins/{good}"), "", b"").with(409).says(&["followed"]);
    server.send("DELETE", &format!("/api/v1/plugins/{digest}"), "", b"").with(204);
    server.get(&format!("/api/v1/plugins/{digest}")).with(404);
}

/// A guest that reads one column and passes every row to a port of that name.
fn guest(port: &str, column: &str) -> Vec<u8> {
    let mut image = Image::default();
    let (read, port) = (image.read(column, "int64"), image.port(port, &[]));
    let plan = image.plan(&[read], &[port], &[]);
    let all = image.emit(0, None, &[]);
    let good = image.effects(&[all], &[], &[]);
    encode(&image.guest(OperatorKind::Transform, plan, &format!("(i32.const {good})"), ""), None).unwrap()
}

#[test]
fn of_two_changes_at_once_one_is_told_that_it_came_second() {
    let folder = followed();
    let server = Server::start(&folder);
    let tag = server.apply(&folder, "followed", "pipeline.yaml").with(200).tag();
    let digests = [1, 2].map(|label| server.upload(&relabelled(&passing(), label)));
    let header = format!("if-match: {tag}\r\n");
    let answers: Vec<u16> = thread::scope(|scope| {
        let swaps =
            digests.each_ref().map(|digest| scope.spawn(|| server.swap("followed", "pass", digest, &header).status));
        swaps.into_iter().map(|swap| swap.join().unwrap()).collect()
    });
    assert!(answers.contains(&200) && answers.contains(&412), "{answers:?}");
    server.swap("followed", "pass", &digests[0], &header).with(412).says(&["somebody else changed it"]);
    server.swap("followed", "pass", &digests[0], "if-match: x\r\n").with(400);
}

#[test]
fn after_kill_9_every_pipeline_is_what_was_told_last() {
    let folder = followed();
    let server = Server::start(&folder);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    let digest = server.upload(&relabelled(&passing(), 7));
    server.swap("followed", "pass", &digest, "").with(200);
    folder.write(
        "second.yaml",
        FOLLOWED.replace("followed", "second").replace("out/", "out2/").replace("dead/", "dead2/"),
    );
    server.apply(&folder, "second", "second.yaml").with(200);
    server.send("POST", "/api/v1/pipelines/second/pause", "", b"").with(200);
    // What the file names now is not what runs.
    folder.write("guest.wasm", b"overwritten");
    server.kill();
    let server = Server::start(&folder);
    assert_eq!(server.pipeline("second")["state"], "paused");
    let followed = server.pipeline("followed");
    assert_eq!((&followed["state"], live(&followed, "pass")), (&"running".into(), digest));
    server.until("it works", "followed", |it| it["rows_out"] == 1_000);
    assert_eq!(server.pipeline("second")["records_in"], 0);
    server.send("POST", "/api/v1/pipelines/second/resume", "", b"").with(200);
    server.until("it goes on", "second", |it| it["rows_out"] == 1_000);
    server.wasmill(&folder, &["delete", "second"]).with_code(0);
    server.get("/api/v1/pipelines/second").with(404);
    server.stop().with_code(0);
    let server = Server::start(&folder);
    let names = server.get("/api/v1/pipelines").with(200).body;
    assert_eq!(names.as_array().unwrap().len(), 1, "{names:#}");
}

#[test]
fn kill_9_in_the_middle_of_swaps_leaves_one_version_which_is_the_last_or_the_next() {
    let folder = followed();
    let mut server = Server::start(&folder);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    let digests: Vec<String> = (0..9).map(|label| server.upload(&relabelled(&passing(), label))).collect();
    let mut at = 0;
    while at + 2 < digests.len() {
        let (first, second) = (&digests[at + 1], &digests[at + 2]);
        server.swap("followed", "pass", first, "").with(200);
        let _answer = server.send_unanswered("followed", "pass", second);
        if at % 4 == 2 {
            server.until("it has switched and not told so", "followed", |it| live(it, "pass") == *second);
        }
        server.kill();
        server = Server::start(&folder);
        let pipeline = server.pipeline("followed");
        let runs = live(&pipeline, "pass");
        assert!(runs == *first || runs == *second, "{pipeline:#}");
        let told = server.get("/api/v1/pipelines/followed/stages/pass/versions").with(200).body;
        assert_eq!(told["digests"].as_array().unwrap().last().unwrap(), &Value::from(runs));
        at += 2;
    }
}

#[test]
fn a_server_that_is_told_to_stop_commits_what_it_read() {
    let folder = followed();
    let server = Server::start(&folder);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    server.until("rows were read", "followed", |it| it["records_in"] == 1_000);
    server.stop().with_code(0);
    assert_eq!(folder.visible("out"), lines(0, 1_000));
}

#[test]
fn a_data_directory_or_port_in_use_is_refused_by_name() {
    let folder = followed();
    let server = Server::start(&folder);
    let refused = folder.wasmill(&["serve", "--data", "data", "--listen", "127.0.0.1:0"]).with_code(1);
    refused.says(&["in use by the server with process id", "--data"]);
    let refused = folder.wasmill(&["serve", "--data", "other", "--listen", server.address()]).with_code(1);
    refused.says(&["cannot listen on", "--listen"]);
    let refused = folder.wasmill(&["serve", "--data", "other", "--listen", "0.0.0.0:7070"]).with_code(2);
    refused.says(&["can be reached from other machines"]);
}

#[test]
fn a_bad_file_gets_the_same_diagnostics_as_from_validate() {
    let folder = followed();
    let server = Server::start(&folder);
    folder.write("bad.yaml", FOLLOWED.replace("from: rows", "from: rosw"));
    let answer = server.apply(&folder, "followed", "bad.yaml").with(422).says(&["bad.yaml is not valid: 1 error"]);
    let validated = folder.wasmill(&["validate", "bad.yaml", "--output", "json"]).with_code(2).json();
    assert_eq!(answer.body["diagnostics"], validated["diagnostics"]);
    assert_eq!(answer.body["diagnostics"][0]["line"], 5);
    let (by_server, by_hand) =
        (server.wasmill(&folder, &["apply", "bad.yaml"]), folder.wasmill(&["validate", "bad.yaml"]));
    assert_eq!((by_server.code, by_server.stderr), (by_hand.code, by_hand.stderr));
    server.get("/api/v1/pipelines/followed").with(404);
}

#[test]
fn what_is_too_large_broken_or_from_elsewhere_is_refused() {
    let folder = followed();
    let server = Server::start(&folder);
    let large = vec![b'#'; 4 << 20];
    server.send("PUT", "/api/v1/pipelines/large", "", &large).with(413).says(&["limit"]);
    server.send("PUT", "/api/v1/pipelines/x", "", &[0xff, 0xfe]).with(400).says(&["not UTF-8"]);
    server
        .send("PUT", "/api/v1/pipelines/..%2F..%2Fetc", "", b"name: x")
        .with(400)
        .says(&["cannot be a pipeline's name"]);
    server.send("PUT", "/api/v1/pipelines/other", "", FOLLOWED.as_bytes()).with(422);
    let whole = passing();
    for broken in [&b""[..], b"no wasm", &whole[..whole.len() / 2]] {
        server.send("POST", "/api/v1/plugins", "", broken).with(422);
    }
    server.send("GET", "/api/v1/pipelines", "host: evil.example\r\n", b"").with(403);
    server.send("GET", "/api/v1/pipelines", "origin: http://evil.example\r\n", b"").with(403);
    server.send("GET", "/nothing", "", b"").with(404).says(&["/api/v1"]);
    assert!(fs::read_dir(folder.path().join("data/plugins")).unwrap().next().is_none(), "nothing was kept");
}

#[test]
fn rows_dead_letters_logs_and_numbers_can_be_looked_at_while_it_runs() {
    let folder = followed();
    let server = Server::start(&folder);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    server.until("the first rows are through", "followed", |it| it["rows_out"] == 1_000);
    let tapped = thread::scope(|scope| {
        let tap = scope.spawn(|| server.wasmill(&folder, &["tap", "followed/pass", "--limit", "2"]));
        let mut next = 1_000;
        while !tap.is_finished() {
            append(&folder, &lines(next, next + 1));
            next += 1;
            server.until("it is read", "followed", |it| it["records_in"] == next);
        }
        tap.join().unwrap().with_code(0).stdout
    });
    let rows: Vec<Value> = tapped.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.len() == 2 && rows[0]["n"].as_u64() >= Some(1_000) && rows[0]["n"] == rows[0]["m"], "{rows:?}");
    append(&folder, "nonsense\n");
    until("the dead letter is seen", || {
        let letters = server.get("/api/v1/pipelines/followed/dead-letters").with(200).body;
        letters.as_array().unwrap().iter().any(|letter| letter["letter"]["record"] == "nonsense")
    });
    let metrics = server.get("/metrics").with(200).body;
    let wanted = "wasmill_dead_letters_total{pipeline=\"followed\",part=\"source\",node=\"rows\"} 1\n";
    assert!(metrics.as_str().unwrap().contains(wanted), "{metrics}");
    for path in ["/livez", "/readyz", "/version"] {
        server.get(path).with(200);
    }
    let listed = server.wasmill(&folder, &["status", "--output", "json"]).with_code(0).json();
    assert_eq!(listed[0]["name"], "followed");
    let shown = server.wasmill(&folder, &["status", "followed"]).with_code(0).stdout;
    assert!(shown.contains("live version 1"), "{shown}");
    assert_eq!(server.get("/api/v1/pipelines/followed/logs").with(200).body, json!([]));
}

#[test]
fn apply_swaps_what_changed_and_asks_before_it_starts_anything_anew() {
    let folder = followed();
    let server = Server::start(&folder);
    let apply = |arguments: &[&str]| server.wasmill(&folder, &[&["apply", "pipeline.yaml"], arguments].concat());
    let plan = apply(&["--plan", "--output", "json"]).with_code(0).json();
    assert_eq!((&plan["way"], plan["changes"].as_array().unwrap().len()), (&"start".into(), 4));
    server.get("/api/v1/pipelines/followed").with(404);
    apply(&[]).with_code(0);
    assert_eq!(apply(&["--output", "json"]).with_code(0).json()["way"], "nothing");
    folder.write("guest.wasm", relabelled(&passing(), 3));
    let plan = apply(&["--plan", "--output", "json"]).with_code(0).json();
    assert_eq!((&plan["way"], &plan["state"]["pass"]), (&"swap".into(), &"no state".into()));
    assert_eq!(apply(&["--output", "json"]).with_code(0).json()["way"], "swap");
    folder.write("pipeline.yaml", FOLLOWED.replace("out/", "elsewhere/"));
    apply(&[]).with_code(1).says(&["apply it with `replace`"]);
    apply(&["--replace"]).with_code(0);
    server.until("it writes elsewhere", "followed", |it| it["rows_out"] == 1_000);
    assert_eq!(folder.visible("elsewhere"), lines(0, 1_000));
    assert_eq!(events(&server, "applied").len(), 4);
}

#[test]
fn without_a_server_its_verbs_say_how_to_start_one() {
    let folder = followed();
    for verb in [&["status"][..], &["apply", "pipeline.yaml"], &["swap", "a/b", "guest.wasm"], &["pause", "a"]] {
        let mut command = wasmill(folder.path(), verb);
        let ended = wasmill_tests::process::ended(command.env("WASMILL_SERVER", "127.0.0.1:1"));
        ended.with_code(1).says(&["no server at 127.0.0.1:1", "wasmill serve --data DIR"]);
    }
}

#[test]
fn clients_that_send_slowly_or_break_off_keep_nobody_waiting() {
    let folder = followed();
    let server = Server::start(&folder);
    let slow: Vec<_> = (0..100)
        .map(|number| {
            let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
            let head =
                format!("POST /api/v1/plugins HTTP/1.1\r\nhost: {}\r\ncontent-length: 9999\r\n", server.address());
            stream.write_all(&head.as_bytes()[..head.len() / (1 + number % 2)]).unwrap();
            stream
        })
        .collect();
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    server.until("it works", "followed", |it| it["rows_out"] == 1_000);
    drop(slow);
    server.get("/livez").with(200);
}

#[test]
fn where_the_data_directory_cannot_be_written_nothing_changes_and_it_says_so() {
    let folder = followed();
    let server = Server::start(&folder);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    let good = live(&server.pipeline("followed"), "pass");
    let data = folder.path().join("data");
    let break_off = |name: &str| {
        fs::rename(data.join(name), data.join(format!("{name}-gone"))).unwrap();
        fs::write(data.join(name), "in the way").unwrap();
    };
    let mend = |name: &str| {
        fs::remove_file(data.join(name)).unwrap();
        fs::rename(data.join(format!("{name}-gone")), data.join(name)).unwrap();
    };
    break_off("plugins");
    server.send("POST", "/api/v1/plugins", "", &relabelled(&passing(), 1)).with(500).says(&["cannot write", "plugins"]);
    mend("plugins");
    break_off("pipelines");
    let second = FOLLOWED.replace("followed", "second").replace("out/", "out2/").replace("dead/", "dead2/");
    folder.write("second.yaml", second);
    server.apply(&folder, "second", "second.yaml").with(500).says(&["cannot write", "pipelines"]);
    server.get("/api/v1/pipelines/second").with(404);
    server.send("POST", "/api/v1/pipelines/followed/pause", "", b"").with(500);
    assert_eq!(server.pipeline("followed")["state"], "running");
    let other = server.upload(&relabelled(&passing(), 1));
    server
        .swap("followed", "pass", &other, "")
        .with(500)
        .says(&["was not swapped, and nothing was changed", "cannot write"]);
    assert_eq!(live(&server.pipeline("followed"), "pass"), good);
    server.kill();
    mend("pipelines");
    let server = Server::start(&folder);
    assert_eq!(live(&server.pipeline("followed"), "pass"), good);
}

#[test]
fn code_can_be_named_by_its_digest() {
    let folder = followed();
    let server = Server::start(&folder);
    let digest = server.upload(&passing());
    folder.write("pipeline.yaml", FOLLOWED.replace("./guest.wasm", &format!("sha256@{digest}")));
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    assert_eq!(live(&server.pipeline("followed"), "pass"), digest);
    let text = FOLLOWED.replace("./guest.wasm", &format!("sha256@{}", "1".repeat(64)));
    let answer = server.send("PUT", "/api/v1/pipelines/followed", "", text.as_bytes()).with(422);
    assert!(answer.body["diagnostics"][0]["message"].as_str().unwrap().contains("there is no plugin of digest 111"));
}

#[test]
fn a_hundred_pipelines_that_wait_are_all_drained_at_once() {
    let folder = Folder::new();
    folder.write("guest.wasm", passing());
    let server = Server::start(&folder);
    for number in 0..100 {
        let name = format!("p{number}");
        let source = "generator: { kind: nexmark, only: bids, rate: 0.001 }";
        let text = format!(
            "name: {name}\nsources: {{ s: {{ {source} }} }}\nsinks: {{ o: {{ from: s, file: {{ path: {name}/ }} }} }}\n"
        );
        let path = format!("/api/v1/pipelines/{name}?base={}", folder.path().display());
        server.send("PUT", &path, "", text.as_bytes()).with(200);
    }
    // A server that does not drain all in time ends with 1.
    server.stop().with_code(0);
    assert!((0..100).all(|number| folder.rows(&format!("p{number}")).len() == 1), "the first event is due at once");
}

#[test]
fn more_pipelines_run_than_the_files_that_a_process_is_usually_given() {
    let folder = Folder::new();
    folder.write("in.ndjson", "{\"n\":1}\n");
    let server = Server::with_few_files(&folder, 100);
    // Each has a lock and a followed file open.
    for number in 0..60 {
        let name = format!("p{number}");
        let text = format!(
            "name: {name}
sources:
  rows: {{ file: {{ path: in.ndjson, follow: true }}, format: {{ ndjson: {{ columns: {{ n: int64 }} }} }} }}
sinks:
  out: {{ from: rows, file: {{ path: {name}/ }} }}
"
        );
        folder.write("pipeline.yaml", text);
        server.apply(&folder, &name, "pipeline.yaml").with(200);
    }
    for name in (0..60).map(|number| format!("p{number}")) {
        server.until("its row is out", &name, |it| {
            assert!(it["state"] != "failed" && it["state"] != "broken", "{it:#}");
            folder.visible(&name) == "{\"n\":1}\n"
        });
    }
}
