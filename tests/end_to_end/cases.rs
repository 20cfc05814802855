//! The rules of case files, which `wasmill test` and the native drivers of both languages share: `sdk/cases`.
//!
//! Neighbours: `sdk/rust/test/tests/agreement.rs` and `sdk/go/wasmilltest/agreement_test.go` run the same files.

use std::fs;

use wasmill_tests::house::{built, house};
use wasmill_tests::process::{Folder, ended, repository, wasmill};

fn shared(name: &str) -> String {
    fs::read_to_string(repository().join("sdk/cases").join(name)).unwrap()
}

#[test]
fn what_all_drivers_of_cases_find_right_is_right() {
    let component = built("tests/guests/rust/judge");
    let folder = Folder::new();
    let file = folder.write("cases.yaml", shared("good.yaml"));
    let told = ended(wasmill(house(), &["test", file.to_str().unwrap(), "--plugin"]).arg(component));
    assert!(told.with_code(0).stdout.ends_with("13 passed, 0 failed\n"));
}

#[test]
fn what_all_drivers_of_cases_find_wrong_is_wrong() {
    let component = built("tests/guests/rust/judge");
    let folder = Folder::new();
    let text = shared("bad.txt");
    let files: Vec<(&str, &str)> = text.split("\n--- ").skip(1).map(|bad| bad.split_once('\n').unwrap()).collect();
    assert!(files.len() > 50, "there are {} only", files.len());
    let mut wrong = Vec::new();
    for (what, text) in files {
        let file = folder.write("cases.yaml", text);
        let ended = ended(wasmill(house(), &["test", file.to_str().unwrap(), "--plugin"]).arg(&component));
        if !matches!(ended.code, Some(1 | 2)) {
            wrong.push((what, ended.code, ended.stdout));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
