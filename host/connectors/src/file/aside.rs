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
//! Every step can be repeated after a crash at any point of it, and appending can also be undone. What people made of
//! the target meanwhile is theirs: nothing is cut off it that was not appended here, and nothing is put in a gap.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use wasmill_engine::sink::SinkError;

use super::failure::{failure, short};
use super::place::may_go;

/// Bytes of a target and of what was appended to it that are compared at a time.
const COMPARED_BYTES: usize = 64 << 10;

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
    ///
    /// # Errors
    /// The target cannot be written, is no file, or is not what it was when appending to it began.
    pub(super) fn commit(&mut self, folder: &Path) -> Result<(), SinkError> {
        let target = folder.join(&self.target);
        let at = match self.how {
            How::Rename => {
                may_go(&target)?;
                let renamed = fs::rename(self.path(folder), &target);
                return renamed.map_err(|error| self.missing_or(&target, folder, &error));
            }
            How::Append => {
                let at = match fs::metadata(&target) {
                    Ok(metadata) => metadata.len(),
                    Err(error) if error.kind() == ErrorKind::NotFound => 0,
                    Err(error) => return Err(failure(&target, 0, &error)),
                };
                let begun = Self { how: How::AppendAt(at), ..self.clone() };
                fs::rename(self.path(folder), begun.path(folder))
                    .map_err(|error| self.missing_or(&target, folder, &error))?;
                *self = begun;
                sync_folder(folder).map_err(|error| failure(&target, 0, &error))?;
                at
            }
            How::AppendAt(at) => at,
        };
        self.append(at, folder)?;
        fs::remove_file(self.path(folder)).map_err(|error| failure(&self.path(folder), 0, &error))
    }

    fn append(&self, at: u64, folder: &Path) -> Result<(), SinkError> {
        let target = folder.join(&self.target);
        let mut file = match self.begun(at, folder)? {
            Some(file) => file,
            // Created only where it was not there before: else its rows are gone, and a gap would take their place.
            None if at == 0 => {
                let created = OpenOptions::new().create_new(true).write(true).open(&target);
                created.map_err(|error| failure(&target, 0, &error))?
            }
            None => return Err(self.changed(at, folder)),
        };
        let mut from = File::open(self.path(folder)).map_err(|error| failure(&self.path(folder), 0, &error))?;
        // What a crash left behind `at` is written over.
        let appended = file.set_len(at).and_then(|()| file.seek(SeekFrom::Start(at)));
        let appended = appended.and_then(|_| io::copy(&mut from, &mut file)).and_then(|_| file.sync_all());
        appended.map_err(|error| {
            // Half of an epoch is not left to readers where that can be helped; else recovery takes it back.
            drop(file.set_len(at));
            failure(&target, 0, &error)
        })
    }

    /// Removes it, and what was appended of it.
    ///
    /// # Errors
    /// One of the files cannot be written, or the target is not what it was when appending to it began.
    pub(super) fn undo(&self, folder: &Path) -> Result<(), SinkError> {
        // Of a target that is gone there is nothing to take back.
        if let How::AppendAt(at) = self.how
            && let Some(target) = self.begun(at, folder)?
        {
            let cut = target.set_len(at).and_then(|()| target.sync_all());
            cut.map_err(|error| failure(&folder.join(&self.target), 0, &error))?;
        }
        fs::remove_file(self.path(folder)).map_err(|error| failure(&self.path(folder), 0, &error))
    }

    /// The target, to be written, where all that it has from byte `at` on was appended of this; none where it is gone.
    fn begun(&self, at: u64, folder: &Path) -> Result<Option<File>, SinkError> {
        let (path, target) = (self.path(folder), folder.join(&self.target));
        let mut file = match OpenOptions::new().read(true).write(true).open(&target) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failure(&target, 0, &error)),
        };
        let end = file.metadata().map_err(|error| failure(&target, 0, &error))?.len();
        if end == at {
            return Ok(Some(file));
        }
        let same = File::open(path).and_then(|mut from| {
            let appended = end.checked_sub(at).is_some_and(|tail| from.metadata().is_ok_and(|own| tail <= own.len()));
            Ok(appended && file.seek(SeekFrom::Start(at)).is_ok() && begins_with(&mut from, &mut file)?)
        });
        match same {
            Ok(true) => Ok(Some(file)),
            Ok(false) => Err(self.changed(at, folder)),
            Err(error) => Err(self.missing_or(&target, folder, &error)),
        }
    }

    fn changed(&self, at: u64, folder: &Path) -> SinkError {
        let shown = |path: PathBuf| short(&path).display().to_string();
        let (aside, target) = (shown(self.path(folder)), shown(folder.join(&self.target)));
        let message = format!(
            "{target} is not the file that {aside} was being appended to from byte {at} on: it was replaced, changed \
             or removed since; put it back as it was, or remove {aside} to go on without its rows"
        );
        SinkError { message, retriable: false }
    }

    /// What fails because something is missing lacks the prepared file, as the target need not be there.
    fn missing_or(&self, target: &Path, folder: &Path, error: &io::Error) -> SinkError {
        let path = self.path(folder);
        failure(if error.kind() == ErrorKind::NotFound { &path } else { target }, 0, error)
    }

    fn path(&self, folder: &Path) -> PathBuf {
        folder.join(self.name())
    }
}

/// Whether the rest of `part` is what `whole` begins with. Zeros are as good as any: a machine that lost its power may
/// know how long a file became and not what was in its last blocks.
fn begins_with(whole: &mut File, part: &mut File) -> io::Result<bool> {
    let (mut of_part, mut of_whole) = (vec![0; COMPARED_BYTES], vec![0; COMPARED_BYTES]);
    loop {
        let read = part.read(&mut of_part)?;
        whole.read_exact(&mut of_whole[..read])?;
        if of_part[..read].iter().zip(&of_whole).any(|(part, whole)| part != whole && *part != 0) {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder in which appending `new` to a target of four bytes was interrupted, and the target is now that.
    fn interrupted(now: Option<&[u8]>) -> (tempfile::TempDir, Aside) {
        let folder = tempfile::tempdir().unwrap();
        let aside = Aside { epoch: 3, target: "out".to_owned(), how: How::AppendAt(4) };
        fs::write(aside.path(folder.path()), b"new\n").unwrap();
        now.into_iter().for_each(|bytes| fs::write(folder.path().join("out"), bytes).unwrap());
        (folder, aside)
    }

    fn names(folder: &Path) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let mut files: Vec<_> =
            entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect();
        files.sort();
        files
    }

    #[test]
    fn what_was_appended_is_taken_back_or_appended_to_its_end_and_nothing_else_is_touched() {
        for now in [&b"old\n"[..], b"old\nne", b"old\nn\0\0\n", b"old\nnew\n"] {
            for (committed, then) in [(true, &b"old\nnew\n"[..]), (false, b"old\n")] {
                let (folder, mut aside) = interrupted(Some(now));
                let done = if committed { aside.commit(folder.path()) } else { aside.undo(folder.path()) };
                done.unwrap();
                assert_eq!(names(folder.path()), [("out".to_owned(), then.to_vec())], "{now:?}");
            }
        }
    }

    #[test]
    fn a_target_that_was_removed_has_nothing_to_be_taken_back() {
        let (folder, aside) = interrupted(None);
        aside.undo(folder.path()).unwrap();
        assert_eq!(names(folder.path()), []);
    }

    #[test]
    fn a_target_that_is_another_file_now_is_left_as_it_is_and_both_files_are_named() {
        for now in [None, Some(&b""[..]), Some(b"mi\n"), Some(b"old\nmine\n"), Some(b"old\nnew\nmine\n")] {
            for commit in [true, false] {
                if (now, commit) == (None, false) {
                    continue;
                }
                let (folder, mut aside) = interrupted(now);
                let before = names(folder.path());
                let refused = if commit { aside.commit(folder.path()) } else { aside.undo(folder.path()) };
                let SinkError { message, retriable } = refused.unwrap_err();
                let out = folder.path().join("out").display().to_string();
                assert!(message.starts_with(&out) && message.contains(".out.3.append-at-4.tmp"), "{message}");
                assert!(message.contains("put it back as it was, or remove ") && !retriable, "{message}");
                assert_eq!(names(folder.path()), before, "{now:?}, to be committed: {commit}");
            }
        }
    }

    #[test]
    fn a_prepared_file_that_is_gone_is_the_one_that_is_named() {
        for how in [How::Rename, How::Append, How::AppendAt(0)] {
            let folder = tempfile::tempdir().unwrap();
            let mut aside = Aside { epoch: 3, target: "out".to_owned(), how };
            fs::write(folder.path().join("out"), "old\n").unwrap();
            let named = aside.path(Path::new("")).display().to_string();
            let message = aside.commit(folder.path()).unwrap_err().message;
            assert!(message.contains(&format!("{named} cannot be written: No such file")), "{message}");
            assert_eq!(names(folder.path()), [("out".to_owned(), b"old\n".to_vec())], "and nothing else happens");
        }
    }

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
