//! Moments at which a test ends the process, or takes the space on the disk away: a change of what shall run is
//! promised to survive both at each of them.
//!
//! Always true: without the variable [`FAULT`] nothing happens here. With it, the file that it names says what happens
//! from now on: `die STEP`, the process ends as `kill -9` does; `full`, no file can be written; `stuck`, none can be
//! put in its place.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The variable of the environment that names the file.
const FAULT: &str = "WASMILL_FAULT";

/// A moment in a change of what shall run. The first few name the folder of the file that is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A file is there, aside and empty.
    Created(&'static str),
    /// All is in it.
    Written(&'static str),
    /// It is durable.
    Synced(&'static str),
    /// It has its name.
    Renamed(&'static str),
    /// The name is durable.
    Kept(&'static str),
    /// A pipeline's connectors and operators are open; it does not run.
    Opened,
    /// The lanes have been told of new code.
    Installed,
    /// Every lane works with it.
    Switched,
    /// The sources of a pipeline that is drained have been told to read no more.
    Draining,
    /// All is done; nobody has been told.
    Done,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created(folder) => write!(f, "created {folder}"),
            Self::Written(folder) => write!(f, "written {folder}"),
            Self::Synced(folder) => write!(f, "synced {folder}"),
            Self::Renamed(folder) => write!(f, "renamed {folder}"),
            Self::Kept(folder) => write!(f, "kept {folder}"),
            Self::Opened => write!(f, "opened"),
            Self::Installed => write!(f, "installed"),
            Self::Switched => write!(f, "switched"),
            Self::Draining => write!(f, "draining"),
            Self::Done => write!(f, "done"),
        }
    }
}

/// What shall happen now; none = nothing.
fn armed() -> Option<String> {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let file = FILE.get_or_init(|| std::env::var_os(FAULT).map(PathBuf::from)).as_ref()?;
    std::fs::read_to_string(file).ok()
}

/// The process has come to a step.
pub(crate) fn reach(step: Step) {
    if armed().is_some_and(|fault| fault.trim() == format!("die {step}")) {
        std::process::abort();
    }
}

/// Asks for space on the disk.
///
/// # Errors
/// A test has it that there is none.
pub(crate) fn space() -> io::Result<()> {
    match armed() {
        Some(fault) if fault.trim() == "full" => Err(io::ErrorKind::StorageFull.into()),
        _ => Ok(()),
    }
}

/// Asks to put a file in its place.
///
/// # Errors
/// A test has it that this fails.
pub(crate) fn place() -> io::Result<()> {
    match armed() {
        Some(fault) if fault.trim() == "stuck" => Err(io::Error::other("a test has it so")),
        _ => Ok(()),
    }
}
