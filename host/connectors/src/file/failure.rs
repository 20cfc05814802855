//! Why a file cannot be written, as people are told: which file, what is wrong, what to do.

use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use wasmill_engine::sink::SinkError;

/// Why a file cannot be written, of which so many bytes were.
pub(super) fn failure(path: &Path, bytes: u64, error: &io::Error) -> SinkError {
    let path = short(path).display().to_string();
    let (message, retriable) = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            let message = format!(
                "{path} cannot be written: {error}, after {bytes} bytes of it; make room or choose another `path`; \
                 nothing of this epoch is visible"
            );
            (message, true)
        }
        ErrorKind::AlreadyExists => {
            (format!("{path} is there already: another sink writes to the same `path`; give each its own"), false)
        }
        ErrorKind::PermissionDenied => {
            (format!("{path} cannot be written: permission denied; give this user the right to write there"), false)
        }
        _ => (format!("{path} cannot be written: {error}"), true),
    };
    SinkError { message, retriable }
}

/// A path without the folders that are left again, `a/../b` as `b`: to be read by people, as a link may stand for `a`.
pub(super) fn short(path: &Path) -> PathBuf {
    let mut short = PathBuf::new();
    for part in path.components() {
        match (part, short.components().next_back()) {
            (Component::ParentDir, Some(Component::Normal(_))) => drop(short.pop()),
            (Component::CurDir, _) => {}
            _ => short.push(part),
        }
    }
    if short.as_os_str().is_empty() { ".".into() } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_without_the_folders_that_it_leaves_again() {
        let shown = |path: &str| short(Path::new(path)).display().to_string();
        assert_eq!(shown("examples/currency/../../target/out"), "target/out");
        assert_eq!([shown("../out"), shown("./a/b"), shown("/a/../../b")], ["../out", "a/b", "/../b"]);
        assert_eq!([shown("."), shown("./"), shown("a/..")], [".", ".", "."], "and is never nothing");
    }
}
