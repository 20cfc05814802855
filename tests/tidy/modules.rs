//! The rule about modules: within a crate none uses another in a circle.
//!
//! Siblings are compared, at every depth: a use of `crate::codec::ndjson::Line` in `crate::batch` is an edge from
//! `batch` to `codec`. A child may use what its parent has, and a parent its children: a parent is what its children
//! share. A name that the root re-exports counts as the module that it is from. Test code is left out.
//! Neighbours: [`crate::tree`] says which file is which; `conduct` reads paths the same way.

use std::collections::{BTreeMap, BTreeSet};

use crate::tokens::{Kind, Token};
use crate::tree::{File, Finding, Tree, folder, stem};

/// Path of a module from the root of its crate: empty for the root itself.
type Path = Vec<String>;

/// A use of one module by a sibling, and where it stands.
type Edges = BTreeMap<Path, BTreeMap<Path, (String, usize)>>;

/// Circles of modules. One finding each, with every edge of it.
#[must_use]
pub fn cycles(tree: &Tree) -> Vec<Finding> {
    let roots = crate_roots(tree);
    roots.iter().flat_map(|root| cycles_of(&edges(&modules(tree, root, &roots)))).collect()
}

/// Folders in which a crate's `lib.rs` or `main.rs` lies.
fn crate_roots(tree: &Tree) -> BTreeSet<String> {
    let roots = tree.rust().filter(|file| ["lib", "main"].contains(&stem(&file.path)));
    roots.map(|file| folder(&file.path).to_owned()).collect()
}

/// The files of a crate with their modules. Roots of tests, which no path within the crate reaches, do no harm.
fn modules<'a>(tree: &'a Tree, root: &str, roots: &BTreeSet<String>) -> Vec<(Path, &'a File)> {
    let inside = tree.rust().filter_map(|file| Some((file, file.path.strip_prefix(root)?.strip_prefix('/')?)));
    let nested = |inner: &str| !inner.is_empty() && roots.contains(&format!("{root}/{inner}"));
    let own = inside.filter(|(_, inner)| !nested(folder(inner)));
    own.map(|(file, inner)| {
        let mut path: Path = folder(inner).split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if !["lib", "main", "mod"].contains(&stem(inner)) {
            path.push(stem(inner).to_owned());
        }
        (path, file)
    })
    .collect()
}

/// The edges between siblings, by parent depth: both ends are whole paths that differ in their last part only.
fn edges(modules: &[(Path, &File)]) -> Edges {
    let known: BTreeSet<&Path> = modules.iter().map(|(path, _)| path).collect();
    let exports = exports(modules);
    let mut found = Edges::new();
    for (from, file) in modules {
        for (to, line) in uses(from, file) {
            let exported =
                to.first().filter(|name| !known.contains(&vec![(*name).clone()])).and_then(|name| exports.get(name));
            let to = exported.unwrap_or(&to);
            let end = (0..=to.len()).rev().find(|end| known.contains(&to[..*end].to_vec())).unwrap_or(0);
            let same = from.iter().zip(&to[..end]).take_while(|(a, b)| a == b).count();
            if same < from.len() && same < end {
                let edge = found.entry(from[..=same].to_vec()).or_default();
                edge.entry(to[..=same].to_vec()).or_insert((file.path.clone(), line));
            }
        }
    }
    found
}

/// What the root re-exports: name to path.
fn exports(modules: &[(Path, &File)]) -> BTreeMap<String, Path> {
    let mut found = BTreeMap::new();
    for (_, file) in modules.iter().filter(|(path, _)| path.is_empty()) {
        let code = file.production();
        for at in 0..code.len().saturating_sub(2) {
            if code[at].is_word("pub") && code[at + 1].is_word("use") {
                let start = if code[at + 2].is_word("crate") || code[at + 2].is_word("self") { at + 5 } else { at + 2 };
                let paths = path_group(&code, start).0;
                found.extend(paths.into_iter().filter_map(|path| Some((path.last()?.clone(), path))));
            }
        }
    }
    found
}

/// Paths that a file uses, from the root of the crate, with their lines.
fn uses(from: &[String], file: &File) -> Vec<(Path, usize)> {
    let code = file.production();
    let mut found = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let line = code[at].line;
        let continues = at >= 2 && is_path_mark(&code, at - 2);
        let base = match code[at].text.as_str() {
            "crate" if code[at].kind == Kind::Word => Some(Vec::new()),
            "self" if code[at].kind == Kind::Word => Some(from.to_vec()),
            "super" if code[at].kind == Kind::Word => Some(from[..from.len().saturating_sub(1)].to_vec()),
            _ => None,
        };
        at += 1;
        let Some(mut base) = base.filter(|_| !continues && is_path_mark(&code, at)) else { continue };
        at += 2;
        while code.get(at).is_some_and(|token| token.is_word("super")) && is_path_mark(&code, at + 1) {
            base.pop();
            at += 3;
        }
        let (paths, end) = path_group(&code, at);
        found.extend(paths.into_iter().map(|path| (base.iter().cloned().chain(path).collect(), line)));
        at = end;
    }
    found
}

pub(crate) fn is_path_mark(code: &[&Token], at: usize) -> bool {
    code.get(at).is_some_and(|token| token.is_mark(":")) && code.get(at + 1).is_some_and(|token| token.is_mark(":"))
}

/// The paths that begin at `at`, groups in braces taken apart and new names (`as`) left out, and the position behind.
pub(crate) fn path_group(code: &[&Token], mut at: usize) -> (Vec<Path>, usize) {
    let mut path = Path::new();
    while let Some(token) = code.get(at) {
        if token.kind == Kind::Word {
            path.push(token.text.clone());
            at += 1;
            if is_path_mark(code, at) {
                at += 2;
                continue;
            }
            if code.get(at).is_some_and(|token| token.is_word("as")) {
                at += 2;
            }
        } else if token.is_mark("{") {
            let (mut found, mut inside) = (Vec::new(), at + 1);
            while code.get(inside).is_some_and(|token| !token.is_mark("}")) {
                if code[inside].is_mark(",") {
                    inside += 1;
                    continue;
                }
                let (paths, end) = path_group(code, inside);
                found.extend(paths.into_iter().map(|rest| path.iter().cloned().chain(rest).collect()));
                inside = end.max(inside + 1);
            }
            return (found, inside + 1);
        }
        break;
    }
    (vec![path], at)
}

/// The circles among these edges.
fn cycles_of(edges: &Edges) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut done = BTreeSet::new();
    for start in edges.keys() {
        if let Some(circle) = way_back(edges, start, &done) {
            let (path, line) = &edges[&circle[0]][&circle[1]];
            let steps: Vec<String> = circle.windows(2).map(|pair| describe(edges, &pair[0], &pair[1])).collect();
            let what =
                format!("modules use each other in a circle: {}; move what they share below both", steps.join(", "));
            found.push(Finding::new(path, *line, what));
        }
        done.insert(start);
    }
    found
}

fn describe(edges: &Edges, from: &Path, to: &Path) -> String {
    let (path, line) = &edges[from][to];
    format!("{} -> {} ({path}:{line})", from.join("::"), to.join("::"))
}

/// The shortest way from `start` back to itself that passes none of `done`: first and last entry are `start`.
fn way_back(edges: &Edges, start: &Path, done: &BTreeSet<&Path>) -> Option<Vec<Path>> {
    let mut came_from: BTreeMap<&Path, &Path> = BTreeMap::new();
    let mut wave = vec![start];
    while !wave.is_empty() {
        let mut next = Vec::new();
        for from in wave {
            for to in edges.get(from).into_iter().flat_map(BTreeMap::keys).filter(|to| !done.contains(to)) {
                if to == start {
                    let mut way = vec![start.clone(), from.clone()];
                    while way.last() != Some(start) {
                        way.push(came_from[&way[way.len() - 1]].clone());
                    }
                    way.reverse();
                    return Some(way);
                }
                if !came_from.contains_key(to) {
                    came_from.insert(to, from);
                    next.push(to);
                }
            }
        }
        wave = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        cycles(&Tree::of(files)).into_iter().map(|found| found.to_string()).collect()
    }

    #[test]
    fn two_modules_that_use_each_other_are_found() {
        let found = circles(&[
            ("a/src/lib.rs", ""),
            ("a/src/b.rs", "use crate::c::X;"),
            ("a/src/c.rs", "\nfn f(x: crate::b::Y) {}"),
        ]);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("b -> c (a/src/b.rs:1), c -> b (a/src/c.rs:2)"), "{found:?}");
    }

    #[test]
    fn a_circle_of_three_is_found_through_groups_folders_and_super() {
        let files = [
            ("a/src/lib.rs", ""),
            ("a/src/b.rs", "use crate::{x, c::{self, d::{E, F}}};"),
            ("a/src/c/d.rs", "use super::super::g as h;"),
            ("a/src/c.rs", ""),
            ("a/src/g.rs", "use super::b::Z;"),
        ];
        assert_eq!(circles(&files).len(), 1);
        assert_eq!(circles(&files[..4]), [""; 0]);
    }

    #[test]
    fn siblings_deeper_down_that_use_each_other_are_found() {
        let files = [
            ("a/src/main.rs", ""),
            ("a/src/c/d.rs", "use super::e::X;"),
            ("a/src/c/e.rs", "use crate::c::d::Y;"),
            ("a/src/c/mod.rs", ""),
        ];
        assert_eq!(circles(&files).len(), 1);
    }

    #[test]
    fn a_circle_through_what_the_root_re_exports_is_found() {
        let files = [
            ("a/src/lib.rs", "pub use b::{X, Y};"),
            ("a/src/b.rs", "use crate::c::Z;"),
            ("a/src/c.rs", "use crate::Y;"),
        ];
        assert_eq!(circles(&files).len(), 1);
    }

    #[test]
    fn parents_children_tests_and_other_crates_make_no_circle() {
        let files = [
            ("a/src/lib.rs", ""),
            ("a/src/b.rs", "use self::c::X; use crate::d::Y;"),
            ("a/src/b/c.rs", "use super::Z; use crate::b::W;"),
            ("a/src/d.rs", "// crate::b\n#[cfg(test)] mod tests { use crate::b::X; }"),
            ("a/src/inner/src/lib.rs", ""),
            ("a/src/inner/src/e.rs", "use crate::b;"),
        ];
        assert_eq!(circles(&files), [""; 0]);
    }
}
