//! What is done to the files of an epoch, on a thread of its own: a disk's flush waits, and copying takes its time.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::task::Waker;

use wasmill_engine::sink::SinkError;

use super::aside::{Aside, How, open_name, sync_folder};
use super::failure::failure;
use super::place::may_go;

/// What preparing comes to: the files that recovery knows.
pub(super) type Durable = Result<Vec<Aside>, SinkError>;

/// What committing comes to: what is left of it, and why.
pub(super) type Seen = (Unseen, Result<(), SinkError>);

/// Work on an epoch, on a thread.
pub(super) struct Work<T> {
    /// The epoch.
    pub(super) epoch: u64,
    done: Receiver<T>,
}

impl<T: Send + 'static> Work<T> {
    /// Starts it, for a sink in that folder; the waker is called when it is done.
    ///
    /// # Errors
    /// The system has no more threads.
    pub(super) fn start(
        epoch: u64,
        folder: &Path,
        waker: Waker,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Self, SinkError> {
        let (tell, done) = channel();
        let work = move || {
            let made = work();
            // Nobody listens when the sink is gone.
            drop(tell.send(made));
            drop(tell);
            waker.wake();
        };
        std::thread::Builder::new().name("file sink".to_owned()).spawn(work).map_err(|error| SinkError {
            message: format!("no thread can be started for {}: {error}; raise the limit on threads", folder.display()),
            retriable: true,
        })?;
        Ok(Self { epoch, done })
    }

    /// What it came to; none while it works.
    ///
    /// # Errors
    /// It ended without an answer, which is a mistake of ours.
    pub(super) fn poll(&self) -> Result<Option<T>, SinkError> {
        match self.done.try_recv() {
            Ok(made) => Ok(Some(made)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(SinkError {
                message: "internal error, please report it: flushing files ended without an answer".to_owned(),
                retriable: true,
            }),
        }
    }
}

impl<T> Drop for Work<T> {
    /// Waits, so that no thread renames files behind the back of a sink that is opened next. Not by joining: the thread
    /// calls the waker last, which may want what the dropping thread holds.
    fn drop(&mut self) {
        drop(self.done.recv());
    }
}

/// Flushes the files of these targets and gives them the names that recovery knows them by.
///
/// They are opened again, because an epoch may have more of them than a process may have open. That flushes all the
/// same: what was written is the file's, not the descriptor's. An error of writing back that nobody was told of is told
/// to who opens the file next (Linux since 4.17), unless the system had to forget the file in between for want of
/// memory: far rarer than an epoch of many parts, which would fail for certain.
///
/// # Errors
/// A file cannot be made durable, or its name.
pub(super) fn make_durable(folder: &Path, targets: Vec<String>, epoch: u64, how: How) -> Durable {
    let mut asides = Vec::with_capacity(targets.len());
    for target in targets {
        let open = folder.join(open_name(&target));
        let aside = Aside { epoch, target, how };
        let durable = File::open(&open).and_then(|file| file.sync_all());
        let durable = durable.and_then(|()| fs::rename(&open, folder.join(aside.name())));
        durable.map_err(|error| failure(&open, 0, &error))?;
        asides.push(aside);
    }
    sync_folder(folder).map_err(|error| failure(folder, 0, &error))?;
    Ok(asides)
}

/// What is to be done yet to make an epoch visible.
pub(super) struct Unseen {
    /// Results of an earlier run, to be removed.
    pub(super) replaced: Vec<String>,
    /// Files to become visible, in order.
    pub(super) asides: Vec<Aside>,
}

impl Unseen {
    /// Does it. One by one: what is done need not be done again when the next one fails.
    ///
    /// # Errors
    /// Something cannot be done; what is left is here.
    pub(super) fn make_visible(&mut self, folder: &Path) -> Result<(), SinkError> {
        let Self { replaced, asides } = self;
        replaced.retain(|name| !asides.iter().any(|aside| aside.target == *name));
        while let Some(name) = replaced.last() {
            let path = folder.join(name);
            may_go(&path)?;
            removed(fs::remove_file(&path)).map_err(|error| failure(&path, 0, &error))?;
            replaced.pop();
        }
        while let Some(aside) = asides.first_mut() {
            aside.commit(folder)?;
            asides.remove(0);
        }
        sync_folder(folder).map_err(|error| failure(folder, 0, &error))
    }
}

/// To remove what is not there is no error.
fn removed(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
