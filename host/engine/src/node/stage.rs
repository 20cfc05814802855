//! The stage node: one lane of a stage. Columns in, a call, and all of its effects or none.
//!
//! Always true: what a call wanted is applied after it succeeded, state and rows together; a message that came in
//! becomes one message on each port, once every row of it is emitted, filtered, or given up. Neighbours:
//! [`crate::node::code`] calls, [`apply`] does what a call wants done or finds whom to blame, [`crate::node::work`]
//! orders tries, [`watch`] changes the code between two messages.

mod apply;
mod held;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::mpsc::{Receiver, Sender};

use crate::batch::Batch;
use crate::clock::{Clock, Micros};
use crate::counters::SharedCounters;
use crate::dead_letter::DeadLetter;
use crate::edge::{Delivery, Inbox, Message, Parcel};
use crate::graph::Stage;
use crate::key;
use crate::limits::{BATCH_ROWS_MAX, SWEEP_EVERY_MICROS, SWEEP_KEYS};
use crate::node::code::{Code, Room};
use crate::node::order::{News, Side, StageOrder, StageReport, Tap};
use crate::node::outbox::Outbox;
use crate::node::work::{Task, Work};
use crate::node::{Node, Step};
use crate::operator::Context;
use crate::pace::Throttle;
use crate::state::KeyedState;
use watch::{Unseen, Watch};

/// What a stage lane is made of.
pub struct Parts {
    /// Number of the stage in the graph.
    pub number: usize,
    /// Number of the lane.
    pub lane: u32,
    /// This lane's operator, and its version.
    pub code: Code,
    /// This lane's state, for a keyed operator.
    pub state: Option<KeyedState>,
    /// From upstream.
    pub inbox: Inbox,
    /// To downstream, and to the dead letters.
    pub outbox: Outbox,
    /// Bytes that the rows of one message may become.
    pub emitted_bytes_max: u64,
    /// Told how long batches take.
    pub throttle: Throttle,
    /// What the stage counts, over all its versions.
    pub counters: SharedCounters,
    /// Swaps and taps.
    pub orders: Receiver<StageOrder>,
    /// Where the lane says what it did about them.
    pub reports: Sender<StageReport>,
}

/// One lane of a stage.
pub struct StageNode {
    parts: Parts,
    work: Work,
    /// Rows that go out when the work is done, for each port.
    out: Vec<Vec<Batch>>,
    /// Bytes of these rows, and how many they may be.
    room: Room,
    letters: Vec<DeadLetter>,
    /// Whether a message is being worked on.
    busy: bool,
    /// Number of the last batch.
    number: u64,
    /// The smallest watermark among the upstreams, and each one's.
    watermarks: Vec<Micros>,
    seed: u64,
    /// When keys past their time are looked for again.
    sweep_at: Micros,
    /// The code before, while the one that works is watched.
    watch: Option<Watch>,
    /// The last switch, until rows have come.
    unseen: Option<Unseen>,
    /// Rows of the message at hand that are not done yet.
    owed: i64,
    taps: Vec<Tap>,
    /// Keys and bytes of the state, as they were told last.
    held: [u64; 2],
}

impl StageNode {
    /// A lane over these parts, which has so many upstreams.
    #[must_use]
    pub fn new(parts: Parts, upstreams: usize) -> Self {
        let stage = &parts.code.version.stage;
        let ports = stage.plan.ports.len();
        let seed = key::hash(stage.name.as_bytes()) ^ u64::from(parts.lane);
        Self {
            work: Work::default(),
            out: vec![Vec::new(); ports],
            room: Room::of(parts.emitted_bytes_max),
            parts,
            letters: Vec::new(),
            busy: false,
            number: 0,
            watermarks: vec![Micros::MIN; upstreams],
            seed,
            sweep_at: Micros::MIN,
            watch: None,
            unseen: None,
            owed: 0,
            taps: Vec::new(),
            held: [0; 2],
        }
    }

    fn accept(&mut self, upstream: usize, parcel: Parcel) {
        self.watermarks[upstream] = self.watermarks[upstream].max(parcel.watermark);
        self.busy = true;
        let batches = parcel.batches.into_iter().flat_map(|batch| batch.pieces(BATCH_ROWS_MAX));
        for batch in batches.filter(|batch| batch.rows() > 0) {
            self.number += 1;
            self.parts.counters.rows_in.add(batch.rows() as u64);
            self.owed += batch.rows() as i64;
            watch::show(&mut self.taps, Side::In, 0, &batch);
            self.work.push(Task { batch, number: self.number, attempt: 0, due: Micros::MIN });
        }
    }

    fn stage(&self) -> &Stage {
        &self.parts.code.version.stage
    }

    fn watermark(&self) -> Micros {
        self.watermarks.iter().copied().min().unwrap_or(Micros::MIN)
    }

    /// Calls the operator with a task's rows and does what it wants done.
    fn call(&mut self, task: Task, clock: &dyn Clock) -> Step {
        let began = clock.now();
        self.seen(began);
        let context = Context {
            batch: task.number,
            attempt: task.attempt,
            watermark: self.watermark(),
            now: began,
            seed: key::hash(&(self.seed ^ task.number).to_le_bytes()),
        };
        let result = self.parts.code.call(self.parts.state.as_mut(), &task.batch, context, &mut self.room);
        let result = match result {
            Err(error) => self.judge(&task, context, error, clock),
            Ok(effects) => {
                self.passed();
                Ok(effects)
            }
        };
        match result {
            Ok(effects) => {
                let now = clock.now();
                self.parts.throttle.took(task.batch.rows(), now - began);
                if effects.wait(context.attempt) {
                    self.postpone(&task, &effects, now);
                    return Step::Progressed;
                }
                let step = self.apply(&task, effects, now);
                let now = clock.now();
                let age = task.batch.read_at().map(|read_at| now - read_at);
                for counters in [&self.parts.counters, &self.parts.code.version.counters] {
                    counters.took.record(now - began);
                    age.into_iter().for_each(|age| counters.age.record(age));
                }
                step
            }
            Err(error) => self.recover(task, &error, clock.now()),
        }
    }

    /// Gives back memory of keys past their time, a slice of them; answers when it is the next one's turn.
    fn sweep(&mut self, clock: &dyn Clock) -> Option<Micros> {
        let state = self.parts.state.as_mut().filter(|state| state.expires() && !state.is_empty())?;
        let now = clock.now();
        if now >= self.sweep_at {
            state.sweep(now, SWEEP_KEYS);
            self.sweep_at = now.saturating_add(SWEEP_EVERY_MICROS);
            self.tell_held();
        }
        Some(self.sweep_at)
    }

    /// Sends what the message became, once nothing of it is left.
    fn finish(&mut self) {
        let watermark = self.watermark();
        for (port, batches) in self.out.iter().enumerate() {
            batches.iter().for_each(|batch| watch::show(&mut self.taps, Side::Out, port, batch));
        }
        for (port, batches) in self.out.iter_mut().enumerate() {
            self.parts.outbox.rows(port, Parcel { batches: std::mem::take(batches), watermark });
        }
        if !self.letters.is_empty() {
            self.parts.outbox.dead(std::mem::take(&mut self.letters));
        }
        self.tell_held();
        self.room.clear();
        self.parts.counters.lost.add(std::mem::take(&mut self.owed).unsigned_abs());
        self.busy = false;
    }
}

impl Node for StageNode {
    fn step(&mut self, clock: &dyn Clock) -> Step {
        if let Some(step) = self.parts.outbox.settle() {
            return step;
        }
        if let Some(due) = self.work.due() {
            if due > clock.now() {
                return Step::Idle { until: Some(due) };
            }
            let task = self.work.take().expect("it has just been looked at");
            return self.call(task, clock);
        }
        if self.busy {
            self.finish();
            return Step::Progressed;
        }
        if let Some(order) = self.ordered() {
            return self.obey(order, clock);
        }
        let until = self.sweep(clock);
        match self.parts.inbox.take() {
            Delivery::Message(upstream, Message::Rows(parcel)) => {
                self.accept(upstream, parcel);
                Step::Progressed
            }
            Delivery::Nothing => {
                self.rest(clock);
                Step::Idle { until }
            }
            other => {
                self.rest(clock);
                if matches!(other, Delivery::End) {
                    self.tell(self.parts.code.version.number, News::Ended);
                }
                self.parts.outbox.pass(&other)
            }
        }
    }

    fn name(&self) -> &str {
        &self.stage().name
    }
}
