//! What a worker does: walks over the nodes of its lanes, in the order of a record's way.
//!
//! There are no more workers than cores: more lanes than that share them, for each look at what has come costs more the
//! more there are who look. Nodes that read or write for all lanes belong to nobody: each worker steps them when it is
//! the turn of one of its lanes there, so that the bytes of a chunk are read, worked on and written by one processor,
//! which has them in its cache. Nobody waits for a node that another worker is stepping.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use wasmill_engine::clock::{Clock, Micros};
use wasmill_engine::node::{Failure, Node, Step};
use wasmill_engine::runtime::{Placed, Station};

/// How long a worker that has nothing to do leaves a node to the one whose turn it is there: that one has as good as
/// finished what it does, or is held up, by a slow operator or for want of a processor, and would hold up the others.
/// About half of what a chunk takes: with two workers on two cores 0.2 and 1 ms are as good.
const PATIENCE: Micros = 200;

/// A node that all workers step; none once it has finished.
type Common = Mutex<Option<Box<dyn Node>>>;

/// The nodes of all lanes.
#[derive(Default)]
struct Commons {
    read: Vec<Common>,
    write: Vec<Common>,
    /// Nodes that have not finished.
    left: AtomicUsize,
}

/// The walks of one worker.
pub(crate) struct Walker {
    /// Its number, and how many there are: the lanes are dealt out to them in turn.
    number: usize,
    workers: usize,
    own: Vec<Box<dyn Node>>,
    commons: Arc<Commons>,
    /// Since when it has had nothing to do.
    idle: Option<Micros>,
}

/// What a walk came to.
#[derive(Default)]
pub(crate) struct Pass {
    /// Whether any node did something.
    pub(crate) progressed: bool,
    until: Option<Micros>,
    /// Whether a node was left to the worker whose turn it is, or that is stepping it, and how much longer it is.
    patience: Option<Micros>,
}

/// A worker for each lane, but no more than `most`.
pub(crate) fn walkers(nodes: Vec<Placed>, most: usize) -> Vec<Walker> {
    let lane = |placed: &Placed| if let Station::Lane(lane) = placed.station { lane as usize } else { 0 };
    let workers = nodes.iter().map(|placed| lane(placed) + 1).max().unwrap_or(1).min(most.max(1));
    let (mut read, mut write) = (Vec::new(), Vec::new());
    let mut own: Vec<_> = (0..workers).map(|_| Vec::new()).collect();
    for Placed { station, node } in nodes {
        match station {
            Station::Read => read.push(Mutex::new(Some(node))),
            Station::Write => write.push(Mutex::new(Some(node))),
            Station::Lane(lane) => own[lane as usize % workers].push(node),
        }
    }
    let left = AtomicUsize::new(read.len() + write.len());
    let commons = Arc::new(Commons { read, write, left });
    let walker = |(number, own)| Walker { number, workers, own, commons: commons.clone(), idle: None };
    own.into_iter().enumerate().map(walker).collect()
}

impl Walker {
    /// One walk over the nodes.
    ///
    /// The first node that progresses does one step, those behind it go on until they wait: so one chunk at a time goes
    /// all the way while it is warm.
    ///
    /// `ring` is called as soon as another worker may have its turn.
    ///
    /// # Errors
    /// A node has failed.
    pub(crate) fn walk(&mut self, clock: &dyn Clock, ring: &dyn Fn()) -> Result<Pass, Failure> {
        let waited = self.idle.map_or(0, |since| clock.now().saturating_sub(since).max(0));
        let patience = Some(PATIENCE.saturating_sub(waited)).filter(|left| *left > 0);
        let mut pass = Pass::default();
        self.commons.read.iter().try_for_each(|node| self.step_common(&mut pass, node, patience, clock))?;
        if pass.progressed {
            ring();
        }
        let mut node = 0;
        while node < self.own.len() {
            if pass.step(&mut *self.own[node], clock, |_| true)? {
                drop(self.own.remove(node));
            } else {
                node += 1;
            }
        }
        self.commons.write.iter().try_for_each(|node| self.step_common(&mut pass, node, patience, clock))?;
        self.idle = if pass.progressed { None } else { self.idle.or_else(|| Some(clock.now())) };
        Ok(pass)
    }

    /// Steps a node of all lanes, unless another worker is at it or it is another's turn.
    fn step_common(
        &self,
        pass: &mut Pass,
        node: &Common,
        patience: Option<Micros>,
        clock: &dyn Clock,
    ) -> Result<(), Failure> {
        let mut common = match node.try_lock() {
            Ok(node) => node,
            Err(TryLockError::WouldBlock) => {
                // What the other finds there it does not tell: when it is idle, say, until when.
                pass.patience = Some(PATIENCE);
                return Ok(());
            }
            Err(TryLockError::Poisoned(node)) => node.into_inner(),
        };
        let Some(node) = common.as_deref_mut() else { return Ok(()) };
        let mine = |node: &dyn Node| {
            patience.is_none() || node.turn().is_none_or(|lane| lane as usize % self.workers == self.number)
        };
        let finished = pass.step(node, clock, mine)?;
        if finished {
            *common = None;
            self.commons.left.fetch_sub(1, Ordering::SeqCst);
            // The others may only have waited for this.
            pass.progressed = true;
        } else if !mine(node) {
            pass.patience = patience;
        }
        Ok(())
    }

    /// Gives up its nodes; those of all lanes are gone once every worker has.
    pub(crate) fn give_up(&mut self) {
        self.own.clear();
        self.commons = Arc::default();
    }

    /// Whether all nodes have finished, its own and those of all lanes.
    pub(crate) fn is_over(&self) -> bool {
        self.own.is_empty() && self.commons.left.load(Ordering::SeqCst) == 0
    }
}

impl Pass {
    /// Steps a node as long as it has something of this walk to do and is `mine`; true = it has finished.
    fn step(
        &mut self,
        node: &mut dyn Node,
        clock: &dyn Clock,
        mine: impl Fn(&dyn Node) -> bool,
    ) -> Result<bool, Failure> {
        let first = !self.progressed;
        while mine(node) {
            // A panic in the engine is a mistake of ours; it ends this pipeline with an error and no other.
            let step = catch_unwind(AssertUnwindSafe(|| node.step(clock))).unwrap_or_else(|panic| {
                let message = panic_message(&*panic);
                Step::Failed(Failure { node: node.name().to_owned(), message })
            });
            match step {
                Step::Progressed => {
                    self.progressed = true;
                    if first {
                        return Ok(false);
                    }
                }
                Step::Idle { until } => {
                    self.until = [self.until, until].into_iter().flatten().min();
                    return Ok(false);
                }
                Step::Blocked => return Ok(false),
                Step::Finished => return Ok(true),
                Step::Failed(failure) => return Err(failure),
            }
        }
        Ok(false)
    }

    /// How long the nodes have nothing to do, if nothing comes; none = until something comes.
    pub(crate) fn sleep(&self, now: Micros) -> Option<Duration> {
        let until = self.until.map(|until| until.saturating_sub(now).max(0));
        let sleep = [until, self.patience].into_iter().flatten().min();
        sleep.map(|micros| Duration::from_micros(micros.unsigned_abs()))
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("internal error, please report it: {}", text.unwrap_or("a panic without a message"))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use wasmill_engine::clock::ManualClock;

    use super::*;

    /// Reads for two lanes in turn, so many times.
    struct InTurn {
        turn: u32,
        left: u32,
    }

    impl Node for InTurn {
        fn step(&mut self, _: &dyn Clock) -> Step {
            let Some(left) = self.left.checked_sub(1) else { return Step::Finished };
            (self.turn, self.left) = (1 - self.turn, left);
            Step::Progressed
        }

        fn name(&self) -> &str {
            "in turn"
        }

        fn turn(&self) -> Option<u32> {
            Some(self.turn)
        }
    }

    /// Has nothing to do until it is told to finish.
    struct Waits(Arc<Mutex<bool>>);

    impl Node for Waits {
        fn step(&mut self, _: &dyn Clock) -> Step {
            if *self.0.lock().unwrap() { Step::Finished } else { Step::Idle { until: None } }
        }

        fn name(&self) -> &str {
            "waits"
        }
    }

    /// A worker for each of two lanes, around one node that reads, and whether the lanes may finish.
    fn two(left: u32) -> ([Walker; 2], Arc<Mutex<bool>>) {
        let (nodes, end) = reading(left, 2);
        (walkers(nodes, 8).try_into().unwrap_or_else(|_| panic!("a worker a lane")), end)
    }

    /// A node that reads for two lanes in turn, and so many lanes.
    fn reading(left: u32, lanes: u32) -> (Vec<Placed>, Arc<Mutex<bool>>) {
        let end = Arc::new(Mutex::new(false));
        let placed = |station, node| Placed { station, node };
        let mut nodes = vec![placed(Station::Read, Box::new(InTurn { turn: 0, left }) as Box<dyn Node>)];
        nodes.extend((0..lanes).map(|lane| placed(Station::Lane(lane), Box::new(Waits(end.clone())) as Box<dyn Node>)));
        (nodes, end)
    }

    fn walk(walker: &mut Walker) -> (Pass, u32) {
        walk_at(walker, &ManualClock::default())
    }

    fn walk_at(walker: &mut Walker, clock: &ManualClock) -> (Pass, u32) {
        let rung = Cell::new(0);
        let pass = walker.walk(clock, &|| rung.set(rung.get() + 1)).unwrap();
        (pass, rung.get())
    }

    /// At most as long as a lane leaves a node to another.
    fn is_soon(pass: &Pass) -> bool {
        pass.sleep(0).is_some_and(|sleep| sleep <= Duration::from_micros(PATIENCE.unsigned_abs()))
    }

    #[test]
    fn a_node_of_all_lanes_is_stepped_by_the_lane_whose_turn_it_is() {
        let ([mut zero, mut one], _) = two(3);
        let (pass, rung) = walk(&mut one);
        assert!(!pass.progressed && rung == 0, "it is the other's turn");
        assert!(is_soon(&pass), "it looks again soon");
        let (pass, rung) = walk(&mut zero);
        assert!(pass.progressed && rung == 1, "the other may sleep until it is its turn");
        assert!(!walk(&mut zero).0.progressed, "one step a turn");
        assert!(walk(&mut one).0.progressed);
    }

    #[test]
    fn a_lane_that_waited_long_enough_does_what_the_other_is_too_busy_for() {
        let ([_busy, mut one], _) = two(2);
        let clock = ManualClock::default();
        assert!(!walk_at(&mut one, &clock).0.progressed);
        clock.advance(PATIENCE - 1);
        assert!(!walk_at(&mut one, &clock).0.progressed);
        clock.advance(1);
        assert!(walk_at(&mut one, &clock).0.progressed, "in the other's place");
        assert!(walk_at(&mut one, &clock).0.progressed, "in its own turn");
    }

    #[test]
    fn lanes_for_which_there_is_no_worker_share_those_that_there_are_and_their_turns() {
        let (nodes, end) = reading(4, 128);
        let mut all = walkers(nodes, 1);
        assert_eq!(all.len(), 1);
        (0..4).for_each(|_| assert!(walk(&mut all[0]).0.progressed, "each turn is its own"));
        *end.lock().unwrap() = true;
        walk(&mut all[0]);
        assert!(all[0].is_over());

        let (nodes, _) = reading(4, 128);
        let mut three = walkers(nodes, 3);
        assert_eq!(three.iter().map(|walker| walker.own.len()).collect::<Vec<_>>(), [43, 43, 42]);
        assert!(walk(&mut three[0]).0.progressed, "the turn of lane 0");
        assert!(!walk(&mut three[2]).0.progressed && walk(&mut three[1]).0.progressed, "that of lane 1");
    }

    #[test]
    fn a_lane_that_finds_another_at_a_node_looks_again_soon() {
        let ([zero, mut one], _) = two(2);
        let held = zero.commons.read[0].lock().unwrap();
        let (pass, _) = walk(&mut one);
        assert!(!pass.progressed && is_soon(&pass));
        drop(held);
    }

    #[test]
    fn a_lane_goes_on_until_the_nodes_of_all_lanes_have_finished() {
        let ([mut zero, mut one], end) = two(1);
        *end.lock().unwrap() = true;
        assert!(!walk(&mut one).0.progressed && !one.is_over(), "there is something to read yet");
        assert!(walk(&mut zero).0.progressed && !zero.is_over());
        let (pass, _) = walk(&mut one);
        assert!(pass.progressed, "that a node has finished is worth waking the others for");
        assert!(one.is_over() && zero.is_over());
        assert!(!walk(&mut zero).0.progressed, "there is nothing left");
    }

    #[test]
    fn the_nodes_of_all_lanes_are_gone_once_every_lane_has_given_up() {
        let held = Arc::new(Mutex::new(false));
        let node = Placed { station: Station::Write, node: Box::new(Waits(held.clone())) as Box<dyn Node> };
        let own = (0..2).map(|lane| Placed { station: Station::Lane(lane), node: Box::new(Waits(held.clone())) as _ });
        let mut walkers = walkers(own.chain([node]).collect(), 2);
        assert_eq!(Arc::strong_count(&held), 4);
        walkers[0].give_up();
        assert_eq!(Arc::strong_count(&held), 3, "the other lane may still write");
        walkers[1].give_up();
        assert_eq!(Arc::strong_count(&held), 1, "what writes is gone before anybody is told");
    }
}
