//! Epochs: when a barrier starts, when every sink has prepared, and when they commit. A value without any I/O.
//!
//! An epoch is *prepared* once every sink has made its rows durable and every source has said how far it had read; then
//! the sinks commit, those first whose commit cannot be resumed; then it is *complete*, and the sources may forget what
//! came before. One epoch is under way at a time. The last epoch of a pipeline ends it.

use crate::sink::Promise;
use crate::source::Position;

/// What the coordinator is told by nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A source has nothing more to read.
    Drained {
        /// Its number.
        source: usize,
    },
    /// How far a source had read when it passed the barrier on.
    Positions {
        /// Its number.
        source: usize,
        /// The epoch that the barrier ends.
        epoch: u64,
        /// One entry a partition.
        positions: Vec<Position>,
    },
    /// A sink has made an epoch durable.
    Prepared {
        /// Its number.
        sink: usize,
        /// The epoch.
        epoch: u64,
    },
    /// A sink has made an epoch visible.
    Committed {
        /// Its number.
        sink: usize,
        /// The epoch.
        epoch: u64,
    },
}

/// What nodes are told by the coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// To a source: end the epoch here.
    Barrier {
        /// Its number.
        epoch: u64,
        /// Whether nothing follows.
        last: bool,
    },
    /// To a source: read no more.
    Stop,
    /// To a source: read nothing for now.
    Pause,
    /// To a source: read again.
    Resume,
    /// To a source: what is before these positions is done.
    Acknowledge(Vec<Position>),
    /// To a sink: make the epoch visible.
    Commit(u64),
}

/// Who an order is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// The source of that number.
    Source(usize),
    /// The sink of that number.
    Sink(usize),
}

/// The epoch that is under way.
#[derive(Debug)]
struct UnderWay {
    number: u64,
    last: bool,
    positions: Vec<Option<Vec<Position>>>,
    prepared: Vec<bool>,
    committed: Vec<bool>,
    /// Sinks are told to commit in two rounds: commit points, then the others.
    told: Round,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    Nobody,
    CommitPoints,
    Everybody,
}

/// Decides about epochs.
#[derive(Debug)]
pub struct Coordinator {
    drained: Vec<bool>,
    sinks: Vec<Promise>,
    next: u64,
    under_way: Option<UnderWay>,
    complete: Option<u64>,
    finished: bool,
}

impl Coordinator {
    /// A coordinator for so many sources, and sinks of these promises. Epochs are numbered from `first`.
    #[must_use]
    pub fn new(sources: usize, sinks: Vec<Promise>, first: u64) -> Self {
        let drained = vec![false; sources];
        Self { drained, sinks, next: first, under_way: None, complete: None, finished: false }
    }

    /// The last complete epoch.
    #[must_use]
    pub fn complete(&self) -> Option<u64> {
        self.complete
    }

    /// Whether the last epoch is complete: the pipeline is done.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// Ends the epoch, if none is on its way to be complete already.
    pub fn tick(&mut self) -> Vec<(Recipient, Order)> {
        if self.under_way.is_some() || self.finished { Vec::new() } else { self.begin(self.all_drained()) }
    }

    /// Asks all sources to read no more; the last epoch follows when they have.
    #[must_use]
    pub fn stop(&self) -> Vec<(Recipient, Order)> {
        (0..self.drained.len()).map(|source| (Recipient::Source(source), Order::Stop)).collect()
    }

    /// A node reports.
    pub fn report(&mut self, report: Report) -> Vec<(Recipient, Order)> {
        let epoch = self.under_way.as_mut();
        match (report, epoch) {
            (Report::Drained { source }, _) => self.drained[source] = true,
            (Report::Positions { source, epoch, positions }, Some(at)) if at.number == epoch => {
                at.positions[source] = Some(positions);
            }
            (Report::Prepared { sink, epoch }, Some(at)) if at.number == epoch => at.prepared[sink] = true,
            (Report::Committed { sink, epoch }, Some(at)) if at.number == epoch => at.committed[sink] = true,
            (report, _) => panic!("{report:?} is about an epoch that is not under way"),
        }
        self.advance()
    }

    fn all_drained(&self) -> bool {
        self.drained.iter().all(|drained| *drained)
    }

    fn begin(&mut self, last: bool) -> Vec<(Recipient, Order)> {
        let (sources, sinks) = (self.drained.len(), self.sinks.len());
        let number = self.next;
        self.next += 1;
        self.under_way = Some(UnderWay {
            number,
            last,
            positions: vec![None; sources],
            prepared: vec![false; sinks],
            committed: vec![false; sinks],
            told: Round::Nobody,
        });
        (0..sources).map(|source| (Recipient::Source(source), Order::Barrier { epoch: number, last })).collect()
    }

    fn advance(&mut self) -> Vec<(Recipient, Order)> {
        let all_drained = self.all_drained();
        let Some(at) = &mut self.under_way else {
            return if all_drained && !self.finished { self.begin(true) } else { Vec::new() };
        };
        let done = |flags: &[bool]| flags.iter().all(|flag| *flag);
        if !done(&at.prepared) || at.positions.iter().any(Option::is_none) {
            return Vec::new();
        }
        let point = |sink: &usize| self.sinks[*sink] == Promise::CommitPoint;
        let commit = |sink: usize| (Recipient::Sink(sink), Order::Commit(at.number));
        let sinks = 0..self.sinks.len();
        if at.told == Round::Nobody {
            at.told = Round::CommitPoints;
            let orders: Vec<_> = sinks.clone().filter(point).map(commit).collect();
            if !orders.is_empty() {
                return orders;
            }
        }
        if at.told == Round::CommitPoints {
            if !sinks.clone().filter(point).all(|sink| at.committed[sink]) {
                return Vec::new();
            }
            at.told = Round::Everybody;
            let orders: Vec<_> = sinks.filter(|sink| !point(sink)).map(commit).collect();
            if !orders.is_empty() {
                return orders;
            }
        }
        if done(&at.committed) { self.end() } else { Vec::new() }
    }

    /// The epoch under way is complete.
    fn end(&mut self) -> Vec<(Recipient, Order)> {
        let at = self.under_way.take().expect("called when an epoch is under way");
        self.complete = Some(at.number);
        self.finished = at.last;
        let positions = at.positions.into_iter().map(|positions| positions.expect("every source has reported"));
        let acknowledge = |(source, positions)| (Recipient::Source(source), Order::Acknowledge(positions));
        let mut orders: Vec<_> = positions.enumerate().map(acknowledge).collect();
        if !self.finished && self.all_drained() {
            orders.extend(self.begin(true));
        }
        orders
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(source: usize, epoch: u64) -> Report {
        Report::Positions { source, epoch, positions: Vec::new() }
    }

    #[test]
    fn a_sink_that_cannot_be_resumed_commits_before_the_others() {
        let mut epochs = Coordinator::new(1, vec![Promise::Recoverable, Promise::CommitPoint], 1);
        assert_eq!(epochs.tick(), [(Recipient::Source(0), Order::Barrier { epoch: 1, last: false })]);
        assert!(epochs.report(Report::Prepared { sink: 0, epoch: 1 }).is_empty());
        assert!(epochs.report(positions(0, 1)).is_empty());
        let orders = epochs.report(Report::Prepared { sink: 1, epoch: 1 });
        assert_eq!(orders, [(Recipient::Sink(1), Order::Commit(1))]);
        let orders = epochs.report(Report::Committed { sink: 1, epoch: 1 });
        assert_eq!(orders, [(Recipient::Sink(0), Order::Commit(1))]);
        let orders = epochs.report(Report::Committed { sink: 0, epoch: 1 });
        assert_eq!(orders, [(Recipient::Source(0), Order::Acknowledge(Vec::new()))]);
        assert_eq!((epochs.complete(), epochs.finished()), (Some(1), false));
    }

    #[test]
    fn sources_that_drain_during_an_epoch_are_followed_by_a_last_one() {
        let mut epochs = Coordinator::new(2, vec![Promise::Recoverable], 5);
        assert!(epochs.report(Report::Drained { source: 0 }).is_empty(), "the other still reads");
        assert_eq!(epochs.tick().len(), 2);
        assert!(epochs.tick().is_empty(), "one at a time");
        assert!(epochs.report(Report::Drained { source: 1 }).is_empty());
        epochs.report(positions(0, 5));
        epochs.report(positions(1, 5));
        epochs.report(Report::Prepared { sink: 0, epoch: 5 });
        let orders = epochs.report(Report::Committed { sink: 0, epoch: 5 });
        assert!(orders.contains(&(Recipient::Source(1), Order::Barrier { epoch: 6, last: true })), "{orders:?}");
    }
}
