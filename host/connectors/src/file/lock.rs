//! Who writes to a target: one sink at a time, of all pipelines and processes.
//!
//! A sink holds a lock on a hidden file beside its target from before it looks at what an earlier one left until it is
//! gone. The system ends the lock with the process, however that dies, so no sink waits for a dead one. The file is
//! removed with the hold, because a folder of results should have nothing else in it. So whoever opened it just before
//! that gets the lock of a file that has no name any more: it looks, once it has the lock, whether the name is still
//! that file's.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How often a file that lost its name meanwhile is opened again: each time another sink has just ended. More often
/// than that, this file system does not say which file is which, and a lock is worth nothing there.
const TRIES_MAX: u32 = 100;

/// With whom a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// With nobody.
    Alone,
    /// With others that share it.
    WithOthers,
}

/// A lock that is held; it ends when this is dropped.
pub(super) struct Hold {
    path: PathBuf,
    share: Share,
    file: File,
}

/// What became of a lock.
pub(super) enum Taken {
    /// It is ours.
    Held(Hold),
    /// Somebody else has it.
    Elsewhere,
    /// There are no locks here, or no files: then there is nothing to guard, or nothing to guard it with.
    Impossible,
}

impl Hold {
    /// Locks the file at `path`, which is made where it is not there.
    ///
    /// # Errors
    /// It is there and cannot be opened, or cannot be made.
    pub(super) fn take(path: PathBuf, share: Share) -> io::Result<Taken> {
        for _ in 0..TRIES_MAX {
            let Some(file) = open(&path)? else { return Ok(Taken::Impossible) };
            let locked = match share {
                Share::Alone => file.try_lock(),
                Share::WithOthers => file.try_lock_shared(),
            };
            match locked {
                Ok(()) if is_at(&file, &path)? => return Ok(Taken::Held(Self { path, share, file })),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Taken::Elsewhere),
                // The lock guards against a mistake; a file system without locks must not keep anybody from working.
                Err(TryLockError::Error(error)) => {
                    tracing::warn!(
                        "{} cannot be locked, and nobody is kept from writing there: {error}",
                        path.display()
                    );
                    if error.kind() == ErrorKind::Unsupported {
                        // Nobody has a lock here; what cannot be removed is hidden and harms nobody.
                        drop(fs::remove_file(path));
                    }
                    return Ok(Taken::Impossible);
                }
            }
        }
        tracing::warn!("{} is another file each time, and nobody is kept from writing there", path.display());
        Ok(Taken::Impossible)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.share == Share::WithOthers {
            // The last of those that share it removes it; one that is on its way in looks whether it has its name.
            drop(self.file.unlock());
            if self.file.try_lock().is_err() {
                return;
            }
        }
        // Where somebody took the file away, the one of that name is another's.
        if is_at(&self.file, &self.path).unwrap_or(false) {
            drop(fs::remove_file(&self.path));
        }
        // Not only by closing: a process that is being started has our files for a moment.
        drop(self.file.unlock());
    }
}

/// Opens the file, or makes it; none where nothing can be made, so that nothing can be written beside it either.
fn open(path: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path) {
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            // Another user's: reading is enough for a lock.
            match File::open(path) {
                Err(missing) if missing.kind() == ErrorKind::NotFound => Ok(None),
                opened => opened.map(Some),
            }
        }
        opened => opened.map(Some),
    }
}

/// Whether that is the name of that file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (own.dev(), own.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(path: &Path, share: Share) -> Option<Hold> {
        match Hold::take(path.to_owned(), share).unwrap() {
            Taken::Held(hold) => Some(hold),
            Taken::Elsewhere => None,
            Taken::Impossible => panic!("there are locks here"),
        }
    }

    #[test]
    fn a_lock_has_one_holder_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        // As after a crash.
        fs::write(&path, "").unwrap();
        let first = held(&path, Share::Alone).unwrap();
        assert!(held(&path, Share::Alone).is_none() && held(&path, Share::WithOthers).is_none());
        drop(first);
        assert!(!path.exists());
        assert!(held(&path, Share::Alone).is_some());
    }

    #[test]
    fn a_lock_that_is_shared_goes_with_the_last_that_shares_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let [first, second] = [(); 2].map(|()| held(&path, Share::WithOthers).unwrap());
        drop(first);
        assert!(held(&path, Share::Alone).is_none() && path.exists());
        drop(second);
        assert!(!path.exists());
        assert!(held(&path, Share::Alone).is_some());
    }

    #[test]
    fn a_lock_of_a_file_that_lost_its_name_while_it_was_opened_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = held(&path, Share::Alone).unwrap();
        let late = File::open(&path).unwrap();
        drop(first);
        late.try_lock().unwrap();
        assert!(!is_at(&late, &path).unwrap(), "it has no name");
        let next = held(&path, Share::Alone).unwrap();
        assert!(!is_at(&late, &path).unwrap(), "its name is another's");
        assert!(held(&path, Share::Alone).is_none());
        drop(next);
    }

    #[test]
    fn a_lock_whose_file_was_taken_away_does_not_remove_that_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = held(&path, Share::Alone).unwrap();
        fs::remove_file(&path).unwrap();
        let second = held(&path, Share::Alone).unwrap();
        drop(first);
        assert!(held(&path, Share::Alone).is_none());
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn where_no_file_can_be_made_there_is_nothing_to_lock() {
        // Nobody can make a file there, not even root.
        let taken = Hold::take("/sys/lock".into(), Share::Alone).unwrap();
        assert!(matches!(taken, Taken::Impossible));
    }

    #[test]
    fn many_that_come_and_go_at_once_are_never_two() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let inside = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        if let Some(hold) = held(&path, Share::Alone) {
                            assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                            inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                            drop(hold);
                        }
                    }
                });
            }
        });
        assert!(!path.exists());
    }
}
