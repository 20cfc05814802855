//! `wasmill new`: the files of a project that builds, and of a pipeline that runs.
//!
//! The texts are in `templates/`, where `NAME` and the like stand for what the author chose. Always true: nothing that
//! exists is overwritten. Neighbours: [`crate::sdk`] puts the SDK below a project, [`crate::infer`] finds the columns
//! of a pipeline's input.

mod pipeline;

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::sdk::{self, Sdk};

pub(crate) use pipeline::pipeline;

/// The language of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Language {
    /// Rust; needs cargo and the target wasm32-unknown-unknown
    Rust,
    /// Go 1.24 or newer
    Go,
}

/// Whether an operator has state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// A function of a row
    Transform,
    /// A function of a row and the state of its key
    Keyed,
}

/// Why there is no new project.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NewError {
    /// It cannot be called that.
    #[error(
        "`{0}` cannot be the name of {1}: a name begins with a letter and has lower-case letters, digits, `-` and `_` \
         only, at most {NAME_CHARACTERS_MAX}, as in `room-mean`"
    )]
    Name(String, &'static str),
    /// It would be taken for something of the language.
    #[error("`{0}` cannot be the name of an operator: {1} has something of that name; take another, as `my-{0}`")]
    Taken(String, &'static str),
    /// Something is there.
    #[error("{} exists already; take another name, or remove it first", .0.display())]
    Exists(PathBuf),
    /// The rows to look at are of no use.
    #[error("{}: {reason}", path.display())]
    Sample {
        /// Their file.
        path: PathBuf,
        /// What is wrong; what to do.
        reason: String,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {reason}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
}

const NAME_CHARACTERS_MAX: usize = 64;

/// Names that a Rust package cannot have, or that what it needs has already, sorted.
const RUST_NAMES: &str = "\
    abstract alloc as async await become box break build build-script-build const continue core crate deps do dyn else \
    enum examples extern false final fn for gen if impl in incremental let log loop macro match memchr mod move mut \
    override priv proc-macro proc_macro pub ref return self serde serde_json static std struct super test trait true \
    try type typeof union unsafe unsized use virtual wasmill wasmill-macros wasmill-test where while yield";

/// Names that a Go module cannot have: what is for Go itself, and the packages that come with it, sorted.
const GO_NAMES: &str = "\
    all archive arena bufio builtin bytes c cmd cmp compress container context crypto database debug embed encoding \
    errors expvar flag fmt go hash html image index internal io iter log main maps math mime net os path plugin \
    reflect regexp runtime simd slices sort std strconv strings structs sync syscall testing text time tool unicode \
    unique unsafe vendor wasmill weak work";

fn check_name(name: &str, of: &'static str) -> Result<(), NewError> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !begins || !name.chars().all(good) || name.len() > NAME_CHARACTERS_MAX {
        return Err(NewError::Name(name.to_owned(), of));
    }
    Ok(())
}

/// Writes a project with an operator of that name to a new folder, whose path starts from `base`.
///
/// # Errors
/// The name is no good, the folder exists, or a file cannot be written.
pub(crate) fn plugin(base: &Path, name: &str, language: Language, kind: Kind) -> Result<(), NewError> {
    check_name(name, "an operator")?;
    let (taken, called) = match language {
        Language::Rust => (RUST_NAMES, "Rust"),
        Language::Go => (GO_NAMES, "Go"),
    };
    if taken.split_whitespace().any(|taken| taken == name) {
        return Err(NewError::Taken(name.to_owned(), called));
    }
    in_new_folder(&base.join(name), |folder| fill(folder, name, (language, called), kind))
}

/// Writes the files of a project.
fn fill(folder: &Path, name: &str, (language, called): (Language, &str), kind: Kind) -> Result<(), NewError> {
    let (cases, kind_name, key) = match kind {
        Kind::Transform => (include_str!("../templates/transform.yaml"), "a function of a row", ""),
        Kind::Keyed => (include_str!("../templates/keyed.yaml"), "with state for each key", ", key: sensor"),
    };
    let native = if language == Language::Rust { "cargo test     " } else { "go test ./...  " };
    let readme = include_str!("../templates/readme.md").replace("LANGUAGE", called).replace("KIND", kind_name);
    let readme = readme.replace("NATIVE         ", &format!("{native}         "));
    let mut files = vec![("cases.yaml", cases.to_owned())];
    let source = match language {
        Language::Rust => rust(kind, &mut files),
        Language::Go => go(kind, &mut files),
    };
    files.push(("README.md", readme.replace("SOURCE", source).replace("NAMEKEY", &format!("NAME{key}"))));
    for (path, text) in files {
        write(&folder.join(path), &text.replace("NAME", name))?;
    }
    sdk::refresh(folder).map_err(|(path, reason)| NewError::File { path, reason })
}

/// Adds the files of a project in Rust; answers where its operator is.
fn rust(kind: Kind, files: &mut Vec<(&'static str, String)>) -> &'static str {
    let operator = match kind {
        Kind::Transform => include_str!("../templates/rust/transform.rs"),
        Kind::Keyed => include_str!("../templates/rust/keyed.rs"),
    };
    files.push(("Cargo.toml", include_str!("../templates/rust/manifest.toml").to_owned()));
    // The versions that the SDK was tested with; cargo drops what the project does not need.
    files.extend(Sdk::Rust.file("Cargo.lock").map(|lock| ("Cargo.lock", lock.to_owned())));
    files.push((".gitignore", "/target/\n/.wasmill/\n".to_owned()));
    files.push(("src/lib.rs", operator.to_owned()));
    "src/lib.rs"
}

/// Adds the files of a project in Go; answers where its operator is.
fn go(kind: Kind, files: &mut Vec<(&'static str, String)>) -> &'static str {
    let operator = match kind {
        Kind::Transform => include_str!("../templates/go/transform.go"),
        Kind::Keyed => include_str!("../templates/go/keyed.go"),
    };
    // What the SDK requires its user's module must name too.
    let manifest = Sdk::Go.file("go.mod").unwrap_or_default();
    let required = manifest.lines().filter(|line| line.starts_with("require "));
    let indirect: Vec<String> = required.map(|line| format!("{line} // indirect")).collect();
    let module = include_str!("../templates/go/module.txt").replace("INDIRECT", &indirect.join("\n"));
    files.push(("go.mod", module));
    files.extend(Sdk::Go.file("go.sum").map(|sums| ("go.sum", sums.to_owned())));
    files.push((".gitignore", "/target/\n/.wasmill/\n".to_owned()));
    files.push(("main.go", operator.to_owned()));
    files.push(("main_test.go", include_str!("../templates/go/test.go").to_owned()));
    "main.go"
}

/// Makes a folder that is not there and fills it; where that fails, nothing is left of it.
fn in_new_folder(path: &Path, fill: impl FnOnce(&Path) -> Result<(), NewError>) -> Result<(), NewError> {
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(NewError::Exists(path.to_owned())),
        Err(reason) => return Err(NewError::File { path: path.to_owned(), reason }),
    }
    fill(path).inspect_err(|_| {
        // What went wrong is what the user has to know; a rest that cannot be removed shows itself.
        fs::remove_dir_all(path).ok();
    })
}

fn write(path: &Path, text: &str) -> Result<(), NewError> {
    let failed = |reason| NewError::File { path: path.to_owned(), reason };
    fs::create_dir_all(path.parent().expect("a project's file lies in its folder")).map_err(failed)?;
    fs::write(path, text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_name_is_told_which_names_are_good() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", "Mean", "9lives", "a b", "../up", "mean.rs", "ä", &"x".repeat(65)] {
            let told = plugin(folder.path(), name, Language::Rust, Kind::Keyed).unwrap_err().to_string();
            assert!(told.contains("begins with a letter"), "{name}: {told}");
        }
        let told = plugin(folder.path(), "core", Language::Rust, Kind::Keyed).unwrap_err().to_string();
        assert!(told.contains("Rust has something of that name") && told.contains("my-core"), "{told}");
        for (name, language) in [("fn", Language::Rust), ("loop", Language::Rust), ("math", Language::Go)] {
            let told = plugin(folder.path(), name, language, Kind::Keyed).unwrap_err().to_string();
            assert!(told.contains("has something of that name"), "{told}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
    }

    #[test]
    fn a_project_that_cannot_be_written_whole_is_not_left_in_part() {
        let folder = tempfile::tempdir().unwrap();
        let full = |folder: &Path| {
            write(&folder.join("src/lib.rs"), "")?;
            write(&folder.join("src"), "a file in the place of a folder")
        };
        let told = in_new_folder(&folder.path().join("mean"), full).unwrap_err().to_string();
        assert!(told.starts_with("cannot write "), "{told}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_exists_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("mean")).unwrap();
        let told = plugin(folder.path(), "mean", Language::Rust, Kind::Keyed).unwrap_err().to_string();
        assert!(told.ends_with("exists already; take another name, or remove it first"), "{told}");
        assert_eq!(fs::read_dir(folder.path().join("mean")).unwrap().count(), 0);
    }
}
