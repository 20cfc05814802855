//! Stories of pipelines whose input ends while somebody changes their code.

use wasmill_tests::process::Folder;
use wasmill_tests::server::{Server, relabelled};

use crate::guests::{passing, slow_at};
use crate::serve::{FOLLOWED, lines, live, stage};

/// A pipeline that ends with its input.
fn ending() -> Folder {
    let limits = "name: followed\nlimits: { call_ms_max: 600s }";
    Folder::with(&FOLLOWED.replace(", follow: true", "").replace("name: followed", limits))
}

/// The digest that a stage shall have the next time.
fn wanted(server: &Server) -> String {
    let versions = server.get("/api/v1/pipelines/followed/stages/pass/versions").with(200).body;
    versions["digests"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned()
}

#[test]
fn code_that_is_handed_over_during_the_last_batch_has_switched_when_that_is_done() {
    let folder = ending();
    folder.write("in.ndjson", lines(0, 3));
    folder.write("guest.wasm", slow_at(1, 3_000_000_000));
    let server = Server::start(&folder);
    let digest = server.upload(&passing());
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    server.until("the last batch is at hand", "followed", |it| stage(it, "pass")["rows_in"] == 3);
    let swapped = server.swap("followed", "pass", &digest, "").with(200).body;
    assert_eq!((&swapped["lost"], &swapped["watched"]), (&0.into(), &false.into()), "{swapped:#}");
    server.until("it is done", "followed", |it| it["state"] == "done");
    let done = server.pipeline("followed");
    assert_eq!((live(&done, "pass"), wanted(&server)), (digest.clone(), digest.clone()), "{done:#}");
    let versions = stage(&done, "pass")["versions"].as_array().unwrap();
    assert!(versions.iter().all(|version| version["watched"] == false), "{versions:#?}");
    server.swap("followed", "pass", &digest, "").with(409).says(&["does not run"]);
    server.stop().with_code(0);
    assert_eq!(folder.visible("out"), lines(0, 3));
}

#[test]
fn a_swap_that_the_end_of_the_input_overtakes_is_done_or_refused_and_what_shall_be_is_what_was_told() {
    let folder = ending();
    folder.write("guest.wasm", passing());
    let server = Server::start(&folder);
    let digest = server.upload(&relabelled(&passing(), 1));
    let mut rows = 0;
    for round in 1..=8 {
        let more = round * 40_000;
        folder.write("in.ndjson", lines(0, more));
        server.apply(&folder, "followed", "pipeline.yaml").with(200);
        let before = wanted(&server);
        let answer = server.swap("followed", "pass", &digest, "");
        let told = match answer.status {
            200 => digest.clone(),
            _ => {
                let detail = answer.with(409).body["detail"].as_str().unwrap().to_owned();
                let ended = ["ended before stage pass had switched", "does not run"];
                assert!(ended.iter().any(|words| detail.contains(words)), "{detail}");
                before
            }
        };
        server.until("it is done", "followed", |it| it["state"] == "done");
        assert_eq!((live(&server.pipeline("followed"), "pass"), wanted(&server)), (told.clone(), told));
        rows += more;
        assert_eq!(folder.visible("out").lines().count() as u64, rows, "each row once");
    }
    server.stop().with_code(0);
}
