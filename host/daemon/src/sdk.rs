//! The SDKs that this binary carries, and their copy in an author's project.
//!
//! A project that names `.wasmill/sdk/<language>` as its SDK gets it written there, below the project's own folder, so
//! that nothing need be published and host and SDK always belong together. A project that names another place is left
//! alone. Always true: a copy whose marker has the digest of this binary's files is not touched, and a file that is the
//! same is not written again, so that compilers see no change where there is none.
//! Neighbours: [`crate::scaffold`] makes such projects, [`crate::build`] has the copy refreshed before it compiles.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

include!(concat!(env!("OUT_DIR"), "/sdk.rs"));

/// An SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sdk {
    /// `sdk/rust`
    Rust,
    /// `sdk/go`
    Go,
}

/// In a copy, the file that says of which files it was made.
const MARKER: &str = ".digest";

impl Sdk {
    const ALL: [Self; 2] = [Self::Rust, Self::Go];

    fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Rust => RUST,
            Self::Go => GO,
        }
    }

    /// The file in which a project says where its SDK is.
    const fn manifest(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::Go => "go.mod",
        }
    }

    /// Where a project's copy is, from the project's folder.
    pub(crate) const fn place(self) -> &'static str {
        match self {
            Self::Rust => ".wasmill/sdk/rust",
            Self::Go => ".wasmill/sdk/go",
        }
    }

    /// One of its files.
    pub(crate) fn file(self, path: &str) -> Option<&'static str> {
        self.files().iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
    }

    fn digest(self) -> String {
        let mut digest = Sha256::new();
        for (path, text) in self.files() {
            for part in [path, text] {
                digest.update((part.len() as u64).to_le_bytes());
                digest.update(part);
            }
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Makes the copy in `project` what this binary carries.
    fn write(self, project: &Path) -> io::Result<()> {
        let home = project.join(self.place());
        let digest = self.digest();
        if fs::read_to_string(home.join(MARKER)).is_ok_and(|found| found == digest) {
            return Ok(());
        }
        let mut kept = BTreeSet::new();
        for (path, text) in self.files() {
            let path = home.join(path);
            write_if_other(&path, text)?;
            kept.insert(path);
        }
        remove_others(&home, &kept)?;
        // Whatever the project itself says, git leaves the copy alone.
        write_if_other(&project.join(".wasmill/.gitignore"), "*\n")?;
        write_if_other(&home.join(MARKER), &digest)
    }
}

/// Writes the SDK that the project in `folder` asks for, if it asks for one of this binary's and does not have it.
///
/// # Errors
/// The path that cannot be written, and why.
pub(crate) fn refresh(folder: &Path) -> Result<(), (PathBuf, io::Error)> {
    for sdk in Sdk::ALL {
        let manifest = fs::read_to_string(folder.join(sdk.manifest()));
        if manifest.is_ok_and(|text| text.contains(sdk.place())) {
            sdk.write(folder).map_err(|error| (folder.join(sdk.place()), error))?;
        }
    }
    Ok(())
}

/// Written aside and moved: two processes that refresh one project do not see half a file.
fn write_if_other(path: &Path, text: &str) -> io::Result<()> {
    if fs::read(path).is_ok_and(|found| found == text.as_bytes()) {
        return Ok(());
    }
    let folder = path.parent().expect("a file of the copy lies in a folder");
    fs::create_dir_all(folder)?;
    let mut aside = aside(folder)?;
    aside.write_all(text.as_bytes())?;
    aside.persist(path)?;
    Ok(())
}

/// What files begin with that are being written.
const ASIDE: &str = ".new-";

/// A file to be moved to its name, which others may read as far as the user lets them.
fn aside(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(ASIDE);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Removes the files that an older SDK had, and leaves those that another process is writing.
fn remove_others(folder: &Path, kept: &BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if !entry.file_type()?.is_dir() {
            if !kept.contains(&path) && !entry.file_name().to_string_lossy().starts_with(ASIDE) {
                fs::remove_file(&path)?;
            }
        } else if kept.iter().any(|file| file.starts_with(&path)) {
            remove_others(&path, kept)?;
        } else {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_has_its_copy_of_the_sdk_mended_and_another_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("Cargo.toml");
        fs::write(&manifest, "wasmill = { path = \"../../sdk/rust\" }").unwrap();
        refresh(folder.path()).unwrap();
        assert!(!folder.path().join(".wasmill").exists(), "its SDK is elsewhere");

        fs::write(&manifest, "wasmill = { path = \".wasmill/sdk/rust\" }").unwrap();
        refresh(folder.path()).unwrap();
        let home = folder.path().join(".wasmill/sdk/rust");
        let read = |path: &str| fs::read_to_string(home.join(path)).unwrap();
        assert_eq!(Some(&*read("src/lib.rs")), Sdk::Rust.file("src/lib.rs"));
        assert!(!folder.path().join(".wasmill/sdk/go").exists(), "it asked for Rust only");

        let old = |path: &str| fs::metadata(home.join(path)).unwrap().modified().unwrap();
        let untouched = old("src/lib.rs");
        fs::create_dir_all(home.join("src/gone")).unwrap();
        fs::write(home.join("src/gone/old.rs"), "of an older version").unwrap();
        fs::write(home.join("src/text.rs"), "of an older version").unwrap();
        fs::write(home.join(MARKER), "another digest").unwrap();
        let other = aside(&home.join("src")).unwrap();
        refresh(folder.path()).unwrap();
        assert!(other.path().exists(), "what another process writes is left to it");
        let mode = |path: &Path| std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions());
        assert_eq!(mode(&home.join("src/text.rs")), mode(&manifest), "as any file that the user writes");
        assert!(!home.join("src/gone").exists());
        assert_eq!(Some(&*read("src/text.rs")), Sdk::Rust.file("src/text.rs"));
        assert_eq!(old("src/lib.rs"), untouched, "what is the same is not written again");
    }

    #[test]
    fn what_is_carried_is_source_and_no_test() {
        for sdk in Sdk::ALL {
            assert!(sdk.file(sdk.manifest()).is_some());
            let test = |(path, _): &&(&str, &str)| path.contains("target/") || path.contains("_test.go");
            assert_eq!(sdk.files().iter().find(test), None);
        }
        assert!(Sdk::Rust.file("macros/src/lib.rs").is_some() && Sdk::Go.file("doc.go").is_some());
    }
}
