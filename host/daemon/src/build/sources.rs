//! Whether an operator's sources are still those that its component was built from.
//!
//! A build lists the digest of each beside the component, in the form of `sha256sum`. Times would not do: a checkout
//! and a copy give files new ones. Always true: what belongs to tests alone, to tools or to the documents of an
//! operator is no source, except within the files of its code. Neighbours: [`super::build`] writes the list,
//! [`crate::plugins`] asks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::{go, rust};

/// How the name of a list ends; the rest is that of its component.
pub(super) const EXTENSION: &str = "sources";

/// Digests of sources by their paths in the operator's folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sources(BTreeMap<String, String>);

impl Sources {
    /// Those that are there.
    ///
    /// # Errors
    /// What cannot be read, and why.
    pub(super) fn of(folder: &Path) -> Result<Self, (PathBuf, io::Error)> {
        let mut files = Vec::new();
        if folder.join(rust::MANIFEST).is_file() {
            files.extend([rust::MANIFEST, "build.rs"].map(|name| folder.join(name)));
            walk(&folder.join("src"), &|_| true, &mut files);
        } else {
            files.push(folder.join(go::MANIFEST));
            walk(folder, &go::is_source, &mut files);
        }
        let digest = |file: PathBuf| {
            let bytes = fs::read(&file).map_err(|reason| (file.clone(), reason))?;
            let path = file.strip_prefix(folder).expect("it was found below the folder");
            Ok((path.display().to_string(), wasmill_wasm::digest(&bytes)))
        };
        files.into_iter().filter(|file| file.is_file()).map(digest).collect::<Result<_, _>>().map(Self)
    }

    fn parse(list: &str) -> Self {
        let entries = list.lines().filter_map(|line| line.split_once("  "));
        Self(entries.map(|(digest, path)| (path.to_owned(), digest.to_owned())).collect())
    }

    /// Writes them down beside the component that was built from them.
    pub(super) fn keep(&self, component: &Path) -> io::Result<()> {
        let list: String = self.0.iter().map(|(path, digest)| format!("{digest}  {path}\n")).collect();
        fs::write(component.with_extension(EXTENSION), list)
    }

    /// The first that is new, gone or other than it was.
    fn changed_since<'s>(&'s self, before: &'s Self) -> Option<&'s str> {
        let other = self.0.iter().find(|(path, digest)| before.0.get(*path) != Some(digest));
        let gone = before.0.iter().find(|(path, _)| !self.0.contains_key(*path));
        other.or(gone).map(|(path, _)| path.as_str())
    }
}

/// A source of the operator in a folder that is other than when its component was built, if there is one and it is
/// known.
pub(crate) fn changed_since(folder: &Path, component: &Path) -> Option<String> {
    let list = fs::read_to_string(component.with_extension(EXTENSION)).ok()?;
    Sources::of(folder).ok()?.changed_since(&Sources::parse(&list)).map(str::to_owned)
}

/// Adds the files below a folder whose names are wanted; hidden ones and what tools make are passed over.
fn walk(folder: &Path, wanted: &dyn Fn(&str) -> bool, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        // A link to a folder is not followed: it may lead above itself.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&path, wanted, files);
        } else if wanted(&name) {
            files.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The source of an operator with these files that has changed after one of them was written anew.
    fn changed(files: &[&str], written: &str, text: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        files.iter().for_each(|name| write(name, "as it was"));
        write("target/wasmill/tried.wasm", "");
        let component = folder.path().join("target/wasmill/tried.wasm");
        Sources::of(folder.path()).unwrap().keep(&component).unwrap();
        write(written, text);
        changed_since(folder.path(), &component)
    }

    #[test]
    fn what_a_component_is_made_of_is_told_when_it_changes_and_nothing_else() {
        let rust = ["Cargo.toml", "src/lib.rs", "src/deep/words.txt"];
        for source in ["Cargo.toml", "build.rs", "src/lib.rs", "src/deep/words.txt", "src/deep/new.rs"] {
            assert_eq!(changed(&rust, source, "other").as_deref(), Some(source));
        }
        let go = ["go.mod", "main.go", "deep/more.go"];
        for source in ["go.mod", "main.go", "deep/more.go", "deep/new.go"] {
            assert_eq!(changed(&go, source, "other").as_deref(), Some(source));
        }
        // Written again with the same text, a file has a new time.
        assert_eq!(changed(&rust, "src/lib.rs", "as it was"), None);
        for other in ["cases.yaml", "Cargo.lock", "src/.lib.rs.swp", "target/made.rs", ".wasmill/lib.rs"] {
            assert_eq!(changed(&rust, other, "other"), None, "{other}");
        }
        for other in ["go.sum", "main_test.go", "target/made.go", "readme.md"] {
            assert_eq!(changed(&go, other, "other"), None, "{other}");
        }
    }

    #[test]
    fn a_source_that_is_gone_has_changed_and_of_a_component_without_a_list_nothing_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let (component, source) = (folder.path().join("tried.wasm"), folder.path().join("main.go"));
        fs::write(folder.path().join("go.mod"), "").unwrap();
        fs::write(&source, "").unwrap();
        assert_eq!(changed_since(folder.path(), &component), None);
        Sources::of(folder.path()).unwrap().keep(&component).unwrap();
        fs::remove_file(source).unwrap();
        assert_eq!(changed_since(folder.path(), &component).as_deref(), Some("main.go"));
    }
}
