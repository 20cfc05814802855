//! Stories of pipelines that another shall take the place of, or that shall go: what is refused before anything is
//! drained, what the drain itself brings to light, and what is gone already.
//!
//! Neighbours: `serve.rs` has changes while rows flow, `faults.rs` those at the worst moment.

use std::fs;

use wasmill_tests::process::{Folder, until};
use wasmill_tests::server::{Answer, Server};

use crate::guests::passing;
use crate::serve::{FOLLOWED, append, events, followed, lines};

/// The pipeline with results in a single file, under other limits than usual where they are given.
fn single(limits: &str) -> String {
    FOLLOWED.replace("path: out/", "path: out.ndjson").replace("name: followed", &format!("name: followed\n{limits}"))
}

/// Other limits: they cannot change while rows flow.
const LIMITED: &str = "limits: { retry_ms_max: 20ms }";

fn replace(server: &Server, folder: &Folder, text: &str) -> Answer {
    let path = format!("/api/v1/pipelines/followed?base={}&replace=true", folder.path().display());
    server.send("PUT", &path, "", text.as_bytes())
}

fn results(folder: &Folder) -> String {
    fs::read_to_string(folder.path().join("out.ndjson")).unwrap_or_default()
}

#[test]
fn a_pipeline_whose_single_file_would_be_in_the_way_of_the_next_is_not_drained_for_it() {
    let folder = Folder::with(&single(""));
    folder.write("in.ndjson", lines(0, 1_000));
    folder.write("guest.wasm", passing());
    let server = Server::start(&folder);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    until("the rows are committed", || results(&folder) == lines(0, 1_000));
    let refused = replace(&server, &folder, &single(LIMITED)).with(409);
    assert_eq!(refused.body["type"], "output-exists");
    refused.says(&[
        "nothing was drained",
        "sink out",
        "out.ndjson, which exists; set `overwrite: true`, name a folder",
    ]);

    folder.write("pipeline.yaml", single(LIMITED));
    let apply = |arguments: &[&str]| server.wasmill(&folder, &[&["apply", "pipeline.yaml"], arguments].concat());
    apply(&["--plan"]).with_code(1).says(&["this would be refused", "out.ndjson, which exists"]);
    let plan = apply(&["--plan", "--output", "json"]).with_code(0).json();
    assert_eq!((&plan["way"], &plan["needs_replace"]), (&"refused".into(), &true.into()), "{plan:#}");
    // To be told to use `--replace` would lead nowhere.
    apply(&[]).with_code(1).says(&["out.ndjson, which exists"]);

    assert!(events(&server, "ended").is_empty(), "it was drained");
    append(&folder, &lines(1_000, 1_100));
    server.until("it goes on", "followed", |it| it["rows_out"] == 1_100);
    let overwriting = single(LIMITED).replace("path: out.ndjson", "path: out.ndjson, overwrite: true");
    assert_eq!(replace(&server, &folder, &overwriting).with(200).body["way"], "restart");
    server.until("the new one works", "followed", |it| it["rows_out"] == 1_100);
    let elsewhere = single("").replace("path: out.ndjson", "path: out/");
    replace(&server, &folder, &elsewhere).with(200);
    server.until("the last one works", "followed", |it| it["rows_out"] == 1_100);
    server.stop().with_code(0);
    assert_eq!((results(&folder), folder.visible("out")), (lines(0, 1_100), lines(0, 1_100)));
}

#[test]
fn a_single_file_that_is_not_there_yet_is_in_the_way_as_long_as_the_pipeline_before_may_write_it() {
    let folder = Folder::with(&FOLLOWED.replace("path: dead/", "path: dead.ndjson"));
    folder.write("in.ndjson", lines(0, 10));
    folder.write("guest.wasm", passing());
    let server = Server::start(&folder);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    let limited = FOLLOWED.replace("name: followed", &format!("name: followed\n{LIMITED}"));
    let refused = replace(&server, &folder, &limited.replace("path: dead/", "path: ./dead.ndjson")).with(409);
    refused.says(&["the dead letters", "dead.ndjson, which what runs now may leave behind"]);
    assert_eq!(server.pipeline("followed")["state"], "running");
    replace(&server, &folder, &limited.replace("path: dead/", "path: other.ndjson")).with(200);
    server.stop().with_code(0);
}

#[test]
fn what_fails_after_the_drain_has_the_pipeline_that_was_drained_started_again() {
    let folder = followed();
    let server = Server::with_faults(&folder, &[]);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    server.until("it works", "followed", |it| it["rows_out"] == 1_000);
    folder.write("fault", "stuck");
    let refused = replace(&server, &folder, &FOLLOWED.replace("path: out/", "path: elsewhere/")).with(500);
    refused.says(&[
        "was not applied",
        "was drained and runs again",
        "from the beginning of its sources",
        "cannot write",
    ]);
    fs::remove_file(folder.path().join("fault")).unwrap();
    server.until("it works again", "followed", |it| it["rows_out"] == 1_000);
    assert_eq!(server.pipeline("followed")["state"], "running");
    server.stop().with_code(0);
    assert_eq!((folder.visible("out").lines().count(), folder.visible("elsewhere")), (2_000, String::new()));
}

#[test]
fn a_damaged_pipeline_that_was_removed_by_hand_can_be_deleted_and_applied_again() {
    let folder = followed();
    let server = Server::start(&folder);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    server.kill();
    let kept = folder.path().join("data/pipelines/followed.json");
    fs::write(&kept, "{\"name\": \"fol").unwrap();
    let server = Server::start(&folder);
    let reason = server.pipeline("followed")["reason"].to_string();
    assert!(reason.contains("restore it or remove it"), "{reason}");
    fs::remove_file(&kept).unwrap();
    server.send("DELETE", "/api/v1/pipelines/followed", "", b"").with(204);
    server.get("/api/v1/pipelines/followed").with(404);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    server.until("it works", "followed", |it| it["rows_out"] == 1_000);
    server.stop().with_code(0);
}
