//! A pipeline that runs in the pool: one task a worker, and one that looks after its epochs and versions.
//!
//! Workers ring for each other when one of them has done something, as messages may have come; the task in charge is
//! rung when a worker comes to rest, and now and then while it does not. Where nothing was read since the last commit,
//! there is none: a pipeline that waits has no alarm either. When the last task is over, whoever waits is told how it
//! ended.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use wasmill_engine::clock::Clock;
use wasmill_engine::graph::Stage;
use wasmill_engine::node::Failure;
use wasmill_engine::plan::Part;
use wasmill_engine::runtime::stages::StageEvent;
use wasmill_engine::runtime::{Controls, Runtime, Status};

use super::pool::{Pool, Task, Turn, Work};
use crate::driver::{MachineClock, Walker, walkers};

/// Time between two commits of a pipeline that reads.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

/// How often a worker that never rests has reports looked for.
const TELL_EVERY: Duration = Duration::from_millis(20);

/// Events of stages that are kept for who waits for them: a swap makes two, and one is under way at a time.
const EVENTS_KEPT: usize = 64;

/// How a pipeline ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All that was read is committed.
    Done,
    /// A node failed; what was not committed was withdrawn.
    Failed(Failure),
    /// It was ended at once; what was not committed was withdrawn.
    Abandoned,
}

/// Something that the server should know of.
#[derive(Clone, Debug)]
pub(crate) enum Notice {
    /// About the code of a stage.
    Stage(StageEvent),
    /// The pipeline is over.
    Ended(End),
}

/// A notice: the pipeline's name, and what happened.
pub(crate) type Told = (String, Notice);

/// Where notices of a pipeline go.
pub(crate) struct Notices {
    /// The pipeline's name.
    pub(crate) name: String,
    /// To whom.
    pub(crate) to: Sender<Told>,
}

/// A pipeline that runs.
pub(crate) struct Running {
    controls: Mutex<Controls>,
    /// What it counts.
    pub(crate) status: Vec<Status>,
    /// Where its results are, a sink each, the dead letters last.
    pub(crate) places: Vec<String>,
    clock: MachineClock,
    ringer: Arc<Ringer>,
    over: AtomicBool,
    /// Workers that are not over.
    workers: AtomicUsize,
    failure: Mutex<Option<Failure>>,
    /// What happened so far, for who waits for it.
    past: Mutex<Past>,
    news: Condvar,
    notices: Notices,
    /// When it started.
    pub(crate) since: Instant,
}

#[derive(Default)]
struct Past {
    stages: VecDeque<StageEvent>,
    end: Option<End>,
}

/// Rings all tasks of a pipeline. Made before them, because connectors are opened with it.
#[derive(Default)]
pub(crate) struct Ringer(OnceLock<(Vec<Arc<Task>>, Arc<Task>)>);

impl Ringer {
    fn workers(&self) {
        self.0.get().iter().for_each(|(workers, _)| workers.iter().for_each(Task::ring));
    }

    fn control(&self) {
        self.0.get().iter().for_each(|(_, control)| control.ring());
    }

    fn all(&self) {
        self.workers();
        self.control();
    }
}

impl Wake for Ringer {
    fn wake(self: Arc<Self>) {
        self.workers();
    }
}

/// A waker for connectors, and the ringer that a pipeline is started with.
pub(crate) fn ringer() -> (Arc<Ringer>, Waker) {
    let ringer = Arc::new(Ringer::default());
    (ringer.clone(), Waker::from(ringer))
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    /// Starts a pipeline in the pool. `notices` gets what happens to it.
    pub(crate) fn start(
        pool: &Pool,
        runtime: Runtime,
        places: Vec<String>,
        ringer: Arc<Ringer>,
        paused: bool,
        notices: Notices,
    ) -> Arc<Self> {
        let Runtime { nodes, mut controls, status } = runtime;
        if paused {
            controls.pause();
        }
        let workers = walkers(nodes, pool.threads());
        let this = Arc::new(Self {
            controls: Mutex::new(controls),
            status,
            places,
            clock: MachineClock::new(),
            ringer,
            over: AtomicBool::new(false),
            workers: AtomicUsize::new(workers.len()),
            failure: Mutex::new(None),
            past: Mutex::default(),
            news: Condvar::new(),
            notices,
            since: Instant::now(),
        });
        let several = workers.len() > 1;
        let worker =
            |walker| pool.task(Box::new(Worker { walker, of: this.clone(), several, untold: false, told: this.since }));
        let tasks = workers.into_iter().map(worker).collect();
        let control = pool.task(Box::new(Charge { of: this.clone(), read: 0, last: Instant::now() }));
        assert!(this.ringer.0.set((tasks, control)).is_ok(), "a ringer is for one pipeline");
        this.ringer.all();
        this
    }

    /// Asks or tells the controls, and has everybody look.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Controls) -> T) -> T {
        let answer = act(&mut hold(&self.controls));
        self.ringer.all();
        answer
    }

    /// Asks the controls without waking anybody.
    pub(crate) fn ask<T>(&self, ask: impl FnOnce(&Controls) -> T) -> T {
        ask(&hold(&self.controls))
    }

    /// Whether a stage works with the code of that digest.
    pub(crate) fn has(&self, digest: &str) -> bool {
        self.ask(|controls| {
            let live = |stage: &Stage| controls.stages().live(&stage.name);
            controls.graph().stages.iter().filter_map(live).any(|(live, _)| live.digest() == digest)
        })
    }

    /// Ends it at once; what was not committed is withdrawn.
    pub(crate) fn abandon(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.ringer.all();
    }

    /// Waits until something has happened to its stages or it is over, and answers what; none = not in that time.
    pub(crate) fn wait<T>(
        &self,
        at_most: Duration,
        mut look: impl FnMut(&VecDeque<StageEvent>, Option<&End>) -> Option<T>,
    ) -> Option<T> {
        let mut found = None;
        let past = hold(&self.past);
        let unknown = |past: &mut Past| {
            found = look(&past.stages, past.end.as_ref());
            found.is_none()
        };
        drop(self.news.wait_timeout_while(past, at_most, unknown));
        found
    }

    /// How it ended, if it has.
    pub(crate) fn end(&self) -> Option<End> {
        hold(&self.past).end.clone()
    }

    fn fail(&self, failure: Failure) {
        hold(&self.failure).get_or_insert(failure);
        self.over.store(true, Ordering::SeqCst);
        self.ringer.all();
    }

    fn notice(&self, notice: Notice) {
        let mut past = hold(&self.past);
        match &notice {
            Notice::Stage(event) => {
                past.stages.push_back(event.clone());
                if past.stages.len() > EVENTS_KEPT {
                    past.stages.pop_front();
                }
            }
            Notice::Ended(end) => past.end = Some(end.clone()),
        }
        drop(past);
        self.news.notify_all();
        // The server that is gone wants to know nothing.
        drop(self.notices.to.send((self.notices.name.clone(), notice)));
    }

    /// Bytes and rows that the sources have brought.
    fn read(&self) -> u64 {
        let sources = self.status.iter().filter(|status| status.part == Part::Source);
        sources.map(|source| source.counters.bytes.get() + source.counters.rows_in.get()).sum()
    }
}

/// The work of one worker.
struct Worker {
    walker: Walker,
    of: Arc<Running>,
    /// Whether there are others.
    several: bool,
    /// Whether something was done, and so perhaps reported, since the task in charge was rung; and when that was.
    untold: bool,
    told: Instant,
}

impl Worker {
    fn over(&mut self) -> Turn {
        // Before anybody is told: what was not committed is withdrawn by then.
        self.walker.give_up();
        self.of.workers.fetch_sub(1, Ordering::SeqCst);
        self.of.ringer.control();
        Turn::Over
    }
}

impl Work for Worker {
    fn turn(&mut self, until: Instant) -> Turn {
        let ring = || {
            if self.several {
                self.of.ringer.workers();
            }
        };
        loop {
            if self.of.over.load(Ordering::Relaxed) {
                return self.over();
            }
            let pass = match self.walker.walk(&self.of.clock, &ring) {
                Ok(pass) => pass,
                Err(failure) => {
                    self.of.fail(failure);
                    return self.over();
                }
            };
            if pass.progressed {
                self.untold = true;
                ring();
            }
            if self.walker.is_over() {
                return self.over();
            }
            if pass.progressed && Instant::now() < until {
                continue;
            }
            // Reports are rare: it is enough to look for them now and then, and before a rest.
            if self.untold && (!pass.progressed || self.told.elapsed() >= TELL_EVERY) {
                self.of.ringer.control();
                (self.untold, self.told) = (false, Instant::now());
            }
            return if pass.progressed { Turn::More } else { Turn::Wait(pass.sleep(self.of.clock.now())) };
        }
    }

    fn panicked(&mut self) {
        self.of.fail(panicked("a worker"));
        self.over();
    }
}

fn panicked(what: &str) -> Failure {
    let message = format!("internal error, please report it: {what} of the pipeline panicked, the log says where");
    Failure { node: "server".to_owned(), message }
}

/// Looks after a pipeline.
struct Charge {
    of: Arc<Running>,
    /// What had been read at the last commit, and when that was.
    read: u64,
    last: Instant,
}

impl Work for Charge {
    fn turn(&mut self, _: Instant) -> Turn {
        let of = &self.of;
        // Looked at before the reports: a worker that is over by now has told all that it had to, and if it was the
        // last, what comes of that says how the pipeline ended.
        let over = of.workers.load(Ordering::SeqCst) == 0;
        let mut controls = hold(&of.controls);
        let mut ring = controls.pump();
        let events = controls.events();
        let finished = controls.finished();
        let read = of.read();
        let mut wait = None;
        if read != self.read && !finished {
            wait = COMMIT_EVERY.checked_sub(self.last.elapsed());
            // With an epoch under way there is no tick; its end brings us here again.
            if wait.is_none() && controls.tick() {
                ring = true;
                (self.read, self.last) = (read, Instant::now());
            }
        }
        drop(controls);
        events.into_iter().for_each(|event| of.notice(Notice::Stage(event)));
        if ring {
            of.ringer.workers();
        }
        if !over {
            return Turn::Wait(wait);
        }
        let failure = hold(&of.failure).take();
        of.notice(Notice::Ended(match failure {
            Some(failure) => End::Failed(failure),
            None if finished => End::Done,
            None => End::Abandoned,
        }));
        Turn::Over
    }

    fn panicked(&mut self) {
        let failure = panicked("the coordinator");
        self.of.fail(failure.clone());
        self.of.notice(Notice::Ended(End::Failed(failure)));
    }
}
