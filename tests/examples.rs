//! The examples run as they stand and come to what their `expected/` folders hold; what documents show in a terminal
//! is what happens.
//!
//! Neighbours: `end_to_end/house.rs` copies the examples, `examples/terminal.rs` reads documents,
//! `examples/guide.rs` builds what a guide shows.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![forbid(unsafe_code)]

#[path = "examples/guide.rs"]
mod guide;
#[path = "examples/terminal.rs"]
mod terminal;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use wasmill_tests::house::{aloud, built, go_is_here, house, shelve};
use wasmill_tests::process::{Ended, Folder, binary, ended, in_setting, repository, rows, wasmill};

/// Held by who runs an example: two runs of a pipeline do not share their output.
static EXAMPLES: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    EXAMPLES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Folders of a folder, sorted.
fn folders(of: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(of).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// The text of each visible file of a folder.
fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()));
    let visible = named.filter(|(name, _)| !name.starts_with('.'));
    let mut files: Vec<_> = visible.map(|(name, path)| (name, fs::read_to_string(path).unwrap())).collect();
    files.sort();
    files
}

/// Dead letters without what differs from run to run and from compiler to compiler: the time at which they were given
/// up, and the digest of the component that refused them.
fn timeless(text: &str) -> Vec<Value> {
    let mut letters = rows(text);
    for letter in &mut letters {
        let letter = letter.as_object_mut().unwrap();
        letter.remove("at");
        letter.remove("component");
    }
    letters
}

/// Whether an example has an operator in Go.
fn needs_go(example: &Path) -> bool {
    folders(example).iter().any(|folder| folder.join("go.mod").is_file())
}

#[test]
fn an_example_runs_as_it_stands_and_comes_to_what_it_says() {
    let _alone = alone();
    let examples = folders(&house().join("examples")).into_iter().filter(|path| path.join("pipeline.yaml").is_file());
    let examples: Vec<PathBuf> = examples.collect();
    assert!(!examples.is_empty());
    for example in examples {
        let name = example.strip_prefix(house()).unwrap().display().to_string();
        assert!(example.join("README.md").is_file(), "{name} has no README.md");
        if needs_go(&example) && !go_is_here() {
            aloud(&format!("skipped {name}: there is no `go` on the path"));
            continue;
        }
        let is_plugin = |folder: &&PathBuf| ["Cargo.toml", "go.mod"].iter().any(|file| folder.join(file).is_file());
        for plugin in folders(&example).iter().filter(is_plugin) {
            built(plugin.strip_prefix(house()).unwrap().to_str().unwrap());
        }
        shelve(&fs::read_to_string(example.join("pipeline.yaml")).unwrap());
        let report = ended(&mut wasmill(&example, &["run", "pipeline.yaml", "--output", "json"])).counts();
        assert!(report["rows_out"].as_u64() > Some(0), "{name}: {report:#}");
        let expected = folders(&example.join("expected"));
        assert!(!expected.is_empty(), "{name} has no folder in expected/");
        for folder in expected {
            let output = folder.file_name().unwrap().to_str().unwrap();
            let (expected, found) = (files(&folder), files(&example.join(output)));
            let names = |files: &[(String, String)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
            assert_eq!(names(&found), names(&expected), "{name}/{output}");
            for ((file, found), (_, expected)) in found.iter().zip(&expected) {
                if output == "dead" {
                    assert_eq!(timeless(found), timeless(expected), "{name}/{output}/{file}");
                } else {
                    assert!(found == expected, "{name}/{output}/{file}, expected:\n{expected}\nfound:\n{found}");
                }
            }
        }
    }
}

/// The first block of a document behind that fence.
fn block(document: &str, fence: &str) -> String {
    let text = fs::read_to_string(repository().join(document)).unwrap();
    let block = text.split(&format!("\n```{fence}\n")).nth(1).and_then(|rest| rest.split("\n```").next());
    block.unwrap_or_else(|| panic!("{document} has no block of {fence}")).to_owned()
}

#[test]
fn the_front_page_shows_the_operators_that_new_makes() {
    for (language, template) in [("rust", "rust/keyed.rs"), ("go", "go/keyed.go")] {
        let template = fs::read_to_string(repository().join("host/daemon/templates").join(template)).unwrap();
        let shown = block("README.md", language);
        assert!(template.contains(&shown), "README.md shows another operator in {language} than this:\n{template}");
    }
}

#[test]
fn what_a_document_shows_in_a_terminal_is_what_happens() {
    let _alone = alone();
    built("examples/currency/plugin");
    shelve("filter@1 select@1 validate@1 anomaly@1");
    let examples = folders(&house().join("examples")).into_iter().filter(|path| go_is_here() || !needs_go(path));
    let of_examples = examples
        .map(|example| example.join("README.md"))
        .map(|path| path.strip_prefix(house()).unwrap().to_str().unwrap().to_owned());
    // What documents make, which is made once only.
    for made in ["room-mean", "readings", "door-alerts", "spikes", "server"] {
        drop(fs::remove_dir_all(house().join(made)));
    }
    let documents = ["README.md", "docs/cli.md", "docs/operations.md", "docs/operators.md", "plugins/README.md"];
    for document in documents.map(str::to_owned).into_iter().chain(of_examples) {
        assert!(terminal::check(&document) > 0, "{document} shows no command");
    }
    let drawn = ended(&mut wasmill(house(), &["graph", "spikes.yaml", "--svg"])).with_code(0).stdout;
    let shown = fs::read_to_string(repository().join("docs/pictures/spikes.svg")).unwrap();
    assert!(drawn.trim_end() == shown.trim_end(), "README.md has another picture than this:\n{drawn}");
}

/// What `./x demo` ends with, in a folder.
fn swap_under_load(folder: &Path) -> Ended {
    let mut script = Command::new(repository().join("setup/swap-under-load"));
    let ended = ended(in_setting(&mut script, folder).arg(binary()));
    let pid = fs::read_to_string(folder.join("target/demo/server/lock")).unwrap();
    let server = Path::new("/proc").join(pid.trim());
    assert!(!server.exists(), "a server is left behind: {}", server.display());
    ended
}

#[test]
fn the_demo_ends_with_a_swap_under_load_and_leaves_no_server_behind() {
    let _alone = alone();
    ["plugin", "nearest"].iter().for_each(|operator| drop(built(&format!("examples/currency/{operator}"))));
    let seen = swap_under_load(house()).with_code(0).stdout;
    assert_eq!(seen.matches("0 lost, no state").count(), 2, "{seen}");
    let count = |node: &str, unit: &str| -> String {
        let line = seen.lines().find(|line| line.trim_start().starts_with(node)).unwrap_or_else(|| panic!("{seen}"));
        let words: Vec<&str> = line.split_whitespace().collect();
        words.windows(2).find(|pair| pair[1].trim_end_matches(',') == unit).unwrap()[0].to_owned()
    };
    let read = count("source bids", "in");
    assert_eq!((&read, &read), (&count("stage convert", "out"), &count("sink euros", "out")), "{seen}");
    assert!(read.len() > "99,999".len(), "rows flowed: {seen}");

    let nothing_there = Folder::new();
    let failed = swap_under_load(nothing_there.path());
    assert_ne!(failed.code, Some(0), "{failed:?}");
}
