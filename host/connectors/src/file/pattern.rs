//! Finds the files that a pattern matches.
//!
//! Always true: what goes away meanwhile is not there, and no name stops the search. One that is no UTF-8 is matched
//! with one `\u{fffd}` for what is wrong in it. As in a shell, a name that begins with a dot matches only where the
//! pattern has that dot, and folders of such names are not entered for `**`, nor is one that it is in already: links
//! can lead back up. A file to which several paths lead otherwise is found by each of them. The `glob` package matches
//! names; its own search panics at a name that is no UTF-8 where such dots are wanted.

use std::ffi::OsStr;
use std::fs::DirEntry;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use glob::Pattern;
use wasmill_engine::source::SourceError;

use super::input::{Identity, failure, is_gone};

/// What a pattern has between two `/`.
enum Part {
    /// A name as it stands.
    Name(String),
    /// Names that match.
    Names(Pattern),
    /// `**`: this folder and all below.
    Folders,
}

/// The files that `pattern` matches, below `base` where it does not begin at the root; in no order, some twice.
pub(super) fn find(base: &Path, pattern: &str) -> Result<Vec<PathBuf>, SourceError> {
    let mut found = Vec::new();
    let parts = parts(pattern);
    // What ends so are folders only.
    if pattern.ends_with('/') || matches!(parts.last(), None | Some(Part::Folders)) {
        return Ok(found);
    }
    let from = if pattern.starts_with('/') { Path::new("/") } else { base };
    search(from, &parts, &mut Vec::new(), &mut found)?;
    Ok(found)
}

/// None where a part by itself is no pattern, as in `a[/]b`: no name has a `/`.
fn parts(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for part in pattern.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match part {
            "**" if matches!(parts.last(), Some(Part::Folders)) => {}
            "**" => parts.push(Part::Folders),
            _ if !part.contains(['*', '?', '[']) => parts.push(Part::Name(part.to_owned())),
            _ => match Pattern::new(part) {
                Ok(names) => parts.push(Part::Names(names)),
                Err(_) => return Vec::new(),
            },
        }
    }
    parts
}

/// Adds what the parts match at `at`. `above` are the folders that were gone through for `**` on the way there.
fn search(at: &Path, parts: &[Part], above: &mut Vec<Identity>, found: &mut Vec<PathBuf>) -> Result<(), SourceError> {
    let Some((part, rest)) = parts.split_first() else {
        if !at.is_dir() {
            found.push(at.to_owned());
        }
        return Ok(());
    };
    match part {
        Part::Name(name) => {
            let next = at.join(name);
            if std::fs::symlink_metadata(&next).is_ok() {
                search(&next, rest, above, found)?;
            }
        }
        Part::Names(pattern) => {
            for child in children(at)? {
                let name = child.file_name();
                if matches(pattern, &name) && (rest.is_empty() || is_folder(&child)) {
                    search(&at.join(name), rest, above, found)?;
                }
            }
        }
        Part::Folders => {
            let Some(own) = identity(at) else { return Ok(()) };
            above.push(own);
            search(at, rest, above, found)?;
            for child in children(at)? {
                let (name, next) = (child.file_name(), at.join(child.file_name()));
                let below = !is_hidden(&name) && is_folder(&child);
                if below && identity(&next).is_some_and(|next| !above.contains(&next)) {
                    search(&next, parts, above, found)?;
                }
            }
            above.pop();
        }
    }
    Ok(())
}

/// What a folder is, whatever leads there; none where it is gone.
fn identity(folder: &Path) -> Option<Identity> {
    let is = std::fs::metadata(shown(folder)).ok()?;
    Some((is.dev(), is.ino()))
}

/// The path of a folder: the working one has no text where paths are relative to it.
fn shown(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// What is in a folder; nothing where there is none any more.
fn children(folder: &Path) -> Result<Vec<DirEntry>, SourceError> {
    let path = shown(folder);
    match std::fs::read_dir(path).and_then(Iterator::collect) {
        Ok(children) => Ok(children),
        Err(error) if is_gone(&error) => Ok(Vec::new()),
        Err(error) => Err(failure(path, &error)),
    }
}

fn matches(pattern: &Pattern, name: &OsStr) -> bool {
    (!is_hidden(name) || pattern.as_str().starts_with('.')) && pattern.matches(&name.to_string_lossy())
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".")
}

/// Whether that is a folder, or a link to one.
fn is_folder(entry: &DirEntry) -> bool {
    match entry.file_type() {
        Ok(kind) if !kind.is_symlink() => kind.is_dir(),
        _ => entry.path().is_dir(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a pattern matches below a folder with these files, in order.
    fn found(files: &[&str], pattern: &str) -> Vec<String> {
        let base = tempfile::tempdir().unwrap();
        for file in files {
            let path = base.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = find(base.path(), pattern).unwrap();
        let name = |path: &PathBuf| path.strip_prefix(base.path()).unwrap().to_str().unwrap().to_owned();
        let mut names: Vec<_> = found.iter().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_dot_that_begins_a_name_is_matched_by_a_dot_only() {
        let files = ["a", ".b", "c/d", "c/.e", ".f/g", ".f/.h", "c/.i/j", "c/k/l"];
        for (pattern, expected) in [
            ("*", &["a"][..]),
            ("?b", &[]),
            ("[.]b", &[]),
            (".*", &[".b"]),
            ("./*", &["a"]),
            ("*/*", &["c/d"]),
            ("*/.*", &["c/.e"]),
            (".f/*", &[".f/g"]),
            (".?/*", &[".f/g"]),
            ("**/*", &["a", "c/d", "c/k/l"]),
            ("c/**/[a-z]", &["c/d", "c/k/l"]),
            ("**/.i/*", &["c/.i/j"]),
            ("**/.*", &[".b", "c/.e"]),
            ("**/**/d", &["c/d"]),
            ("c//k/*", &["c/k/l"]),
            ("c/../?", &["c/../a"]),
            ("**", &[]),
            ("*/", &[]),
            ("a[/]b", &[]),
            ("a/*", &[]),
        ] {
            assert_eq!(found(&files, pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn a_folder_that_is_gone_when_it_is_entered_has_nothing() {
        let base = tempfile::tempdir().unwrap();
        let parts = parts("*.log");
        let mut found = Vec::new();
        search(&base.path().join("gone"), &parts, &mut Vec::new(), &mut found).unwrap();
        assert!(found.is_empty());
    }

    #[test]
    fn a_folder_that_a_link_leads_back_to_is_not_gone_into_again_and_one_that_is_elsewhere_is() {
        let base = tempfile::tempdir().unwrap();
        let at = |path: &str| base.path().join(path);
        ["d/loop", "d/more", "e"].iter().for_each(|folder| std::fs::create_dir_all(at(folder)).unwrap());
        let files = ["d/a.json", "d/loop/b.json", "d/more/c.json", "e/d.json"];
        files.iter().for_each(|file| std::fs::write(at(file), "").unwrap());
        let link = |to: &str, path: &str| std::os::unix::fs::symlink(to, at(path)).unwrap();
        for (to, path) in
            [("..", "loop/up"), (".", "self"), ("../e", "other"), ("more", "twice"), ("nowhere", "dangling")]
        {
            link(to, &format!("d/{path}"));
        }
        for (pattern, expected) in [
            ("d/**/*.json", &["a.json", "loop/b.json", "more/c.json", "other/d.json", "twice/c.json"][..]),
            (
                "d/loop/**/*.json",
                &[
                    "loop/b.json",
                    "loop/up/a.json",
                    "loop/up/more/c.json",
                    "loop/up/other/d.json",
                    "loop/up/twice/c.json",
                ],
            ),
            ("d/loop/up/*.json", &["loop/up/a.json"]),
            ("d/**/up/*.json", &["loop/up/a.json"]),
            ("d/self/self/*.json", &["self/self/a.json"]),
        ] {
            let found = find(base.path(), pattern).unwrap();
            let names = found.iter().map(|path| path.strip_prefix(at("d")).unwrap().to_str().unwrap());
            assert_eq!(
                names.collect::<std::collections::BTreeSet<_>>(),
                expected.iter().copied().collect(),
                "{pattern}"
            );
            assert_eq!(found.len(), expected.len(), "{pattern}: {found:?}");
        }
        // One above where the search began is gone into, but not from there into that again.
        link("../..", "d/loop/top");
        assert_eq!(find(base.path(), "d/**/a.json").unwrap(), [at("d/a.json")]);
    }

    #[test]
    fn a_search_from_the_root_does_not_depend_on_the_base() {
        let base = tempfile::tempdir().unwrap();
        std::fs::write(base.path().join("a"), "").unwrap();
        let path = base.path().join("?").to_str().unwrap().to_owned();
        // A temporary folder's own name begins with a dot: it is given as it stands.
        assert_eq!(find(Path::new("elsewhere"), &path).unwrap(), [base.path().join("a")]);
    }
}
