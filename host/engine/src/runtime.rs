//! The runtime: a plan applied, that is nodes wired to each other, ready to be stepped.
//!
//! It has no thread. Whoever drives it steps the [`Runtime::nodes`], in any order and on any threads, and calls
//! [`Controls::pump`] between. Wiring: [`wiring`]. A plan that changes what runs is made ready off the lanes by
//! [`change`] and carried out by [`stages`].

pub mod change;
pub mod stages;
mod wiring;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use crate::coordinator::{Coordinator, Order, Recipient, Report};
use crate::counters::{Flow, OperatorMetrics, SharedCounters};
use crate::graph::Graph;
use crate::limits::{EMITTED_BYTES_MAX, LATENCY_MICROS, STATE_BYTES_MAX};
use crate::node::Node;
use crate::plan::{Part, Plan};
use crate::sink::{SinkError, SinkWriter};
use crate::source::SourceReader;
use change::{Change, ChangeError};
use stages::{StageEvent, Stages};

/// The outside ends of a pipeline, opened, in the order of the graph.
pub struct Connectors {
    /// One for each source.
    pub sources: Vec<Box<dyn SourceReader>>,
    /// One for each sink.
    pub sinks: Vec<Box<dyn SinkWriter>>,
    /// For the dead letters, where the graph has them.
    pub dead_letters: Option<Box<dyn SinkWriter>>,
}

/// Settings of a run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bytes of keyed state that the pipeline may hold. Each lane of each keyed stage gets the [same
    /// share](Self::state_share), and none more than that, whatever the others hold.
    pub state_bytes_max: u64,
    /// Bytes that the rows which an operator answers to one message may stand for.
    pub emitted_bytes_max: u64,
    /// How long a batch may take in a stage that says nothing itself, in microseconds.
    pub latency_micros: i64,
}

impl Settings {
    /// Bytes of state that a lane of a keyed stage of `graph` may hold.
    #[must_use]
    pub fn state_share(&self, graph: &Graph) -> u64 {
        let keyed = graph.stages.iter().filter(|stage| !stage.key.is_empty());
        self.state_bytes_max / keyed.map(|stage| u64::from(stage.lanes)).sum::<u64>().max(1)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { state_bytes_max: STATE_BYTES_MAX, emitted_bytes_max: EMITTED_BYTES_MAX, latency_micros: LATENCY_MICROS }
    }
}

/// Why a plan could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// A sink could not finish or undo what an earlier process left.
    #[error("sink {sink}: {error}")]
    Recover {
        /// The sink.
        sink: Arc<str>,
        /// What it says.
        error: SinkError,
    },
    /// An operator that could be opened when the pipeline was checked cannot any more, or has another plan.
    #[error("stage {stage}: {message}")]
    Operator {
        /// The stage.
        stage: Arc<str>,
        /// What happened.
        message: String,
    },
    /// Sinks whose commits cannot both be the commit point.
    #[error(
        "sinks {first} and {second} both commit in a way that cannot be resumed; a pipeline can have only one such sink"
    )]
    TwoCommitPoints {
        /// One of them.
        first: Arc<str>,
        /// The other.
        second: Arc<str>,
    },
    /// A plan that changes what runs.
    #[error("this plan changes a running pipeline ({change}); apply it to the controls of that pipeline")]
    NotAStart {
        /// The first change that does.
        change: String,
    },
}

/// Where along the way of a record a node stands, and so which thread steps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Station {
    /// It reads for all lanes.
    Read,
    /// It is part of the lane of that number.
    Lane(u32),
    /// It writes for all lanes.
    Write,
}

/// A node with its station.
pub struct Placed {
    /// Where it stands.
    pub station: Station,
    /// The node.
    pub node: Box<dyn Node>,
}

/// What one source, stage or sink has counted.
#[derive(Clone, Debug)]
pub struct Status {
    /// What it is.
    pub part: Part,
    /// Its name.
    pub name: Arc<str>,
    /// Its counters.
    pub counters: SharedCounters,
    /// The operator's own metrics, for a stage.
    pub metrics: Option<Arc<OperatorMetrics>>,
    /// For each input of a stage or sink, in the order of the graph, the edges that its rows pass on their way into it:
    /// for a sink they wait before they are encoded, and after.
    pub inputs: Vec<Vec<Arc<Flow>>>,
}

/// A pipeline that can be stepped.
pub struct Runtime {
    /// Its nodes, each after those that it reads from.
    pub nodes: Vec<Placed>,
    /// Its barriers and commits.
    pub controls: Controls,
    /// What it counts, sources first.
    pub status: Vec<Status>,
}

/// Barriers, commits and stops of a running pipeline.
pub struct Controls {
    coordinator: Coordinator,
    reports: Receiver<Report>,
    sources: Vec<Sender<Order>>,
    sinks: Vec<Sender<Order>>,
    stages: Stages,
}

impl Runtime {
    /// Applies a plan that starts `graph`: recovers the sinks, opens an operator a lane, and wires the nodes.
    ///
    /// # Errors
    /// See [`RuntimeError`]; nothing runs then.
    pub fn apply(
        plan: &Plan,
        graph: &Graph,
        connectors: Connectors,
        settings: &Settings,
    ) -> Result<Self, RuntimeError> {
        match plan.changes().iter().find(|change| change.action != crate::plan::Action::Add) {
            Some(change) => Err(RuntimeError::NotAStart { change: change.to_string() }),
            None => wiring::wire(graph, connectors, settings),
        }
    }
}

impl Controls {
    /// Carries reports to the coordinator and orders to the nodes. True: orders were given, somebody has work.
    pub fn pump(&mut self) -> bool {
        let mut any = false;
        while let Ok(report) = self.reports.try_recv() {
            let orders = self.coordinator.report(report);
            any |= self.give(orders);
        }
        any | self.stages.pump()
    }

    /// The graph that runs.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        self.stages.graph()
    }

    /// Whether a change can be applied now. A stage that still watches its last change is told that it was good.
    ///
    /// # Errors
    /// What runs is not any more what the change was made ready for, or a stage is still at its last change: ask again
    /// when it has reported.
    pub fn check(&mut self, change: &Change) -> Result<(), ChangeError> {
        self.stages.check(change)
    }

    /// Carries out a plan that changes what runs: every lane of its stages switches between two messages. It must have
    /// been [checked](Self::check) since the last report was [pumped](Self::pump).
    pub fn apply(&mut self, change: Change) {
        self.stages.apply(change);
    }

    /// The stages' versions.
    #[must_use]
    pub fn stages(&self) -> &Stages {
        &self.stages
    }

    /// What happened to stages since the last call.
    pub fn events(&mut self) -> Vec<StageEvent> {
        self.stages.events()
    }

    /// Lets the sources read no more until [`Self::resume`]; what was read goes on its way and can be committed.
    pub fn pause(&mut self) {
        self.to_sources(&Order::Pause);
    }

    /// Lets the sources read again.
    pub fn resume(&mut self) {
        self.to_sources(&Order::Resume);
    }

    fn to_sources(&self, order: &Order) {
        // A source that is gone has failed or finished; its failure is reported by its own step.
        self.sources.iter().for_each(|source| drop(source.send(order.clone())));
    }

    /// Ends the epoch, if none is on its way to be complete.
    pub fn tick(&mut self) -> bool {
        let orders = self.coordinator.tick();
        self.give(orders)
    }

    /// Lets the pipeline drain: sources read no more, what is on its way is finished and committed.
    pub fn stop(&mut self) {
        let orders = self.coordinator.stop();
        self.give(orders);
    }

    /// The last complete epoch.
    #[must_use]
    pub fn complete(&self) -> Option<u64> {
        self.coordinator.complete()
    }

    /// Whether the pipeline is done: its last epoch is complete.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.coordinator.finished()
    }

    fn give(&self, orders: Vec<(Recipient, Order)>) -> bool {
        let any = !orders.is_empty();
        for (to, order) in orders {
            let recipient = match to {
                Recipient::Source(source) => &self.sources[source],
                Recipient::Sink(sink) => &self.sinks[sink],
            };
            // A node that is gone has failed or finished; its failure is reported by its own step.
            drop(recipient.send(order));
        }
        any
    }
}
