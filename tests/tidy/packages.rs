//! Rules about packages: which of ours may use which, and that each forbids `unsafe`.
//!
//! Reads as much of a `Cargo.toml` as that takes: section heads, keys, and quoted values.
//! Neighbours: the list of edges is in `tests/tidy.rs`.

use std::collections::BTreeMap;

use crate::tree::{Finding, Tree, folder};

/// A package of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Package {
    /// Its name.
    name: String,
    /// Path of its Cargo.toml.
    manifest: String,
    /// The packages it depends on, in any section, with the line.
    uses: Vec<(String, usize)>,
    /// Paths of its library's and its binaries' roots, as far as they exist.
    roots: Vec<String>,
}

/// Dependencies between our packages that `edges` does not list, packages that it lacks, and entries that are not true
/// any more. A package below one of the folders `guests` needs no entry: it may use what `guest_uses` names.
#[must_use]
pub fn edges(tree: &Tree, edges: &[(&str, &[&str])], guests: &[&str], guest_uses: &[&str]) -> Vec<Finding> {
    let packages = packages(tree);
    let ours: BTreeMap<&str, &Package> = packages.iter().map(|package| (package.name.as_str(), package)).collect();
    let mut found = Vec::new();
    for package in &packages {
        let listed = edges.iter().find(|(name, _)| *name == package.name).map(|(_, uses)| *uses);
        let is_guest = guests.iter().any(|folder| package.manifest.starts_with(folder));
        let Some(may_use) = listed.or(is_guest.then_some(guest_uses)) else {
            let what = format!("`{}` is not in the list of edges: add it to tests/tidy.rs", package.name);
            found.push(Finding::new(&package.manifest, 1, what));
            continue;
        };
        let used = package.uses.iter().filter(|(name, _)| ours.contains_key(name.as_str()));
        let new = used.filter(|(name, _)| !may_use.contains(&name.as_str()));
        found.extend(new.map(|(name, line)| {
            let what = format!(
                "`{}` must not use `{name}`: turn the arrow round, or change the list in tests/tidy.rs",
                package.name
            );
            Finding::new(&package.manifest, *line, what)
        }));
        let gone = listed.unwrap_or_default().iter().filter(|name| package.uses.iter().all(|(used, _)| used != *name));
        found.extend(gone.map(|name| {
            let what = format!(
                "`{}` does not use `{name}` any more: take the edge off the list in tests/tidy.rs",
                package.name
            );
            Finding::new(&package.manifest, 1, what)
        }));
    }
    let gone = edges.iter().filter(|(name, _)| !ours.contains_key(name));
    found.extend(gone.map(|(name, _)| {
        Finding::new("tests/tidy.rs", 1, format!("there is no package `{name}`: take it off the list of edges"))
    }));
    found
}

/// Roots of packages without `#![forbid(unsafe_code)]`. Packages that hold one of the files `except`, and those below
/// the folders `guests`, are left out: the SDK's macros write the exports of guests.
#[must_use]
pub fn without_forbid(tree: &Tree, except: &[&str], guests: &[&str]) -> Vec<Finding> {
    let what = "write `#![forbid(unsafe_code)]` below the header";
    let judged = packages(tree).into_iter().filter(|package| {
        let home = format!("{}/", folder(&package.manifest));
        !except.iter().any(|path| path.starts_with(&home)) && !guests.iter().any(|guest| home.starts_with(guest))
    });
    let roots = judged.flat_map(|package| package.roots);
    let has_forbid =
        |path: &String| tree.file(path).is_some_and(|file| file.text.contains("\n#![forbid(unsafe_code)]\n"));
    roots.filter(|root| !has_forbid(root)).map(|root| Finding::new(&root, 1, what)).collect()
}

fn packages(tree: &Tree) -> Vec<Package> {
    let manifests = tree.files.iter().filter(|file| file.path == "Cargo.toml" || file.path.ends_with("/Cargo.toml"));
    manifests.filter_map(|file| package(tree, &file.path, &file.text)).collect()
}

/// The package that a manifest describes, if it is not only a workspace's.
fn package(tree: &Tree, manifest: &str, text: &str) -> Option<Package> {
    let home = folder(manifest);
    let mut package =
        Package { name: String::new(), manifest: manifest.to_owned(), uses: Vec::new(), roots: Vec::new() };
    package.roots.extend(["src/lib.rs", "src/main.rs"].map(|root| format!("{home}/{root}")));
    let mut section = "";
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if let Some(head) = line.strip_prefix('[') {
            section = head.trim_matches(['[', ']']);
            if let Some((_, name)) = section.split_once("dependencies.") {
                package.uses.push((name.to_owned(), number + 1));
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { continue };
        let (key, value) = (key.trim(), value.trim());
        if section == "package" && key == "name" {
            package.name = value.trim_matches('"').to_owned();
        } else if ["lib", "bin"].contains(&section) && key == "path" {
            package.roots.push(format!("{home}/{}", value.trim_matches('"')));
        } else if section.ends_with("dependencies") && section != "workspace.dependencies" {
            let renamed = value.split_once("package").and_then(|(_, rest)| rest.split('"').nth(1));
            let name = renamed.unwrap_or_else(|| key.split('.').next().unwrap_or(key).trim_matches('"'));
            package.uses.push((name.to_owned(), number + 1));
        }
    }
    package.roots.retain(|root| tree.paths.contains(root));
    package.roots.sort();
    package.roots.dedup();
    (!package.name.is_empty()).then_some(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGINE: (&str, &str) =
        ("host/engine/Cargo.toml", "[package]\nname = \"engine\"\n[dependencies]\nserde = \"1\"\n");

    fn edges_of(manifest: &str) -> Vec<String> {
        let tree = Tree::of(&[ENGINE, ("host/wasm/Cargo.toml", manifest)]);
        let found = edges(&tree, &[("engine", &[]), ("wasm", &["engine"])], &["plugins/"], &["sdk"]);
        found.into_iter().map(|found| found.to_string()).collect()
    }

    #[test]
    fn an_edge_that_is_listed_is_fine_and_others_are_found() {
        let head = "[package]\nname = \"wasm\"\n";
        assert_eq!(edges_of(&format!("{head}[dependencies]\nengine.workspace = true\n")), [""; 0]);
        assert_eq!(edges_of(&format!("{head}[dependencies]\ne = {{ package = \"engine\", path = \"x\" }}\n")), [""; 0]);
        assert_eq!(edges_of(&format!("{head}[target.'cfg(unix)'.dependencies.engine]\npath = \"x\"\n")), [""; 0]);
        let gone = edges_of(head);
        assert!(gone.len() == 1 && gone[0].contains("any more"), "{gone:?}");
    }

    #[test]
    fn an_edge_upward_is_found_in_every_section() {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let wasm = format!("[package]\nname = \"wasm\"\n[{section}]\nengine = \"1\"\n");
            let tree = Tree::of(&[ENGINE, ("host/wasm/Cargo.toml", &wasm)]);
            let found = edges(&tree, &[("engine", &[]), ("wasm", &[])], &[], &[]);
            assert_eq!(found.iter().map(|found| found.line).collect::<Vec<_>>(), [4], "{section}");
        }
    }

    #[test]
    fn a_package_without_an_entry_and_an_entry_without_a_package_are_found() {
        let tree = Tree::of(&[ENGINE]);
        assert_eq!(edges(&tree, &[("other", &[])], &[], &[]).len(), 2);
    }

    #[test]
    fn a_guest_may_use_the_sdk_and_nothing_else_of_ours() {
        let guest = ("plugins/a/Cargo.toml", "[package]\nname = \"a\"\n[dependencies]\nsdk = \"1\"\nengine = \"1\"\n");
        let sdk = ("sdk/rust/Cargo.toml", "[package]\nname = \"sdk\"\n");
        let found = edges(&Tree::of(&[ENGINE, guest, sdk]), &[("engine", &[]), ("sdk", &[])], &["plugins/"], &["sdk"]);
        assert_eq!(found.iter().map(|found| found.line).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn a_root_that_does_not_forbid_unsafe_is_found() {
        let forbid = "//! A.\n#![forbid(unsafe_code)]\n";
        let files = [ENGINE, ("host/engine/src/lib.rs", forbid), ("host/engine/src/main.rs", "//! B.\n")];
        assert_eq!(without_forbid(&Tree::of(&files), &[], &[])[0].path, "host/engine/src/main.rs");
        assert_eq!(without_forbid(&Tree::of(&files), &["host/engine/src/raw.rs"], &[]), []);
        assert_eq!(without_forbid(&Tree::of(&files), &[], &["host/"]), []);
    }
}
