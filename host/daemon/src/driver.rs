//! The driver: threads that step the nodes of a pipeline, and the loop that starts and commits its epochs.
//!
//! A worker owns the nodes of one lane and steps them in the order of a record's way, so that a batch goes through all
//! of them while it is in the cache. Nodes that read or write for all lanes share the thread of a single lane, or have
//! one of their own. A worker with nothing to do sleeps on the [`Bell`].

mod bell;
mod pass;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmill_engine::clock::{Clock, Micros};
use wasmill_engine::node::{Failure, Node};
use wasmill_engine::runtime::{Placed, Runtime, Status};

pub(crate) use bell::Bell;
pub(crate) use pass::Pass;

/// A sleeper wakes at least so often, to look at signals and to show progress.
const LOOK_AROUND: Duration = Duration::from_millis(100);

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
    failure: Mutex<Option<Failure>>,
    over: AtomicBool,
}

impl Shared {
    fn fail(&self, failure: Failure) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        self.over.store(true, Ordering::SeqCst);
        self.bell.ring();
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
    let Runtime { nodes, mut controls, status } = runtime;
    let shared = Shared { bell, clock: MachineClock::new(), failure: Mutex::new(None), over: AtomicBool::new(false) };
    std::thread::scope(|scope| {
        for nodes in share(nodes) {
            scope.spawn(|| work(nodes, &shared));
        }
        let (mut stopping, mut last_tick, mut last_look) = (false, Instant::now(), Instant::now());
        while !shared.over.load(Ordering::SeqCst) {
            let seen = shared.bell.count();
            let mut ring = controls.pump();
            if controls.finished() {
                shared.bell.ring();
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
            if ring {
                shared.bell.ring();
            }
            if last_look.elapsed() >= LOOK_AROUND {
                last_look = Instant::now();
                look(&status);
            }
            shared.bell.wait(seen, wishes.commit_every.map_or(LOOK_AROUND, |every| every.min(LOOK_AROUND)));
        }
        // Sources are told what was acknowledged at the very end by orders that their nodes still have to take.
        shared.bell.ring();
    });
    look(&status);
    match shared.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None => Ok(status),
    }
}

/// The nodes of each thread.
pub(crate) fn share(nodes: Vec<Placed>) -> Vec<Vec<Box<dyn Node>>> {
    let lanes = nodes.iter().filter_map(|placed| placed.lane).max().map_or(1, |last| last as usize + 1);
    let ends = if lanes == 1 { 0 } else { lanes };
    let mut threads: Vec<Vec<Box<dyn Node>>> = (0..=ends).map(|_| Vec::new()).collect();
    for placed in nodes {
        threads[placed.lane.map_or(ends, |lane| lane as usize)].push(placed.node);
    }
    threads
}

/// Steps nodes until all of them have finished or the run is over.
fn work(mut nodes: Vec<Box<dyn Node>>, shared: &Shared) {
    while !nodes.is_empty() && !shared.over.load(Ordering::Relaxed) {
        let seen = shared.bell.count();
        let mut pass = Pass::default();
        let mut node = 0;
        while node < nodes.len() {
            match pass.step(&mut *nodes[node], &shared.clock) {
                Ok(true) => drop(nodes.remove(node)),
                Ok(false) => node += 1,
                Err(failure) => return shared.fail(failure),
            }
        }
        if pass.progressed {
            shared.bell.ring();
        } else if !nodes.is_empty() {
            shared.bell.wait(seen, pass.sleep(shared.clock.now()).map_or(LOOK_AROUND, |until| until.min(LOOK_AROUND)));
        }
    }
}
