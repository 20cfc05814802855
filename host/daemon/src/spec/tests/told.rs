//! Bad files and what is said of them, word for word: the texts beside this file are a name, a file, and what is told.

use super::{Path, Shelf, parse};

/// Checks each case of a text: `=== name`, the file, `=== told`, what is told and an empty line.
fn check(cases: &str) {
    let mut parts = cases.split("=== ").skip(1);
    let mut wrong = String::new();
    while let Some((case, told)) = parts.next().zip(parts.next()) {
        let (name, file) = case.split_once('\n').expect("a name is a line of its own");
        let expected = told.strip_prefix("told\n").expect("each case says what is told").trim_end();
        let problems = parse("pipeline.yaml", Path::new(""), file, &Shelf).err();
        let said = problems.map_or_else(|| "nothing".to_owned(), |problems| problems.render(false));
        if said.trim_end() != expected {
            wrong.push_str(&format!("--- {name}, but what is told is\n{said}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn files_that_are_no_pipelines_as_a_whole_are_told_so() {
    check(include_str!("told/documents.txt"));
}

#[test]
fn keys_that_are_unknown_missing_or_there_twice_are_named() {
    check(include_str!("told/keys.txt"));
}

#[test]
fn values_of_the_wrong_type_and_names_that_nobody_has_are_shown() {
    check(include_str!("told/values.txt"));
}

#[test]
fn what_only_the_graph_can_know_is_shown_at_its_place_in_the_file() {
    check(include_str!("told/graph.txt"));
}
