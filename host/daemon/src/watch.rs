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

/// Folders beside a project that are looked at, at most.
const FOLDERS_MAX: usize = 100;

/// Files that are looked at, at most.
const FILES_MAX: usize = 10_000;

/// Files and how they were when somebody looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen(BTreeMap<PathBuf, (Option<SystemTime>, u64)>);

/// Looks at all that is below a folder, at more files, and at what is below more folders. Hidden files and what tools
/// make are passed over.
pub(crate) fn look(folder: &Path, more: &[PathBuf]) -> Seen {
    let mut seen = Seen(BTreeMap::new());
    walk(folder, &mut seen);
    for path in more {
        if path.is_dir() { walk(path, &mut seen) } else { note(path, &mut seen) }
    }
    seen
}

/// Folders with sources that a project is built of and that lie outside of it: those that its manifest names by their
/// paths, and what these name in turn.
pub(crate) fn beside(folder: &Path) -> Vec<PathBuf> {
    let Ok(home) = folder.canonicalize() else { return Vec::new() };
    let (mut open, mut found) = (vec![home.clone()], Vec::new());
    while let Some(folder) = open.pop() {
        for other in named(&folder) {
            let Ok(other) = folder.join(other).canonicalize() else { continue };
            if other.is_dir() && !other.starts_with(&home) && !found.contains(&other) && found.len() < FOLDERS_MAX {
                found.push(other.clone());
                open.push(other);
            }
        }
    }
    found
}

/// The paths that the manifest of a folder names. Of a workspace's manifest above it those of which it says that it
/// has them from there.
fn named(folder: &Path) -> Vec<PathBuf> {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let module = read(&folder.join("go.mod"));
    let replaced = module.lines().filter_map(|line| Some(line.split_once("=>")?.1.trim()));
    let mut paths: Vec<PathBuf> = replaced.filter(|path| path.starts_with('.')).map(PathBuf::from).collect();
    let own = read(&folder.join("Cargo.toml"));
    paths.extend(own.lines().filter_map(path_of).map(|(_, path)| PathBuf::from(path)));
    for above in folder.ancestors().skip(1) {
        let text = read(&above.join("Cargo.toml"));
        if text.lines().any(|line| line.trim() == "[workspace]") {
            let shared = text.lines().filter_map(path_of).filter(|(name, _)| {
                let uses = |line: &str| {
                    line.starts_with(&format!("{name}.workspace")) || {
                        line.starts_with(&format!("{name} ")) && line.contains("workspace = true")
                    }
                };
                own.lines().any(uses)
            });
            paths.extend(shared.map(|(_, path)| above.join(path)));
            break;
        }
    }
    paths
}

/// Name and path of a dependency such as `sdk = { path = "../sdk" }`.
fn path_of(line: &str) -> Option<(&str, &str)> {
    let (before, path) = line.split_once("path = \"")?;
    let name = before.split(['=', '.', ' ']).next()?;
    Some((name, path.split_once('"')?.0))
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
    fn what_a_project_is_built_of_is_looked_at_wherever_it_lies() {
        let house = tempfile::tempdir().unwrap();
        let house = house.path().canonicalize().unwrap();
        let write = |name: &str, text: &str| {
            fs::create_dir_all(house.join(name).parent().unwrap()).unwrap();
            fs::write(house.join(name), text).unwrap();
        };
        write(
            "Cargo.toml",
            "[workspace]\n[workspace.dependencies]\nshared = { path = \"shared\" }\nno = { path = \"no\" }\n",
        );
        write(
            "own/Cargo.toml",
            "[dependencies]\nshared.workspace = true\nnear = { path = \"../near\", version = \"1\" }\n",
        );
        write("near/Cargo.toml", "[dependencies]\nfar = { path = \"../a/far\" }\nown = { path = \"../own\" }\n");
        write("shared/lib.rs", "");
        write("no/lib.rs", "");
        write("a/far/lib.rs", "");
        write("go/go.mod", "module x\n\nreplace wasmill => ../a/far\n\nreplace other => example.org/other v1.0.0\n");
        let mut found = beside(&house.join("own"));
        found.sort();
        assert_eq!(found, ["a/far", "near", "shared"].map(|name| house.join(name)));
        assert_eq!(beside(&house.join("go")), [house.join("a/far")]);
        let before = look(&house.join("own"), &found);
        write("a/far/lib.rs", "longer");
        assert_eq!(before.changed(&look(&house.join("own"), &found)), [house.join("a/far/lib.rs")]);
    }

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
