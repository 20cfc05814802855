//! The world of the simulation: dice, a source, a sink and operators.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, UInt32Array};
use serde_json::Value;
use wasmill_engine::batch::Records;
use wasmill_engine::clock::Micros;
use wasmill_engine::operator::{
    Action, Call, CallError, Effects, Emit, Factory, Metric, Operator, OperatorKind, OperatorPlan, Port, Read as Reads,
    Refusal, Reject, Table, TableChanges,
};
use wasmill_engine::schema::{Field, Kind};
use wasmill_engine::sink::{Block, Progress, Promise, SinkError, SinkWriter, Wants};
use wasmill_engine::source::{Position, Read, SourceError, SourceReader};

/// A small random number generator, so that a seed is all there is to a run.
#[derive(Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

/// Rows `id`, `key`, `value`; ids rise, so that lost, doubled and reordered rows can each be told.
pub(crate) fn value_of(id: i64) -> (i64, i64) {
    ((id * 7919) % 13, (id * 31) % 1_000)
}

/// Rows of the value that makes a call fail as a whole, and of the one that is rejected.
pub(crate) const POISON: i64 = 961;
pub(crate) const REJECTED: i64 = 372;
/// Rows of this value are rejected with a wish to be tried again, the first time; and so by the keyed stage.
pub(crate) const SHY: i64 = 248;
const SHY_OF_KEYED: i64 = 2 * 341;

/// A source of so many rows.
pub(crate) struct Numbers {
    pub(crate) next: i64,
    pub(crate) end: i64,
    /// Key and value of the row of an id.
    pub(crate) row: fn(i64) -> (i64, i64),
    pub(crate) dice: Dice,
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
            columns: vec![column(&|id| id), column(&|id| (self.row)(id).0), column(&|id| (self.row)(id).1)],
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
pub(crate) struct Kept {
    open: Vec<BTreeMap<String, i64>>,
    prepared: BTreeMap<u64, Vec<BTreeMap<String, i64>>>,
    pub(crate) committed: Vec<BTreeMap<String, i64>>,
    /// Why each of them is a dead letter.
    pub(crate) reasons: Vec<String>,
}

/// A sink that keeps what it is given.
pub(crate) struct Keeper {
    pub(crate) kept: Arc<Mutex<Kept>>,
    pub(crate) dice: Dice,
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
                    Kind::Utf8 if &*field.name == "reason" => {
                        kept.reasons.push(column.as_string::<i32>().value(row).to_owned())
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
pub(crate) struct Double;

/// Counts and sums `value` for each key; answers every row with both.
pub(crate) struct Sum;

pub(crate) fn reads(names: &[&str]) -> Vec<Reads> {
    let read = |name: &&str| Reads { name: (*name).into(), kind: Kind::Int64, nullable: false, fallback: None };
    names.iter().map(read).collect()
}

pub(crate) fn port(makes: &[&str]) -> Port {
    let makes = makes.iter().map(|name| Field::required(name, Kind::Int64)).collect();
    Port { name: "out".into(), carries: None, makes }
}

pub(crate) fn ints(column: &ArrayRef) -> &[i64] {
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
        let (mut origin, mut rejects) = (Vec::new(), Vec::new());
        for (row, (slot, value)) in (0u32..).zip(keys.slots.iter().zip(ints(&call.columns[0]))) {
            if *value == SHY_OF_KEYED && call.context.attempt == 0 {
                rejects.push(Reject { row, action: Action::Retry(7), reason: "later".into() });
                continue;
            }
            origin.push(row);
            let slot = *slot as usize;
            n[slot] += 1;
            sum[slot] += value;
            out_n.push(n[slot]);
            out_sum.push(sum[slot]);
        }
        let column = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
        let origin = Some(UInt32Array::from(origin));
        let emit = Emit { port: 0, origin, columns: vec![column(out_n), column(out_sum)] };
        let tables = vec![TableChanges { forget: Vec::new(), columns: vec![column(n), column(sum)] }];
        Ok(Effects { emits: vec![emit], rejects, tables, ..Effects::default() })
    }
}
