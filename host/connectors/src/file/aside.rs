//! Files that are durable and not visible yet, and how they become visible.
//!
//! All that recovery must know is in their names, which begin with a dot:
//!
//! ```text
//! .<target>.open.tmp                       being written
//! .<target>.<epoch>.rename.tmp             prepared; becomes <target> by renaming, in one step
//! .<target>.<epoch>.append.tmp             prepared; will be appended to <target>
//! .<target>.<epoch>.append-at-<n>.tmp      being appended to <target>, which had n bytes before
//! ```
//!
//! Every step can be repeated after a crash at any point of it, and appending can also be undone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A prepared file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Aside {
    /// The epoch whose rows it has.
    pub(super) epoch: u64,
    /// Name of the file that people see.
    pub(super) target: String,
    /// How it gets there.
    pub(super) how: How,
}

/// How a prepared file becomes visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    /// As the target, replacing one that is there.
    Rename,
    /// At the target's end.
    Append,
    /// From this byte of the target on; appending may have begun.
    AppendAt(u64),
}

/// Name of the file that is being written for `target`.
pub(super) fn open_name(target: &str) -> String {
    format!(".{target}.open.tmp")
}

/// The target of a file that is being written.
pub(super) fn parse_open(name: &str) -> Option<&str> {
    name.strip_prefix('.')?.strip_suffix(".open.tmp")
}

/// Makes names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

impl Aside {
    /// Its name.
    pub(super) fn name(&self) -> String {
        let Self { epoch, target, how } = self;
        match how {
            How::Rename => format!(".{target}.{epoch}.rename.tmp"),
            How::Append => format!(".{target}.{epoch}.append.tmp"),
            How::AppendAt(at) => format!(".{target}.{epoch}.append-at-{at}.tmp"),
        }
    }

    /// The prepared file of that name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix('.')?.strip_suffix(".tmp")?.rsplitn(3, '.');
        let how = match parts.next()? {
            "rename" => How::Rename,
            "append" => How::Append,
            other => How::AppendAt(other.strip_prefix("append-at-")?.parse().ok()?),
        };
        let epoch = parts.next()?.parse().ok()?;
        Some(Self { epoch, target: parts.next()?.to_owned(), how })
    }

    /// Makes it visible, durably. After an error it may be called again, and goes on.
    pub(super) fn commit(&mut self, folder: &Path) -> io::Result<()> {
        let target = folder.join(&self.target);
        match self.how {
            How::Rename => return fs::rename(self.path(folder), target),
            How::Append => {
                let at = match fs::metadata(&target) {
                    Ok(metadata) => metadata.len(),
                    Err(error) if error.kind() == ErrorKind::NotFound => 0,
                    Err(error) => return Err(error),
                };
                let begun = Self { how: How::AppendAt(at), ..self.clone() };
                fs::rename(self.path(folder), begun.path(folder))?;
                *self = begun;
                sync_folder(folder)?;
                self.append(&target, at, folder)?;
            }
            How::AppendAt(at) => self.append(&target, at, folder)?,
        }
        fs::remove_file(self.path(folder))
    }

    fn append(&self, target: &Path, at: u64, folder: &Path) -> io::Result<()> {
        let mut from = File::open(self.path(folder))?;
        // Not `append(true)`: what a crash left behind `at` is written over.
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(target)?;
        file.set_len(at)?;
        io::Seek::seek(&mut file, io::SeekFrom::Start(at))?;
        io::copy(&mut from, &mut file)?;
        file.sync_all()
    }

    /// Removes it, and what was appended of it.
    pub(super) fn undo(&self, folder: &Path) -> io::Result<()> {
        if let How::AppendAt(at) = self.how {
            let target = OpenOptions::new().write(true).open(folder.join(&self.target))?;
            target.set_len(at)?;
            target.sync_all()?;
        }
        fs::remove_file(self.path(folder))
    }

    fn path(&self, folder: &Path) -> PathBuf {
        folder.join(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prepared_file_is_known_by_its_name() {
        for how in [How::Rename, How::Append, How::AppendAt(17)] {
            let aside = Aside { epoch: 3, target: "out.7.ndjson".to_owned(), how };
            assert_eq!(Aside::parse(&aside.name()), Some(aside));
        }
        for name in ["out.ndjson", ".out.ndjson.open.tmp", ".tmp", ".x.rename.tmp", ".x.1.append-at-.tmp", ".x.1.y.tmp"]
        {
            assert_eq!(Aside::parse(name), None, "{name}");
        }
        assert_eq!(parse_open(&open_name("a.ndjson")), Some("a.ndjson"));
    }
}
