//! The stages of a running pipeline: which version of their code each lane has, and what happened to it.
//!
//! Always true: a stage switches to one version at a time, and until every lane has passed the watch of the new one,
//! the lanes can go back. If one lane goes back, all do.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use super::change::{Change, ChangeError, Swap};
use crate::clock::Micros;
use crate::graph::Graph;
use crate::limits::VERSIONS_MAX;
use crate::node::code::{Code, Version};
use crate::node::order::{News, StageOrder, StageReport, Tap};

/// Something that happened to the code of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageEvent {
    /// All lanes work with the new code.
    Switched {
        /// The stage.
        stage: Arc<str>,
        /// The new version.
        version: u64,
        /// The longest that rows of a lane waited, in microseconds.
        waited: Micros,
        /// Keys whose state was carried over.
        keys: u64,
    },
    /// All lanes have done enough batches with it: the code before is gone.
    Settled {
        /// The stage.
        stage: Arc<str>,
        /// The version.
        version: u64,
    },
    /// All lanes work with the code before again.
    WentBack {
        /// The stage.
        stage: Arc<str>,
        /// The version that was left.
        version: u64,
        /// The version that works.
        to: u64,
        /// Why.
        why: String,
        /// The longest that rows of a lane waited, in microseconds.
        waited: Micros,
    },
}

/// How far a stage is with its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Every lane works with it.
    Settled,
    /// Some lanes work with the one before.
    Switching,
    /// Every lane works with it, and may go back.
    Watched,
    /// Some lanes work with the one before again, the others will.
    GoingBack,
}

/// A switch that is on its way or watched.
struct Switch {
    version: Arc<Version>,
    before: Arc<Version>,
    /// For each lane how far it is.
    lanes: Vec<Progress>,
    waited: Micros,
    keys: u64,
    why: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Told,
    Installed,
    Passed,
    Back,
}

/// The lanes of one stage.
pub(super) struct Lanes {
    orders: Vec<Sender<StageOrder>>,
    versions: VecDeque<Arc<Version>>,
    live: Arc<Version>,
    last: u64,
    switch: Option<Switch>,
}

impl Lanes {
    /// Lanes that all work with this version.
    pub(super) fn new(version: Arc<Version>, orders: Vec<Sender<StageOrder>>) -> Self {
        Self { orders, versions: [version.clone()].into(), last: version.number, live: version, switch: None }
    }

    fn tell(&self, order: impl Fn() -> StageOrder) {
        // A lane that is gone has failed or finished; its failure is reported by its own step.
        self.orders.iter().for_each(|lane| drop(lane.send(order())));
    }

    fn phase(&self) -> Phase {
        match &self.switch {
            None => Phase::Settled,
            Some(switch) if switch.why.is_some() => Phase::GoingBack,
            Some(switch) if switch.lanes.contains(&Progress::Told) => Phase::Switching,
            Some(_) => Phase::Watched,
        }
    }

    /// Sends new code to every lane.
    fn install(&mut self, swap: Swap) {
        self.last += 1;
        let version = Arc::new(Version::new(self.last, swap.wanted));
        for (lane, operator) in self.orders.iter().zip(swap.operators) {
            let code = Code { version: version.clone(), operator };
            drop(lane.send(StageOrder::Install(Box::new(code))));
        }
        let lanes = vec![Progress::Told; self.orders.len()];
        let before = std::mem::replace(&mut self.live, version.clone());
        self.versions.push_back(version.clone());
        if self.versions.len() > VERSIONS_MAX {
            self.versions.pop_front();
        }
        self.switch = Some(Switch { version, before, lanes, waited: 0, keys: 0, why: None });
    }

    /// What a report comes to.
    fn report(&mut self, report: StageReport) -> Option<StageEvent> {
        let StageReport { lane, version, news, .. } = report;
        let switch = self.switch.as_mut().filter(|switch| switch.version.number == version)?;
        let stage = switch.version.stage.name.clone();
        let done = |switch: &Switch, least: &[Progress]| switch.lanes.iter().all(|lane| least.contains(lane));
        match news {
            News::Installed { waited, keys } => {
                switch.lanes[lane as usize] = Progress::Installed;
                switch.waited = switch.waited.max(waited);
                switch.keys += keys;
                let all = switch.why.is_none() && done(switch, &[Progress::Installed, Progress::Passed]);
                all.then_some(StageEvent::Switched { stage, version, waited: switch.waited, keys: switch.keys })
            }
            News::Passed => {
                switch.lanes[lane as usize] = Progress::Passed;
                if !done(switch, &[Progress::Passed]) {
                    return None;
                }
                self.switch = None;
                self.tell(|| StageOrder::Forget { version });
                Some(StageEvent::Settled { stage, version })
            }
            News::Back { why, waited } => {
                switch.lanes[lane as usize] = Progress::Back;
                switch.waited = switch.waited.max(waited);
                let first = switch.why.is_none();
                if let (Some(why), true) = (why, first) {
                    switch.why = Some(why);
                }
                if done(switch, &[Progress::Back]) {
                    let switch = self.switch.take()?;
                    self.live = switch.before;
                    let (to, why) = (self.live.number, switch.why.unwrap_or_default());
                    return Some(StageEvent::WentBack { stage, version, to, why, waited: switch.waited });
                }
                if first {
                    self.tell(|| StageOrder::Back { version });
                }
                None
            }
        }
    }
}

/// The stages of a running pipeline.
pub struct Stages {
    /// As it runs.
    graph: Graph,
    lanes: Vec<Lanes>,
    reports: Receiver<StageReport>,
    events: Vec<StageEvent>,
}

impl Stages {
    pub(super) fn new(graph: Graph, lanes: Vec<Lanes>, reports: Receiver<StageReport>) -> Self {
        Self { graph, lanes, reports, events: Vec::new() }
    }

    pub(super) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The versions of a stage, oldest first, the last [`VERSIONS_MAX`] of them; none where there is no such stage.
    #[must_use]
    pub fn versions(&self, stage: &str) -> Option<Vec<Arc<Version>>> {
        Some(self.find(stage)?.versions.iter().cloned().collect())
    }

    /// The version that a stage works with, or switches to, and how far it is with that.
    #[must_use]
    pub fn live(&self, stage: &str) -> Option<(Arc<Version>, Phase)> {
        self.find(stage).map(|lanes| (lanes.live.clone(), lanes.phase()))
    }

    /// Shows rows of a stage. False: there is no such stage.
    pub fn tap(&self, stage: &str, tap: impl Fn() -> Tap) -> bool {
        self.find(stage).map(|lanes| lanes.tell(|| StageOrder::Tap(tap()))).is_some()
    }

    fn find(&self, stage: &str) -> Option<&Lanes> {
        let number = self.graph.stages.iter().position(|of| *of.name == *stage)?;
        Some(&self.lanes[number])
    }

    pub(super) fn check(&self, change: &Change) -> Result<(), ChangeError> {
        for swap in &change.swaps {
            let (lanes, stage) = (&self.lanes[swap.stage], swap.wanted.name.clone());
            if let Some(switch) = &lanes.switch {
                // A lane without rows would be watched for ever: who wants the next version calls this one good.
                if lanes.phase() == Phase::Watched {
                    let version = switch.version.number;
                    lanes.tell(|| StageOrder::Settle { version });
                }
                return Err(ChangeError::Busy { stage, version: switch.version.number });
            }
            if lanes.live.digest() != &*swap.from {
                return Err(ChangeError::Stale { stage });
            }
        }
        Ok(())
    }

    pub(super) fn apply(&mut self, change: Change) {
        for swap in change.swaps {
            self.graph.stages[swap.stage] = (*swap.wanted).clone();
            assert!(self.lanes[swap.stage].switch.is_none(), "a change is checked before it is applied");
            self.lanes[swap.stage].install(swap);
        }
    }

    /// Takes the lanes' reports. True: orders were given, somebody has work.
    pub(super) fn pump(&mut self) -> bool {
        let mut any = false;
        while let Ok(report) = self.reports.try_recv() {
            let number = report.stage;
            any = true;
            let event = self.lanes[number].report(report);
            self.graph.stages[number] = (*self.lanes[number].live.stage).clone();
            self.events.extend(event);
        }
        any
    }

    pub(super) fn events(&mut self) -> Vec<StageEvent> {
        std::mem::take(&mut self.events)
    }
}
