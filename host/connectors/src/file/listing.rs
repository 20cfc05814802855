//! Which files a source means.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use wasmill_engine::source::SourceError;

use super::input::failure;
use super::pattern::find;

/// A file of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// As the pipeline means it: relative where the configuration was. No two files have the same.
    pub(super) name: String,
    /// Where it is.
    pub(super) path: PathBuf,
}

/// What each path matched, in order of the paths, then of names; no file twice.
pub(super) struct Listing {
    /// The files.
    pub(super) entries: Vec<Entry>,
    /// The first path that matched nothing.
    pub(super) unmatched: Option<String>,
}

/// Lists the files that `paths` mean. A path that is there is meant literally, whatever characters it has. As in a
/// shell, `*` does not match a name that begins with a dot: what a file sink has not committed is hidden so.
pub(super) fn list(base: &Path, paths: &[String]) -> Result<Listing, SourceError> {
    let mut listing = Listing { entries: Vec::new(), unmatched: None };
    for path in paths {
        let found = matches(base, path)?;
        if found.is_empty() && listing.unmatched.is_none() {
            listing.unmatched = Some(path.clone());
        }
        let new: Vec<Entry> = found.into_iter().filter(|entry| !listing.entries.contains(entry)).collect();
        listing.entries.extend(new);
    }
    Ok(listing)
}

fn matches(base: &Path, path: &str) -> Result<Vec<Entry>, SourceError> {
    let literal = base.join(path);
    if literal.is_dir() {
        return Err(failure(&literal, &ErrorKind::IsADirectory.into()));
    }
    if std::fs::symlink_metadata(&literal).is_ok() {
        return Ok(vec![Entry { name: name(Path::new(path)), path: literal }]);
    }
    let entry = |path: PathBuf| Entry { name: name(path.strip_prefix(base).unwrap_or(&path)), path };
    let mut entries: Vec<_> = find(base, path)?.into_iter().map(entry).collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries.dedup();
    Ok(entries)
}

/// A path as text, another for each path: a byte that is no UTF-8 is written `\xff`; so that this is no other name, the
/// backslash of one that has `\x` in letters is written `\x5c`.
fn name(path: &Path) -> String {
    let mut name = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        name += &chunk.valid().replace("\\x", "\\x5cx");
        chunk.invalid().iter().for_each(|byte| write!(name, "\\x{byte:02x}").expect("a string takes all text"));
    }
    name
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn paths_that_differ_have_names_that_differ_whatever_their_bytes() {
        let named = |bytes: &[u8]| name(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(named("in/größe \\ a.log".as_bytes()), "in/größe \\ a.log", "text stays as it is");
        assert_eq!(named(b"in/\xff.log"), "in/\\xff.log");
        assert_eq!(named(b"in/\\xff.log"), "in/\\x5cxff.log");
        let pieces: [&[u8]; 8] = [b"\xff", b"\xfe", b"\\", b"x", b"ff", b"5c", b"\\xff", b"\\x5c"];
        let mut paths = std::collections::BTreeSet::new();
        for a in pieces {
            for b in pieces {
                paths.extend(pieces.map(|c| [a, b, c].concat()));
            }
        }
        let names: std::collections::BTreeSet<_> = paths.iter().map(|path| named(path)).collect();
        assert_eq!(names.len(), paths.len());
    }
}
