//! Writes files that become visible as a whole: numbered parts in a folder, or one file.
//!
//! Rows go to a hidden file beside the target. `prepare` makes it durable on a thread of its own, because a disk's
//! flush waits; `commit` renames it. So a reader never sees half an epoch of a folder, and after a crash the commit
//! is repeated ([`super::aside`]). A single file gets the rows of later epochs appended. An epoch with no rows makes
//! no file.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::task::Waker;

use serde_json::Value;
use wasmill_engine::clock::Micros;
use wasmill_engine::sink::{Block, Progress, Promise, SinkError, SinkWriter, Wants};

use super::aside::{Aside, How, open_name, parse_open, sync_folder};
use super::config::{Compression, SinkConfig};
use super::output::Output;
use crate::connector::{SinkContext, SinkEntry};
use crate::error::ConnectorError;

/// The sink, for the registry.
pub(crate) const ENTRY: SinkEntry = SinkEntry { name: "file", check, open };

/// Checks the configuration.
fn check(value: &Value) -> Result<(), ConnectorError> {
    SinkConfig::parse(value).map(|_| ())
}

/// Makes the folder; nothing else is touched before `recover`.
fn open(value: &Value, context: &SinkContext) -> Result<Box<dyn SinkWriter>, ConnectorError> {
    let config = SinkConfig::parse(value)?;
    let sink = FileSink::new(&config, context, create);
    fs::create_dir_all(&sink.folder).map_err(|error| {
        let problem = format!("{} cannot be made: {error}; correct `path`", sink.folder.display());
        ConnectorError::open("file", "path", problem)
    })?;
    Ok(Box::new(sink))
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// How the files that people see are named.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Targets {
    /// One file of that name.
    One(String),
    /// `part-00000` and this ending.
    Parts(String),
}

impl Targets {
    fn name(&self, number: u64) -> String {
        match self {
            Self::One(name) => name.clone(),
            Self::Parts(ending) => format!("part-{number:05}{ending}"),
        }
    }

    /// The number of the target of that name; none where it is not one of ours.
    fn number(&self, name: &str) -> Option<u64> {
        match self {
            Self::One(own) => (name == own).then_some(0),
            Self::Parts(ending) => {
                let digits = name.strip_prefix("part-")?.strip_suffix(ending.as_str())?;
                let all = digits.len() >= 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
                all.then(|| digits.parse().ok())?
            }
        }
    }
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
    /// Parts of this epoch that are full.
    full: Vec<(String, File)>,
    preparing: Option<Preparing>,
    prepared: BTreeMap<u64, Vec<Aside>>,
}

/// The file that is being written.
struct Part {
    target: String,
    output: Output,
    /// Bytes that it took, before compression.
    bytes: u64,
}

/// What a sink finds in its folder.
#[derive(Default)]
struct Found {
    /// What people see, with its number.
    visible: Vec<(u64, String)>,
    prepared: Vec<Aside>,
    /// What was being written.
    open: Vec<String>,
}

/// A thread that makes an epoch durable.
struct Preparing {
    epoch: u64,
    done: Receiver<Result<Vec<Aside>, SinkError>>,
}

impl Drop for Preparing {
    /// Waits, so that no thread renames files behind the back of a sink that is opened next. Not by joining: the thread
    /// calls the waker last, which may want what the dropping thread holds.
    fn drop(&mut self) {
        drop(self.done.recv());
    }
}

impl Drop for FileSink {
    /// Removes what is not prepared: nobody can ask for it any more, and a run that failed should not fill the disk.
    fn drop(&mut self) {
        let full = self.full.iter().map(|(target, _)| target);
        for target in self.part.iter().map(|part| &part.target).chain(full) {
            // What cannot be removed is found by the next `recover`.
            drop(fs::remove_file(self.folder.join(open_name(target))));
        }
    }
}

impl FileSink {
    fn new(config: &SinkConfig, context: &SinkContext, create: fn(&Path) -> io::Result<File>) -> Self {
        let path = context.base.join(&config.path);
        let is_folder = config.path.ends_with('/') || path.is_dir();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let named = if is_folder { Compression::None } else { Compression::of_name(&name) };
        let compression = config.compression.unwrap_or(named);
        let (folder, targets) = if is_folder {
            (path, Targets::Parts(format!(".{}{}", context.extension, compression.suffix())))
        } else {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            (folder.to_owned(), Targets::One(name))
        };
        Self {
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
        }
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

    /// Hands the current part to the operating system.
    fn finish(&mut self) -> Result<(), SinkError> {
        if let Some(Part { target, output, bytes }) = self.part.take() {
            let file = output.finish().map_err(|error| self.give_up(&target, bytes, &error))?;
            self.full.push((target, file));
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
    fn start(&mut self, epoch: u64) -> Result<Preparing, SinkError> {
        let (folder, files, waker) = (self.folder.clone(), std::mem::take(&mut self.full), self.waker.clone());
        let append = matches!(self.targets, Targets::One(_)) && std::mem::replace(&mut self.begun, true);
        let how = if append { How::Append } else { How::Rename };
        let (tell, done) = channel();
        let work = move || {
            let made = make_durable(&folder, files, epoch, how);
            // Nobody listens when the sink is gone.
            drop(tell.send(made));
            drop(tell);
            waker.wake();
        };
        std::thread::Builder::new().name("file sink".to_owned()).spawn(work).map_err(|error| SinkError {
            message: format!("no thread could be started to flush {}: {error}", self.folder.display()),
            retriable: true,
        })?;
        Ok(Preparing { epoch, done })
    }

    /// What of ours is in the folder.
    fn scan(&self) -> io::Result<Found> {
        let mut found = Found::default();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if let Some(number) = self.targets.number(&name) {
                found.visible.push((number, name));
            } else if parse_open(&name).is_some_and(|target| self.targets.number(target).is_some()) {
                found.open.push(name);
            } else if let Some(aside) = Aside::parse(&name).filter(|a| self.targets.number(&a.target).is_some()) {
                found.prepared.push(aside);
            }
        }
        // By epoch, then part.
        found.prepared.sort();
        Ok(found)
    }

    /// Finishes what is committed, undoes the rest. Answers the visible files with their numbers.
    fn clean(&self, committed: Option<u64>) -> io::Result<Vec<(u64, String)>> {
        let found = self.scan()?;
        for name in found.open {
            fs::remove_file(self.folder.join(name))?;
        }
        for mut aside in found.prepared {
            if Some(aside.epoch) <= committed { aside.commit(&self.folder)? } else { aside.undo(&self.folder)? }
        }
        sync_folder(&self.folder)?;
        Ok(self.scan()?.visible)
    }

    fn make_visible(&mut self, epoch: u64) -> io::Result<()> {
        let asides = self.prepared.entry(epoch).or_default();
        if asides.is_empty() && self.replaced.is_empty() {
            self.prepared.remove(&epoch);
            return Ok(());
        }
        for name in self.replaced.drain(..).filter(|name| !asides.iter().any(|aside| aside.target == *name)) {
            match fs::remove_file(self.folder.join(name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // One by one: what is done need not be done again when the next one fails.
        while let Some(aside) = asides.first_mut() {
            aside.commit(&self.folder)?;
            asides.remove(0);
        }
        self.prepared.remove(&epoch);
        sync_folder(&self.folder)
    }
}

/// Flushes the files and gives them the names that recovery knows them by.
fn make_durable(folder: &Path, files: Vec<(String, File)>, epoch: u64, how: How) -> Result<Vec<Aside>, SinkError> {
    let mut asides = Vec::with_capacity(files.len());
    for (target, file) in files {
        let open = folder.join(open_name(&target));
        let aside = Aside { epoch, target, how };
        let durable = file.sync_all().and_then(|()| fs::rename(&open, folder.join(aside.name())));
        durable.map_err(|error| failure(&open, 0, &error))?;
        asides.push(aside);
    }
    sync_folder(folder).map_err(|error| failure(folder, 0, &error))?;
    Ok(asides)
}

/// Why a file cannot be written, and what to do.
fn failure(path: &Path, bytes: u64, error: &io::Error) -> SinkError {
    let path = path.display();
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

impl SinkWriter for FileSink {
    fn wants(&self) -> Wants {
        Wants::Bytes
    }

    fn promise(&self) -> Promise {
        Promise::Recoverable
    }

    fn recover(&mut self, committed: Option<u64>) -> Result<Option<u64>, SinkError> {
        let visible = self.clean(committed).map_err(|error| failure(&self.folder, 0, &error))?;
        let fresh = committed.is_none();
        if let (Targets::One(name), true, false, false) = (&self.targets, fresh, self.overwrite, visible.is_empty()) {
            let message = format!(
                "{} exists; remove it, choose another `path`, or set `overwrite: true`",
                self.folder.join(name).display()
            );
            return Err(SinkError { message, retriable: false });
        }
        if fresh && self.overwrite {
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
                self.start(epoch)?
            }
        };
        assert_eq!(preparing.epoch, epoch, "an epoch is prepared to its end before the next");
        match preparing.done.try_recv() {
            Ok(made) => {
                self.prepared.insert(epoch, made?);
                Ok(Progress::Done)
            }
            Err(TryRecvError::Empty) => {
                self.preparing = Some(preparing);
                Ok(Progress::Pending { until: None })
            }
            Err(TryRecvError::Disconnected) => {
                Err(SinkError { message: format!("flushing {} did not end", self.folder.display()), retriable: true })
            }
        }
    }

    fn commit(&mut self, epoch: u64) -> Result<Progress, SinkError> {
        self.make_visible(epoch).map_err(|error| failure(&self.folder, 0, &error))?;
        Ok(Progress::Done)
    }

    fn place(&self) -> String {
        match &self.targets {
            Targets::One(name) => short(&self.folder.join(name)).display().to_string(),
            Targets::Parts(_) => format!("{}/", short(&self.folder).display().to_string().trim_end_matches('/')),
        }
    }
}

/// A path without the folders that are left again, `a/../b` as `b`: to be read by people, as a link may stand for `a`.
fn short(path: &Path) -> PathBuf {
    let mut short = PathBuf::new();
    for part in path.components() {
        match (part, short.components().next_back()) {
            (Component::ParentDir, Some(Component::Normal(_))) => drop(short.pop()),
            (Component::CurDir, _) => {}
            _ => short.push(part),
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_engine::batch::{Batch, Layout, Records};
    use wasmill_engine::schema::Schema;

    #[test]
    fn a_place_is_shown_without_the_folders_that_it_leaves_again() {
        let shown = |path: &str| short(Path::new(path)).display().to_string();
        assert_eq!(shown("examples/currency/../../target/out"), "target/out");
        assert_eq!([shown("../out"), shown("./a/b"), shown("/a/../../b")], ["../out", "a/b", "/../b"]);
    }

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
        FileSink::new(&config, &context, create)
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
