//! What stands where a file sink is to write: only a regular file makes way for results.
//!
//! Always true: nothing but regular files and links is replaced or removed. A FIFO, a socket or a device (`/dev/null`)
//! would be gone from the machine once a file has its name.

use std::fs::{self, FileType};
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use wasmill_engine::sink::SinkError;

use super::failure::short;

/// Links that may lead to one another, as many as Linux follows.
const LINKS_MAX: u32 = 40;

/// The file that `path` means. Where that is a link, it is what the link leads to, be it there or not: so the link
/// stays, and what is written aside is on the file's own disk.
///
/// # Errors
/// A sentence: no file can be put there.
pub(super) fn meant(path: PathBuf) -> Result<PathBuf, String> {
    match fs::metadata(&path) {
        Ok(is) => special(is.file_type()).map_or(Ok(()), |kind| Err(refusal(&path, kind)))?,
        // What leads nowhere yet is made where it leads.
        Err(error) if error.kind() == ErrorKind::NotFound => return nowhere_yet(path),
        Err(error) => return Err(format!("{} cannot be written: {error}; correct `path`", short(&path).display())),
    }
    if !path.is_symlink() {
        return Ok(path);
    }
    path.canonicalize().map_err(|error| {
        format!("{} is a link to a file that has no path: {error}; name a regular file", short(&path).display())
    })
}

fn nowhere_yet(path: PathBuf) -> Result<PathBuf, String> {
    let mut at = path;
    for _ in 0..LINKS_MAX {
        let Ok(to) = fs::read_link(&at) else { return Ok(at) };
        at = at.parent().unwrap_or(Path::new("")).join(to);
    }
    Err(format!("{} is one of too many links; name the file itself as `path`", short(&at).display()))
}

/// Whether what is at `path`, if anything, may be replaced or removed.
///
/// # Errors
/// It is no file.
pub(super) fn may_go(path: &Path) -> Result<(), SinkError> {
    match fs::symlink_metadata(path).ok().and_then(|is| special(is.file_type())) {
        Some(kind) => Err(SinkError { message: refusal(path, kind), retriable: false }),
        None => Ok(()),
    }
}

fn refusal(path: &Path, kind: &str) -> String {
    let path = short(path).display().to_string();
    format!(
        "{path} is {kind}, and a file sink would put a file in its place; use the sink `stdout: {{}}` and send that \
         there (`> {path}`), or name a regular file as `path`"
    )
}

fn special(kind: FileType) -> Option<&'static str> {
    [
        (kind.is_fifo(), "a FIFO"),
        (kind.is_socket(), "a socket"),
        (kind.is_char_device() || kind.is_block_device(), "a device"),
    ]
    .into_iter()
    .find_map(|(is, name)| is.then_some(name))
}
