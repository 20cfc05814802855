//! The repository as the rules see it: its files, and of Rust files the tokens and which of them are test code.
//!
//! Always true: a file that git ignores is not there; a file that is not committed yet is.
//! Neighbours: each rule gets a [`Tree`] and answers with [`Finding`]s.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::tokens::{Kind, Token, tokens};

/// A place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path from the root of the repository.
    pub path: String,
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub what: String,
}

impl Finding {
    /// A finding.
    #[must_use]
    pub fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// A file of text.
#[derive(Clone, Debug)]
pub struct File {
    /// Path from the root of the repository, with `/`.
    pub path: String,
    /// All of it.
    pub text: String,
    /// For Rust: its tokens, comments among them.
    pub tokens: Vec<Token>,
    /// For each token, whether it is test code.
    tests: Vec<bool>,
}

impl File {
    /// A file with that text.
    #[must_use]
    pub fn new(path: &str, text: &str) -> Self {
        let tokens = if path.ends_with(".rs") { tokens(text) } else { Vec::new() };
        let in_test_folder =
            path.split('/').any(|folder| ["tests", "benches"].contains(&folder)) || stem(path) == "tests";
        let mut tests = vec![in_test_folder; tokens.len()];
        for range in test_items(&tokens) {
            tests[range].fill(true);
        }
        Self { path: path.to_owned(), text: text.to_owned(), tokens, tests }
    }

    /// The part of the name after the last dot, or nothing.
    #[must_use]
    pub fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// Whether it is Rust.
    #[must_use]
    pub fn is_rust(&self) -> bool {
        self.extension() == "rs"
    }

    /// Whether a person wrote it in a programming language.
    #[must_use]
    pub fn is_code(&self) -> bool {
        ["rs", "go", "c", "h", "py", "js", "ts", "sh"].contains(&self.extension()) || self.text.starts_with("#!/")
    }

    /// Its tokens without comments, with whether each is test code.
    pub fn code(&self) -> impl Iterator<Item = (&Token, bool)> {
        self.tokens.iter().zip(self.tests.iter().copied()).filter(|(token, _)| token.kind != Kind::Comment)
    }

    /// Its tokens without comments and without test code.
    #[must_use]
    pub fn production(&self) -> Vec<&Token> {
        self.code().filter(|(_, test)| !test).map(|(token, _)| token).collect()
    }
}

/// The files of the repository.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Those that are text, by path.
    pub files: Vec<File>,
    /// The paths of all, binary ones among them.
    pub paths: BTreeSet<String>,
}

impl Tree {
    /// A tree of these `(path, text)`.
    #[must_use]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let paths = files.iter().map(|(path, _)| (*path).to_owned()).collect();
        let mut tree = Self { files: files.iter().map(|(path, text)| File::new(path, text)).collect(), paths };
        tree.mark_test_files();
        tree
    }

    /// What git knows or would know of the repository at `root`.
    ///
    /// # Panics
    /// Without git, or when `root` is not the root of a clone.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let listed = Command::new("git")
            .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .expect("git runs: the house rules ask it which files there are");
        assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
        let paths: BTreeSet<String> = String::from_utf8_lossy(&listed.stdout)
            .split_terminator('\0')
            .filter(|path| root.join(path).is_file())
            .map(str::to_owned)
            .collect();
        let text = |path: &String| std::fs::read_to_string(root.join(path)).ok();
        let files = paths.iter().filter_map(|path| Some(File::new(path, &text(path)?))).collect();
        let mut tree = Self { files, paths };
        tree.mark_test_files();
        tree
    }

    /// The Rust files.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust())
    }

    /// The file of that path, if it is text.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// A file that is only there for tests, `#[cfg(test)] mod name;`, is test code like the item that names it.
    fn mark_test_files(&mut self) {
        let named: BTreeSet<String> = self.rust().flat_map(test_modules).collect();
        for file in self.files.iter_mut().filter(|file| named.contains(&file.path)) {
            file.tests.fill(true);
        }
    }
}

/// Last part of a path without its extension.
#[must_use]
pub fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// The folder of a path, empty at the root.
#[must_use]
pub fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The folder in which the modules lie that this file declares.
#[must_use]
pub fn children(path: &str) -> String {
    match stem(path) {
        "lib" | "main" | "mod" => folder(path).to_owned(),
        stem => format!("{}/{stem}", folder(path)),
    }
}

/// The position behind the group that opens at `open`.
#[must_use]
pub fn past_group<T: AsRef<Token>>(tokens: &[T], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        let token = token.as_ref();
        if token.kind == Kind::Mark {
            match token.text.as_str() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            if depth <= 0 {
                return at + 1;
            }
        }
    }
    tokens.len()
}

impl AsRef<Token> for Token {
    fn as_ref(&self) -> &Token {
        self
    }
}

/// Where items under `#[cfg(test)]` or `#[test]` stand, attribute to end.
fn test_items(tokens: &[Token]) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + 1 < tokens.len() {
        if !(tokens[at].is_mark("#") && tokens[at + 1].is_mark("[")) {
            at += 1;
            continue;
        }
        let behind = past_group(tokens, at + 1);
        let attribute = &tokens[at + 1..behind];
        let has = |word: &str| attribute.iter().any(|token| token.is_word(word));
        if has("test") && !has("not") && attribute.len() >= 3 {
            let end = past_item(tokens, behind);
            found.push(at..end);
            at = end;
        } else {
            at = behind;
        }
    }
    found
}

/// The position behind the item that begins at `start`, its further attributes included.
fn past_item(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    while at < tokens.len() {
        let token = &tokens[at];
        if token.is_mark("{") {
            return past_group(tokens, at);
        }
        if token.is_mark(";") {
            return at + 1;
        }
        at = if token.is_mark("(") || token.is_mark("[") { past_group(tokens, at) } else { at + 1 };
    }
    tokens.len()
}

/// Paths that the modules of a file may have which are declared for tests only.
fn test_modules(file: &File) -> Vec<String> {
    let code: Vec<_> = file.code().collect();
    let declared = code.windows(3).filter(|w| w[0].0.is_word("mod") && w[0].1 && w[2].0.is_mark(";"));
    let folder = children(&file.path);
    declared
        .flat_map(|w| [format!("{folder}/{}.rs", w[1].0.text), format!("{folder}/{}/mod.rs", w[1].0.text)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn production(file: &File) -> String {
        file.production().iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn items_under_cfg_test_are_test_code_and_others_are_not() {
        let text = "fn a() {} #[cfg(test)] mod t { fn b() { } } #[cfg(not(test))] fn c() {} \
            #[test] #[x(1)] fn d() {} fn e() {}";
        let file = File::new("host/x/src/a.rs", text);
        assert_eq!(production(&file), "fn a ( ) { } # [ cfg ( not ( test ) ) ] fn c ( ) { } fn e ( ) { }");
    }

    #[test]
    fn a_file_that_only_tests_declare_is_test_code() {
        let tree = Tree::of(&[
            ("a/src/lib.rs", "#[cfg(test)] mod cases; mod b;"),
            ("a/src/cases.rs", "x"),
            ("a/src/b.rs", "x"),
        ]);
        assert_eq!(tree.file("a/src/cases.rs").map(production).as_deref(), Some(""));
        assert_eq!(tree.file("a/src/b.rs").map(production).as_deref(), Some("x"));
    }

    #[test]
    fn the_name_of_a_file_says_what_is_code() {
        assert!(File::new("x", "#!/usr/bin/env bash\n").is_code());
        assert!(!File::new("README.md", "").is_code());
        assert_eq!(children("a/src/lib.rs"), "a/src");
        assert_eq!(children("a/src/codec.rs"), "a/src/codec");
    }
}
