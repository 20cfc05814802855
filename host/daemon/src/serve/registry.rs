//! The pipelines of a server: what each shall be, what it is, and how the one becomes the other at a start.
//!
//! Always true: a change of a pipeline holds its `change` lock for as long as it takes; what shall be is on disk before
//! it is told. Neighbours: [`super::changes`] has the verbs, [`super::status`] what is told.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wasmill_engine::graph::Graph;
use wasmill_engine::limits::VERSIONS_MAX;
use wasmill_engine::plan::Part;
use wasmill_engine::runtime::stages::StageEvent;

use super::disk::{Desired, Disk, Goal};
use super::history::{History, Sample};
use super::journal::{Event, Letter, Line, Recent, Remembering, now_ms};
use super::pool::Pool;
use super::problem::Problem;
use super::rates::{Counts, Rate};
use super::running::{End, Notice, Notices, Running, Told, ringer};
use super::shelf::{Compiled, Shelf};
use crate::assemble::{self, World};
use crate::spec::{self, Diagnostics, Spec};

/// Events of all pipelines, and lines and dead letters of each, that are kept in memory.
const EVENTS_KEPT: usize = 1_000;
const LINES_KEPT: usize = 200;
const LETTERS_KEPT: usize = 100;

/// Most pipelines of one server.
pub(crate) const PIPELINES_MAX: usize = 10_000;

/// Time between two looks at the counters, from which rates are made.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A server.
pub(crate) struct Server {
    pub(crate) disk: Disk,
    pub(crate) world: World,
    pub(crate) compiled: Compiled,
    pub(crate) events: Recent<Event>,
    pipelines: Mutex<BTreeMap<String, Arc<Pipeline>>>,
    pub(crate) pool: Pool,
    notices: Sender<Told>,
    pub(crate) stopping: AtomicBool,
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
    pub(crate) change: Mutex<()>,
    view: Mutex<View>,
}

/// A pipeline as it shall be and is.
pub(crate) struct View {
    /// None while it is being applied for the first time, and once it is deleted.
    pub(crate) desired: Option<Desired>,
    /// The last start of it.
    pub(crate) running: Option<Arc<Running>>,
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

impl Pipeline {
    fn new(name: &str, desired: Option<Desired>) -> Arc<Self> {
        let letters = Arc::new(Recent::new(LETTERS_KEPT));
        let view = View {
            desired,
            running: None,
            broken: None,
            letters,
            rates: Vec::new(),
            history: History::default(),
            counts: None,
        };
        let lines = Arc::new(Recent::new(LINES_KEPT));
        Arc::new(Self { name: name.to_owned(), lines, change: Mutex::new(()), view: Mutex::new(view) })
    }

    /// What it is now. Held shortly.
    pub(crate) fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn to change it.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn look(&mut self, now: Instant) {
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
    pub(crate) fn new(disk: Disk, cache: &Path, threads: usize) -> std::io::Result<(Arc<Self>, Receiver<Told>)> {
        let (notices, received) = channel();
        let server = Self {
            disk,
            world: World::new(cache),
            compiled: Compiled::default(),
            events: Recent::new(EVENTS_KEPT),
            pipelines: Mutex::default(),
            pool: Pool::new(threads)?,
            notices,
            stopping: AtomicBool::new(false),
            taps: Arc::default(),
            since: Instant::now(),
        };
        Ok((Arc::new(server), received))
    }

    fn pipelines(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Pipeline>>> {
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
    pub(crate) fn find_or_add(&self, name: &str) -> Result<Arc<Pipeline>, Problem> {
        let mut pipelines = self.pipelines();
        let count = pipelines.len();
        if count >= PIPELINES_MAX && !pipelines.contains_key(name) {
            let detail = format!("there are {count} pipelines, and the limit is {PIPELINES_MAX}; delete some");
            return Err(Problem::conflict("too-many-pipelines", detail));
        }
        Ok(pipelines.entry(name.to_owned()).or_insert_with(|| Pipeline::new(name, None)).clone())
    }

    /// Takes a place away that nobody came to fill, or whose pipeline was deleted.
    pub(crate) fn tidy(&self, name: &str) {
        let mut pipelines = self.pipelines();
        if pipelines.get(name).is_some_and(|pipeline| pipeline.view().desired.is_none()) {
            pipelines.remove(name);
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
        let (world, disk, compiled, lines) = (&self.world, &self.disk, &self.compiled, pipeline.lines.clone());
        Shelf { world, disk, compiled, pipeline: &pipeline.name, lines, fixed, found: RefCell::default() }
    }

    /// Reads and checks what a pipeline shall be, with the code that it had.
    pub(crate) fn read(&self, pipeline: &Pipeline, desired: &Desired) -> Result<(Spec, Graph), Diagnostics> {
        let last = |(stage, digests): (&String, &Vec<String>)| Some((stage.clone(), digests.last()?.clone()));
        let shelf = self.shelf(pipeline, desired.plugins.iter().filter_map(last).collect());
        spec::parse(&desired.file, &desired.base, &desired.text, &shelf)
    }

    /// Starts a pipeline that was read.
    pub(crate) fn start(&self, pipeline: &Pipeline, spec: &Spec, graph: Graph, goal: Goal) -> anyhow::Result<()> {
        let (ringer, waker) = ringer();
        let letters = Arc::new(Recent::new(LETTERS_KEPT));
        let wrap = |inner| -> Box<dyn wasmill_engine::sink::SinkWriter> {
            Box::new(Remembering { inner, last: letters.clone() })
        };
        let assembled = assemble::open(spec, graph, &waker, &wrap)?;
        let notices = Notices { name: pipeline.name.clone(), to: self.notices.clone() };
        let paused = goal == Goal::Pause;
        let mut view = pipeline.view();
        view.running = Some(Running::start(&self.pool, assembled.runtime, assembled.places, ringer, paused, notices));
        (view.broken, view.letters) = (None, letters);
        (view.rates, view.counts) = (Vec::new(), None);
        Ok(())
    }

    /// Brings back what the data directory has.
    ///
    /// # Errors
    /// It cannot be read. A pipeline that cannot be started is there, and says why.
    pub(crate) fn restore(&self) -> Result<(), super::disk::DiskError> {
        for desired in self.disk.pipelines()? {
            let name = desired.name.clone();
            let pipeline = Pipeline::new(&name, Some(desired.clone()));
            self.pipelines().insert(name.clone(), pipeline.clone());
            if desired.goal == Goal::End {
                continue;
            }
            let started = self.read(&pipeline, &desired).map_err(|wrong| wrong.render(false));
            let started = started.and_then(|(spec, graph)| {
                self.start(&pipeline, &spec, graph, desired.goal).map_err(|error| format!("{error:#}"))
            });
            match started {
                Ok(()) => self.event(&name, "restored", format!("pipeline {name} is back"), json!({})),
                Err(why) => {
                    let message = format!("pipeline {name} cannot be started: {why}");
                    pipeline.view().broken = Some(why);
                    self.event(&name, "failed", message, json!({}));
                }
            }
        }
        Ok(())
    }

    /// Listens to what happens to pipelines until the server is gone.
    pub(crate) fn keep_house(self: &Arc<Self>, received: Receiver<Told>) {
        let server = Arc::downgrade(self);
        std::thread::spawn(move || {
            loop {
                let got = received.recv_timeout(LOOK_EVERY);
                let Some(server) = server.upgrade() else { return };
                match got {
                    Ok((name, running, notice)) => server.notice(&name, &running, &notice),
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {}
                }
                let now = Instant::now();
                for pipeline in server.all() {
                    let mut view = pipeline.view();
                    if view.counts.as_ref().is_none_or(|(then, _)| now.duration_since(*then) >= LOOK_EVERY) {
                        view.look(now);
                    }
                }
            }
        });
    }

    fn notice(&self, name: &str, running: &Weak<Running>, notice: &Notice) {
        let Ok(pipeline) = self.find(name) else { return };
        match notice {
            Notice::Stage(StageEvent::Settled { .. }) => {}
            Notice::Stage(StageEvent::Switched { stage, .. }) => self.follow_later(&pipeline, running, stage),
            Notice::Stage(StageEvent::WentBack { stage, version, to, why, .. }) => {
                self.follow_later(&pipeline, running, stage);
                let message = format!("stage {stage} went back from version {version} to {to}: {why}");
                self.event(name, "went-back", message, json!({"stage": &**stage, "version": version, "to": to}));
            }
            Notice::Ended(end) => {
                let message = match end {
                    End::Done => format!("pipeline {name} is done: all that it read is committed"),
                    End::Failed(failure) => format!("pipeline {name} failed: {failure}"),
                    End::Abandoned => format!("pipeline {name} was ended at once"),
                };
                let kind = if matches!(end, End::Failed(_)) { "failed" } else { "ended" };
                self.event(name, kind, message, json!({}));
                // What ends because the server does shall run again when it is back.
                if *end == End::Done && !self.stopping.load(Ordering::SeqCst) {
                    self.ended(&pipeline, running);
                }
            }
        }
    }

    fn follow_later(&self, pipeline: &Pipeline, running: &Weak<Running>, stage: &str) {
        let _turn = pipeline.turn();
        let current = pipeline.view().running.clone();
        if let Some(running) = running.upgrade().filter(|of| current.is_some_and(|now| Arc::ptr_eq(of, &now))) {
            self.follow(pipeline, &running, stage);
        }
    }

    /// A pipeline is over for good.
    fn ended(&self, pipeline: &Pipeline, running: &Weak<Running>) {
        let _turn = pipeline.turn();
        let mut view = pipeline.view();
        let same = view.running.as_ref().is_some_and(|now| Weak::ptr_eq(&Arc::downgrade(now), running));
        let Some(mut desired) = view.desired.clone().filter(|desired| same && desired.goal != Goal::End) else {
            return;
        };
        (desired.goal, desired.revision) = (Goal::End, desired.revision + 1);
        self.keep_or_tell(&desired);
        view.desired = Some(desired);
    }

    /// Writes down which code a stage works with, where that is other than what was written down: a switch that came
    /// after its answer, or a way back. Whoever calls has the turn.
    pub(crate) fn follow(&self, pipeline: &Pipeline, running: &Running, stage: &str) {
        let Some((live, _)) = running.ask(|controls| controls.stages().live(stage)) else { return };
        let mut view = pipeline.view();
        let Some(mut desired) = view.desired.clone() else { return };
        let digests = desired.plugins.entry(stage.to_owned()).or_default();
        if digests.last().is_some_and(|last| last == live.digest()) {
            return;
        }
        if digests.iter().rev().nth(1).is_some_and(|before| before == live.digest()) {
            digests.pop();
        } else {
            digests.push(live.digest().to_owned());
            shorten(digests);
        }
        desired.revision += 1;
        self.keep_or_tell(&desired);
        view.desired = Some(desired);
    }

    fn keep_or_tell(&self, desired: &Desired) {
        if let Err(error) = self.disk.keep(desired) {
            let message = format!("what pipeline {} shall be cannot be written down: {error}", desired.name);
            self.event(&desired.name, "failed", message, json!({}));
        }
    }

    /// Drains all pipelines; whether all were done in time.
    pub(crate) fn stop(&self, deadline: Duration) -> bool {
        self.stopping.store(true, Ordering::SeqCst);
        let end = Instant::now() + deadline;
        let running: Vec<_> = self.all().iter().filter_map(|pipeline| pipeline.view().alive()).collect();
        running.iter().for_each(|running| running.with(wasmill_engine::runtime::Controls::stop));
        let mut all = true;
        for running in running {
            let left = end.saturating_duration_since(Instant::now());
            all &= running.wait(left, |_, end| end.cloned()).is_some();
        }
        all
    }
}
