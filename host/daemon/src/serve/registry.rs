//! The pipelines of a server: what each shall be, what it is, and how the one becomes the other at a start.
//!
//! Always true: a pipeline is changed by one at a time, who has its turn, and only while it is one of the server's;
//! what shall be is on disk before it is told; a view is never locked while a disk is waited for. Neighbours:
//! [`super::changes`] has the verbs, [`super::house`] what happens unasked, [`super::status`] what is told.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use serde_json::Value;
use wasmill_engine::graph::Graph;
use wasmill_engine::limits::VERSIONS_MAX;
use wasmill_engine::plan::Part;

use super::disk::{Desired, Disk, Goal};
use super::history::{History, Sample};
use super::journal::{Event, Letter, Line, Recent, Remembering, now_ms};
use super::pins::Pins;
use super::pool::Pool;
use super::problem::Problem;
use super::rates::{Counts, Rate};
use super::running::{Notices, Ringer, Running, Told, ringer};
use super::shelf::{Compiled, Found, Shelf};
use super::step::{Step, reach};
use crate::assemble::{self, Assembled, World};
use crate::spec::{self, Diagnostics, Limits, Spec};

/// Events of all pipelines, and lines and dead letters of each, that are kept in memory.
const EVENTS_KEPT: usize = 1_000;
const LINES_KEPT: usize = 200;
const LETTERS_KEPT: usize = 100;

/// Most pipelines of one server.
pub(crate) const PIPELINES_MAX: usize = 10_000;

/// Changes of one pipeline that wait for their turn, and changes of all pipelines that wait or are under way: each has
/// one of the threads that requests share, and looking must go on.
const CHANGES_WAITING_MAX: usize = 16;
const CHANGES_MAX: usize = 64;

/// A server.
pub(crate) struct Server {
    pub(crate) disk: Disk,
    pub(crate) world: World,
    pub(crate) compiled: Compiled,
    pub(crate) pins: Pins,
    pub(crate) events: Recent<Event>,
    pipelines: Mutex<BTreeMap<String, Arc<Pipeline>>>,
    pub(crate) pool: Pool,
    /// Batches of each lane for which other code is watched.
    pub(crate) watch: u32,
    notices: Sender<Told>,
    pub(crate) stopping: AtomicBool,
    /// Changes that wait or are under way.
    changing: AtomicUsize,
    /// The highest revision of pipelines that are deleted.
    pub(crate) revisions: AtomicU64,
    /// Held by each tap that is open.
    pub(crate) taps: Arc<()>,
    pub(crate) since: Instant,
}

/// A pipeline of a server.
pub(crate) struct Pipeline {
    /// Its name.
    pub(crate) name: String,
    /// What its guests logged.
    pub(crate) lines: Arc<Recent<Line>>,
    /// Held by whoever changes it.
    change: Mutex<()>,
    /// Those who wait for that.
    waiting: AtomicUsize,
    view: Mutex<View>,
}

/// A turn to change a pipeline.
pub(crate) struct Turn<'a>(#[expect(dead_code, reason = "it is held, not read")] MutexGuard<'a, ()>);

/// A pipeline as it shall be and is.
pub(crate) struct View {
    /// None while it is being applied for the first time, and once it is deleted.
    pub(crate) desired: Option<Desired>,
    /// The last start of it.
    pub(crate) running: Option<Arc<Running>>,
    /// What its stages may use since then.
    pub(crate) limits: Limits,
    /// Why it does not run although it should.
    pub(crate) broken: Option<String>,
    /// The last dead letters.
    pub(crate) letters: Arc<Recent<Letter>>,
    /// Rows a second, a node each, and the counts that they were made from.
    pub(crate) rates: Vec<Rate>,
    /// What flowed through it, over its restarts.
    pub(crate) history: History,
    counts: Option<(Instant, Vec<Counts>)>,
}

/// One of a few, as long as it lives.
struct OneOf<'a>(&'a AtomicUsize);

impl<'a> OneOf<'a> {
    /// One more; none where there are so many.
    fn count(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let more = |so_far| (so_far < most).then_some(so_far + 1);
        count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok().then(|| Self(count))
    }
}

impl Drop for OneOf<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Pipeline {
    pub(crate) fn new(name: &str, desired: Option<Desired>) -> Arc<Self> {
        let letters = Arc::new(Recent::new(LETTERS_KEPT));
        let view = View {
            desired,
            running: None,
            limits: Limits::default(),
            broken: None,
            letters,
            rates: Vec::new(),
            history: History::default(),
            counts: None,
        };
        let lines = Arc::new(Recent::new(LINES_KEPT));
        let (change, waiting) = (Mutex::new(()), AtomicUsize::new(0));
        Arc::new(Self { name: name.to_owned(), lines, change, waiting, view: Mutex::new(view) })
    }

    /// What it is now. Held shortly.
    pub(crate) fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn to change it.
    ///
    /// # Errors
    /// Too many wait already.
    fn turn(&self) -> Result<Turn<'_>, Problem> {
        let Some(_waits) = OneOf::count(&self.waiting, CHANGES_WAITING_MAX) else {
            return Err(Problem::busy(format!(
                "{CHANGES_WAITING_MAX} changes of pipeline {} wait for their turn, and that is the limit; try again \
                 when they are done",
                self.name
            )));
        };
        Ok(Turn(self.change.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The turn, if nobody has it.
    pub(crate) fn try_turn(&self) -> Option<Turn<'_>> {
        match self.change.try_lock() {
            Ok(turn) => Some(Turn(turn)),
            Err(TryLockError::Poisoned(turn)) => Some(Turn(turn.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// That it is what the asker has seen.
    ///
    /// # Errors
    /// Somebody else was first.
    pub(crate) fn unchanged(&self, expected: Option<u64>) -> Result<(), Problem> {
        let revision = self.view().desired.as_ref().map_or(0, |desired| desired.revision);
        match expected {
            Some(expected) if expected != revision => Err(Problem::stale(format!(
                "pipeline {} is at revision {revision}, not {expected}: somebody else changed it; look and try again",
                self.name
            ))),
            _ => Ok(()),
        }
    }
}

impl View {
    /// The start that has not ended.
    pub(crate) fn alive(&self) -> Option<Arc<Running>> {
        self.running.clone().filter(|running| running.end().is_none())
    }

    /// Makes rates of its counts.
    pub(crate) fn look(&mut self, now: Instant) {
        let Some(running) = &self.running else { return };
        let counts: Vec<_> = running.status.iter().map(Counts::of).collect();
        if let Some((then, before)) = self.counts.take().filter(|(_, before)| before.len() == counts.len()) {
            let seconds = now.duration_since(then).as_secs_f64().max(1e-3);
            self.rates = counts.iter().zip(&before).map(|(now, then)| now.since(then, seconds)).collect();
            let of = |part: Part, side: usize| -> f64 {
                let nodes = running.status.iter().zip(&self.rates).filter(|(status, _)| status.part == part);
                nodes.map(|(_, rate)| rate.rows[side]).sum()
            };
            let (rows_in, rows_out) = (of(Part::Source, 0), of(Part::Sink, 1));
            let sample = Sample { at_ms: now_ms(), rows_in_per_s: rows_in as f32, rows_out_per_s: rows_out as f32 };
            self.history.add(sample);
        }
        self.counts = Some((now, counts));
    }
}

/// Keeps the last versions of a stage only.
pub(crate) fn shorten(digests: &mut Vec<String>) {
    digests.drain(..digests.len().saturating_sub(VERSIONS_MAX));
}

impl Server {
    /// A server over a data directory; nothing runs yet. What is received here must be given to
    /// [`Self::keep_house`].
    pub(crate) fn new(
        disk: Disk,
        cache: &Path,
        threads: usize,
        watch: u32,
    ) -> std::io::Result<(Arc<Self>, Receiver<Told>)> {
        let (notices, received) = channel();
        let revisions = AtomicU64::new(disk.revisions());
        let server = Self {
            disk,
            world: World::new(cache),
            compiled: Compiled::default(),
            pins: Pins::default(),
            events: Recent::new(EVENTS_KEPT),
            pipelines: Mutex::default(),
            pool: Pool::new(threads)?,
            watch,
            notices,
            stopping: AtomicBool::new(false),
            changing: AtomicUsize::new(0),
            revisions,
            taps: Arc::default(),
            since: Instant::now(),
        };
        Ok((Arc::new(server), received))
    }

    /// Pipelines by name, and places for those that are being applied for the first time.
    pub(crate) fn pipelines(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Pipeline>>> {
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All pipelines, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Pipeline>> {
        let all = self.pipelines().values().cloned().collect::<Vec<_>>();
        all.into_iter().filter(|pipeline| pipeline.view().desired.is_some()).collect()
    }

    /// The pipeline of that name.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Pipeline>, Problem> {
        let found = self.pipelines().get(name).cloned();
        found.filter(|pipeline| pipeline.view().desired.is_some()).ok_or_else(|| {
            let names: Vec<String> = self.all().iter().map(|pipeline| pipeline.name.clone()).collect();
            let hint = wasmill_engine::graph::suggest::hint(name, names.iter().map(String::as_str));
            Problem::unknown("unknown-pipeline", format!("there is no pipeline `{name}`{hint}"))
        })
    }

    /// The pipeline of that name, or a place for it.
    ///
    /// # Errors
    /// There are too many.
    fn find_or_add(&self, name: &str) -> Result<Arc<Pipeline>, Problem> {
        let mut pipelines = self.pipelines();
        let count = pipelines.len();
        if count >= PIPELINES_MAX && !pipelines.contains_key(name) {
            let detail = format!("there are {count} pipelines, and the limit is {PIPELINES_MAX}; delete some");
            return Err(Problem::conflict("too-many-pipelines", detail));
        }
        Ok(pipelines.entry(name.to_owned()).or_insert_with(|| Pipeline::new(name, None)).clone())
    }

    /// Has a pipeline changed: waits for the turn, and then looks whether it still is what the asker has seen. With
    /// `add` it may be a new one.
    ///
    /// # Errors
    /// There is none, too many wait, somebody else was first, the server stops; or what the change comes to.
    pub(crate) fn in_turn<T>(
        &self,
        name: &str,
        add: bool,
        expected: Option<u64>,
        change: impl FnOnce(&Pipeline) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let Some(_changes) = OneOf::count(&self.changing, CHANGES_MAX) else {
            return Err(Problem::busy(format!(
                "{CHANGES_MAX} changes wait or are under way, and that is the limit; try again when they are done"
            )));
        };
        loop {
            self.open_for_changes()?;
            let pipeline = if add { self.find_or_add(name)? } else { self.find(name)? };
            let _turn = pipeline.turn()?;
            // Who had the turn before may have taken its place away: what were started there would be nobody's.
            if !self.pipelines().get(name).is_some_and(|of| Arc::ptr_eq(of, &pipeline)) {
                continue;
            }
            let open = self.open_for_changes().and_then(|()| pipeline.unchanged(expected));
            let changed = open.and_then(|()| change(&pipeline));
            // A place that nobody came to fill, or whose pipeline was deleted.
            if pipeline.view().desired.is_none() {
                self.pipelines().remove(name);
            }
            return changed;
        }
    }

    /// Refuses changes while the server stops.
    ///
    /// # Errors
    /// It does.
    pub(crate) fn open_for_changes(&self) -> Result<(), Problem> {
        if self.stopping.load(Ordering::SeqCst) { Err(Problem::stopping()) } else { Ok(()) }
    }

    /// Notes an event.
    pub(crate) fn event(&self, pipeline: &str, kind: &'static str, message: impl Into<String>, facts: Value) {
        let message = message.into();
        tracing::info!(pipeline, kind, "{message}");
        self.events.add(Event { at_ms: now_ms(), pipeline: pipeline.to_owned(), kind, message, facts });
    }

    /// The shelf for a pipeline.
    pub(crate) fn shelf<'a>(&'a self, pipeline: &'a Pipeline, fixed: BTreeMap<String, String>) -> Shelf<'a> {
        let (world, disk, compiled, pins) = (&self.world, &self.disk, &self.compiled, &self.pins);
        let (lines, found) = (pipeline.lines.clone(), RefCell::<Found<'_>>::default());
        Shelf { world, disk, compiled, pins, pipeline: &pipeline.name, lines, fixed, found }
    }

    /// Reads and checks what a pipeline shall be, with the code that it had.
    pub(crate) fn read(&self, pipeline: &Pipeline, desired: &Desired) -> Result<(Spec, Graph), Diagnostics> {
        let last = |(stage, digests): (&String, &Vec<String>)| Some((stage.clone(), digests.last()?.clone()));
        let shelf = self.shelf(pipeline, desired.plugins.iter().filter_map(last).collect());
        spec::parse(&desired.file, &desired.base, &desired.text, &shelf)
    }

    /// Opens all that a pipeline needs to run.
    ///
    /// # Errors
    /// A connector or an operator cannot be opened.
    pub(crate) fn open(&self, spec: &Spec, graph: Graph) -> anyhow::Result<Opened> {
        let (ringer, waker) = ringer();
        let letters = Arc::new(Recent::new(LETTERS_KEPT));
        let wrap = |inner| -> Box<dyn wasmill_engine::sink::SinkWriter> {
            Box::new(Remembering { inner, last: letters.clone() })
        };
        let assembled = assemble::open(spec, graph, &waker, &wrap)?;
        reach(Step::Opened);
        Ok(Opened { assembled, ringer, letters, limits: spec.limits })
    }

    /// Makes a pipeline what it shall be, as is written down, and has it run. While the server stops it does not run.
    pub(crate) fn run(&self, pipeline: &Pipeline, opened: Opened, desired: Desired) {
        let Opened { assembled, ringer, letters, limits } = opened;
        let notices = Notices { name: pipeline.name.clone(), to: self.notices.clone() };
        let paused = desired.goal == Goal::Pause;
        let mut view = pipeline.view();
        view.desired = Some(desired);
        // Looked at with the view locked: whoever stops all either finds this one there or has said so before.
        if self.stopping.load(Ordering::SeqCst) {
            return;
        }
        view.running = Some(Running::start(&self.pool, assembled.runtime, assembled.places, ringer, paused, notices));
        view.limits = limits;
        (view.broken, view.letters) = (None, letters);
        (view.rates, view.counts) = (Vec::new(), None);
    }

    /// The pipelines of whose stages a digest is a version.
    pub(crate) fn users(&self, digest: &str) -> Vec<String> {
        let uses = |pipeline: &Arc<Pipeline>| {
            let view = pipeline.view();
            let live = view.running.as_ref().is_some_and(|running| running.has(digest));
            let kept = view.desired.as_ref().map(|desired| desired.plugins.values().flatten().any(|of| of == digest));
            live || kept == Some(true)
        };
        self.all().iter().filter(|pipeline| uses(pipeline)).map(|pipeline| pipeline.name.clone()).collect()
    }

    /// Deletes code that nobody uses.
    ///
    /// # Errors
    /// There is none, somebody uses it, or it cannot be removed.
    pub(crate) fn delete_plugin(&self, digest: &str) -> Result<(), Problem> {
        if !self.disk.has_plugin(digest) {
            return Err(Problem::unknown("unknown-plugin", format!("there is no plugin of digest `{digest}` here")));
        }
        let in_use =
            |by: &str, what: &str| Problem::conflict("in-use", format!("plugin {digest} is used by {by}; {what}"));
        let deleted = self.pins.unless_pinned(digest, || {
            let users = self.users(digest);
            if !users.is_empty() {
                let by = format!("{}, or was lately", users.join(", "));
                return Err(in_use(&by, "delete the pipeline first"));
            }
            self.disk.forget_plugin(digest)?;
            self.compiled.forget(digest);
            Ok(())
        });
        deleted.unwrap_or_else(|| Err(in_use("a change that is under way", "try again when that is done")))
    }
}

/// A pipeline that is ready to run.
pub(crate) struct Opened {
    assembled: Assembled,
    ringer: Arc<Ringer>,
    letters: Arc<Recent<Letter>>,
    limits: Limits,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(folder: &Path) -> Arc<Server> {
        Server::new(Disk::open(folder).unwrap(), folder, 1, 1).unwrap().0
    }

    fn until_they_wait(pipeline: &Pipeline, many: usize) {
        while pipeline.waiting.load(Ordering::SeqCst) < many {
            std::thread::yield_now();
        }
    }

    #[test]
    fn who_waited_for_a_pipeline_that_was_deleted_changes_the_one_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let server = &server(folder.path());
        let gone = server.find_or_add("p").unwrap();
        let turn = gone.turn().unwrap();
        std::thread::scope(|scope| {
            let is_there = |pipeline: &Pipeline| Ok(std::ptr::eq(pipeline, &*server.pipelines()["p"]));
            let waits = scope.spawn(move || server.in_turn("p", true, None, is_there));
            until_they_wait(&gone, 1);
            server.pipelines().remove("p");
            drop(turn);
            assert!(waits.join().unwrap().unwrap());
        });
        assert!(server.pipelines().is_empty(), "nobody filled the place");
    }

    #[test]
    fn few_wait_for_a_turn_and_none_gets_it_once_the_server_stops() {
        let folder = tempfile::tempdir().unwrap();
        let server = server(folder.path());
        let pipeline = server.find_or_add("p").unwrap();
        let turn = pipeline.turn().unwrap();
        assert!(pipeline.try_turn().is_none());
        let change = || server.in_turn("p", true, None, |_| Ok(())).map_err(|problem| format!("{problem:?}"));
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..CHANGES_WAITING_MAX).map(|_| scope.spawn(change)).collect();
            until_they_wait(&pipeline, CHANGES_WAITING_MAX);
            let refused = change().unwrap_err();
            assert!(refused.contains("too-many-changes") && refused.contains("16 changes of pipeline p"), "{refused}");
            let all: Vec<_> = (0..CHANGES_MAX).filter_map(|_| OneOf::count(&server.changing, CHANGES_MAX)).collect();
            assert_eq!(all.len(), CHANGES_MAX - CHANGES_WAITING_MAX);
            assert!(change().unwrap_err().contains("64 changes wait or are under way"));
            drop(all);
            server.stopping.store(true, Ordering::SeqCst);
            drop(turn);
            for waits in waiting {
                assert!(waits.join().unwrap().unwrap_err().contains("stopping"));
            }
        });
    }

    #[test]
    fn code_that_is_on_its_way_into_a_pipeline_is_not_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let server = server(folder.path());
        let digest = wasmill_wasm::digest(b"code");
        server.disk.keep_plugin(&digest, b"code").unwrap();
        let pin = server.pins.pin(&server.disk, &digest);
        let refused = format!("{:?}", server.delete_plugin(&digest).unwrap_err());
        assert!(refused.contains("in-use") && refused.contains("try again"), "{refused}");
        drop(pin);
        server.delete_plugin(&digest).unwrap();
        assert!(!server.disk.has_plugin(&digest));
    }
}
