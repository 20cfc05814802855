//! The guide to Go: its commands and the files that it shows do what it says, from `wasmill new` on; its other snippets
//! compile in the project that comes of it.
//!
//! Neighbour: [`crate::terminal`] runs the commands and writes the files.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use wasmill_tests::house::go_is_here;
use wasmill_tests::process::{ended, repository};

use crate::terminal;

const GUIDE: &str = "docs/go.md";
/// The project that it makes.
const PROJECT: &str = "score";

/// The packages that a snippet may use without saying so.
const PACKAGES: [(&str, &str); 8] = [
    ("fmt.", "fmt"),
    ("math.", "math"),
    ("slices.", "slices"),
    ("testing.", "testing"),
    ("time.", "time"),
    ("batch.", "wasmill/batch"),
    ("wasmilltest.", "wasmill/wasmilltest"),
    ("wasmill.", "wasmill"),
];

/// The fence and the text of each block of code.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut blocks: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(_) if inside => inside = false,
            Some(fence) => {
                inside = true;
                blocks.push((fence.to_owned(), String::new()));
            }
            None if inside => writeln!(blocks.last_mut().unwrap().1, "{line}").unwrap(),
            None => {}
        }
    }
    blocks
}

/// A snippet as a package of its own.
fn package(snippet: &str) -> String {
    let used = PACKAGES.iter().filter(|(word, _)| snippet.contains(word));
    let imports: String = used.map(|(_, path)| format!("import \"{path}\"\n")).collect();
    format!("package snippet\n\n{imports}\n{snippet}")
}

#[test]
fn the_guide_to_go_is_a_project_that_does_what_it_says() {
    if !go_is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(terminal::check_in(GUIDE, folder.path()) > 0);
    let project = folder.path().join(PROJECT);
    let dead = text_of(&project.join("dead"));
    assert!(dead.contains("the reading has no site"), "{dead}");
    for (number, (fence, text)) in blocks(&fs::read_to_string(repository().join(GUIDE)).unwrap()).iter().enumerate() {
        if fence != "go" {
            continue;
        }
        let snippet = project.join(format!("snippet{number}"));
        fs::create_dir_all(&snippet).unwrap();
        let file = if text.contains("func Test") { "a_test.go" } else { "a.go" };
        fs::write(snippet.join(file), package(text)).unwrap();
    }
    ended(Command::new("go").args(["vet", "./..."]).current_dir(project)).with_code(0);
}

/// The text of the visible files of a folder.
fn text_of(folder: &Path) -> String {
    crate::files(folder).into_iter().map(|(_, text)| text).collect()
}
