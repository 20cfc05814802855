//! Rules about what code may do: no unsafe, no panics in passing, nothing left for later, no test that does not run,
//! and nothing from outside where the outside is handed in.
//!
//! Neighbours: exceptions come from `tests/tidy.rs`.

use crate::modules::{is_path_mark, path_group};
use crate::tokens::Kind;
use crate::tree::{Finding, Tree, past_group};

/// `unsafe` in Rust files other than these.
#[must_use]
pub fn unsafe_code(tree: &Tree, except: &[&str]) -> Vec<Finding> {
    let what = "`unsafe`: do it safely, or in the file that the list in tests/tidy.rs names for it";
    let files = tree.rust().filter(|file| !except.contains(&file.path.as_str()));
    files
        .flat_map(|file| file.code().filter(|(token, _)| token.is_word("unsafe")).map(move |(token, _)| (file, token)))
        .map(|(file, token)| Finding::new(&file.path, token.line, what))
        .collect()
}

/// `.unwrap()` outside of tests.
#[must_use]
pub fn unwraps(tree: &Tree) -> Vec<Finding> {
    let what = "`.unwrap()`: pass the error on, or state the invariant with `.expect(\"..\")`";
    let mut found = Vec::new();
    for file in tree.rust() {
        let code = file.production();
        let calls = code.windows(3).filter(|w| w[0].is_mark(".") && w[1].is_word("unwrap") && w[2].is_mark("("));
        found.extend(calls.map(|call| Finding::new(&file.path, call[1].line, what)));
    }
    found
}

/// Macros that stand for code that is not written, or that was for a moment only.
#[must_use]
pub fn unfinished(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust() {
        let code: Vec<_> = file.code().map(|(token, _)| token).collect();
        for pair in code.windows(2).filter(|pair| pair[0].kind == Kind::Word && pair[1].is_mark("!")) {
            if ["todo", "unimplemented", "dbg"].contains(&pair[0].text.as_str()) {
                let what = format!("`{}!`: write the code, or take it out", pair[0].text);
                found.push(Finding::new(&file.path, pair[0].line, what));
            }
        }
    }
    found
}

/// Notes to do something later: in comments of Rust, anywhere in other code.
#[must_use]
pub fn notes_for_later(tree: &Tree) -> Vec<Finding> {
    let what = "a note for later: do it now, or say in the documents what is missing";
    let has_note = |text: &str| {
        let mut words = text.split(|c: char| c != '_' && !c.is_alphanumeric());
        words.any(|word| ["TODO", "FIXME", "XXX", "HACK"].contains(&word))
    };
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_code()) {
        if file.is_rust() {
            let comments = file.tokens.iter().filter(|token| token.kind == Kind::Comment && has_note(&token.text));
            found.extend(comments.map(|comment| Finding::new(&file.path, comment.line, what)));
        } else {
            let lines = file.text.lines().enumerate().filter(|(_, line)| has_note(line));
            found.extend(lines.map(|(number, _)| Finding::new(&file.path, number + 1, what)));
        }
    }
    found
}

/// Tests that are switched off, examples in documentation among them.
#[must_use]
pub fn tests_switched_off(tree: &Tree) -> Vec<Finding> {
    let what = "a test that does not run proves nothing: make it run, or take it out";
    let mut found: Vec<_> =
        attributes(tree, "ignore").into_iter().map(|(path, line)| Finding::new(path, line, what)).collect();
    for file in tree.rust() {
        let examples =
            file.tokens.iter().filter(|token| token.kind == Kind::Comment && token.text.contains("```ignore"));
        found.extend(examples.map(|comment| Finding::new(&file.path, comment.line, what)));
    }
    found
}

/// Lints switched off in a way that stays when nobody needs it any more.
#[must_use]
pub fn silenced_lints(tree: &Tree, except: &[&str]) -> Vec<Finding> {
    let what = "`allow`: use `#[expect(.., reason = \"..\")]`, which complains when it is not needed any more";
    let places = attributes(tree, "allow").into_iter().filter(|(path, _)| !except.contains(path));
    places.map(|(path, line)| Finding::new(path, line, what)).collect()
}

/// Paths below `std` in files of that folder that lead to one of `banned`, or to a module that holds one.
#[must_use]
pub fn reaches_outside(tree: &Tree, folder: &str, banned: &[&str]) -> Vec<Finding> {
    let within = |inner: &str, outer: &str| inner == outer || inner.starts_with(&format!("{outer}::"));
    let mut found = Vec::new();
    for file in tree.rust().filter(|file| file.path.starts_with(folder)) {
        let code: Vec<_> = file.code().map(|(token, _)| token).collect();
        for at in (0..code.len()).filter(|at| code[*at].is_word("std") && is_path_mark(&code, at + 1)) {
            for path in path_group(&code, at + 3).0.into_iter().filter(|path| !path.is_empty()) {
                let path = path.join("::");
                if banned.iter().any(|banned| within(&path, banned) || within(banned, &path)) {
                    let what = format!("`std::{path}`: what is outside of `{folder}` is handed in through its seams");
                    found.push(Finding::new(&file.path, code[at].line, what));
                }
            }
        }
    }
    found
}

/// Path and line of each attribute that holds that word.
fn attributes<'a>(tree: &'a Tree, word: &str) -> Vec<(&'a str, usize)> {
    let mut found = Vec::new();
    for file in tree.rust() {
        let code: Vec<_> = file.code().map(|(token, _)| token).collect();
        for at in 0..code.len() {
            let inner = usize::from(code.get(at + 1).is_some_and(|token| token.is_mark("!")));
            let open = at + 1 + inner;
            if code[at].is_mark("#") && code.get(open).is_some_and(|token| token.is_mark("[")) {
                let attribute = &code[open..past_group(&code, open)];
                if attribute.iter().any(|token| token.is_word(word)) {
                    found.push((file.path.as_str(), code[at].line));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(found: &[Finding]) -> Vec<usize> {
        found.iter().map(|found| found.line).collect()
    }

    #[test]
    fn unsafe_is_found_except_in_prose_and_in_the_named_file() {
        let tree = Tree::of(&[("a.rs", "// unsafe\n\"unsafe\";\nunsafe {}"), ("b.rs", "unsafe {}")]);
        assert_eq!(lines(&unsafe_code(&tree, &["b.rs"])), [3]);
        assert_eq!(unsafe_code(&tree, &[]).len(), 2);
    }

    #[test]
    fn an_unwrap_is_found_except_in_tests() {
        let text = "fn a() { b.unwrap_or(1);\n c\n .unwrap() }\n#[cfg(test)] mod tests { fn d() { e.unwrap() } }";
        assert_eq!(lines(&unwraps(&Tree::of(&[("a/src/a.rs", text), ("tests/b.rs", text)]))), [3]);
    }

    #[test]
    fn unfinished_code_is_found_in_tests_too() {
        let tree = Tree::of(&[("tests/a.rs", "todo!()\n;unimplemented!();dbg!(x); todo();")]);
        assert_eq!(lines(&unfinished(&tree)), [1, 2, 2]);
    }

    #[test]
    fn a_note_for_later_is_found_in_any_code_and_strings_do_not_count() {
        let files = [("a.rs", "\"TODO\";\n// FIXME: x\n// TODOS"), ("b.go", "// TODO x"), ("c.md", "TODO")];
        assert_eq!(lines(&notes_for_later(&Tree::of(&files))), [2, 1]);
    }

    #[test]
    fn a_test_that_is_switched_off_is_found() {
        let text = "#[ignore = \"slow\"]\n#[cfg_attr(x, ignore)]\n/// ```ignore\nfn ignore() {}";
        assert_eq!(lines(&tests_switched_off(&Tree::of(&[("a.rs", text)]))), [1, 2, 3]);
    }

    #[test]
    fn a_way_outside_is_found_under_any_spelling() {
        let text = "use std::time::{Duration as D, Instant as Now,};\nuse std::time;\nlet a = std::fs::read(b);\n\
            use std::{fmt, sync::{Arc, Mutex}};\nuse std::{sync::Arc, time::{Duration, }}; // std::fs";
        let tree = Tree::of(&[("host/engine/src/a.rs", text), ("host/daemon/src/a.rs", text)]);
        let banned = ["time::Instant", "fs", "sync::Mutex"];
        assert_eq!(lines(&reaches_outside(&tree, "host/engine/", &banned)), [1, 2, 3, 4]);
    }

    #[test]
    fn a_silenced_lint_is_found_and_an_expected_one_is_fine() {
        let text = "#![allow(dead_code)]\n#[expect(dead_code, reason = \"x\")]\n#[allow(x)]";
        assert_eq!(lines(&silenced_lints(&Tree::of(&[("a.rs", text)]), &[])), [1, 3]);
        assert_eq!(silenced_lints(&Tree::of(&[("a.rs", text)]), &["a.rs"]), []);
    }
}
