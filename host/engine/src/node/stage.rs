//! The stage node: one lane of a stage. Columns in, a call, and all of its effects or none.
//!
//! Always true: what a call wanted is applied after it succeeded, state and rows together; a message that came in
//! becomes one message on each port, once every row of it is emitted, filtered, or given up. Neighbours:
//! [`crate::node::code`] calls, [`crate::node::work`] orders tries, [`watch`] changes the code between two messages.

mod held;
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
use crate::limits::{RETRIES_MAX, RETRY_BACKOFF_MAX_MS, RETRY_BACKOFF_MS, SWEEP_EVERY_MICROS, SWEEP_KEYS};
use crate::node::code::Code;
use crate::node::order::{Side, StageOrder, StageReport, Tap};
use crate::node::outbox::Outbox;
use crate::node::work::{Task, Work};
use crate::node::{Node, Step, failed};
use crate::operator::{Action, CallError, Context, Effects, Emit};
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
    /// When keys past their time are looked for again.
    sweep_at: Micros,
    /// The code before, while the one that works is watched.
    watch: Option<Watch>,
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
            parts,
            work: Work::default(),
            out: vec![Vec::new(); ports],
            letters: Vec::new(),
            busy: false,
            number: 0,
            watermarks: vec![Micros::MIN; upstreams],
            seed,
            sweep_at: Micros::MIN,
            watch: None,
            taps: Vec::new(),
            held: [0; 2],
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
                let now = clock.now();
                self.parts.throttle.took(task.batch.rows(), now - began);
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
        self.busy = false;
    }
}

/// How many rows are the origin of some emitted row.
fn origins(effects: &Effects, rows: usize) -> usize {
    match &effects.emits[..] {
        [] => 0,
        emits if emits.iter().any(|emit| emit.origin.is_none()) => rows,
        // What a filter answers: each row once at most.
        [Emit { origin: Some(origin), .. }] if origin.values().is_sorted_by(|one, next| one < next) => origin.len(),
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
        if let Ok(order) = self.parts.orders.try_recv() {
            self.obey(order, clock);
            return Step::Progressed;
        }
        let until = self.sweep(clock);
        match self.parts.inbox.take() {
            Delivery::Message(upstream, Message::Rows(parcel)) => {
                self.accept(upstream, parcel);
                Step::Progressed
            }
            Delivery::Nothing => Step::Idle { until },
            other => self.parts.outbox.pass(&other),
        }
    }

    fn name(&self) -> &str {
        &self.stage().name
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use arrow_array::{ArrayRef, Int64Array};
    use serde_json::{Value, json};

    use super::*;
    use crate::batch::{Layout, Records};
    use crate::clock::ManualClock;
    use crate::edge::edge;
    use crate::graph::{Draft, Graph, SinkDraft, SourceDraft, StageDraft};
    use crate::node::code::Version;
    use crate::operator::{Call, Factory, Operator, OperatorKind, OperatorPlan, Refusal, Table, TableChanges};
    use crate::schema::{Field, Kind, Schema};

    const TTL_MS: u64 = 1_000;

    /// Remembers each key for a second, and emits nothing.
    struct Remember;

    impl Factory for Remember {
        fn kind(&self) -> OperatorKind {
            OperatorKind::Keyed
        }

        fn digest(&self) -> &str {
            "native"
        }

        fn open(&self, _: &Value, _: &[Field]) -> Result<(OperatorPlan, Box<dyn Operator>), Refusal> {
            let columns = vec![Field::required("n", Kind::Int64)];
            let tables = vec![Table { name: "seen".into(), version: 1, columns, ttl_ms: Some(TTL_MS) }];
            let port = crate::operator::Port { name: "out".into(), carries: None, makes: Vec::new() };
            Ok((OperatorPlan { reads: Vec::new(), ports: vec![port], tables, metrics: Vec::new() }, Box::new(Self)))
        }
    }

    impl Operator for Remember {
        fn process(&mut self, call: &Call<'_>) -> Result<Effects, CallError> {
            let count = call.keys.expect("a keyed operator is called with keys").count as usize;
            let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![1; count]))];
            Ok(Effects { tables: vec![TableChanges { forget: Vec::new(), columns }], ..Effects::default() })
        }
    }

    /// One lane of a stage of that operator, the edge to it, and the layout of its rows.
    fn lane(factory: Arc<dyn Factory>) -> (StageNode, crate::edge::Tx, Arc<Layout>) {
        let (schema, from) =
            (Schema::new(vec![Field::required("key", Kind::Int64)]), |name: &str| vec![name.to_owned()]);
        let source = SourceDraft { name: "rows".into(), schema, format: None, event_time: None, lanes: 1 };
        let stage = StageDraft {
            name: "stage".into(),
            from: from("rows"),
            factory,
            config: json!({}),
            key: from("key"),
            lanes: None,
            on_error: OnError::Stop,
            latency: None,
        };
        let sink = SinkDraft { name: "sink".into(), from: from("stage"), format: Some(Format::Ndjson) };
        let (sources, stages, sinks) = (vec![source], vec![stage], vec![sink]);
        let graph = Graph::build(Draft { name: "t".into(), sources, stages, sinks, dead_letters: None }).unwrap();
        let stage = graph.stages.into_iter().next().unwrap();
        let (tx, rx) = edge();
        let operator = stage.factory.open(&stage.config, stage.schema.fields()).unwrap().1;
        let parts = Parts {
            number: 0,
            lane: 0,
            state: Some(KeyedState::new(&[Kind::Int64], &stage.plan.tables, u64::MAX)),
            code: Code { version: Arc::new(Version::new(1, Arc::new(stage))), operator },
            inbox: Inbox::new(vec![vec![rx]]),
            outbox: Outbox::new(vec![Vec::new()], None),
            throttle: Throttle::new(Vec::new(), 10_000),
            counters: Arc::default(),
            orders: channel().1,
            reports: channel().0,
        };
        (StageNode::new(parts, 1), tx, graph.sources[0].layout.clone())
    }

    #[test]
    fn memory_of_keys_past_their_time_comes_back_though_nobody_touches_them() {
        const KEYS: i64 = 3 * SWEEP_KEYS as i64;
        let ((mut node, input, layout), clock) = (lane(Arc::new(Remember)), ManualClock::default());
        let records = Records {
            source: "rows".into(),
            partition: "0".into(),
            rows: KEYS as usize,
            columns: vec![Some(Arc::new(Int64Array::from_iter_values(0..KEYS)))],
            event_time: None,
            message: None,
            raw: None,
            first: 0,
        };
        let batches = vec![Batch::new(Arc::new(records), layout)];
        input.send(Message::Rows(Parcel { batches, watermark: Micros::MIN })).unwrap();
        while node.step(&clock) == Step::Progressed {}
        assert_eq!(node.parts.counters.state_keys.get(), KEYS as u64);
        clock.advance(TTL_MS as i64 * 1_000);
        let mut looks = 0;
        while let Step::Idle { until: Some(until) } = node.step(&clock) {
            clock.advance(until - clock.now());
            looks += 1;
        }
        assert_eq!(node.parts.counters.state_keys.get(), 0);
        assert!(node.parts.state.as_ref().unwrap().is_empty(), "and then it has nothing to wake for");
        assert!(looks >= 3, "{looks} looks, each at a slice");
    }
}
