//! Stories of a server at the worst moment: killed at each step of a change, without space on its disk, told to stop
//! while it is busy, or over a data directory that was damaged.

use std::io::Read as _;
use std::process::Command;
use std::{fs, iter, thread};

use serde_json::{Value, json};
use wasmill_tests::process::{Folder, Running, until, wasmill};
use wasmill_tests::server::{Answer, Server, relabelled};

use crate::guests::{attacking_at, passing};
use crate::serve::{FOLLOWED, append, events, followed, lines, live, stage};

/// The steps of writing a file in one of the folders of the data directory.
fn writing(folder: &str) -> Vec<String> {
    ["created", "written", "synced", "renamed", "kept"].map(|step| format!("{step} {folder}")).into()
}

/// A server that will be killed at that step.
fn doomed(folder: &Folder, step: &str) -> Server {
    let server = Server::with_faults(folder, &[]);
    folder.write("fault", format!("die {step}"));
    server
}

/// The server after that.
fn again(folder: &Folder) -> Server {
    fs::remove_file(folder.path().join("fault")).unwrap();
    let server = Server::with_faults(folder, &[]);
    let names = ["data", "data/plugins", "data/pipelines"].map(|of| folder.names(of)).concat();
    assert!(names.iter().all(|name| !name.ends_with(".part")), "something is left aside: {names:?}");
    server
}

/// The digest of the one version of `pass` that runs; the server tells the same everywhere.
fn one_version(server: &Server) -> String {
    let pipeline = server.pipeline("followed");
    assert_eq!(pipeline["state"], "running", "{pipeline:#}");
    let runs = live(&pipeline, "pass");
    assert_eq!(stage(&pipeline, "pass")["versions"].as_array().unwrap().len(), 1, "{pipeline:#}");
    let told = server.get("/api/v1/pipelines/followed/stages/pass/versions").with(200).body;
    assert_eq!(told["digests"].as_array().unwrap().last().unwrap(), &Value::from(&*runs));
    let restored = events(server, "restored");
    assert_eq!((restored.len(), &restored[0]["facts"]["digests"]), (1, &json!({"pass": runs})));
    assert!(restored[0]["message"].as_str().unwrap().contains(&format!("stage pass runs {}", &runs[..12])));
    runs
}

fn apply_path(folder: &Folder) -> String {
    format!("/api/v1/pipelines/followed?base={}", folder.path().display())
}

#[test]
fn kill_9_at_any_step_of_an_upload_leaves_the_whole_component_or_none() {
    let folder = Folder::new();
    let steps = writing("plugins").into_iter().chain(["done".to_owned()]);
    for (number, step) in (0..).zip(steps) {
        let component = relabelled(&passing(), number);
        doomed(&folder, &step).dies_of("POST", "/api/v1/plugins", &component);
        let server = again(&folder);
        let digest = wasmill_wasm::digest(&component);
        let found = server.get(&format!("/api/v1/plugins/{digest}"));
        if ["created", "written", "synced"].iter().any(|before| step.starts_with(before)) {
            found.with(404);
        } else {
            assert_eq!(found.with(200).body["size_bytes"], component.len(), "{step}");
        }
        assert_eq!(server.upload(&component), digest, "it can be uploaded again");
    }
}

#[test]
fn kill_9_at_any_step_of_a_first_apply_leaves_the_whole_pipeline_or_none() {
    let steps = writing("plugins").into_iter().chain(writing("pipelines")).chain(["opened", "done"].map(str::to_owned));
    for step in steps {
        let folder = followed();
        doomed(&folder, &step).dies_of("PUT", &apply_path(&folder), FOLLOWED.as_bytes());
        let server = again(&folder);
        if ["renamed pipelines", "kept pipelines", "done"].contains(&&*step) {
            assert_eq!(one_version(&server), wasmill_wasm::digest(&passing()), "{step}");
        } else {
            server.get("/api/v1/pipelines/followed").with(404);
            server.apply(&folder, "followed", "pipeline.yaml").with(200);
        }
        server.until("it works", "followed", |it| it["rows_out"] == 1_000);
        server.stop().with_code(0);
        assert_eq!(folder.visible("out"), lines(0, 1_000), "{step}");
    }
}

#[test]
fn kill_9_at_any_step_of_an_apply_that_swaps_leaves_one_version_and_tells_which() {
    let other = relabelled(&passing(), 1);
    let digests = [wasmill_wasm::digest(&passing()), wasmill_wasm::digest(&other)];
    let ways = ["installed", "switched", "done"].map(str::to_owned);
    for step in writing("plugins").into_iter().chain(writing("pipelines")).chain(ways) {
        let folder = followed();
        let server = Server::with_faults(&folder, &[]);
        server.apply(&folder, "followed", "pipeline.yaml").with(200);
        folder.write("guest.wasm", &other);
        folder.write("fault", format!("die {step}"));
        server.dies_of("PUT", &apply_path(&folder), FOLLOWED.as_bytes());
        let is_new = ["renamed pipelines", "kept pipelines", "done"].contains(&&*step);
        assert_eq!(one_version(&again(&folder)), digests[usize::from(is_new)], "{step}");
    }
}

#[test]
fn kill_9_at_any_step_of_an_apply_that_starts_anew_leaves_the_old_or_the_new_and_no_mixture() {
    for step in writing("pipelines").into_iter().chain(["opened", "done"].map(str::to_owned)) {
        let folder = followed();
        let server = Server::with_faults(&folder, &[]);
        server.apply(&folder, "followed", "pipeline.yaml").with(200);
        server.until("it works", "followed", |it| it["rows_out"] == 1_000);
        folder.write("fault", format!("die {step}"));
        let new = FOLLOWED.replace("out/", "new/");
        server.dies_of("PUT", &format!("{}&replace=true", apply_path(&folder)), new.as_bytes());
        let server = again(&folder);
        one_version(&server);
        server.until("it works again", "followed", |it| it["rows_out"] == 1_000);
        server.stop().with_code(0);
        let is_new = ["renamed pipelines", "kept pipelines", "done"].contains(&&*step);
        assert_eq!(folder.visible("new"), lines(0, if is_new { 1_000 } else { 0 }), "{step}");
    }
}

#[test]
fn kill_9_at_any_step_of_a_swap_leaves_one_version_and_tells_which() {
    let folder = followed();
    let server = Server::with_faults(&folder, &[]);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    let digests: Vec<String> = (0..9).map(|label| server.upload(&relabelled(&passing(), label))).collect();
    let mut runs = live(&server.pipeline("followed"), "pass");
    server.kill();
    let steps = writing("pipelines").into_iter().chain(["installed", "switched", "done"].map(str::to_owned));
    for (step, digest) in steps.zip(digests) {
        let body = json!({"digest": digest}).to_string();
        let path = "/api/v1/pipelines/followed/stages/pass/plugin";
        doomed(&folder, &step).dies_of("PUT", path, body.as_bytes());
        if ["renamed pipelines", "kept pipelines", "done"].contains(&&*step) {
            runs = digest;
        }
        assert_eq!(one_version(&again(&folder)), runs, "{step}");
    }
}

#[test]
fn kill_9_while_a_pipeline_drains_leaves_it_running_and_loses_no_row() {
    let folder = followed();
    let server = doomed(&folder, "draining");
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    server.dies_of("POST", "/api/v1/pipelines/followed/drain", b"");
    let server = again(&folder);
    assert_eq!(server.pipeline("followed")["state"], "running");
    let restored = events(&server, "restored");
    assert!(restored[0]["message"].as_str().unwrap().contains("was being drained"), "{restored:#?}");
    server.until("it works", "followed", |it| it["rows_out"] == 1_000);
    server.wasmill(&folder, &["drain", "followed"]).with_code(0);
    assert_eq!(server.pipeline("followed")["state"], "done");
    server.kill();
    let server = Server::start(&folder);
    assert_eq!(server.pipeline("followed")["state"], "done");
    let distinct: std::collections::BTreeSet<u64> =
        folder.rows("out").iter().map(|row| row["n"].as_u64().unwrap()).collect();
    assert_eq!(distinct, (0..1_000).collect());
}

/// A data directory whose disk can be full: a small one of its own, where that can be mounted, else one that says so.
struct Small<'a> {
    folder: &'a Folder,
    mounted: bool,
}

impl<'a> Small<'a> {
    fn new(folder: &'a Folder) -> Self {
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&data).output();
        Self { folder, mounted: mount.is_ok_and(|ended| ended.status.success()) }
    }

    fn fill(&self) {
        if self.mounted {
            // In pieces, so that not even the last page is left.
            let mut filler = fs::File::create(self.folder.path().join("data/filler")).unwrap();
            while std::io::Write::write_all(&mut filler, &[0; 4096]).is_ok() {}
        } else {
            self.folder.write("fault", "full");
        }
    }

    fn free(&self) {
        fs::remove_file(self.folder.path().join(if self.mounted { "data/filler" } else { "fault" })).unwrap();
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        if self.mounted {
            drop(Command::new("umount").arg("-l").arg(self.folder.path().join("data")).status());
        }
    }
}

#[test]
fn on_a_full_disk_an_upload_an_apply_and_a_swap_change_nothing_and_say_so() {
    let folder = followed();
    let small = Small::new(&folder);
    let server = Server::with_faults(&folder, &[]);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    let named = |name: &str| {
        let text = FOLLOWED
            .replace("followed", name)
            .replace("out/", &format!("{name}/"))
            .replace("dead/", &format!("{name}-dead/"));
        folder.write(&format!("{name}.yaml"), text);
        format!("{name}.yaml")
    };
    server.apply(&folder, "third", &named("third")).with(200);
    let other = server.upload(&relabelled(&passing(), 1));
    let kept = folder.names("data/plugins");
    small.fill();
    let full = |answer: Answer, said: &str| {
        assert!(answer.head.contains("application/problem+json"), "{}", answer.head);
        let answer = answer.with(507).says(&[said, "free space there and try again"]);
        assert_eq!(answer.body["type"], "disk-full");
        let pipeline = server.pipeline("followed");
        assert_eq!((&pipeline["state"], &pipeline["revision"]), (&"running".into(), &1.into()));
        let versions = stage(&pipeline, "pass")["versions"].as_array().unwrap().len();
        assert_eq!(versions, 1, "no row saw other code");
    };
    let upload = server.send("POST", "/api/v1/plugins", "", &relabelled(&passing(), 2));
    full(upload, "the component was not kept");
    full(server.apply(&folder, "second", &named("second")), "pipeline second was not applied, and nothing was changed");
    server.get("/api/v1/pipelines/second").with(404);
    folder.write("guest.wasm", relabelled(&passing(), 3));
    let unchanged = "pipeline followed was not applied, and nothing was changed";
    full(server.apply(&folder, "followed", "pipeline.yaml"), unchanged);
    let elsewhere = FOLLOWED.replace("out/", "elsewhere/");
    let replace = format!("{}&replace=true", apply_path(&folder));
    full(server.send("PUT", &replace, "", elsewhere.as_bytes()), unchanged);
    full(
        server.swap("followed", "pass", &other, ""),
        "stage pass of followed was not swapped, and nothing was changed",
    );
    full(server.send("POST", "/api/v1/pipelines/followed/pause", "", b""), "pipeline followed runs as before");
    assert_eq!(
        server.wasmill(&folder, &["apply", "pipeline.yaml", "--plan", "--output", "json"]).json()["way"],
        "swap"
    );
    server.send("DELETE", "/api/v1/pipelines/third", "", b"").with(204);
    small.free();
    assert_eq!(folder.names("data/plugins"), kept);
    server.swap("followed", "pass", &other, "").with(200);
    server.kill();
    assert_eq!(one_version(&Server::with_faults(&folder, &[])), other);
}

#[test]
fn a_switch_that_cannot_be_written_down_is_told_and_written_down_as_soon_as_it_can_be() {
    let folder = followed();
    let server = Server::with_faults(&folder, &[]);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    let other = server.upload(&relabelled(&passing(), 1));
    folder.write("fault", "stuck");
    let told = server.swap("followed", "pass", &other, "").with(500);
    told.says(&["now, but that could not be written down, and the code before runs after a restart", "cannot write"]);
    assert_eq!(live(&server.pipeline("followed"), "pass"), other);
    server.send("DELETE", &format!("/api/v1/plugins/{other}"), "", b"").with(409).says(&["is used by followed"]);
    folder.write("guest.wasm", relabelled(&passing(), 2));
    let told = server.apply(&folder, "followed", "pipeline.yaml").with(500);
    told.says(&["pipeline followed was not applied, and nothing was changed"]);
    fs::remove_file(folder.path().join("fault")).unwrap();
    until("it is written down", || server.pipeline("followed")["revision"] == 2);
    server.kill();
    assert_eq!(one_version(&Server::with_faults(&folder, &[])), other);
}

#[test]
fn changes_of_all_kinds_at_once_leave_each_pipeline_whole_and_kill_9_leaves_the_same() {
    let folder = followed();
    for number in 0..4 {
        folder.write(&format!("guest{number}.wasm"), relabelled(&passing(), number));
    }
    let server = Server::start(&folder);
    let apply = |name: &str, guest: usize, more: &str| {
        let text = FOLLOWED
            .replace("followed", name)
            .replace("out/", &format!("{name}/"))
            .replace("dead/", &format!("{name}-dead/"));
        let text = text.replace("guest.wasm", &format!("guest{guest}.wasm"));
        let path = format!("/api/v1/pipelines/{name}{more}base={}", folder.path().display());
        server.send(if more == "?" { "PUT" } else { "POST" }, &path, "", text.as_bytes())
    };
    thread::scope(|scope| {
        for seed in 1..5_u64 {
            let (apply, server) = (&apply, &server);
            scope.spawn(move || {
                let mut state = seed;
                for _ in 0..16 {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let (what, guest) = (state >> 60, (state >> 40) as usize % 4);
                    let name = ["one", "two"][(state >> 50) as usize % 2];
                    let path = format!("/api/v1/pipelines/{name}");
                    let answer = match what {
                        0..8 => apply(name, guest, "?"),
                        8..10 => apply(name, guest, "/plan?"),
                        10 => server.send("PUT", &path, "", b"name: nonsense"),
                        11 => server.send("POST", &format!("{path}/pause"), "", b""),
                        12 => server.send("POST", &format!("{path}/resume"), "", b""),
                        13 => server.get(&path),
                        _ => server.send("DELETE", &path, "", b""),
                    };
                    assert!([200, 204, 404, 409, 422].contains(&answer.status), "{what}: {answer:#?}");
                }
            });
        }
    });
    apply("one", 1, "?").with(200);
    let all = |server: &Server| -> Vec<(Value, Value, String)> {
        let names = server.get("/api/v1/pipelines").with(200).body;
        let whole = |of: &Value| {
            let pipeline = server.pipeline(of["name"].as_str().unwrap());
            (of["name"].clone(), pipeline["state"].clone(), live(&pipeline, "pass"))
        };
        names.as_array().unwrap().iter().map(whole).collect()
    };
    let before = all(&server);
    assert!(!before.is_empty() && before.iter().all(|(_, state, _)| state == "running" || state == "paused"));
    server.kill();
    let server = Server::start(&folder);
    assert_eq!(all(&server), before);
    for (name, ..) in &before {
        server.send("DELETE", &format!("/api/v1/pipelines/{}", name.as_str().unwrap()), "", b"").with(204);
    }
    for plugin in server.get("/api/v1/plugins").with(200).body.as_array().unwrap() {
        server.send("DELETE", &format!("/api/v1/plugins/{}", plugin["digest"].as_str().unwrap()), "", b"").with(204);
    }
    server.stop().with_code(0);
}

#[test]
fn a_plan_and_an_apply_that_is_refused_leave_no_code_behind() {
    let folder = followed();
    let server = Server::start(&folder);
    server.wasmill(&folder, &["apply", "pipeline.yaml", "--plan"]).with_code(0);
    folder.write("bad.yaml", FOLLOWED.replace("name: followed", "name: other"));
    server.apply(&folder, "followed", "bad.yaml").with(422).says(&["was sent for `followed`"]);
    folder.write("blocked", "a file where a folder should be");
    folder.write("blocked.yaml", FOLLOWED.replace("out/", "blocked/"));
    server.apply(&folder, "followed", "blocked.yaml").with(422).says(&["cannot be started"]);
    assert_eq!(server.get("/api/v1/plugins").with(200).body, json!([]));
    server.get("/api/v1/pipelines/followed").with(404);
    // Code that was there before stays.
    let digest = server.upload(&passing());
    server.apply(&folder, "followed", "blocked.yaml").with(422);
    server.get(&format!("/api/v1/plugins/{digest}")).with(200);
}

#[test]
fn what_cannot_take_a_pipelines_place_leaves_it_running() {
    let folder = followed();
    let server = Server::start(&folder);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    server.until("it works", "followed", |it| it["rows_out"] == 1_000);
    folder.write("blocked", "a file where a folder should be");
    let blocked = FOLLOWED.replace("out/", "blocked/");
    let replace = format!("{}&replace=true", apply_path(&folder));
    let refused = server.send("PUT", &replace, "", blocked.as_bytes()).with(422);
    refused.says(&["was not applied, and nothing was drained", "cannot be started"]);
    append(&folder, &lines(1_000, 1_100));
    server.until("it goes on", "followed", |it| it["rows_out"] == 1_100);
    assert!(events(&server, "ended").is_empty());
    let pipeline = server.pipeline("followed");
    assert_eq!((&pipeline["state"], &pipeline["revision"]), (&"running".into(), &1.into()), "{pipeline:#}");
    server.kill();
    assert_eq!(Server::start(&folder).pipeline("followed")["state"], "running");
}

#[test]
fn a_server_that_is_told_to_stop_ends_at_its_deadline_whoever_waits_for_its_pipelines() {
    let folder = followed();
    folder.write("guest.wasm", attacking_at(7, "unreachable"));
    let stuck = FOLLOWED.replace("guest.wasm }", "guest.wasm, on_error: { retry: { max: 100 } } }");
    folder.write("pipeline.yaml", &stuck);
    let server = Server::with_faults(&folder, &["--drain", "1"]);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    server.until("a row is tried again and again", "followed", |it| stage(it, "pass")["retries"].as_u64() > Some(0));
    let mut drain = server.send_off("POST", "/api/v1/pipelines/followed/drain", b"");
    server.until("it drains", "followed", |it| it["state"] == "draining");
    let pause = || server.send_off("POST", "/api/v1/pipelines/followed/pause", b"");
    let waiting: Vec<_> = iter::repeat_with(pause).take(150).collect();
    let many = server.send("POST", "/api/v1/pipelines/followed/resume", "", b"").with(503);
    many.says(&["16 changes of pipeline followed wait for their turn, and that is the limit"]);
    let ended = server.stop().with_code(1).says(&["some pipelines were not drained in time"]);
    let mut answer = Vec::new();
    drop(drain.read_to_end(&mut answer));
    assert!(answer.is_empty(), "it waited for whoever drains: {ended:?}");
    drop(waiting);
    assert_eq!(folder.visible("out"), "", "what is not committed is withdrawn");
    let server = Server::start(&folder);
    assert_eq!(server.pipeline("followed")["state"], "running");
    server.kill();
}

#[test]
fn a_server_that_is_told_to_stop_while_pipelines_come_back_drains_those_that_are_there() {
    let folder = followed();
    let server = Server::start(&folder);
    for number in 0..40 {
        let name = format!("p{number}");
        let text = FOLLOWED.replace("followed", &name).replace("out/", &format!("{name}/"));
        let path = format!("/api/v1/pipelines/{name}?base={}", folder.path().display());
        server.send("PUT", &path, "", text.replace("dead/", &format!("{name}-dead/")).as_bytes()).with(200);
    }
    server.kill();
    let mut command = wasmill(folder.path(), &["serve", "--data", "data", "--listen", "127.0.0.1:0"]);
    let mut process = Running::start(&mut command);
    process.hear("is back");
    process.terminate();
    process.end().with_code(0).says(&["stopping: what was read is finished and committed"]);
}

#[test]
fn a_damaged_file_stops_its_own_pipeline_only_and_is_mended_by_what_comes_again() {
    let folder = followed();
    let server = Server::start(&folder);
    let text = FOLLOWED.replace("followed", "torn").replace("out/", "out2/").replace("dead/", "dead2/");
    folder.write("torn.yaml", text);
    for (name, file) in [("followed", "pipeline.yaml"), ("torn", "torn.yaml")] {
        server.apply(&folder, name, file).with(200);
    }
    server.kill();
    let torn = folder.path().join("data/pipelines/torn.json");
    let text = fs::read(&torn).unwrap();
    fs::write(&torn, &text[..text.len() / 2]).unwrap();
    let server = Server::start(&folder);
    assert_eq!(server.pipeline("followed")["state"], "running");
    let broken = server.pipeline("torn");
    assert_eq!(broken["state"], "broken");
    assert!(broken["reason"].as_str().unwrap().contains("torn.json is damaged"), "{broken:#}");
    server.apply(&folder, "torn", "torn.yaml").with(200);
    assert_eq!(server.pipeline("torn")["state"], "running");
    server.kill();
    let code = folder.path().join("data/plugins").join(&folder.names("data/plugins")[0]);
    fs::write(&code, b"torn").unwrap();
    let server = Server::start(&folder);
    let broken = server.pipeline("followed");
    assert_eq!(broken["state"], "broken");
    assert!(broken["reason"].as_str().unwrap().contains("are not of that digest"), "{broken:#}");
    server.upload(&passing());
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    server.until("it works", "followed", |it| it["rows_out"] == 1_000);
}

#[test]
fn a_tag_of_a_pipeline_that_was_deleted_is_never_that_of_another() {
    let folder = followed();
    let mut server = Server::start(&folder);
    let mut tags = Vec::new();
    for _ in 0..3 {
        tags.push(server.apply(&folder, "followed", "pipeline.yaml").with(200).tag());
        let header = format!("if-match: {}\r\n", tags[0]);
        let stale = server.send("POST", "/api/v1/pipelines/followed/pause", &header, b"");
        stale.with(if tags.len() == 1 { 200 } else { 412 });
        server.send("DELETE", "/api/v1/pipelines/followed", "", b"").with(204);
        server.kill();
        server = Server::start(&folder);
    }
    assert_eq!(tags, ["\"1\"", "\"3\"", "\"4\""]);
}
