//! Rules about size and names: how long files, lines and functions are, how a file opens, what it may be called.
//!
//! Neighbours: limits and exceptions come from `tests/tidy.rs`.

use crate::tokens::Kind;
use crate::tree::{File, Finding, Tree, past_group, stem};

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 9] =
    ["util", "utils", "common", "manager", "managers", "helper", "helpers", "misc", "shared"];

/// Code files of more than `most` lines.
#[must_use]
pub fn long_files(tree: &Tree, most: usize) -> Vec<Finding> {
    let lines = tree.files.iter().filter(|file| file.is_code()).map(|file| (file, file.text.lines().count()));
    lines
        .filter(|(_, lines)| *lines > most)
        .map(|(file, lines)| {
            Finding::new(&file.path, lines, format!("{lines} lines: split it where its subject splits"))
        })
        .collect()
}

/// Lines of code files of more than `most` characters.
#[must_use]
pub fn long_lines(tree: &Tree, most: usize) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_code()) {
        for (number, line) in file.text.lines().enumerate() {
            let length = line.chars().count();
            if length > most {
                found.push(Finding::new(&file.path, number + 1, format!("{length} characters: break the line")));
            }
        }
    }
    found
}

/// Functions of more than `most` lines, from their first line to the closing brace: in Rust, Go and C.
#[must_use]
pub fn long_functions(tree: &Tree, most: usize) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.files.iter() {
        let functions = match file.extension() {
            "rs" => functions(file),
            "go" => outer_functions(file, |line| line.starts_with("func ")),
            "c" | "h" => outer_functions(file, |line| line.contains('(') && !line.ends_with(';')),
            _ => continue,
        };
        for (name, first, last) in functions {
            let lines = last - first + 1;
            if lines > most {
                let what = format!("`{name}` has {lines} lines: give its parts names of their own");
                found.push(Finding::new(&file.path, first, what));
            }
        }
    }
    found
}

/// Name, first and last line of each function that has a body.
fn functions(file: &File) -> Vec<(String, usize, usize)> {
    let code: Vec<_> = file.tokens.iter().filter(|token| token.kind != Kind::Comment).collect();
    let mut found = Vec::new();
    for at in 0..code.len().saturating_sub(1) {
        if !code[at].is_word("fn") || code[at + 1].kind != Kind::Word {
            continue;
        }
        let mut body = at + 2;
        while body < code.len() && !code[body].is_mark("{") && !code[body].is_mark(";") {
            let group = code[body].is_mark("(") || code[body].is_mark("[");
            body = if group { past_group(&code, body) } else { body + 1 };
        }
        if body < code.len() && code[body].is_mark("{") {
            let last = code[past_group(&code, body) - 1].line;
            found.push((code[at + 1].text.clone(), code[at].line, last));
        }
    }
    found
}

/// The same of a language whose formatter puts the first line and the closing brace of a function at the margin; its
/// name is that line.
fn outer_functions(file: &File, begins: impl Fn(&str) -> bool) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    let mut open: Option<(&str, usize)> = None;
    for (line, number) in file.text.lines().zip(1..) {
        let at_margin = line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if at_margin && !line.ends_with('}') && begins(line) {
            open = Some((line, number));
        } else if line.starts_with('}')
            && let Some((first, begun)) = open.take()
        {
            found.push((first.trim_end_matches(" {").to_owned(), begun, number));
        }
    }
    found
}

/// Rust files that do not open with `//!`.
#[must_use]
pub fn headless(tree: &Tree) -> Vec<Finding> {
    let what = "open it with `//!`: what it is, what always holds, its neighbours";
    let bad = tree.rust().filter(|file| file.text.strip_prefix("//! ").is_none_or(|rest| rest.trim().is_empty()));
    bad.map(|file| Finding::new(&file.path, 1, what)).collect()
}

/// Rust files and folders whose name repeats the name of a folder that they are in.
#[must_use]
pub fn repeated_names(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust() {
        let parts: Vec<&str> = file.path.split('/').filter(|part| *part != "src").collect();
        for pair in parts.windows(2) {
            if stem(pair[1]).split(['_', '-']).any(|word| word == pair[0]) {
                let what = format!("`{}` repeats the name of its folder: leave that part out", pair[1]);
                found.push(Finding::new(&file.path, 1, what));
            }
        }
    }
    found
}

/// Modules with a name that says nothing.
#[must_use]
pub fn empty_names(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust() {
        let mut names: Vec<(&str, usize)> = file.path.split('/').map(|part| (stem(part), 1)).collect();
        let code: Vec<_> = file.code().map(|(token, _)| token).collect();
        let inline = code.windows(2).filter(|pair| pair[0].is_word("mod") && pair[1].kind == Kind::Word);
        names.extend(inline.map(|pair| (pair[1].text.as_str(), pair[1].line)));
        for (name, line) in names {
            if name.split(['_', '-']).any(|word| EMPTY_NAMES.contains(&word)) {
                found.push(Finding::new(&file.path, line, format!("`{name}` says nothing: name what is inside")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_one_line_too_long_is_found() {
        let tree = Tree::of(&[("a.rs", "1\n2\n3\n"), ("b.go", "1\n2\n"), ("c.md", "1\n2\n3\n4\n")]);
        assert_eq!(long_files(&tree, 2).len(), 1);
        assert_eq!(long_files(&tree, 3), []);
    }

    #[test]
    fn a_line_one_character_too_long_is_found_and_bytes_do_not_count() {
        let tree = Tree::of(&[("a.rs", "ääää\n"), ("x", "#!/bin/sh\nabcdefghij\n")]);
        assert_eq!(long_lines(&tree, 9).iter().map(|found| found.line).collect::<Vec<_>>(), [2]);
        assert_eq!(long_lines(&tree, 3).len(), 3);
    }

    #[test]
    fn a_function_one_line_too_long_is_found_wherever_it_stands() {
        let text = "impl A {\n  fn a(x: [u8; { 2 }])\n  -> B\n  {\n    '{'; \"}\"; // }\n  }\n}\n\
            fn b();\nfn c() {}\ntype F = fn();";
        let tree = Tree::of(&[("a.rs", text)]);
        assert_eq!(long_functions(&tree, 4).iter().map(|found| found.line).collect::<Vec<_>>(), [2]);
        assert_eq!(long_functions(&tree, 5), []);
        assert_eq!(functions(&tree.files[0]).len(), 2);
        let go = "type T struct {\n\ta int\n}\n\nfunc (t T) B() int {\n\tif true {\n\t}\n\treturn 1\n}\nfunc c() {}\n";
        let c = "struct s {\n  int a;\n};\nint d(int a,\n      int b) {\n  return a;\n}\n";
        let tree = Tree::of(&[("a.go", go), ("a.c", c), ("a.md", go)]);
        let found = long_functions(&tree, 4);
        assert_eq!(found.iter().map(|found| found.line).collect::<Vec<_>>(), [5]);
        assert!(found[0].what.starts_with("`func (t T) B() int` has 5 lines"), "{}", found[0].what);
        assert_eq!(long_functions(&tree, 2).len(), 2);
    }

    #[test]
    fn a_file_without_a_header_is_found() {
        let tree = Tree::of(&[
            ("a.rs", "//! A.\n"),
            ("b.rs", "// B.\n"),
            ("c.rs", ""),
            ("d.rs", "\n//! D."),
            ("e.rs", "//! "),
        ]);
        assert_eq!(headless(&tree).len(), 4);
    }

    #[test]
    fn a_name_that_repeats_its_folder_is_found() {
        let bad = [("host/wasm/src/wasm_cache.rs", ""), ("a/codec/codec.rs", ""), ("a/csv/csv_read/x.rs", "")];
        assert_eq!(repeated_names(&Tree::of(&bad)).len(), 3);
        assert_eq!(
            repeated_names(&Tree::of(&[("a/codec/csv.rs", ""), ("a/codec.rs", ""), ("tests/tidy/x.rs", "")])),
            []
        );
    }

    #[test]
    fn a_module_with_an_empty_name_is_found() {
        let bad = [("a/util.rs", ""), ("a/common/x.rs", ""), ("a/b.rs", "\nmod string_helpers {}")];
        assert_eq!(empty_names(&Tree::of(&bad)).len(), 3);
        assert_eq!(empty_names(&Tree::of(&[("a/utility.rs", "mod tests {}")])), []);
    }
}
