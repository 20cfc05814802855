//! The real engine under a scheduler that a seed drives: any node may be stepped next, any number of lanes may run,
//! calls fail, rows are poisoned, sinks have no room. What comes out is compared with what a plain loop over the input
//! makes.
//!
//! Always the same for the same seed; a failure names its seed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_types, reason = "a sink hands what it was given to the test through a mutex")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, UInt32Array};
use serde_json::{Value, json};
use wasmill_engine::batch::Records;
use wasmill_engine::clock::{ManualClock, Micros};
use wasmill_engine::dead_letter;
use wasmill_engine::graph::{Draft, Graph, OnError, SinkDraft, SourceDraft, StageDraft};
use wasmill_engine::node::Step;
use wasmill_engine::operator::{
    Action, Call, CallError, Effects, Emit, Factory, Metric, Operator, OperatorKind, OperatorPlan, Port, Read as Reads,
    Refusal, Reject, Table, TableChanges,
};
use wasmill_engine::plan::{Part, Plan};
use wasmill_engine::runtime::{Connectors, Runtime, Settings};
use wasmill_engine::schema::{Field, Kind, Schema};
use wasmill_engine::sink::{Block, Progress, Promise, SinkError, SinkWriter, Wants};
use wasmill_engine::source::{Position, Read, SourceError, SourceReader};

/// A small random number generator, so that a seed is all there is to a run.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

/// Rows `id`, `key`, `value`; ids rise, so that lost, doubled and reordered rows can each be told.
fn value_of(id: i64) -> (i64, i64) {
    ((id * 7919) % 13, (id * 31) % 1_000)
}

/// Rows of the value that makes a call fail as a whole, and of the one that is rejected.
const POISON: i64 = 961;
const REJECTED: i64 = 372;
/// Rows of this value are rejected with a wish to be tried again, the first time.
const SHY: i64 = 248;

struct Numbers {
    next: i64,
    end: i64,
    dice: Dice,
}

impl SourceReader for Numbers {
    fn seek(&mut self, positions: &[Position]) -> Result<(), SourceError> {
        self.next = positions.first().map_or(0, |position| position.offset as i64);
        Ok(())
    }

    fn read(&mut self, _: Micros, _: usize, max_rows: usize, _: &mut Vec<u8>) -> Result<Read, SourceError> {
        if self.next == self.end {
            return Ok(Read::Finished);
        }
        if self.dice.roll(5) == 0 {
            return Ok(Read::Idle { until: None });
        }
        let rows = (1 + self.dice.roll(max_rows.min(40) as u64) as i64).min(self.end - self.next);
        let ids = self.next..self.next + rows;
        self.next += rows;
        let column = |of: &dyn Fn(i64) -> i64| -> Option<ArrayRef> {
            Some(Arc::new(Int64Array::from_iter_values(ids.clone().map(of))))
        };
        Ok(Read::Records(Box::new(Records {
            source: "numbers".into(),
            partition: "0".into(),
            rows: rows as usize,
            columns: vec![column(&|id| id), column(&|id| value_of(id).0), column(&|id| value_of(id).1)],
            event_time: None,
            message: None,
            raw: None,
            first: ids.start as u64,
        })))
    }

    fn partition(&self, _: u32) -> Arc<str> {
        "0".into()
    }

    fn start(&self, _: u32) -> Position {
        Position { partition: "0".into(), offset: 0, line: 0 }
    }

    fn progress(&self) -> Option<(u64, u64)> {
        Some((self.next as u64, self.end as u64))
    }

    fn acknowledge(&mut self, _: &[Position]) -> Result<(), SourceError> {
        Ok(())
    }
}

/// What a sink was given, by whether it was committed. A row is its int64 columns by name.
#[derive(Default)]
struct Kept {
    open: Vec<BTreeMap<String, i64>>,
    prepared: BTreeMap<u64, Vec<BTreeMap<String, i64>>>,
    committed: Vec<BTreeMap<String, i64>>,
    texts: Vec<String>,
}

struct Keeper {
    kept: Arc<Mutex<Kept>>,
    dice: Dice,
}

impl SinkWriter for Keeper {
    fn wants(&self) -> Wants {
        Wants::Columns
    }

    fn promise(&self) -> Promise {
        Promise::Recoverable
    }

    fn recover(&mut self, _: Option<u64>) -> Result<Option<u64>, SinkError> {
        Ok(None)
    }

    fn write(&mut self, _: Micros, block: &Block<'_>) -> Result<Progress, SinkError> {
        if self.dice.roll(4) == 0 {
            return Ok(Progress::Pending { until: None });
        }
        let mut kept = self.kept.lock().unwrap();
        for row in 0..block.batch.rows() {
            let mut values = BTreeMap::new();
            for (position, field) in block.batch.layout().schema.fields().iter().enumerate() {
                let column = block.batch.column(position);
                match field.kind {
                    Kind::Int64 => {
                        values.insert(field.name.to_string(), column.as_primitive::<Int64Type>().value(row));
                    }
                    Kind::Utf8 if &*field.name == "record" => {
                        kept.texts.push(column.as_string::<i32>().value(row).to_owned())
                    }
                    _ => {}
                }
            }
            kept.open.push(values);
        }
        Ok(Progress::Done)
    }

    fn prepare(&mut self, epoch: u64) -> Result<Progress, SinkError> {
        if self.dice.roll(3) == 0 {
            return Ok(Progress::Pending { until: None });
        }
        let mut kept = self.kept.lock().unwrap();
        let rows = std::mem::take(&mut kept.open);
        kept.prepared.insert(epoch, rows);
        Ok(Progress::Done)
    }

    fn commit(&mut self, epoch: u64) -> Result<Progress, SinkError> {
        let mut kept = self.kept.lock().unwrap();
        let rows = kept.prepared.remove(&epoch).expect("only prepared epochs are committed");
        kept.committed.extend(rows);
        Ok(Progress::Done)
    }

    fn place(&self) -> String {
        "memory".into()
    }
}

/// Doubles `value`, drops values below 100, refuses some rows and fails on others.
struct Double;

/// Counts and sums `value` for each key; answers every row with both.
struct Sum;

fn reads(names: &[&str]) -> Vec<Reads> {
    let read = |name: &&str| Reads { name: (*name).into(), kind: Kind::Int64, nullable: false, fallback: None };
    names.iter().map(read).collect()
}

fn port(makes: &[&str]) -> Port {
    let makes = makes.iter().map(|name| Field::required(name, Kind::Int64)).collect();
    Port { name: "out".into(), carries: None, makes }
}

fn ints(column: &ArrayRef) -> &[i64] {
    column.as_primitive::<Int64Type>().values()
}

impl Factory for Double {
    fn kind(&self) -> OperatorKind {
        OperatorKind::Transform
    }

    fn digest(&self) -> &str {
        "native"
    }

    fn open(&self, _: &Value, _: &[Field]) -> Result<(OperatorPlan, Box<dyn Operator>), Refusal> {
        let metrics: Vec<Metric> = Vec::new();
        let plan =
            OperatorPlan { reads: reads(&["value"]), ports: vec![port(&["value"])], tables: Vec::new(), metrics };
        Ok((plan, Box::new(Self)))
    }
}

impl Operator for Double {
    fn process(&mut self, call: &Call<'_>) -> Result<Effects, CallError> {
        let values = ints(&call.columns[0]);
        if values.contains(&POISON) {
            return Err(CallError::Trap { message: "unreachable".into(), backtrace: "double".into() });
        }
        let mut effects = Effects::default();
        let (mut origin, mut doubled) = (Vec::new(), Vec::new());
        for (row, value) in (0u32..).zip(values) {
            let reject = |action| Reject { row, action, reason: format!("{value} is not wanted") };
            match *value {
                REJECTED => effects.rejects.push(reject(Action::DeadLetter)),
                SHY if call.context.attempt == 0 => effects.rejects.push(reject(Action::Retry(5))),
                0..100 => {}
                _ => {
                    origin.push(row);
                    doubled.push(value * 2);
                }
            }
        }
        let columns = vec![Arc::new(Int64Array::from(doubled)) as ArrayRef];
        effects.emits.push(Emit { port: 0, origin: Some(UInt32Array::from(origin)), columns });
        Ok(effects)
    }
}

impl Factory for Sum {
    fn kind(&self) -> OperatorKind {
        OperatorKind::Keyed
    }

    fn digest(&self) -> &str {
        "native"
    }

    fn open(&self, _: &Value, _: &[Field]) -> Result<(OperatorPlan, Box<dyn Operator>), Refusal> {
        let columns = ["n", "sum"].map(|name| Field::required(name, Kind::Int64)).to_vec();
        let tables = vec![Table { name: "sums".into(), version: 1, columns, ttl_ms: None }];
        let plan =
            OperatorPlan { reads: reads(&["value"]), ports: vec![port(&["n", "sum"])], tables, metrics: Vec::new() };
        Ok((plan, Box::new(Self)))
    }
}

impl Operator for Sum {
    fn process(&mut self, call: &Call<'_>) -> Result<Effects, CallError> {
        let keys = call.keys.expect("a keyed operator is called with keys");
        let table = &keys.tables[0];
        let [mut n, mut sum] = [0, 1].map(|column| ints(&table.columns[column]).to_vec());
        let (mut out_n, mut out_sum) = (Vec::new(), Vec::new());
        for (slot, value) in keys.slots.iter().zip(ints(&call.columns[0])) {
            let slot = *slot as usize;
            n[slot] += 1;
            sum[slot] += value;
            out_n.push(n[slot]);
            out_sum.push(sum[slot]);
        }
        let column = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
        let emit = Emit { port: 0, origin: None, columns: vec![column(out_n), column(out_sum)] };
        let tables = vec![TableChanges { forget: Vec::new(), columns: vec![column(n), column(sum)] }];
        Ok(Effects { emits: vec![emit], tables, ..Effects::default() })
    }
}

fn draft(lanes: [u32; 3]) -> Draft {
    let schema = Schema::new(["id", "key", "value"].map(|name| Field::required(name, Kind::Int64)).to_vec());
    let stage = |name: &str, from: &str, factory: Arc<dyn Factory>, key: Vec<String>, lanes| StageDraft {
        name: name.into(),
        from: vec![from.into()],
        factory,
        config: json!({}),
        key,
        lanes: Some(lanes),
        on_error: OnError::DeadLetter,
        latency: None,
    };
    Draft {
        name: "simulated".into(),
        sources: vec![SourceDraft { name: "numbers".into(), schema, format: None, event_time: None, lanes: lanes[0] }],
        stages: vec![
            stage("double", "numbers", Arc::new(Double), Vec::new(), lanes[1]),
            stage("sum", "double", Arc::new(Sum), vec!["key".into()], lanes[2]),
        ],
        sinks: vec![SinkDraft { name: "kept".into(), from: vec!["sum".into()], format: None }],
        dead_letters: Some(SinkDraft { name: "dead_letters".into(), from: Vec::new(), format: None }),
    }
}

/// Runs `rows` rows over so many lanes with a scheduler of this seed; what was committed to the sink and to the dead
/// letters.
fn simulate(seed: u64, rows: i64, lanes: [u32; 3]) -> (Kept, Kept) {
    let mut dice = Dice(seed);
    let graph = Graph::build(draft(lanes)).unwrap();
    let (kept, dead) = (Arc::new(Mutex::new(Kept::default())), Arc::new(Mutex::new(Kept::default())));
    let keeper = |kept: &Arc<Mutex<Kept>>, dice: Dice| Box::new(Keeper { kept: kept.clone(), dice });
    let connectors = Connectors {
        sources: vec![Box::new(Numbers { next: 0, end: rows, dice: Dice(seed ^ 1) })],
        sinks: vec![keeper(&kept, Dice(seed ^ 2))],
        dead_letters: Some(keeper(&dead, Dice(seed ^ 3))),
    };
    let plan = Plan::between(None, &graph);
    let mut runtime = Runtime::apply(&plan, &graph, connectors, &Settings::default()).unwrap();
    let clock = ManualClock::default();
    let mut steps = 0u64;
    while !runtime.controls.finished() {
        let node = dice.roll(runtime.nodes.len() as u64) as usize;
        if let Step::Failed(failure) = runtime.nodes[node].node.step(&clock) {
            panic!("seed {seed}: {failure}");
        }
        if dice.roll(3) == 0 {
            clock.advance(dice.roll(2_000) as Micros);
            runtime.controls.pump();
        }
        if dice.roll(200) == 0 {
            runtime.controls.tick();
        }
        steps += 1;
        assert!(steps < 5_000_000, "seed {seed}: no end after {steps} steps");
    }
    reconcile(seed, &runtime);
    drop(runtime);
    let take = |kept: Arc<Mutex<Kept>>| Arc::into_inner(kept).unwrap().into_inner().unwrap();
    (take(kept), take(dead))
}

/// What every node took in it has passed on, filtered out, or given up.
fn reconcile(seed: u64, runtime: &Runtime) {
    for status in &runtime.status {
        let counters = &status.counters;
        let gone = counters.rows_out.get() + counters.filtered.get() + counters.dead.get();
        assert_eq!(counters.rows_in.get(), gone, "seed {seed}: {:?} {}", status.part, status.name);
        if matches!(status.part, Part::Sink | Part::DeadLetters) {
            assert_eq!(counters.rows_out.get(), counters.committed.get(), "seed {seed}: {} is committed", status.name);
        }
    }
}

/// What a plain loop makes of the same input. `n` and `sum` of a key depend on the order of its rows.
fn expected(rows: i64, late: &dyn Fn(i64) -> bool) -> BTreeMap<i64, Vec<BTreeMap<String, i64>>> {
    let mut by_key: BTreeMap<i64, Vec<BTreeMap<String, i64>>> = BTreeMap::new();
    for id in (0..rows).filter(|id| !late(*id)) {
        let (key, value) = value_of(id);
        if value < 100 || value == POISON || value == REJECTED {
            continue;
        }
        let rows = by_key.entry(key).or_default();
        let n = rows.len() as i64 + 1;
        let sum = rows.last().map_or(0, |row| row["sum"]) + value * 2;
        let row = [("id", id), ("key", key), ("value", value * 2), ("n", n), ("sum", sum)];
        rows.push(row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    }
    by_key
}

#[test]
fn every_schedule_and_number_of_lanes_gives_each_key_its_rows_once_and_in_order() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let lanes = [1 + dice.roll(4) as u32, 1 + dice.roll(4) as u32, 1 + dice.roll(5) as u32];
        let rows = 1 + dice.roll(1_500) as i64;
        let (kept, dead) = simulate(seed, rows, lanes);
        let shy: Vec<i64> = (0..rows).filter(|id| value_of(*id).1 == SHY).collect();
        let mut by_key: BTreeMap<i64, Vec<BTreeMap<String, i64>>> = BTreeMap::new();
        let without_shy = kept.committed.into_iter();
        for row in without_shy {
            by_key.entry(row["key"]).or_default().push(row);
        }
        check_keys(seed, rows, &shy, &by_key);
        let given_up = (0..rows).filter(|id| matches!(value_of(*id).1, POISON | REJECTED)).count();
        assert_eq!(dead.committed.len(), given_up, "seed {seed}, lanes {lanes:?}: dead letters");
    }
}

/// Rows that were tried again come behind rows of their batch; all others are exactly where a plain loop has them.
fn check_keys(seed: u64, rows: i64, shy: &[i64], by_key: &BTreeMap<i64, Vec<BTreeMap<String, i64>>>) {
    let all = expected(rows, &|_| false);
    assert_eq!(all.keys().collect::<Vec<_>>(), by_key.keys().collect::<Vec<_>>(), "seed {seed}: keys");
    for (key, wanted) in &all {
        let ids = |rows: &[BTreeMap<String, i64>], keep: bool| -> Vec<i64> {
            let ids = rows.iter().map(|row| row["id"]);
            ids.filter(|id| keep || !shy.contains(id)).collect()
        };
        let got = &by_key[key];
        assert_eq!(ids(wanted, false), ids(got, false), "seed {seed}, key {key}: order");
        let (mut a, mut b) = (ids(wanted, true), ids(got, true));
        a.sort_unstable();
        b.sort_unstable();
        assert_eq!(a, b, "seed {seed}, key {key}: each row once");
        let counts: Vec<i64> = got.iter().map(|row| row["n"]).collect();
        assert_eq!(
            counts,
            (1..=got.len() as i64).collect::<Vec<_>>(),
            "seed {seed}, key {key}: state in step with rows"
        );
        let mut sum = 0;
        for row in got {
            sum += row["value"];
            assert_eq!(row["sum"], sum, "seed {seed}, key {key}: state in step with rows");
        }
    }
}

#[test]
fn dead_letters_have_the_schema_that_sinks_are_planned_with() {
    let graph = Graph::build(draft([1, 1, 1])).unwrap();
    assert_eq!(graph.dead_letters.unwrap().schema, dead_letter::schema());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || simulate(42, 700, [3, 3, 2]).0.committed;
    assert_eq!(run(), run());
}

#[test]
fn any_number_of_lanes_writes_the_rows_in_one_and_the_same_order_where_no_key_moves_them() {
    let order = |seed, lanes| -> Vec<i64> {
        let (kept, _) = simulate(seed, 900, lanes);
        kept.committed.iter().map(|row| row["id"]).collect()
    };
    let plain = order(1, [1, 1, 1]);
    for seed in 2..8 {
        let shy = |ids: Vec<i64>| ids.into_iter().filter(|id| value_of(*id).1 != SHY).collect::<Vec<_>>();
        assert_eq!(shy(plain.clone()), shy(order(seed, [4, 4, 1])), "seed {seed}");
    }
}
