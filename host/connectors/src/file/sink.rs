//! Writes files that become visible once they are committed: numbered parts in a folder, or one file.
//!
//! Rows go to a hidden file beside the target. `prepare` makes it durable and `commit` gives it its name, both on a
//! thread ([`super::epoch`]), and after a crash the commit is repeated ([`super::aside`]). So a reader of a folder
//! never sees half a part; of an epoch with several parts it may see some before the others, as they get their names
//! one by one. A single file gets the rows of later epochs appended, and a reader of it may see the end of that cut. An
//! epoch with no rows makes no file. One sink at a time writes to a target ([`super::lock`]).

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Waker;

use serde_json::Value;
use wasmill_engine::clock::Micros;
use wasmill_engine::sink::{Block, Progress, Promise, SinkError, SinkWriter, Wants};

use super::aside::{Aside, How, open_name, sync_folder};
use super::config::{Compression, SinkConfig};
use super::epoch::{Durable, Seen, Unseen, Work, make_durable};
use super::failure::{failure, short};
use super::lock::{Hold, Taken};
use super::output::Output;
use super::place::{may_go, meant};
use super::targets::Targets;
use crate::connector::{SinkContext, SinkEntry};
use crate::error::ConnectorError;

/// The sink, for the registry.
pub(crate) const ENTRY: SinkEntry = SinkEntry { name: "file", check, open, one_file };

/// Checks the configuration.
fn check(value: &Value) -> Result<(), ConnectorError> {
    SinkConfig::parse(value).map(|_| ())
}

/// Makes the folder, and refuses a path that no file can have; nothing else is touched before `recover`.
fn open(value: &Value, context: &SinkContext) -> Result<Box<dyn SinkWriter>, ConnectorError> {
    let config = SinkConfig::parse(value)?;
    let sink = FileSink::new(&config, context, create)?;
    fs::create_dir_all(&sink.folder).map_err(|error| {
        let problem = format!("{} cannot be made: {error}; correct `path`", sink.folder.display());
        ConnectorError::open("file", "path", problem)
    })?;
    Ok(Box::new(sink))
}

/// The file that it writes, where it is one and is not to be overwritten.
fn one_file(value: &Value, base: &Path) -> Option<PathBuf> {
    let config = SinkConfig::parse(value).ok()?;
    (!config.overwrite && !config.is_folder(base)).then(|| base.join(&config.path))
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// A sink over files.
struct FileSink {
    folder: PathBuf,
    targets: Targets,
    header: Arc<[u8]>,
    compression: Compression,
    max_bytes: u64,
    overwrite: bool,
    waker: Waker,
    /// Makes a file: a seam, because disks that are full are rare in tests.
    create: fn(&Path) -> io::Result<File>,
    /// Number of the next part.
    next: u64,
    /// Whether the target has rows of this pipeline, or will have when what is prepared is committed.
    begun: bool,
    /// Results of an earlier run, to be removed when the first epoch is committed.
    replaced: Vec<String>,
    part: Option<Part>,
    /// Targets of this epoch whose files are full and closed, until it is prepared.
    full: Vec<String>,
    preparing: Option<Work<Durable>>,
    prepared: BTreeMap<u64, Vec<Aside>>,
    committing: Option<Work<Seen>>,
    /// Last, so that they end when nothing is touched any more.
    holds: Vec<Hold>,
}

/// The file that is being written.
struct Part {
    target: String,
    output: Output,
    /// Bytes that it took, before compression.
    bytes: u64,
}

impl Drop for FileSink {
    /// Removes what is not prepared: nobody can ask for it any more, and a run that failed should not fill the disk.
    fn drop(&mut self) {
        // What is under way is waited for.
        drop(self.preparing.take());
        drop(self.committing.take());
        for target in self.part.iter().map(|part| &part.target).chain(&self.full) {
            // What cannot be removed is found by the next `recover`.
            drop(fs::remove_file(self.folder.join(open_name(target))));
        }
    }
}

impl FileSink {
    fn new(
        config: &SinkConfig,
        context: &SinkContext,
        create: fn(&Path) -> io::Result<File>,
    ) -> Result<Self, ConnectorError> {
        let path = context.base.join(&config.path);
        let is_folder = config.is_folder(&context.base);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let named = if is_folder { Compression::None } else { Compression::of_name(&name) };
        let compression = config.compression.unwrap_or(named);
        let (folder, targets) = if is_folder {
            (path, Targets::Parts(format!(".{}{}", context.extension, compression.suffix())))
        } else {
            // How it is packed is said by the name that was given, where it is by the one that this leads to.
            let path = meant(path).map_err(|problem| ConnectorError::open("file", "path", problem))?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            (folder.to_owned(), Targets::One(name))
        };
        Ok(Self {
            folder,
            targets,
            header: context.header.clone(),
            compression,
            max_bytes: config.max_bytes,
            overwrite: config.overwrite,
            waker: context.waker.clone(),
            create,
            next: 0,
            begun: false,
            replaced: Vec::new(),
            part: None,
            full: Vec::new(),
            preparing: None,
            prepared: BTreeMap::new(),
            committing: None,
            holds: Vec::new(),
        })
    }

    /// The part to write to; a new one where there is none or it is full.
    fn part(&mut self) -> Result<&mut Part, SinkError> {
        let roll = matches!(self.targets, Targets::Parts(_));
        if roll && self.part.as_ref().is_some_and(|part| part.bytes >= self.max_bytes) {
            self.finish()?;
        }
        if self.part.is_none() {
            let target = self.targets.name(self.next);
            let path = self.folder.join(open_name(&target));
            let made = (self.create)(&path).and_then(|file| {
                let mut output = Output::new(file, self.compression)?;
                if roll || !self.begun {
                    output.write(&self.header)?;
                }
                Ok(output)
            });
            let output = made.map_err(|error| failure(&path, 0, &error))?;
            self.next += 1;
            self.part = Some(Part { target, output, bytes: 0 });
        }
        Ok(self.part.as_mut().expect("a part was made above"))
    }

    /// Hands the current part to the operating system, and closes it: an epoch may have very many.
    fn finish(&mut self) -> Result<(), SinkError> {
        if let Some(Part { target, output, bytes }) = self.part.take() {
            output.finish().map_err(|error| self.give_up(&target, bytes, &error))?;
            self.full.push(target);
        }
        Ok(())
    }

    /// Removes what cannot be finished, which also gives a full disk its space back.
    fn give_up(&self, target: &str, bytes: u64, error: &io::Error) -> SinkError {
        let path = self.folder.join(open_name(target));
        // What cannot be removed is found by the next `recover`.
        drop(fs::remove_file(path));
        failure(&self.folder.join(target), bytes, error)
    }

    /// Starts to make the epoch durable.
    fn start_prepare(&mut self, epoch: u64) -> Result<Work<Durable>, SinkError> {
        let (into, targets) = (self.folder.clone(), self.full.clone());
        let one = matches!(self.targets, Targets::One(_));
        let how = if one && self.begun { How::Append } else { How::Rename };
        let work = move || make_durable(&into, targets, epoch, how);
        let work = Work::start(epoch, &self.folder, self.waker.clone(), work)?;
        self.begun |= one;
        Ok(work)
    }

    /// Starts to make the epoch visible; none where there is nothing to do.
    fn start_commit(&self, epoch: u64) -> Result<Option<Work<Seen>>, SinkError> {
        let asides = self.prepared.get(&epoch);
        if asides.is_none() && self.replaced.is_empty() {
            return Ok(None);
        }
        // A copy, so that nothing is forgotten where no thread can be had.
        let (asides, replaced) = (asides.cloned().unwrap_or_default(), self.replaced.clone());
        let (into, mut unseen) = (self.folder.clone(), Unseen { replaced, asides });
        let work = move || {
            let seen = unseen.make_visible(&into);
            (unseen, seen)
        };
        Work::start(epoch, &self.folder, self.waker.clone(), work).map(Some)
    }

    /// Takes what must be held before anything is touched.
    fn lock(&self) -> Result<Vec<Hold>, SinkError> {
        let mut holds = Vec::new();
        for (name, share) in self.targets.locks() {
            let path = self.folder.join(name);
            match Hold::take(path.clone(), share).map_err(|error| failure(&path, 0, &error))? {
                Taken::Held(hold) => holds.push(hold),
                Taken::Impossible => {}
                Taken::Elsewhere => {
                    let message = format!(
                        "{}: another sink writes to the same `path`, of a pipeline that is running or of this one; \
                         give each its own, or wait until that one has ended",
                        self.place()
                    );
                    return Err(SinkError { message, retriable: false });
                }
            }
        }
        Ok(holds)
    }

    /// Finishes what is committed, undoes the rest. Answers the visible files with their numbers.
    fn clean(&self, committed: Option<u64>) -> Result<Vec<(u64, String)>, SinkError> {
        let failed = |error| failure(Path::new(&self.place()), 0, &error);
        let found = self.targets.scan(&self.folder).map_err(failed)?;
        for name in found.open {
            let path = self.folder.join(name);
            fs::remove_file(&path).map_err(|error| failure(&path, 0, &error))?;
        }
        for mut aside in found.prepared {
            if Some(aside.epoch) <= committed { aside.commit(&self.folder)? } else { aside.undo(&self.folder)? }
        }
        sync_folder(&self.folder).map_err(failed)?;
        Ok(self.targets.scan(&self.folder).map_err(failed)?.visible)
    }
}

impl SinkWriter for FileSink {
    fn wants(&self) -> Wants {
        Wants::Bytes
    }

    fn promise(&self) -> Promise {
        Promise::Recoverable
    }

    fn recover(&mut self, committed: Option<u64>) -> Result<Option<u64>, SinkError> {
        // One that could not be recovered and is asked again must not meet its own lock.
        self.holds.clear();
        self.holds = self.lock()?;
        let visible = self.clean(committed)?;
        let fresh = committed.is_none();
        if let (Targets::One(name), true, false, false) = (&self.targets, fresh, self.overwrite, visible.is_empty()) {
            let message = format!(
                "{} exists; remove it, choose another `path`, or set `overwrite: true`",
                self.folder.join(name).display()
            );
            return Err(SinkError { message, retriable: false });
        }
        if fresh && self.overwrite {
            visible.iter().try_for_each(|(_, name)| may_go(&self.folder.join(name)))?;
            self.replaced = visible.into_iter().map(|(_, name)| name).collect();
        } else {
            self.begun = !visible.is_empty();
            self.next = visible.iter().map(|(number, _)| number + 1).max().unwrap_or(0);
        }
        Ok(committed)
    }

    fn write(&mut self, _: Micros, block: &Block<'_>) -> Result<Progress, SinkError> {
        if block.bytes.is_empty() {
            return Ok(Progress::Done);
        }
        let part = self.part()?;
        match part.output.write(block.bytes) {
            Ok(()) => {
                part.bytes += block.bytes.len() as u64;
                Ok(Progress::Done)
            }
            Err(error) => {
                let part = self.part.take().expect("it was written to");
                Err(self.give_up(&part.target, part.bytes, &error))
            }
        }
    }

    fn prepare(&mut self, epoch: u64) -> Result<Progress, SinkError> {
        let preparing = match self.preparing.take() {
            Some(preparing) => preparing,
            None => {
                self.finish()?;
                if self.full.is_empty() {
                    return Ok(Progress::Done);
                }
                self.start_prepare(epoch)?
            }
        };
        assert_eq!(preparing.epoch, epoch, "an epoch is prepared to its end before the next");
        let Some(made) = preparing.poll()? else {
            self.preparing = Some(preparing);
            return Ok(Progress::Pending { until: None });
        };
        self.prepared.insert(epoch, made?);
        self.full.clear();
        Ok(Progress::Done)
    }

    fn commit(&mut self, epoch: u64) -> Result<Progress, SinkError> {
        let started = self.committing.take();
        let Some(committing) = started.map_or_else(|| self.start_commit(epoch), |started| Ok(Some(started)))? else {
            return Ok(Progress::Done);
        };
        assert_eq!(committing.epoch, epoch, "an epoch is committed to its end before the next");
        let Some((unseen, seen)) = committing.poll()? else {
            self.committing = Some(committing);
            return Ok(Progress::Pending { until: None });
        };
        self.replaced = unseen.replaced;
        // It stays prepared until all of it is done.
        self.prepared.insert(epoch, unseen.asides);
        seen?;
        self.prepared.remove(&epoch);
        Ok(Progress::Done)
    }

    fn place(&self) -> String {
        match &self.targets {
            Targets::One(name) => short(&self.folder.join(name)).display().to_string(),
            Targets::Parts(_) => format!("{}/", short(&self.folder).display().to_string().trim_end_matches('/')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_engine::batch::{Batch, Layout, Records};
    use wasmill_engine::schema::Schema;

    fn sink(folder: &Path, path: &str, create: fn(&Path) -> io::Result<File>) -> FileSink {
        let context = SinkContext {
            base: folder.to_owned(),
            waker: Waker::noop().clone(),
            pipeline: "test".into(),
            name: "out".into(),
            extension: "ndjson".into(),
            header: Arc::new([]),
        };
        let config = SinkConfig::parse(&serde_json::json!({ "path": path })).unwrap();
        FileSink::new(&config, &context, create).unwrap()
    }

    fn write(sink: &mut FileSink, bytes: &[u8]) -> Result<Progress, SinkError> {
        let schema = Schema::new(Vec::new());
        let (source, partition): (Arc<str>, Arc<str>) = ("in".into(), "0".into());
        let (columns, event_time, message, raw) = (Vec::new(), None, None, None);
        let records = Records { source, partition, rows: 1, columns, event_time, message, raw, first: 0 };
        let batch = Batch::new(Arc::new(records), Arc::new(Layout::of_source(&schema)));
        sink.write(0, &Block { batch: &batch, bytes, ends: &[bytes.len() as u32] })
    }

    /// A file on a disk that has no room.
    fn full(_: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).open("/dev/full")
    }

    #[test]
    fn a_full_disk_is_told_with_the_path_and_what_to_do_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for (path, target) in [("./", "part-00000.ndjson"), ("out.ndjson", "out.ndjson")] {
            for bytes in [10, 1_000_000] {
                let mut sink = sink(folder.path(), path, full);
                sink.recover(None).unwrap();
                let error = write(&mut sink, &vec![b'\n'; bytes]).and_then(|_| sink.prepare(1)).unwrap_err();
                assert!(error.retriable, "room can be made");
                assert!(error.message.contains(target), "{error}");
                assert!(error.message.contains("No space left on device"), "{error}");
                assert!(
                    error.message.contains("make room or choose another `path`; nothing of this epoch is visible"),
                    "{error}"
                );
            }
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
