//! A lane of a stage, stepped by hand.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::mpsc::channel;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, UInt32Array};
use serde_json::{Value, json};

use super::*;
use crate::batch::{Layout, PADDING};
use crate::clock::ManualClock;
use crate::codec::{self, Chunk, Format};
use crate::edge::{Rx, Tx, edge};
use crate::graph::{Draft, Graph, OnError, SinkDraft, SourceDraft, StageDraft};
use crate::limits::EMITTED_BYTES_MAX;
use crate::node::code::Version;
use crate::node::order::News;
use crate::node::outbox::{Receiver as To, Split};
use crate::operator::{
    Action, Call, CallError, Context, Effects, Emit, Factory, Operator, OperatorKind, OperatorPlan, Read,
};
use crate::operator::{Port, Refusal, Reject, Table, TableChanges};
use crate::schema::{Field, Kind, Schema};

const TTL_MS: u64 = 1_000;

type Process = fn(&Call<'_>) -> Result<Effects, CallError>;

/// Code that reads `key`, with or without a table of a number a key.
struct Native(OperatorKind, Process);

impl Factory for Native {
    fn kind(&self) -> OperatorKind {
        self.0
    }

    fn digest(&self) -> &str {
        "native"
    }

    fn open(&self, _: &Value, _: &[Field]) -> Result<(OperatorPlan, Box<dyn Operator>), Refusal> {
        let columns = vec![Field::required("n", Kind::Int64)];
        let table = Table { name: "seen".into(), version: 1, columns, ttl_ms: Some(TTL_MS) };
        let tables = if self.0 == OperatorKind::Keyed { vec![table] } else { Vec::new() };
        let reads = vec![Read { name: "key".into(), kind: Kind::Int64, nullable: false, fallback: None }];
        let ports = vec![Port { name: "out".into(), carries: None, makes: Vec::new() }];
        Ok((OperatorPlan { reads, ports, tables, metrics: Vec::new() }, Box::new(Self(self.0, self.1))))
    }
}

impl Operator for Native {
    fn process(&mut self, call: &Call<'_>) -> Result<Effects, CallError> {
        (self.1)(call)
    }
}

/// One lane of a stage, the edges to and from it, and how its source decodes.
struct Lane {
    node: StageNode,
    to: Tx,
    rows: Rx,
    dead: Rx,
    graph: Graph,
    clock: ManualClock,
}

impl Lane {
    fn of(factory: Native) -> Self {
        Self::with(factory, OnError::DeadLetter)
    }

    fn with(factory: Native, on_error: OnError) -> Self {
        let schema = Schema::new(vec![Field::required("key", Kind::Int64)]);
        let from = |name: &str| vec![name.to_owned()];
        let format = Some(Format::Ndjson);
        let source = SourceDraft { name: "rows".into(), schema, format: format.clone(), event_time: None, lanes: 1 };
        let key = if factory.0 == OperatorKind::Keyed { from("key") } else { Vec::new() };
        let stage = StageDraft {
            name: "stage".into(),
            from: from("rows"),
            factory: Arc::new(factory),
            config: json!({}),
            key,
            lanes: None,
            on_error,
            latency: None,
        };
        let sink = SinkDraft { name: "sink".into(), from: from("stage"), format: format.clone() };
        let dead = SinkDraft { name: "dead".into(), from: Vec::new(), format };
        let (sources, stages, sinks) = (vec![source], vec![stage], vec![sink]);
        let draft = Draft { name: "t".into(), sources, stages, sinks, dead_letters: Some(dead) };
        let graph = Graph::build(draft).unwrap();
        let stage = graph.stages[0].clone();
        let ((to, inbox), (out, rows), (letters, dead)) = (edge(), edge(), edge());
        let operator = stage.factory.open(&stage.config, stage.schema.fields()).unwrap().1;
        let state = || KeyedState::new(&[Kind::Int64], &stage.plan.tables, u64::MAX);
        let parts = Parts {
            number: 0,
            lane: 0,
            state: (!stage.key.is_empty()).then(state),
            code: Code { version: Arc::new(Version::new(1, Arc::new(stage))), operator },
            inbox: Inbox::new(vec![vec![inbox]]),
            outbox: Outbox::new(vec![vec![To { split: Split::Whole, lanes: vec![out] }]], Some(letters)),
            emitted_bytes_max: EMITTED_BYTES_MAX,
            throttle: Throttle::new(Vec::new(), 10_000),
            counters: Arc::default(),
            orders: channel().1,
            reports: channel().0,
        };
        Self { node: StageNode::new(parts, 1), to, rows, dead, graph, clock: ManualClock::default() }
    }

    /// Sends these records as one message, and steps until what came of it is there: the `key` of each row that went
    /// out, and the dead letters.
    fn send(&mut self, lines: &str) -> (Vec<i64>, Vec<DeadLetter>) {
        self.put(lines);
        loop {
            match self.node.step(&self.clock) {
                Step::Progressed => {}
                Step::Idle { until: Some(until) } if self.node.busy => self.clock.advance(until - self.clock.now()),
                Step::Idle { .. } => break,
                other => panic!("{other:?}"),
            }
        }
        let Some(Message::Rows(parcel)) = self.rows.receive() else { panic!("a message becomes a message") };
        let keys = |batch: &Batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec();
        let letters = match self.dead.receive() {
            Some(Message::Dead(letters)) => letters,
            _ => Vec::new(),
        };
        (parcel.batches.iter().flat_map(keys).collect(), letters)
    }

    /// Sends these records as one message.
    fn put(&mut self, lines: &str) {
        let data = [lines.as_bytes(), &[0; PADDING]].concat().into();
        let (source, partition, len) = ("rows".into(), "p".into(), lines.len());
        let chunk = Chunk { source, partition, data, len, offset: 0, line: 1, header: None, broken: None };
        let decoded = codec::decoder(self.graph.sources[0].decode.clone().unwrap()).decode(&chunk);
        let layout: Arc<Layout> = self.graph.sources[0].layout.clone();
        let batches = vec![Batch::new(Arc::new(decoded.records), layout)];
        self.to.send(Message::Rows(Parcel { batches, watermark: Micros::MIN })).unwrap();
    }

    /// Where its reports go from now on.
    fn reports(&mut self) -> std::sync::mpsc::Receiver<StageReport> {
        let (to, reports) = channel();
        self.node.parts.reports = to;
        reports
    }
}

fn lines(keys: impl Iterator<Item = i64>) -> String {
    keys.map(|key| format!("{{\"key\":{key}}}\n")).collect()
}

/// All rows, as they are, but for these.
fn all_but(call: &Call<'_>, rejects: Vec<Reject>) -> Effects {
    let kept = (0..call.rows as u32).filter(|row| !rejects.iter().any(|reject| reject.row == *row));
    let emit = Emit { port: 0, origin: Some(UInt32Array::from_iter_values(kept)), columns: Vec::new() };
    Effects { emits: vec![emit], rejects, ..Effects::default() }
}

#[test]
fn memory_of_keys_past_their_time_comes_back_though_nobody_touches_them() {
    const KEYS: i64 = 3 * SWEEP_KEYS as i64;
    let mut lane = Lane::of(Native(OperatorKind::Keyed, |call| {
        let count = call.keys.expect("a keyed operator is called with keys").count as usize;
        let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![1; count]))];
        Ok(Effects { tables: vec![TableChanges { forget: Vec::new(), columns }], ..Effects::default() })
    }));
    lane.send(&lines(0..KEYS));
    assert_eq!(lane.node.parts.counters.state_keys.get(), KEYS as u64);
    lane.clock.advance(TTL_MS as i64 * 1_000);
    let mut looks = 0;
    while let Step::Idle { until: Some(until) } = lane.node.step(&lane.clock) {
        lane.clock.advance(until - lane.clock.now());
        looks += 1;
    }
    assert_eq!(lane.node.parts.counters.state_keys.get(), 0);
    assert!(lane.node.parts.state.as_ref().unwrap().is_empty(), "and then it has nothing to wake for");
    assert!(looks >= 3, "{looks} looks, each at a slice");
}

thread_local! {
    /// What an operator has noted, of this test.
    static NOTED: Cell<usize> = const { Cell::new(0) };
    /// When it was called, and with which try, of this test.
    static CALLS: RefCell<Vec<(Micros, u32)>> = const { RefCell::new(Vec::new()) };
}

/// What lies between the calls of this test, in milliseconds.
fn waits_ms() -> Vec<Micros> {
    let calls = CALLS.take();
    assert!(calls.iter().zip(0..).all(|((_, attempt), number)| *attempt == number), "{calls:?}");
    calls.windows(2).map(|pair| (pair[1].0 - pair[0].0) / 1_000).collect()
}

#[test]
fn a_call_that_fails_is_tried_again_after_twice_the_wait_each_time_up_to_a_longest_one() {
    let fails = |call: &Call<'_>| {
        CALLS.with_borrow_mut(|calls| calls.push((call.context.now, call.context.attempt)));
        Err(CallError::Fault { message: "out of order".into(), row: None })
    };
    let mut lane = Lane::with(Native(OperatorKind::Transform, fails), OnError::Retry(9));
    let (keys, letters) = lane.send(&lines(0..1));
    assert_eq!((keys, letters.len()), (Vec::new(), 1), "and then it is given up");
    assert_eq!(waits_ms(), [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    assert_eq!(lane.node.parts.counters.retries.get(), 9);
}

#[test]
fn every_try_of_a_batch_has_the_seed_of_that_batch_and_no_other_batch_has_it() {
    thread_local! {
        static SEEN: RefCell<Vec<(u64, u32, u64)>> = const { RefCell::new(Vec::new()) };
    }
    let mut lane = Lane::of(Native(OperatorKind::Transform, |call| {
        let Context { batch, attempt, seed, .. } = call.context;
        SEEN.with_borrow_mut(|seen| seen.push((batch, attempt, seed)));
        let again = Reject { row: 0, action: Action::Retry(1), reason: "later".into() };
        Ok(all_but(call, if attempt < 2 { vec![again] } else { Vec::new() }))
    }));
    (0..3).for_each(|key| assert_eq!(lane.send(&lines(key..key + 1)).0, [key]));
    let seen = SEEN.take();
    let tries: Vec<_> = seen.iter().map(|(_, attempt, _)| *attempt).collect();
    assert_eq!(tries, [0, 1, 2].repeat(3));
    assert!(
        seen.chunks(3).all(|tries| tries.iter().all(|(batch, _, seed)| (*batch, *seed) == (tries[0].0, tries[0].2)))
    );
    let mut seeds: Vec<_> = seen.iter().map(|(.., seed)| *seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 3, "{seen:?}");
}

#[test]
fn a_row_that_wants_to_be_tried_again_waits_as_long_as_it_says_and_is_given_up_after_so_many_tries() {
    let mut lane = Lane::of(Native(OperatorKind::Transform, |call| {
        CALLS.with_borrow_mut(|calls| calls.push((call.context.now, call.context.attempt)));
        let after_ms = 30 + call.context.attempt;
        let again = Reject { row: 0, action: Action::Retry(after_ms), reason: "not yet".into() };
        Ok(Effects { rejects: vec![again], ..Effects::default() })
    }));
    let (_, letters) = lane.send(&lines(0..1));
    assert_eq!(waits_ms(), [30, 31, 32, 33, 34]);
    assert_eq!(letters[0].reason, "not yet (still after 6 tries)");
}

#[test]
fn rows_that_are_tried_again_keep_their_place_and_no_row_is_called_more_than_once_again_for_them() {
    const ROWS: i64 = 1_000;
    let mut lane = Lane::of(Native(OperatorKind::Transform, |call| {
        NOTED.set(NOTED.get() + call.rows);
        let keys = call.columns[0].as_primitive::<Int64Type>().values();
        let shy = |(row, key): (usize, &i64)| {
            let again = call.context.attempt == 0 && key % 2 == 0;
            again.then(|| Reject { row: row as u32, action: Action::Retry(5), reason: "later".into() })
        };
        Ok(all_but(call, keys.iter().enumerate().filter_map(shy).collect()))
    }));
    let (keys, letters) = lane.send(&lines(0..ROWS));
    assert_eq!((keys, letters), ((0..ROWS).collect(), Vec::new()));
    assert_eq!(NOTED.get(), 2 * ROWS as usize);
    assert_eq!(lane.node.parts.counters.retries.get(), ROWS as u64 / 2);
}

#[test]
fn a_call_that_wants_rows_tried_again_has_changed_no_state() {
    let mut lane = Lane::of(Native(OperatorKind::Keyed, |call| {
        let keys = call.keys.expect("a keyed operator is called with keys");
        let before = keys.tables[0].columns[0].as_primitive::<Int64Type>().values();
        let mut after = before.to_vec();
        keys.slots.iter().for_each(|slot| after[*slot as usize] += 1);
        NOTED.set(after[0] as usize);
        let first = Reject { row: 0, action: Action::Retry(1), reason: "later".into() };
        let again = if call.context.attempt == 0 && call.rows > 1 { vec![first] } else { Vec::new() };
        let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(after))];
        let tables = vec![TableChanges { forget: Vec::new(), columns }];
        Ok(Effects { tables, ..all_but(call, again) })
    }));
    assert_eq!(lane.send(&lines([7, 7, 7].into_iter())).0, [7, 7, 7]);
    assert_eq!(NOTED.get(), 3, "each row counts once");
}

/// Answers the first of the rows so often.
fn repeated(times: usize) -> Effects {
    let origin = Some(UInt32Array::from(vec![0; times]));
    Effects { emits: vec![Emit { port: 0, origin, columns: Vec::new() }], ..Effects::default() }
}

#[test]
fn rows_of_one_message_share_the_room_that_they_may_become_however_small_the_calls() {
    // A record of a kilobyte, a thousand times from each of a hundred rows: 100 MB.
    let mut lane = Lane::of(Native(OperatorKind::Transform, |call| match call.rows {
        1 => Ok(repeated(1_000)),
        _ => Err(CallError::Fault { message: "one at a time".into(), row: None }),
    }));
    let line = |key: i64| format!("{{\"key\":{key},\"text\":\"{}\"}}\n", "x".repeat(1_000));
    let text: String = (0..100).map(line).collect();
    let (keys, letters) = lane.send(&text);
    let bytes = keys.len() * 1_000;
    assert!(bytes <= EMITTED_BYTES_MAX as usize && bytes > EMITTED_BYTES_MAX as usize / 2, "{bytes} bytes");
    assert_eq!(keys.len() / 1_000 + letters.len(), 100, "every row is answered or given up");
    assert!(letters.iter().all(|letter| letter.reason.contains("exceeded emitted_bytes_max: limit 67108864 B")));
    let (keys, letters) = lane.send(&text);
    assert!(!keys.is_empty() && letters.len() < 100, "the next message has room again");
}

#[test]
fn an_operator_is_called_with_no_more_rows_than_a_batch_may_have() {
    let mut lane = Lane::of(Native(OperatorKind::Transform, |call| {
        assert!(call.rows <= BATCH_ROWS_MAX, "{} rows", call.rows);
        Ok(all_but(call, Vec::new()))
    }));
    let rows = 3 * BATCH_ROWS_MAX as i64 + 1;
    assert_eq!(lane.send(&lines(0..rows)).0, (0..rows).collect::<Vec<_>>());
}

/// Counts nothing, and fails on keys below 0.
fn shy(call: &Call<'_>) -> Result<Effects, CallError> {
    if call.columns[0].as_primitive::<Int64Type>().values().iter().any(|key| *key < 0) {
        return Err(CallError::Fault { message: "below 0".into(), row: None });
    }
    let count = call.keys.expect("a keyed operator is called with keys").count as usize;
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![1; count]))];
    Ok(Effects { tables: vec![TableChanges { forget: Vec::new(), columns }], ..all_but(call, Vec::new()) })
}

/// Version 2 of a lane's code.
fn second(lane: &Lane) -> StageOrder {
    let version = Arc::new(Version::new(2, Arc::new(lane.graph.stages[0].clone())));
    let code = Code { version, operator: Box::new(Native(OperatorKind::Keyed, shy)) };
    StageOrder::Install { code: Box::new(code), watch: 5 }
}

#[test]
fn a_lane_that_cannot_go_back_is_watched_on_and_fails_where_the_others_have_gone_back() {
    const STATE_BYTES: u64 = 6 << 20;
    let mut lane = Lane::of(Native(OperatorKind::Keyed, shy));
    let order = second(&lane);
    // The code before keeps forty numbers more of each key, for which there is no room when keys have come.
    let mut wide = lane.graph.stages[0].clone();
    wide.plan.tables[0].columns.extend((0..40).map(|field| Field::nullable(&format!("f{field}"), Kind::Int64)));
    lane.node.parts.state = Some(KeyedState::new(&[Kind::Int64], &wide.plan.tables, STATE_BYTES));
    lane.node.parts.code.version = Arc::new(Version::new(1, Arc::new(wide)));
    let reports = lane.reports();
    assert_eq!(lane.node.obey(order, &lane.clock), Step::Progressed);
    assert_eq!(lane.send(&lines(0..20_000)).0.len(), 20_000);
    assert_eq!(lane.send(&lines([1, -1, 2].into_iter())).1.len(), 1, "it fails, cannot go back, and is called on");
    assert_eq!((lane.node.parts.code.version.number, lane.node.watch.is_some()), (2, true));
    assert!(matches!(reports.try_iter().last(), Some(StageReport { version: 2, news: News::Passed, .. })));
    match lane.node.obey(StageOrder::Back { version: 2 }, &lane.clock) {
        Step::Failed(failure) => {
            assert!(failure.to_string().contains("cannot go back to the code before: state would"))
        }
        other => panic!("it stays with code that the others have left: {other:?}"),
    }
}

#[test]
fn what_a_switch_costs_is_the_time_in_which_rows_wait_and_not_that_in_which_there_are_none() {
    let waited = |between: &dyn Fn(&mut Lane), put: bool| {
        let mut lane = Lane::of(Native(OperatorKind::Keyed, shy));
        let reports = lane.reports();
        lane.put(&lines(0..10));
        if put {
            lane.put(&lines(0..10));
        }
        while !lane.node.busy {
            lane.node.step(&lane.clock);
        }
        while lane.node.busy {
            lane.node.step(&lane.clock);
        }
        between(&mut lane);
        let order = second(&lane);
        lane.node.obey(order, &lane.clock);
        lane.clock.advance(3);
        while lane.node.unseen.is_some() {
            lane.node.step(&lane.clock);
        }
        match reports.try_recv().unwrap().news {
            News::Installed { waited, .. } => waited,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(waited(&|lane| lane.clock.advance(7), true), 3, "since the switch began");
    let rest = |lane: &mut Lane| {
        assert!(matches!(lane.node.step(&lane.clock), Step::Idle { .. }));
        lane.clock.advance(1_000);
    };
    assert_eq!(waited(&rest, false), 3, "until there is nothing to do");
}
