//! The house rules (`STYLE.md`), held from the first commit: each test is a sentence that is true of the repository.
//!
//! A limit, an exception or an edge between packages is changed here and nowhere else, on purpose, with its reason.
//! Neighbours: `tests/tidy/` reads the repository and knows how each rule is broken.
#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::LazyLock;

use wasmill_tidy::tree::{Finding, Tree};
use wasmill_tidy::{conduct, documents, modules, packages, shape};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_CHARACTERS_MAX: usize = 120;

/// Which package uses which of ours: `daemon -> {wasm, connectors} -> engine`, never sideways, never up. The SDK stands
/// alone: it knows the contract and nothing of the host.
const EDGES: [(&str, &[&str]); 10] = [
    ("wasmill-engine", &[]),
    ("wasmill-wasm", &["wasmill-engine"]),
    ("wasmill-connectors", &["wasmill-engine"]),
    ("wasmill-daemon", &["wasmill-engine", "wasmill-wasm", "wasmill-connectors"]),
    ("wasmill-tests", &["wasmill-engine", "wasmill-wasm"]),
    ("wasmill-fuzz", &["wasmill-engine"]),
    ("wasmill-tidy", &[]),
    ("wasmill", &["wasmill-macros"]),
    ("wasmill-macros", &[]),
    ("wasmill-test", &["wasmill"]),
];

/// Folders of guests: they stand outside, as a user's operators do, and use the SDK only; the plugins that ship share
/// one language of conditions.
const GUESTS: [&str; 3] = ["plugins/", "examples/", "tests/guests/"];
const GUESTS_USE: [&str; 3] = ["wasmill", "wasmill-test", "expression"];

/// What the engine must not reach by itself; `host/engine/clippy.toml` says where to get each instead.
const OUTSIDE: [&str; 16] = [
    "collections::HashMap",
    "collections::HashSet",
    "collections::hash_map",
    "env",
    "fs",
    "io::stderr",
    "io::stdin",
    "io::stdout",
    "net",
    "os",
    "process",
    "sync::Mutex",
    "sync::RwLock",
    "thread",
    "time::Instant",
    "time::SystemTime",
];

/// The files that may write `unsafe`: one where the host has to, one where the SDK meets the component ABI, and the
/// fuzz targets, whose entry point the fuzzer's macro exports.
const UNSAFE: [&str; 4] =
    ["host/wasm/src/cache.rs", "sdk/rust/src/abi.rs", "tests/fuzz/csv.rs", "tests/fuzz/ndjson.rs"];

/// Files that a tool wrote and that are committed so that users need not have the tool.
const GENERATED: [&str; 0] = [];

static TREE: LazyLock<Tree> = LazyLock::new(|| Tree::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")));

/// Fails with all that breaks a rule, a line each.
fn none(findings: Vec<Finding>) {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} places break this rule:\n  {}\n", lines.len(), lines.join("\n  "));
}

/// The same, where generated files are left out.
fn none_written(findings: Vec<Finding>) {
    none(findings.into_iter().filter(|found| !GENERATED.contains(&found.path.as_str())).collect());
}

#[test]
fn a_file_has_at_most_500_lines() {
    none_written(shape::long_files(&TREE, FILE_LINES_MAX));
}

#[test]
fn a_function_has_at_most_70_lines() {
    none_written(shape::long_functions(&TREE, FUNCTION_LINES_MAX));
}

#[test]
fn a_line_has_at_most_120_characters() {
    none_written(shape::long_lines(&TREE, LINE_CHARACTERS_MAX));
}

#[test]
fn a_rust_file_opens_by_saying_what_it_is() {
    none(shape::headless(&TREE));
}

#[test]
fn a_name_does_not_repeat_its_folder() {
    none(shape::repeated_names(&TREE));
}

#[test]
fn a_module_is_named_after_what_is_inside() {
    none(shape::empty_names(&TREE));
}

#[test]
fn unsafe_stands_in_the_files_named_for_it_only() {
    none(conduct::unsafe_code(&TREE, &UNSAFE));
}

#[test]
fn a_package_forbids_unsafe_unless_it_holds_such_a_file() {
    none(packages::without_forbid(&TREE, &UNSAFE, &GUESTS));
}

#[test]
fn code_outside_of_tests_does_not_unwrap() {
    none(conduct::unwraps(&TREE));
}

#[test]
fn code_is_finished_when_it_is_committed() {
    none(conduct::unfinished(&TREE));
}

#[test]
fn nothing_is_noted_for_later_in_code() {
    none(conduct::notes_for_later(&TREE));
}

#[test]
fn every_test_runs() {
    none(conduct::tests_switched_off(&TREE));
}

#[test]
fn a_lint_is_expected_with_a_reason_and_not_silenced() {
    none(conduct::silenced_lints(&TREE, &GENERATED));
}

#[test]
fn the_engine_reaches_nothing_outside() {
    none(conduct::reaches_outside(&TREE, "host/engine/src/", &OUTSIDE));
}

#[test]
fn packages_use_each_other_along_the_listed_edges_only() {
    none(packages::edges(&TREE, &EDGES, &GUESTS, &GUESTS_USE));
}

#[test]
fn modules_do_not_use_each_other_in_a_circle() {
    none(modules::cycles(&TREE));
}

#[test]
fn a_link_in_a_document_leads_somewhere() {
    none(documents::dead_links(&TREE));
}

#[test]
fn nothing_that_a_tool_makes_is_committed() {
    none(documents::generated(&TREE));
}
