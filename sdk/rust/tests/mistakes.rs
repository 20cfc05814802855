//! What the compiler tells an author who makes one of the usual mistakes: each file of `mistakes/` says at its top what
//! has to be in an error (`=`), what may be in none (`-`) and whether other errors follow from it (`+`), and marks the
//! line that the error has to point at.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A project in which each file is an example, so that one run of the compiler checks them all.
fn project() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mistakes");
    let examples = folder.join("examples");
    if examples.exists() {
        fs::remove_dir_all(&examples).expect("the last run's files go");
    }
    fs::create_dir_all(folder.join("src")).expect("a folder for tests");
    fs::create_dir_all(&examples).expect("a folder for tests");
    let sdk = env!("CARGO_MANIFEST_DIR");
    let package = "[package]\nname = \"mistakes\"\nedition = \"2024\"\n[workspace]\n";
    let serde = "serde = { version = \"1\", features = [\"derive\"] }";
    let manifest = format!("{package}[dependencies]\nwasmill = {{ path = \"{sdk}\" }}\n{serde}\n");
    fs::write(folder.join("Cargo.toml"), manifest).expect("a file for tests");
    fs::write(folder.join("src/lib.rs"), "").expect("a file for tests");
    fs::copy(Path::new(sdk).join("Cargo.lock"), folder.join("Cargo.lock")).expect("the SDK has a lock file");
    for (name, text) in mistakes() {
        fs::write(examples.join(name), text).expect("a file for tests");
    }
    folder
}

fn mistakes() -> BTreeMap<String, String> {
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mistakes")).expect("the folder is there");
    let read = |file: std::io::Result<fs::DirEntry>| {
        let path = file.expect("it can be listed").path();
        let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("it can be read"))
    };
    files.map(read).collect()
}

/// The errors of each file: what is shown, and the lines that are pointed at.
fn errors() -> BTreeMap<String, Vec<(String, Vec<u64>)>> {
    let done = Command::new(env!("CARGO"))
        .args(["check", "--examples", "--keep-going", "--message-format=json", "--quiet"])
        .current_dir(project())
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("mistakes-target"))
        .env_remove("RUSTFLAGS")
        .output()
        .expect("cargo runs");
    let mut errors: BTreeMap<String, Vec<(String, Vec<u64>)>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&done.stdout).lines() {
        let message: Value = serde_json::from_str(line).expect("cargo writes JSON");
        let diagnostic = &message["message"];
        if message["reason"] != "compiler-message" || diagnostic["level"] != "error" {
            continue;
        }
        let file = message["target"]["src_path"].as_str().and_then(|path| path.rsplit('/').next());
        let shown = diagnostic["rendered"].as_str().unwrap_or_default().to_owned();
        let spans = diagnostic["spans"].as_array().map_or(&[][..], Vec::as_slice);
        let lines = spans.iter().filter_map(|span| span["line_start"].as_u64()).collect();
        errors.entry(file.unwrap_or_default().to_owned()).or_default().push((shown, lines));
    }
    assert!(!errors.is_empty(), "cargo checked nothing: {}", String::from_utf8_lossy(&done.stderr));
    errors
}

#[test]
fn each_usual_mistake_is_told_in_words_that_help() {
    let errors = errors();
    let mut wrong = String::new();
    for (name, text) in mistakes() {
        let expected: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("//= ")).collect();
        let here = (1..).zip(text.lines()).find_map(|(number, line)| line.ends_with("// <- here").then_some(number));
        let told = |(shown, lines): &(String, Vec<u64>)| {
            expected.iter().all(|part| shown.contains(part)) && here.is_none_or(|here| lines.contains(&here))
        };
        let noise: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("//- ")).collect();
        let found = errors.get(&name).map_or(&[][..], Vec::as_slice);
        let is_noisy = found.iter().any(|(shown, _)| noise.iter().any(|part| shown.contains(part)));
        let follow = text.lines().any(|line| line.starts_with("//+"));
        if (found.len() == 1) == follow || expected.is_empty() || is_noisy || !found.iter().any(told) {
            let shown: String = found.iter().map(|(shown, _)| &**shown).collect();
            let alone = if follow { "" } else { ", and no other" };
            wrong += &format!("{name}: expected {expected:?} at line {here:?}{alone}, not {noise:?}, in:\n{shown}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
