//! The stages of a running pipeline: which version of their code each lane has, and what happened to it.
//!
//! Always true: a stage switches to one version at a time, and until every lane has passed the watch of the new one,
//! the lanes can go back. If one lane goes back, all do. A lane whose input has ended has no rows for any code: nobody
//! waits for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender};

use super::change::{Change, ChangeError, Swap};
use crate::clock::Micros;
use crate::graph::Graph;
use crate::limits::{STAGE_TAPS_MAX, VERSIONS_MAX};
use crate::node::code::{Code, Version};
use crate::node::order::{News, Side, StageOrder, StageReport, Tap, Tapped};

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

/// Why rows of a stage are not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TapError {
    /// There is no such stage.
    #[error("there is no such stage")]
    Unknown,
    /// Too many look, or a lane has no time to notice that they look no more.
    #[error("the rows of the stage are looked at {STAGE_TAPS_MAX} times, and that is the limit; try again later")]
    TooMany,
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
    /// Whether the lanes were told that it is good: once, however often somebody asks.
    good: bool,
    /// Whether it was told that every lane works with it.
    told: bool,
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
    /// For each lane whether its input has ended: it takes no orders any more.
    ended: Vec<bool>,
    /// Held by each look of a lane.
    taps: Arc<()>,
}

impl Lanes {
    /// Lanes that all work with this version.
    pub(super) fn new(version: Arc<Version>, orders: Vec<Sender<StageOrder>>) -> Self {
        let (versions, last, ended) = ([version.clone()].into(), version.number, vec![false; orders.len()]);
        Self { orders, versions, last, live: version, switch: None, ended, taps: Arc::default() }
    }

    fn tell(&self, order: impl Fn() -> StageOrder) {
        // A lane that is gone has failed or finished; its failure is reported by its own step.
        self.orders.iter().for_each(|lane| drop(lane.send(order())));
    }

    fn phase(&self) -> Phase {
        match &self.switch {
            None => Phase::Settled,
            Some(switch) if switch.why.is_some() => Phase::GoingBack,
            Some(switch) => {
                let waits = |(lane, ended): (&Progress, &bool)| *lane == Progress::Told && !ended;
                if switch.lanes.iter().zip(&self.ended).any(waits) { Phase::Switching } else { Phase::Watched }
            }
        }
    }

    /// Sends new code to every lane.
    fn install(&mut self, swap: Swap, watch: u32) {
        self.last += 1;
        let version = Arc::new(Version::new(self.last, swap.wanted));
        for (lane, operator) in self.orders.iter().zip(swap.operators) {
            let code = Code { version: version.clone(), operator };
            drop(lane.send(StageOrder::Install { code: Box::new(code), watch }));
        }
        let lanes = vec![Progress::Told; self.orders.len()];
        let before = std::mem::replace(&mut self.live, version.clone());
        self.versions.push_back(version.clone());
        if self.versions.len() > VERSIONS_MAX {
            self.versions.pop_front();
        }
        self.switch = Some(Switch { version, before, lanes, waited: 0, keys: 0, why: None, good: false, told: false });
    }

    /// Takes a report, and tells what the lanes have come to.
    fn report(&mut self, report: StageReport, events: &mut Vec<StageEvent>) {
        let StageReport { lane, version, news, .. } = report;
        let (lane, mut back) = (lane as usize, false);
        match (news, self.switch.as_mut().filter(|switch| switch.version.number == version)) {
            (News::Ended, _) => self.ended[lane] = true,
            (_, None) => return,
            (News::Installed { waited, keys }, Some(switch)) => {
                switch.lanes[lane] = Progress::Installed;
                switch.waited = switch.waited.max(waited);
                switch.keys += keys;
            }
            (News::Passed, Some(switch)) => switch.lanes[lane] = Progress::Passed,
            (News::Back { why, waited }, Some(switch)) => {
                switch.lanes[lane] = Progress::Back;
                switch.waited = switch.waited.max(waited);
                back = switch.why.is_none();
                switch.why = switch.why.take().or(why);
            }
        }
        self.come_to(events);
        if back && self.switch.is_some() {
            self.tell(|| StageOrder::Back { version });
        }
    }

    /// Tells what the lanes have come to together. One whose input has ended has no say in it.
    fn come_to(&mut self, events: &mut Vec<StageEvent>) {
        let Some(switch) = &mut self.switch else { return };
        let (stage, version) = (switch.version.stage.name.clone(), switch.version.number);
        let all = |least: &[Progress]| {
            switch.lanes.iter().zip(&self.ended).all(|(lane, ended)| *ended || least.contains(lane))
        };
        if let Some(why) = &switch.why {
            if all(&[Progress::Back]) {
                let (to, why, waited) = (switch.before.number, why.clone(), switch.waited);
                events.push(StageEvent::WentBack { stage, version, to, why, waited });
                self.live = switch.before.clone();
                self.switch = None;
            }
            return;
        }
        if all(&[]) && switch.lanes.iter().all(|lane| *lane == Progress::Told) {
            // No lane has heard of it before its input ended: nothing has happened.
            self.live = switch.before.clone();
            self.switch = None;
            return;
        }
        let (switched, passed) = (all(&[Progress::Installed, Progress::Passed]), all(&[Progress::Passed]));
        if switched && !std::mem::replace(&mut switch.told, true) {
            events.push(StageEvent::Switched {
                stage: stage.clone(),
                version,
                waited: switch.waited,
                keys: switch.keys,
            });
        }
        if passed {
            self.switch = None;
            self.tell(|| StageOrder::Forget { version });
            events.push(StageEvent::Settled { stage, version });
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

    /// The version that the lanes of a stage work with; while they switch, the one before.
    #[must_use]
    pub fn works(&self, stage: &str) -> Option<Arc<Version>> {
        let lanes = self.find(stage)?;
        let switching = lanes.switch.as_ref().filter(|_| lanes.phase() == Phase::Switching);
        Some(switching.map_or(&lanes.live, |switch| &switch.before).clone())
    }

    /// Shows rows of a stage for as long as `reader` lives.
    ///
    /// # Errors
    /// There is no such stage, or too many look.
    pub fn tap(&self, stage: &str, side: Side, to: &SyncSender<Tapped>, reader: &Arc<()>) -> Result<(), TapError> {
        let lanes = self.find(stage).ok_or(TapError::Unknown)?;
        if Arc::strong_count(&lanes.taps) > STAGE_TAPS_MAX * lanes.orders.len() {
            return Err(TapError::TooMany);
        }
        let tap = || Tap { side, to: to.clone(), reader: Arc::downgrade(reader), _counted: lanes.taps.clone() };
        lanes.tell(|| StageOrder::Tap(tap()));
        Ok(())
    }

    fn find(&self, stage: &str) -> Option<&Lanes> {
        let number = self.graph.stages.iter().position(|of| *of.name == *stage)?;
        Some(&self.lanes[number])
    }

    pub(super) fn check(&mut self, change: &Change) -> Result<(), ChangeError> {
        for swap in &change.swaps {
            let (lanes, stage) = (&mut self.lanes[swap.stage], swap.wanted.name.clone());
            if lanes.ended.contains(&true) {
                return Err(ChangeError::Ended { stage });
            }
            let phase = lanes.phase();
            if let Some(switch) = &mut lanes.switch {
                let version = switch.version.number;
                // A lane without rows would be watched for ever: who wants the next version calls this one good.
                if phase == Phase::Watched && !std::mem::replace(&mut switch.good, true) {
                    lanes.tell(|| StageOrder::Settle { version });
                }
                return Err(ChangeError::Busy { stage, version });
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
            self.lanes[swap.stage].install(swap, change.watch);
        }
    }

    /// Takes the lanes' reports. True: orders were given, somebody has work.
    pub(super) fn pump(&mut self) -> bool {
        let mut any = false;
        while let Ok(report) = self.reports.try_recv() {
            let number = report.stage;
            any = true;
            self.lanes[number].report(report, &mut self.events);
            self.graph.stages[number] = (*self.lanes[number].live.stage).clone();
        }
        any
    }

    pub(super) fn events(&mut self) -> Vec<StageEvent> {
        std::mem::take(&mut self.events)
    }
}
