//! Lists the source files of the SDKs, so that the binary can carry them: an author needs nothing but `wasmill` and the
//! compiler of the language.
//!
//! Always true: tests, benchmarks and what a tool made are left out; the files stand in the order of their paths. No
//! path names a checkout: where several build into one folder, each has its own SDK and not that of the one before.
//! Neighbour: `src/sdk.rs` includes the list that is written here.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The SDKs, from this package's folder, in which cargo runs this.
const HOME: &str = "../../sdk";

/// Folders of an SDK whose files a guest does not need.
const LEFT_OUT: [&str; 3] = ["tests", "target", "testdata"];

fn main() -> io::Result<()> {
    let mut list = String::new();
    for (name, folder) in [("RUST", "rust"), ("GO", "go")] {
        let home = Path::new(HOME).join(folder);
        let mut files = Vec::new();
        walk(&home, &mut files)?;
        files.sort();
        let about = format!("The files of `sdk/{folder}`: path and text.");
        writeln!(list, "/// {about}\npub(super) const {name}: &[(&str, &str)] = &[").map_err(io::Error::other)?;
        for file in files {
            let path = file.strip_prefix(&home).map_err(io::Error::other)?;
            let text = format!("include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{}\"))", file.display());
            writeln!(list, "    ({path:?}, {text}),").map_err(io::Error::other)?;
        }
        list.push_str("];\n");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("sdk.rs"), list)
}

/// Adds the source files below a folder. Cargo looks at what is listed here to know when to run this again.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            if !name.starts_with('.') && !LEFT_OUT.contains(&&*name) {
                walk(&path, files)?;
            }
        } else if is_source(&name) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_source(name: &str) -> bool {
    let source = [".rs", ".go", ".s"].iter().any(|end| name.ends_with(end));
    ["Cargo.toml", "Cargo.lock", "go.mod", "go.sum"].contains(&name) || source && !name.ends_with("_test.go")
}
