//! Which files a source means.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use glob::MatchOptions;
use wasmill_engine::source::SourceError;

use super::input::failure;

/// A file of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// As the pipeline means it: relative where the configuration was.
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
        return Ok(vec![Entry { name: path.to_owned(), path: literal }]);
    }
    let pattern = if base.as_os_str().is_empty() || Path::new(path).is_absolute() {
        path.to_owned()
    } else {
        format!("{}/{path}", glob::Pattern::escape(&base.to_string_lossy()))
    };
    // The configuration's check has read the pattern.
    let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
    let Ok(found) = glob::glob_with(&pattern, options) else { return Ok(Vec::new()) };
    let mut entries = Vec::new();
    for found in found {
        let path = found.map_err(|error| failure(error.path(), error.error()))?;
        if !path.is_dir() {
            let name = path.strip_prefix(base).unwrap_or(&path).to_string_lossy().into_owned();
            entries.push(Entry { name, path });
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}
