//! The driver: threads that step the nodes of a pipeline, and the loop that starts and commits its epochs.
//!
//! A worker owns the nodes of a lane, or of several where there are more lanes than cores, and steps them in the order
//! of a record's way, so that a batch goes through all of them while it is in the cache; nodes that read or write for
//! all lanes it steps when it is its turn ([`walk`]). A worker with nothing to do sleeps on the [`Bell`]. Reports are
//! carried to the coordinator by the worker whose node made them, so that the loop sleeps through the run but for
//! signals, progress and epochs.

mod bell;
mod walk;

use std::hint::black_box;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmill_engine::clock::{Clock, Micros};
use wasmill_engine::node::Failure;
use wasmill_engine::runtime::{Controls, Runtime, Status};

pub(crate) use bell::Bell;
pub(crate) use walk::{Walker, walkers};

/// A sleeper wakes at least so often, to look at signals and to show progress.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// Bytes of batches on their way between threads that need not go back to the kernel: twice this, a thread.
const KEPT_BYTES: usize = 8 << 20;

/// The machine's clock: read once, then counted on by the monotonic one.
pub(crate) struct MachineClock {
    start: Instant,
    micros: Micros,
}

impl MachineClock {
    pub(crate) fn new() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), micros: Micros::try_from(since_1970.as_micros()).unwrap_or(Micros::MAX) }
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Micros {
        self.micros.saturating_add(Micros::try_from(self.start.elapsed().as_micros()).unwrap_or(Micros::MAX))
    }
}

/// What the driver is asked from outside while it runs.
pub(crate) struct Wishes {
    /// Set once: drain and end.
    pub(crate) stop: Arc<AtomicBool>,
    /// How often an epoch ends; none = only at the end.
    pub(crate) commit_every: Option<Duration>,
}

/// Shared by the threads of one run.
struct Shared {
    bell: Arc<Bell>,
    clock: MachineClock,
    controls: Mutex<Controls>,
    failure: Mutex<Option<Failure>>,
    over: AtomicBool,
    /// Rung when the pipeline is done or has failed.
    done: Bell,
}

impl Shared {
    fn fail(&self, failure: Failure) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        self.over.store(true, Ordering::SeqCst);
        self.bell.ring();
        self.done.ring();
    }

    fn controls(&self) -> MutexGuard<'_, Controls> {
        self.controls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries reports to the coordinator and its orders to the nodes.
    fn pump(&self) {
        let mut controls = self.controls();
        controls.pump();
        if controls.finished() {
            self.done.ring();
        }
    }
}

/// Steps a pipeline until it is done. `look` is called about ten times a second with what was counted so far.
///
/// # Errors
/// The first failure of a node; what was not committed by then stays invisible.
pub(crate) fn run(
    runtime: Runtime,
    bell: Arc<Bell>,
    wishes: &Wishes,
    mut look: impl FnMut(&[Status]),
) -> Result<Vec<Status>, Failure> {
    keep_memory();
    let Runtime { nodes, controls, status } = runtime;
    let (controls, failure, over) = (Mutex::new(controls), Mutex::new(None), AtomicBool::new(false));
    let shared = Shared { bell, clock: MachineClock::new(), controls, failure, over, done: Bell::default() };
    std::thread::scope(|scope| {
        let cores = available_parallelism().map_or(1, NonZero::get);
        for (number, walker) in walkers(nodes, cores).into_iter().enumerate() {
            let thread = std::thread::Builder::new().name(format!("worker {number}"));
            let spawned = thread.spawn_scoped(scope, || work(walker, &shared));
            if let Err(error) = spawned {
                let message =
                    format!("a thread cannot be started: {error}; raise the limit on threads, or use fewer lanes");
                return shared.fail(Failure { node: "wasmill".to_owned(), message });
            }
        }
        let (mut stopping, mut last_tick, mut last_look) = (false, Instant::now(), Instant::now());
        while !shared.over.load(Ordering::SeqCst) {
            let seen = shared.done.count();
            let mut controls = shared.controls();
            let mut ring = controls.pump();
            if controls.finished() {
                break;
            }
            if wishes.stop.load(Ordering::SeqCst) && !stopping {
                stopping = true;
                controls.stop();
                ring = true;
            }
            if wishes.commit_every.is_some_and(|every| last_tick.elapsed() >= every) {
                last_tick = Instant::now();
                ring |= controls.tick();
            }
            drop(controls);
            if ring {
                shared.bell.ring();
            }
            if last_look.elapsed() >= LOOK_AROUND {
                last_look = Instant::now();
                look(&status);
            }
            shared.done.wait(seen, wishes.commit_every.map_or(LOOK_AROUND, |every| every.min(LOOK_AROUND)));
        }
        // Sources have yet to be told that the last epoch is complete.
        shared.bell.ring();
    });
    look(&status);
    match shared.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None => Ok(status),
    }
}

/// Lets the C library keep what batches give back: it learns from the size of what is freed, and would else return the
/// memory of each batch to the kernel, which clears it for the next one. That costs nothing where it learns otherwise.
pub(crate) fn keep_memory() {
    drop(black_box(Vec::<u8>::with_capacity(KEPT_BYTES)));
}

/// Walks over nodes until all of them have finished or the run is over.
fn work(mut walker: Walker, shared: &Shared) {
    while !walker.is_over() && !shared.over.load(Ordering::Relaxed) {
        let seen = shared.bell.count();
        let pass = match walker.walk(&shared.clock, &|| shared.bell.ring()) {
            Ok(pass) => pass,
            Err(failure) => return shared.fail(failure),
        };
        if pass.progressed {
            shared.pump();
            shared.bell.ring();
        } else {
            shared.bell.wait(seen, pass.sleep(shared.clock.now()).map_or(LOOK_AROUND, |until| until.min(LOOK_AROUND)));
        }
    }
}
