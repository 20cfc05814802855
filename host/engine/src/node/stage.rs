//! The stage node: one lane of a stage. Columns in, a call, and all of its effects or none.
//!
//! Always true: what a call wanted is applied after it succeeded, state and rows together; a message that came in
//! becomes one message on each port, once every row of it is emitted, filtered, or given up. Neighbours:
//! [`crate::node::code`] calls, [`crate::node::work`] orders tries, [`watch`] changes the code between two messages.

mod watch;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use arrow_array::UInt32Array;

use crate::batch::Batch;
use crate::clock::{Clock, Micros};
use crate::codec::{self, Format};
use crate::counters::SharedCounters;
use crate::dead_letter::DeadLetter;
use crate::edge::{Delivery, Inbox, Message, Parcel};
use crate::graph::{OnError, Shape, Stage};
use crate::key;
use crate::limits::{RETRIES_MAX, RETRY_BACKOFF_MAX_MS, RETRY_BACKOFF_MS};
use crate::node::code::Code;
use crate::node::order::{Side, StageOrder, StageReport, Tap};
use crate::node::outbox::Outbox;
use crate::node::work::{Task, Work};
use crate::node::{Node, Step, failed};
use crate::operator::{Action, CallError, Context, Effects};
use crate::pace::Throttle;
use crate::state::KeyedState;
use watch::Watch;

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
    letters: Vec<DeadLetter>,
    /// Whether a message is being worked on.
    busy: bool,
    /// Number of the last batch.
    number: u64,
    /// The smallest watermark among the upstreams, and each one's.
    watermarks: Vec<Micros>,
    seed: u64,
    ended: bool,
    /// The code before, while the one that works is watched.
    watch: Option<Watch>,
    taps: Vec<Tap>,
}

impl StageNode {
    /// A lane over these parts, which has so many upstreams.
    #[must_use]
    pub fn new(parts: Parts, upstreams: usize) -> Self {
        let stage = &parts.code.version.stage;
        let ports = stage.plan.ports.len();
        let seed = key::hash(stage.name.as_bytes()) ^ u64::from(parts.lane);
        Self {
            parts,
            work: Work::default(),
            out: vec![Vec::new(); ports],
            letters: Vec::new(),
            busy: false,
            number: 0,
            watermarks: vec![Micros::MIN; upstreams],
            seed,
            ended: false,
            watch: None,
            taps: Vec::new(),
        }
    }

    fn accept(&mut self, upstream: usize, parcel: Parcel) {
        self.watermarks[upstream] = self.watermarks[upstream].max(parcel.watermark);
        self.busy = true;
        for batch in parcel.batches.into_iter().filter(|batch| batch.rows() > 0) {
            self.number += 1;
            self.parts.counters.rows_in.add(batch.rows() as u64);
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
        let context = Context {
            batch: task.number,
            attempt: task.attempt,
            watermark: self.watermark(),
            now: began,
            seed: key::hash(&(self.seed ^ task.number).to_le_bytes()),
        };
        let result = self.parts.code.call(self.parts.state.as_mut(), &task.batch, context);
        let result = match result {
            Err(error) => self.judge(&task, context, error, clock),
            Ok(effects) => {
                self.passed();
                Ok(effects)
            }
        };
        match result {
            Ok(effects) => {
                let step = self.apply(&task, effects, clock.now());
                let took = clock.now() - began;
                self.parts.throttle.took(task.batch.rows(), took);
                for counters in [&self.parts.counters, &self.parts.code.version.counters] {
                    counters.micros.add(took.unsigned_abs());
                }
                step
            }
            Err(error) => self.recover(task, &error, clock.now()),
        }
    }

    /// Does all that a call wants done, but for its state, which has changed already.
    fn apply(&mut self, task: &Task, effects: Effects, now: Micros) -> Step {
        let (version, counters) = (self.parts.code.version.clone(), &self.parts.counters);
        let stage = &version.stage;
        version.metrics.add(&effects.metrics);
        let rows = task.batch.rows();
        version.counters.rows_in.add(rows as u64);
        for counters in [counters, &version.counters] {
            counters.batches.add(1);
        }
        let emitted = origins(&effects, rows);
        let Some(shape) = shape(&stage.shapes, &task.batch) else {
            return failed(&stage.name, "rows came in a layout that the plan does not know; this is a mistake of ours");
        };
        for emit in effects.emits {
            let port = &shape.ports[emit.port];
            let batch = task.batch.derive(emit.origin.as_ref(), emit.columns, &port.keeps, &port.layout);
            counters.rows_out.add(batch.rows() as u64);
            version.counters.rows_out.add(batch.rows() as u64);
            if batch.rows() > 0 {
                self.out[emit.port].push(batch);
            }
        }
        let filtered = rows - emitted - effects.rejects.len();
        counters.filtered.add(filtered as u64);
        let mut again = Vec::new();
        let mut wait = 0;
        for reject in effects.rejects {
            match reject.action {
                Action::Retry(ms) if task.attempt < RETRIES_MAX => {
                    again.push(reject.row);
                    wait = wait.max(ms);
                }
                Action::Retry(_) => {
                    let reason = format!("{} (still after {} tries)", reject.reason, task.attempt + 1);
                    if let Some(step) = self.give_up(&task.batch, reject.row, reason, None, now) {
                        return step;
                    }
                }
                Action::DeadLetter => {
                    if let Some(step) = self.give_up(&task.batch, reject.row, reject.reason, None, now) {
                        return step;
                    }
                }
                Action::Stop => return self.stop(&task.batch, reject.row, &reject.reason),
            }
        }
        self.retry(task, again, now.saturating_add(i64::from(wait) * 1_000));
        Step::Progressed
    }

    /// A call failed as a whole: finds the row to blame, then does with it what the stage's policy says.
    fn recover(&mut self, task: Task, error: &CallError, now: Micros) -> Step {
        self.parts.counters.failures.add(1);
        self.parts.code.version.counters.failures.add(1);
        let rows = task.batch.rows();
        if rows > 1 {
            match error {
                CallError::Fault { row: Some(row), .. } if (*row as usize) < rows => {
                    self.work.cut(&task, *row as usize, *row as usize + 1);
                }
                _ => self.work.cut(&task, 0, rows / 2),
            }
            return Step::Progressed;
        }
        let backtrace = match error {
            CallError::Trap { backtrace, .. } => Some(backtrace.clone()),
            _ => None,
        };
        match self.stage().on_error {
            OnError::Retry(most) if task.attempt < most => {
                let wait = (RETRY_BACKOFF_MS << task.attempt.min(16)).min(RETRY_BACKOFF_MAX_MS);
                self.retry(&task, vec![0], now.saturating_add(wait as Micros * 1_000));
                Step::Progressed
            }
            OnError::DeadLetter | OnError::Retry(_) => {
                self.give_up(&task.batch, 0, error.to_string(), backtrace, now).unwrap_or(Step::Progressed)
            }
            OnError::Stop => self.stop(&task.batch, 0, &error.to_string()),
        }
    }

    fn retry(&mut self, task: &Task, rows: Vec<u32>, due: Micros) {
        if rows.is_empty() {
            return;
        }
        self.parts.counters.retries.add(rows.len() as u64);
        let batch = task.batch.pick(&UInt32Array::from(rows));
        self.work.again(Task { batch, number: task.number, attempt: task.attempt + 1, due });
    }

    /// Sends a row to the dead letters; a step where the pipeline has none, and so stops.
    fn give_up(
        &mut self,
        batch: &Batch,
        row: u32,
        reason: String,
        backtrace: Option<String>,
        now: Micros,
    ) -> Option<Step> {
        if !self.parts.outbox.takes_dead_letters() {
            return Some(self.stop(batch, row, &reason));
        }
        let stage = self.parts.code.version.stage.clone();
        let records = batch.records();
        let record = batch.record(row as usize);
        let digest = stage.factory.digest();
        self.letters.push(DeadLetter {
            at: now,
            source: records.source.clone(),
            partition: records.partition.clone(),
            offset: records.offset(record),
            line: records.line(record),
            stage: stage.name.clone(),
            component: Some(digest.into()),
            reason,
            backtrace,
            record: original(batch, row),
        });
        self.parts.counters.dead.add(1);
        None
    }

    fn stop(&self, batch: &Batch, row: u32, reason: &str) -> Step {
        let records = batch.records();
        let record = batch.record(row as usize);
        let line = records.line(record).map_or_else(String::new, |line| format!(" line {line},"));
        let place = format!("{}:{line} offset {}", records.partition, records.offset(record));
        failed(&self.stage().name, format!("stopped before the record at {place}: {reason}"))
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
        self.busy = false;
    }
}

/// How many rows are the origin of some emitted row.
fn origins(effects: &Effects, rows: usize) -> usize {
    match &effects.emits[..] {
        [] => 0,
        emits if emits.iter().any(|emit| emit.origin.is_none()) => rows,
        emits => {
            let mut seen = vec![false; rows];
            for row in emits.iter().flat_map(|emit| &emit.origin).flat_map(|origin| origin.values()) {
                seen[*row as usize] = true;
            }
            seen.into_iter().filter(|seen| *seen).count()
        }
    }
}

fn shape<'a>(shapes: &'a [Shape], batch: &Batch) -> Option<&'a Shape> {
    let same = |shape: &&Shape| Arc::ptr_eq(&shape.input, batch.layout());
    shapes.iter().find(same).or_else(|| shapes.iter().find(|shape| shape.input == *batch.layout()))
}

/// The record that a row is from as its source had it; as NDJSON where the source has no bytes.
fn original(batch: &Batch, row: u32) -> Vec<u8> {
    let record = batch.record(row as usize);
    if let Some(bytes) = batch.records().bytes(record) {
        return bytes.to_vec();
    }
    let layout = crate::batch::Layout::of_source(&batch.layout().source);
    let whole = Batch::new(batch.records().clone(), Arc::new(layout));
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    let one = whole.pick(&UInt32Array::from(vec![record as u32]));
    codec::encoder(&Format::Ndjson).encode(&one, &mut bytes, &mut ends);
    bytes.truncate(bytes.trim_ascii_end().len());
    bytes
}

impl Node for StageNode {
    fn step(&mut self, clock: &dyn Clock) -> Step {
        if !self.parts.outbox.flush() {
            return Step::Blocked;
        }
        if self.ended {
            return Step::Finished;
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
        if let Ok(order) = self.parts.orders.try_recv() {
            self.obey(order, clock);
            return Step::Progressed;
        }
        match self.parts.inbox.take() {
            Delivery::Message(upstream, Message::Rows(parcel)) => self.accept(upstream, parcel),
            Delivery::Message(_, other) => panic!("rows come to a stage, not {other:?}"),
            Delivery::Barrier(epoch) => self.parts.outbox.broadcast(&Message::Barrier(epoch)),
            Delivery::End => {
                self.parts.outbox.broadcast(&Message::End);
                self.ended = true;
            }
            Delivery::Nothing => return Step::Idle { until: None },
        }
        Step::Progressed
    }

    fn name(&self) -> &str {
        &self.stage().name
    }
}
