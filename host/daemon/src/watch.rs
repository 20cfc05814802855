//! Whether a project's sources have changed: their sizes and times, looked at again and again.
//!
//! A project has tens of files, so a look costs less than a millisecond and needs nothing of the system that differs
//! from one to the next (network folders and containers among them). Neighbour: the verb `dev`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(150);

/// What tools and runs make.
const MADE: [&str; 6] = ["target", "out", "dead", "node_modules", "Cargo.lock", "go.sum"];

/// Files that are looked at, at most.
const FILES_MAX: usize = 10_000;

/// Files and how they were when somebody looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen(BTreeMap<PathBuf, (Option<SystemTime>, u64)>);

/// Looks at all that is below a folder and at more files. Hidden files and what tools make are passed over.
pub(crate) fn look(folder: &Path, more: &[PathBuf]) -> Seen {
    let mut seen = Seen(BTreeMap::new());
    walk(folder, &mut seen);
    more.iter().for_each(|file| note(file, &mut seen));
    seen
}

fn walk(folder: &Path, seen: &mut Seen) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || MADE.contains(&&*name) || seen.0.len() >= FILES_MAX {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path(), seen),
            Ok(_) => note(&entry.path(), seen),
            Err(_) => {}
        }
    }
}

fn note(file: &Path, seen: &mut Seen) {
    if let Ok(metadata) = fs::metadata(file) {
        seen.0.insert(file.to_owned(), (metadata.modified().ok(), metadata.len()));
    }
}

impl Seen {
    /// Waits until something is not as it was seen, and answers what.
    pub(crate) fn wait(&self, folder: &Path, more: &[PathBuf]) -> Vec<PathBuf> {
        loop {
            let changed = self.changed(&look(folder, more));
            if !changed.is_empty() {
                return changed;
            }
            std::thread::sleep(EVERY);
        }
    }

    /// Files that are new, gone or changed.
    fn changed(&self, now: &Self) -> Vec<PathBuf> {
        let (before, now) = (&self.0, &now.0);
        let other = now.iter().filter(|(path, state)| before.get(*path) != Some(*state)).map(|(path, _)| path);
        let gone = before.keys().filter(|path| !now.contains_key(*path));
        other.chain(gone).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_gone_or_changed_is_seen_and_what_tools_make_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("src")).unwrap();
        fs::create_dir_all(path("target")).unwrap();
        fs::write(path("src/a.rs"), "a").unwrap();
        fs::write(path("src/b.rs"), "b").unwrap();
        let before = look(folder.path(), &[]);
        fs::write(path("target/x"), "made").unwrap();
        fs::write(path(".hidden"), "made").unwrap();
        assert_eq!(before.changed(&look(folder.path(), &[])), Vec::<PathBuf>::new());
        fs::write(path("src/a.rs"), "longer").unwrap();
        fs::remove_file(path("src/b.rs")).unwrap();
        fs::write(path("src/c.rs"), "new").unwrap();
        assert_eq!(before.wait(folder.path(), &[]), ["src/a.rs", "src/c.rs", "src/b.rs"].map(path));
    }
}
