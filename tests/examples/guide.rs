//! The guide to Go: the files that it shows are a project that builds, its other snippets compile.
//!
//! A block of code whose fence names a file, as in "go main.go", is that file. Neighbour: [`crate::terminal`] runs the
//! commands that the guide shows, in the folder of those files.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use wasmill_tests::process::{ended, repository};

use crate::terminal;

const GUIDE: &str = "docs/go.md";

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
    if Command::new("go").arg("version").output().is_err() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "there is no `go` on the path");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let sdk = repository().join("sdk/go");
    for (number, (fence, text)) in blocks(&fs::read_to_string(repository().join(GUIDE)).unwrap()).iter().enumerate() {
        match (fence.split_once(' '), &**fence) {
            (Some((_, path)), _) => write(path, &text.replace("=> SDK", &format!("=> {}", sdk.display()))),
            (None, "go") if text.contains("func Test") => write(&format!("snippet{number}/a_test.go"), &package(text)),
            (None, "go") => write(&format!("snippet{number}/a.go"), &package(text)),
            _ => {}
        }
    }
    fs::copy(sdk.join("go.sum"), folder.path().join("go.sum")).unwrap();
    let go = |arguments: &[&str]| ended(Command::new("go").args(arguments).current_dir(folder.path())).with_code(0);
    go(&["vet", "./..."]);
    assert!(terminal::check_in(GUIDE, folder.path()) > 0);
    let dead = text_of(&folder.path().join("dead"));
    assert!(dead.contains("the reading has no site"), "{dead}");
}

/// The text of the visible files of a folder.
fn text_of(folder: &Path) -> String {
    crate::files(folder).into_iter().map(|(_, text)| text).collect()
}
