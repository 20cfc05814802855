//! Rules about what else is committed: links in documents lead somewhere, and nothing is there that a tool makes.

use std::path::Path;

use crate::tree::{File, Finding, Tree, folder};

/// Relative links of Markdown files that lead to no file, or to a heading that is not there.
#[must_use]
pub fn dead_links(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| file.extension() == "md") {
        for (line, link) in links(&file.text) {
            if let Some(what) = dead(tree, file, &link) {
                found.push(Finding::new(&file.path, line, what));
            }
        }
    }
    found
}

/// What is wrong with a link, if anything.
fn dead(tree: &Tree, file: &File, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, heading) = link.split_once('#').map_or((link, None), |(path, heading)| (path, Some(heading)));
    let target = if path.is_empty() { file.path.clone() } else { resolve(folder(&file.path), path)? };
    let is_folder = || target.is_empty() || tree.paths.iter().any(|path| Path::new(path).starts_with(&target));
    if !tree.paths.contains(&target) && !is_folder() {
        return Some(format!("the link `{link}` leads to `{target}`, which is not there"));
    }
    let text = &tree.file(&target).filter(|file| file.extension() == "md")?.text;
    let heading = heading?;
    let has = lines_of_prose(text).any(|(_, line)| line.starts_with('#') && anchor(line) == heading);
    (!has).then(|| format!("the link `{link}` leads to a heading that `{target}` does not have"))
}

/// A path seen from a folder, without `.` and `..`; none where it leaves the repository, which nothing here can judge.
fn resolve(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The lines outside of code blocks, numbered from 1.
fn lines_of_prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().map(|(number, line)| (number + 1, line)).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

/// Line and target of each `[..](target)`.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in lines_of_prose(text) {
        // What stands between single backticks is code: every second piece.
        for prose in line.split('`').step_by(2) {
            let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            found.extend(targets.map(|(target, _)| (number, target.trim().to_owned())));
        }
    }
    found
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Files that a tool makes from others.
#[must_use]
pub fn generated(tree: &Tree) -> Vec<Finding> {
    let made = |path: &&String| {
        let by_name =
            [".wasm", ".cwasm", ".o", ".so", ".a", ".rlib", ".pyc", ".orig"].iter().any(|end| path.ends_with(end));
        by_name || path.split('/').any(|part| part == "target" || part == "node_modules")
    };
    let what = "a tool makes this: take it out and let .gitignore name it";
    tree.paths.iter().filter(made).map(|path| Finding::new(path, 1, what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_nowhere_is_found_and_code_is_not_a_link() {
        let text = "[a](b.md) [c](../x/) `[d](e)`\n```\n[f](g)\n```\n[h](https://i.j) [k](none.md)";
        let tree = Tree::of(&[("docs/a.md", text), ("docs/b.md", ""), ("x/y.rs", "")]);
        let found = dead_links(&tree);
        assert_eq!(found.iter().map(|found| found.line).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn a_link_to_a_heading_that_is_not_there_is_found() {
        let text = "# Two words, `code`!\n```\n# no\n```\n[a](#two-words-code) [b](#no) [c](a.md#gone)";
        assert_eq!(dead_links(&Tree::of(&[("a.md", text)])).len(), 2);
    }

    #[test]
    fn what_a_tool_makes_is_found() {
        let tree = Tree::of(&[("a/b.wasm", ""), ("sdk/target/x.rs", ""), ("a/targets.rs", ""), ("a.c", "")]);
        assert_eq!(generated(&tree).len(), 2);
    }
}
