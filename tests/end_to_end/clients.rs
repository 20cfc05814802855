//! Stories of clients of a server: slow, silent, greedy or from elsewhere; and what they are told.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::{fs, thread};

use wasmill_tests::process::until;
use wasmill_tests::server::{Server, relabelled};

use crate::guests::{passing, speaking_at};
use crate::serve::{append, events, followed};

/// More connections than a server has places.
const CONNECTIONS: usize = 300;

fn connected(server: &Server, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(text.replace("HOST", server.address()).as_bytes()).unwrap();
    stream
}

#[test]
fn clients_that_are_silent_or_slow_are_dropped_and_others_are_answered() {
    let folder = followed();
    let server = Server::start(&folder);
    let mut slow = connected(&server, "POST /api/v1/plugins HTTP/1.1\r\nhost: HOST\r\ncontent-length: 99\r\n\r\nslow");
    let silent: Vec<_> = (0..CONNECTIONS).map(|_| connected(&server, "")).collect();
    server.get("/livez").with(200);
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    for mut stream in silent {
        // Closed, with or without a word.
        drop(stream.read_to_end(&mut Vec::new()));
    }
}

#[test]
fn a_page_of_another_server_on_this_machine_is_refused() {
    let folder = followed();
    let server = Server::start(&folder);
    let ask = |headers: &str| server.send("GET", "/api/v1/pipelines", headers, b"");
    ask(&format!("origin: http://{}\r\n", server.address())).with(200);
    ask("origin: http://localhost:3000\r\n").with(403).says(&["http://localhost:3000", "may not use this server"]);
    ask("origin: http://127.0.0.1\r\n").with(403);
    ask("sec-fetch-site: same-site\r\n").with(403);
    let put = "origin: http://localhost:3000\r\nsec-fetch-site: same-site\r\ncontent-type: text/plain\r\n";
    server.send("PUT", "/api/v1/pipelines/followed", put, b"name: followed").with(403);
}

#[test]
fn what_is_refused_before_anybody_looks_at_it_is_told_in_the_same_form() {
    let folder = followed();
    let server = Server::start(&folder);
    let answer = server.send("DELETE", "/api/v1/events", "", b"").with(405).says(&["does not take this method"]);
    assert!(answer.head.to_ascii_lowercase().contains("\r\nallow: get"), "{}", answer.head);
    server.get("/api/v1/pipelines/%FF").with(400).says(&["UTF-8"]);
    server.get("/api/v1/events?after=soon").with(400).says(&["after=soon"]);
}

#[test]
fn a_body_past_its_limit_is_refused_whether_it_says_so_before_or_not() {
    let folder = followed();
    let server = Server::start(&folder);
    let large = vec![0; (64 << 20) + 1];
    server.send("POST", "/api/v1/plugins", "", &large).with(413).says(&["67108865 bytes", "limit is 67108864"]);
    let object = vec![b' '; (4 << 10) + 1];
    server.send("PUT", "/api/v1/pipelines/x/stages/y/plugin", "", &object).with(413).says(&["limit is 4096"]);
    let mut stream = connected(
        &server,
        "POST /api/v1/plugins HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    // A server that has refused it reads no further.
    while stream.write_all(b"100000\r\n").and_then(|()| stream.write_all(&large[..1 << 20])).is_ok() {
        if stream.write_all(b"\r\n").is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    assert!(answer.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&answer));
    server.get("/livez").with(200);
}

#[test]
fn of_two_applies_at_once_one_is_told_that_it_came_second() {
    let folder = followed();
    let server = Server::start(&folder);
    let tag = server.apply(&folder, "followed", "pipeline.yaml").with(200).tag();
    let text = fs::read(folder.path().join("pipeline.yaml")).unwrap();
    let path = format!("/api/v1/pipelines/followed?base={}", folder.path().display());
    let answers: Vec<u16> = thread::scope(|scope| {
        let apply = || server.send("PUT", &path, &format!("if-match: {tag}\r\n"), &text).status;
        let applies = [scope.spawn(apply), scope.spawn(apply)];
        applies.into_iter().map(|apply| apply.join().unwrap()).collect()
    });
    assert!(answers.contains(&200) && answers.contains(&412), "{answers:?}");
}

#[test]
fn the_streams_of_the_server_are_no_source_and_no_sink() {
    let folder = followed();
    let server = Server::start(&folder);
    let text = fs::read_to_string(folder.path().join("pipeline.yaml")).unwrap();
    let refused = |from: &str, to: &str| {
        folder.write("own.yaml", text.replace(from, to));
        let body = server.apply(&folder, "followed", "own.yaml").with(422).body;
        body["diagnostics"][0].to_string()
    };
    let source = refused("file: { path: in.ndjson, follow: true }", "stdin: {}");
    assert!(source.contains("the server's own") && source.contains("`file`"), "{source}");
    let sink = refused("file: { path: out/ }", "stdout: {}");
    assert!(sink.contains("the server's own"), "{sink}");
}

#[test]
fn the_verbs_show_what_operators_log_and_what_was_given_up_and_let_a_pipeline_rest_and_go_on() {
    let folder = followed();
    folder.write("guest.wasm", speaking_at(7, "seven came by"));
    let server = Server::start(&folder);
    let wasmill = |arguments: &[&str]| server.wasmill(&folder, arguments).with_code(0);
    wasmill(&["apply", "pipeline.yaml"]);
    append(&folder, "nonsense\n");
    until("the line is there", || wasmill(&["logs", "followed"]).stdout.contains("warn  pass: seven came by"));
    let logs = wasmill(&["logs", "followed", "--output", "json"]).json();
    assert_eq!((&logs[0]["stage"], &logs[0]["level"]), (&"pass".into(), &"warn".into()), "{logs:#}");
    until("the dead letter is there", || wasmill(&["dead-letters", "followed"]).stdout.contains("in.ndjson:"));
    let letters = wasmill(&["dead-letters", "followed", "--output", "json"]).json();
    assert_eq!(letters[0]["letter"]["record"], "nonsense");

    wasmill(&["pause", "followed"]);
    assert_eq!(server.pipeline("followed")["state"], "paused");
    append(&folder, "{\"n\":5000,\"m\":5000}\n");
    assert!(wasmill(&["resume", "followed"]).stdout.contains("followed: resume"));
    server.until("it goes on", "followed", |it| it["rows_out"] == 1_001);
}

#[test]
fn an_apply_that_swaps_says_what_it_cost_and_what_is_refused_is_an_event() {
    let folder = followed();
    let server = Server::start(&folder);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    folder.write("guest.wasm", relabelled(&passing(), 3));
    let planned = server.apply(&folder, "followed", "pipeline.yaml").with(200).body;
    let swapped = &planned["swapped"][0];
    assert_eq!((&planned["way"], &swapped["stage"]), (&"swap".into(), &"pass".into()), "{planned:#}");
    let told = events(&server, "swapped");
    let cost = ["stage", "to", "waited_us", "keys"].map(|fact| (&told[0]["facts"][fact], &swapped[fact]));
    assert!(told.len() == 1 && cost.iter().all(|(told, is)| told == is && !is.is_null()), "{told:#?} {swapped:#}");

    server.swap("followed", "pass", &"0".repeat(64), "").with(404);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    server.send("PUT", "/api/v1/pipelines/followed", "if-match: \"1\"\r\n", b"name: followed").with(412);
    server.send("PUT", "/api/v1/pipelines/followed", "", b"name: followed").with(422);
    let refused = events(&server, "refused").into_iter().map(|event| event["facts"]["type"].clone());
    assert_eq!(refused.collect::<Vec<_>>(), ["unknown-plugin", "stale", "invalid-pipeline"]);
}
