//! The page at `/` as a browser has it: what is sent, what is told to the browser beside, and what is there when its
//! scripts have run.
//!
//! Neighbours: `serve.rs` has the pipeline, `server.rs` the server, `browser.rs` the browser; where nothing may be
//! skipped, it must be there.

use std::process::{Command, Stdio};

use serde_json::Value;
use wasmill_tests::process::{Folder, ended, until};
use wasmill_tests::server::{Server, relabelled};

use crate::browser::{self, Browser, FLAGS, Look};
use crate::guests::passing;
use crate::serve::{append, followed, lines};

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

/// The page as it is after a few seconds of the browser's own time, which passes as fast as the server answers.
fn seen(server: &Server, place: &str) -> String {
    let profile = Folder::new();
    let mut browser = Command::new("chromium");
    browser
        .args(FLAGS)
        .arg("--dump-dom")
        .arg("--virtual-time-budget=4000")
        .arg(format!("--user-data-dir={}", profile.path().display()));
    let page = ended(browser.arg(format!("http://{}/{place}", server.address())).stdin(Stdio::null()));
    page.with_code(0).stdout
}

#[test]
fn a_browser_shows_pipelines_their_stages_and_counts_dead_letters_and_each_swap_as_a_mark() {
    if !browser::is_here() {
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

/// A screen on a desk, and a phone.
const DESK: Look = Look { size: (1_280, 900), phone: false, scheme: "light" };
const PHONE: Look = Look { size: (360, 740), phone: true, scheme: "light" };

/// The middle of `rgb(1, 2, 3)`.
fn brightness(colour: &Value) -> u32 {
    let numbers =
        colour.as_str().unwrap().split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse::<u32>().ok());
    numbers.take(3).sum::<u32>() / 3
}

#[test]
fn the_page_fits_a_phone_and_is_dark_where_that_is_wanted() {
    if !browser::is_here() {
        return;
    }
    let folder = followed();
    let server = Server::start(&folder);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    append(&folder, &format!("{}\n", "x".repeat(5_000)));
    server.until("all is through", "followed", |it| it["rows_out"] == 1_000 && it["dead_letters"] == 1);
    let mut browser = Browser::start();
    let address = format!("http://{}/#followed", server.address());
    let drawn = "document.querySelector('.graph [data-key=\"sink out\"]') !== null && \
                 document.querySelector('.letters .said') !== null";
    let widths = "['main', 'section.letters', 'section.logs', '.tiles', '.tile'].map(one => \
                  document.querySelector(one).getBoundingClientRect().width)";
    let seen = |browser: &mut Browser, look: &Look| {
        browser.open(&address, look);
        until("the page is drawn", || browser.ask(drawn) == true);
        let widths = browser.ask(widths);
        let widths: Vec<f64> = widths.as_array().unwrap().iter().map(|width| width.as_f64().unwrap()).collect();
        (browser.ask("document.documentElement.scrollWidth"), widths)
    };
    let (whole, desk) = seen(&mut browser, &DESK);
    assert!(whole.as_u64() <= Some(1_280), "{whole}");
    assert!(desk[1] < desk[0] * 0.5 && desk[4] < desk[3] * 0.25, "side by side: {desk:?}");
    let (whole, phone) = seen(&mut browser, &PHONE);
    assert_eq!(whole, 360, "nothing is wider than the phone");
    assert!(phone[1] > phone[0] * 0.9 && phone[2] == phone[1], "one below the other: {phone:?}");
    assert!(phone[4] > phone[3] * 0.4, "two beside each other: {phone:?}");
    let mut colours = |scheme| {
        seen(&mut browser, &Look { scheme, ..PHONE });
        let colours = browser.ask("(style => [style.backgroundColor, style.color])(getComputedStyle(document.body))");
        (brightness(&colours[0]), brightness(&colours[1]))
    };
    let ((page, text), (dark_page, dark_text)) = (colours("light"), colours("dark"));
    assert!(page > 200 && text < 80, "dark on light: {page}, {text}");
    assert!(dark_page < 60 && dark_text > 200, "light on dark: {dark_page}, {dark_text}");
    browser.open(&format!("http://{}/", server.address()), &PHONE);
    until("the list is drawn", || browser.ask("document.querySelector('.pipelines a') !== null") == true);
    assert_eq!(browser.ask("document.documentElement.scrollWidth"), 360);
    server.kill();
}

#[test]
fn the_page_says_why_a_row_is_dead_how_long_batches_take_and_shows_rows_at_a_click() {
    if !browser::is_here() {
        return;
    }
    let folder = followed();
    let server = Server::start(&folder);
    server.apply(&folder, "followed", "pipeline.yaml").with(200);
    append(&folder, "{\"n\": \"seven\"}\n");
    server.until("all is through", "followed", |it| it["rows_out"] == 1_000 && it["dead_letters"] == 1);
    let letters = server.get("/api/v1/pipelines/followed/dead-letters").with(200).body;
    let reason = letters[0]["letter"]["reason"].as_str().unwrap();
    let mut browser = Browser::start();
    browser.open(&format!("http://{}/#followed", server.address()), &DESK);
    let mut shows = |expression: &str, words: &str| {
        until(words, || browser.ask(expression).as_str().is_some_and(|text| text.contains(words)));
    };
    shows("document.querySelector('.letters .said').textContent", reason);
    shows("document.querySelector('[data-key=\"stage pass\"]').textContent", "p99 ");
    shows("document.querySelector('.nodes').textContent", "batch p50 / p99");
    shows("document.querySelector('[data-edge=\"pass to out\"] ~ .on-edge').textContent", "/s");
    let tap = "(() => { const button = document.querySelector('.tap button'); if (button.textContent === 'tap') \
               button.click(); return button.textContent; })()";
    shows(tap, "close");
    let mut next = 1_000;
    until("rows are shown", || {
        append(&folder, &lines(next, next + 10));
        next += 10;
        let shown = browser.ask("[...document.querySelectorAll('.rows code')].map(row => row.textContent)");
        let rows = shown.as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut rows = rows.filter_map(|row| serde_json::from_str::<Value>(row).ok());
        rows.any(|row| row["n"].as_u64() >= Some(1_000) && row["n"] == row["m"])
    });
    server.kill();
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
        server.send("POST", path, "", b"").with(405);
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
