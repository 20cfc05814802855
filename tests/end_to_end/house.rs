//! A copy of what users build and run: the examples, the plugins and the guests in Rust, below the target folder, so
//! that what a test builds and writes is never in the repository.
//!
//! Always true: the copy is as the repository was when the first test asked; the compiler's own output is kept from
//! run to run. Neighbour: [`crate::process`] runs `wasmill`.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, Once, OnceLock, PoisonError};
use std::{env, fs, io};

use crate::process::{ended, kept, repository, wasmill};

/// What is copied.
const COPIED: [&str; 3] = ["examples", "plugins", "tests/guests/rust"];

/// Folders that tools and runs make.
const MADE: [&str; 4] = ["target", "out", "dead", "alerts"];

/// The root of the copy.
pub fn house() -> &'static Path {
    static HOUSE: OnceLock<PathBuf> = OnceLock::new();
    HOUSE.get_or_init(|| {
        let house = kept("house");
        make(&house).unwrap_or_else(|error| panic!("{} cannot be made: {error}", house.display()));
        house
    })
}

fn make(house: &Path) -> io::Result<()> {
    for name in COPIED {
        if house.join(name).exists() {
            fs::remove_dir_all(house.join(name))?;
        }
        copy(&repository().join(name), &house.join(name))?;
    }
    // Guests name the SDK by a relative path.
    let sdk = house.join("sdk");
    if fs::read_link(&sdk).ok() != Some(repository().join("sdk")) {
        // A target folder that came from elsewhere has one that leads there.
        fs::remove_file(&sdk)
            .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
        std::os::unix::fs::symlink(repository().join("sdk"), sdk)?;
    }
    Ok(())
}

/// Copies a folder. Files keep their times, by which compilers know what they have compiled.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, target) = (entry.file_name(), to.join(entry.file_name()));
        if !entry.file_type()?.is_dir() {
            fs::copy(entry.path(), &target)?;
            fs::File::options().write(true).open(target)?.set_modified(entry.metadata()?.modified()?)?;
        } else if !MADE.iter().any(|made| *made == name) || from.ends_with("expected") {
            copy(&entry.path(), &target)?;
        }
    }
    Ok(())
}

/// The component of the operator in that folder of the copy, built by `wasmill build`: once in a run of tests.
pub fn built(folder: &str) -> PathBuf {
    static BUILT: OnceLock<Mutex<HashMap<String, PathBuf>>> = OnceLock::new();
    let mut built = BUILT.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let build = || {
        let facts = ended(&mut wasmill(house(), &["build", folder, "--output", "json"])).with_code(0).json();
        facts["path"].as_str().expect("it says where the component is").into()
    };
    built.entry(folder.to_owned()).or_insert_with(build).clone()
}

/// Whether there is a Go compiler; where nothing may be skipped, there must be.
pub fn go_is_here() -> bool {
    let here = Command::new("go").arg("version").output().is_ok();
    assert!(here || env::var("CI").as_deref() != Ok("true"), "there is no `go` on the path");
    static SAID: Once = Once::new();
    if !here {
        SAID.call_once(|| aloud("skipped what is about Go: there is no `go` on the path; `setup/go` gets one"));
    }
    here
}

/// Says a line where people see it: what a test prints is shown only when it fails, this always.
pub fn aloud(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("there is a stderr");
}

/// Builds the plugins that ship that a text names, as `filter@1`, and puts them on the shelf `plugins` of the copy,
/// where its pipelines find them.
pub fn shelve(text: &str) {
    for plugin in SHIPPED.into_iter().filter(|plugin| text.contains(&format!("{plugin}@1"))) {
        let component = built(&format!("plugins/{plugin}"));
        let shelf = house().join("plugins").join(format!("{plugin}@1.wasm"));
        fs::copy(component, shelf).expect("the copy can be written");
    }
}

/// The plugins that ship.
pub const SHIPPED: [&str; 6] = ["filter", "select", "validate", "route", "dedupe", "anomaly"];
