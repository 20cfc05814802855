//! The page at `/` as a browser has it: what is sent, what is told to the browser beside, and what is there when its
//! scripts have run.
//!
//! Neighbours: `serve.rs` has the pipeline, `server.rs` the server. The browser is headless Chromium; where nothing
//! may be skipped, it must be there.

use std::env;
use std::process::{Command, Stdio};

use wasmill_tests::process::{Folder, ended, until};
use wasmill_tests::server::{Server, relabelled};

use crate::guests::passing;
use crate::serve::{append, followed};

/// Files of the page that a browser asks for.
const FILES: [(&str, &str); 10] = [
    ("/", "text/html"),
    ("/icon.svg", "image/svg+xml"),
    ("/page.css", "text/css"),
    ("/page.js", "text/javascript"),
    ("/dom.js", "text/javascript"),
    ("/layout.js", "text/javascript"),
    ("/graph.js", "text/javascript"),
    ("/chart.js", "text/javascript"),
    ("/parts.js", "text/javascript"),
    ("/tap.js", "text/javascript"),
];

/// Whether there is a browser; where nothing may be skipped, there must be.
fn browser_is_here() -> bool {
    let here = Command::new("chromium").arg("--version").stdout(Stdio::null()).status().is_ok();
    assert!(here || env::var("CI").as_deref() != Ok("true"), "there is no `chromium` on the path");
    if !here {
        println!("skipped: there is no `chromium` on the path");
    }
    here
}

/// The page as it is after a few seconds of the browser's own time, which passes as fast as the server answers.
fn seen(server: &Server, place: &str) -> String {
    let profile = Folder::new();
    let mut browser = Command::new("chromium");
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"]);
    browser.arg("--virtual-time-budget=4000").arg(format!("--user-data-dir={}", profile.path().display()));
    let page = ended(browser.arg(format!("http://{}/{place}", server.address())).stdin(Stdio::null()));
    page.with_code(0).stdout
}

#[test]
fn a_browser_shows_pipelines_their_stages_and_counts_dead_letters_and_each_swap_as_a_mark() {
    if !browser_is_here() {
        return;
    }
    let folder = followed();
    let server = Server::start(&folder);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    let digest = server.upload(&relabelled(&passing(), 7));
    server.swap("followed", "pass", &digest, "").with(200);
    append(&folder, "<img src=x onerror=alert(1)>\n");
    server.until("all is through", "followed", |it| it["rows_out"] == 1_000 && it["dead_letters"] == 1);
    let wanted = [
        "<h1>followed</h1>",
        "class=\"state running\"",
        "aria-label=\"Graph of the pipeline\"",
        "data-key=\"source rows\"",
        "data-key=\"stage pass\"",
        "data-key=\"sink out\"",
        "data-edge=\"rows to pass\"",
        "data-edge=\"pass to out\"",
        "title=\"1,000\"",
        "data-mark=\"swapped\"",
        &format!("v2 {}", &digest[..8]),
        "&lt;img src=x onerror=alert(1)&gt;",
    ];
    let mut page = String::new();
    until("all is shown", || {
        page = seen(&server, "#followed");
        let missing: Vec<_> = wanted.iter().filter(|words| !page.contains(**words)).collect();
        println!("not shown: {missing:?}");
        missing.is_empty()
    });
    assert!(!page.contains("<img"), "data became markup:\n{page}");
    until("the list is shown", || seen(&server, "").contains("href=\"#followed\""));
    server.stop().with_code(0);
    assert_eq!(folder.visible("out").lines().count(), 1_000);
}

#[test]
fn the_page_is_for_this_machine_only_and_loads_nothing_from_elsewhere() {
    let folder = followed();
    let server = Server::start(&folder);
    for (path, kind) in FILES {
        let answer = server.get(path).with(200);
        let head = answer.head.to_ascii_lowercase();
        for wanted in [
            &format!("content-type: {kind}"),
            "content-security-policy: default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
        ] {
            assert!(head.contains(wanted), "{path} is sent without `{wanted}`:\n{head}");
        }
        server.send("GET", path, "host: evil.example\r\n", b"").with(403);
        server.send("GET", path, "origin: http://evil.example\r\n", b"").with(403);
        server.send("POST", path, "", b"").with(400);
    }
}

#[test]
fn what_flowed_lately_is_told_a_sample_a_second() {
    let folder = followed();
    let server = Server::start(&folder);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    let history = |after: u64| {
        let answer = server.get(&format!("/api/v1/pipelines/followed/history?after_ms={after}")).with(200);
        answer.body.as_array().unwrap().clone()
    };
    until("there are samples", || history(0).len() >= 2);
    let samples = history(0);
    let times: Vec<u64> = samples.iter().map(|sample| sample["at_ms"].as_u64().unwrap()).collect();
    assert!(times.is_sorted() && samples.iter().all(|sample| sample["rows_in_per_s"].as_f64() >= Some(0.0)));
    assert!(history(times[0]).iter().all(|sample| sample["at_ms"].as_u64() > Some(times[0])));
    server.get("/api/v1/pipelines/folowed/history").with(404).says(&["did you mean `followed`"]);
    server.get("/api/v1/pipelines/followed/history?after_ms=soon").with(400);
}
