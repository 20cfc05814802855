//! Stories of streams without an end: a row is visible when it comes, and an interrupt loses nothing.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write as _};
use std::process::{ChildStdin, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use wasmill_tests::process::{Folder, Running, until, wasmill};

use crate::guests::passing;

const TO_STDOUT: &str = "\
name: stream
sources:
  rows: { stdin: {}, format: { ndjson: { columns: { n: int64 } } } }
sinks:
  out: { from: rows, stdout: {} }
dead_letters: { file: { path: dead/ } }
";

const TO_FILES: &str = "\
name: stream
sources:
  rows: { stdin: {}, format: { ndjson: { columns: { n: int64 } } } }
sinks:
  out: { from: rows, file: { path: out/ } }
dead_letters: { file: { path: dead/ } }
";

/// Every so many lines one is no JSON.
const BAD_EVERY: u64 = 1_000;

fn line(n: u64, padding: &str) -> String {
    if n.is_multiple_of(BAD_EVERY) { format!("bad {n}\n") } else { format!("{{\"n\":{n}{padding}}}\n") }
}

/// Writes numbered lines until nobody reads any more; answers how many bytes went so far.
pub(crate) fn pour(stdin: ChildStdin, line: impl Fn(u64) -> String + Send + 'static) -> Arc<AtomicU64> {
    let poured = Arc::new(AtomicU64::new(0));
    let count = poured.clone();
    thread::spawn(move || {
        let mut stdin = BufWriter::new(stdin);
        for n in 0.. {
            let line = line(n);
            if stdin.write_all(line.as_bytes()).is_err() {
                return;
            }
            count.fetch_add(line.len() as u64, Ordering::SeqCst);
        }
    });
    poured
}

#[test]
fn at_a_trickle_a_row_is_through_a_plugin_and_out_before_the_next_one_comes() {
    let stage = "stages:\n  pass: { from: rows, plugin: ./guest.wasm }\nsinks:\n  out: { from: pass,";
    let folder = Folder::with(&TO_STDOUT.replace("sinks:\n  out: { from: rows,", stage));
    folder.write("guest.wasm", passing());
    let mut running = folder.start(&[]);
    for n in 0..100 {
        let line = format!("{{\"n\":{n},\"untouched\": [1,  2]}}");
        let stdin = running.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
        assert_eq!(running.line(), line);
    }
    let report = running.end().report();
    assert_eq!((&report["records_in"], &report["rows_out"]), (&100.into(), &100.into()));
}

#[test]
fn an_interrupt_in_mid_run_finishes_and_commits_what_was_read() {
    let folder = Folder::with(TO_FILES);
    let mut running = folder.start(&["--commit-every", "3600"]);
    let poured = pour(running.stdin.take().unwrap(), |n| line(n, ""));
    until("some of it was read", || poured.load(Ordering::SeqCst) > 8 << 20);
    assert_eq!(folder.visible("out"), "", "no epoch has ended");
    running.interrupt();
    let report = running.end().report();

    let (out, mut dead) = (folder.visible("out"), folder.rows("dead"));
    assert_eq!(report["rows_out"], out.lines().count());
    assert_eq!(report["dead_letters"], dead.len());
    // All that was read and nothing else: the lines up to some number, and perhaps the beginning of the next.
    let mut read = report["records_in"].as_u64().unwrap();
    let cut = |letter: &serde_json::Value| letter["reason"].as_str().unwrap().contains("stopped before the rest");
    if let Some(last) = dead.pop_if(|letter| cut(letter)) {
        read -= 1;
        assert!(line(read, "").starts_with(last["record"].as_str().unwrap()), "{last}");
    }
    assert!(read > 100_000, "{read}");
    assert_eq!(dead.len() as u64, read.div_ceil(BAD_EVERY));
    let good = (0..read).filter(|n| n % BAD_EVERY != 0).map(|n| line(n, ""));
    assert!(good.collect::<String>() == out);
}

#[test]
fn a_second_interrupt_ends_at_once_a_run_that_cannot_drain() {
    let folder = Folder::with(TO_STDOUT);
    let mut running = Running::start(wasmill(folder.path(), &["run", "pipeline.yaml"]).stdin(Stdio::piped()));
    // One row is more than fits into the pipe that nobody empties. Nine chunks of a pipe can wait before they are read.
    let (row, waiting) = (200_000, 9 * 65_536);
    let padding = format!(",\"padding\":\"{}\"", "x".repeat(row));
    let poured = pour(running.stdin.take().unwrap(), move |n| line(n, &padding));
    running.line();
    until("some rows were read", || poured.load(Ordering::SeqCst) > waiting + 3 * row as u64);
    running.interrupt();
    running.hear("draining: what was read is finished and committed; interrupt again to end at once");
    running.interrupt();
    assert_eq!(running.end_unread(), Some(130));
}

#[test]
fn files_are_followed_while_they_grow_until_somebody_ends_it() {
    let following = TO_FILES.replace("stdin: {}", "file: { path: \"in/*.ndjson\", follow: true }");
    let folder = Folder::with(&following);
    let first = folder.write("in/a.ndjson", "{\"n\":0}\n{\"n\":");
    let running = folder.start(&["--commit-every", "1"]);
    until("the line that is there is out", || folder.visible("out") == "{\"n\":0}\n");
    OpenOptions::new().append(true).open(first).unwrap().write_all(b"1}\n{\"n\":2}\n").unwrap();
    let grown = "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n";
    until("lines that were added are out", || folder.visible("out") == grown);
    folder.write("in/b.ndjson", "{\"n\":3}\n");
    let all = format!("{grown}{{\"n\":3}}\n");
    until("a file that was added is out", || folder.visible("out") == all);
    running.terminate();
    let report = running.end().report();
    assert_eq!((&report["records_in"], &report["rows_out"]), (&4.into(), &4.into()));
    assert_eq!(folder.visible("out"), all);
    assert!(folder.names("out").iter().all(|name| !name.starts_with('.')));
}

#[test]
fn a_reader_of_the_output_that_goes_away_ends_the_run_with_a_word() {
    let folder = Folder::with(TO_STDOUT);
    let mut running = folder.start(&[]);
    pour(running.stdin.take().unwrap(), |n| line(n, ""));
    running.line();
    running.turn_away();
    running.end().with_code(1).says(&["pipeline stream stopped: out: stdout was closed by its reader"]);
}

#[test]
fn a_run_that_is_killed_keeps_what_it_committed_and_the_next_one_adds_to_it() {
    let folder = Folder::with(TO_FILES);
    let mut running = folder.start(&["--commit-every", "1"]);
    let poured = pour(running.stdin.take().unwrap(), |n| line(n, ""));
    until("an epoch is committed", || !folder.visible("out").is_empty());
    let so_far = poured.load(Ordering::SeqCst);
    until("the next one is being written", || poured.load(Ordering::SeqCst) > so_far + (1 << 20));
    running.kill();
    let committed = folder.visible("out");
    let rows = committed.lines().count() as u64;
    let numbers = (0..).filter(|n| n % BAD_EVERY != 0).take(usize::try_from(rows).unwrap());
    assert!(numbers.map(|n| line(n, "")).collect::<String>() == committed, "{rows} rows, not all of them whole");

    let mut again = folder.start(&[]);
    again.stdin.as_mut().unwrap().write_all(b"{\"n\":-1}\n").unwrap();
    assert_eq!(again.end().report()["rows_out"], 1);
    assert!(folder.visible("out") == committed + "{\"n\":-1}\n");
    assert!(folder.names("out").iter().chain(&folder.names("dead")).all(|name| !name.starts_with('.')));
}
