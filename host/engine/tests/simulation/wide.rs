//! A pipeline with several ports, merges and real formats, its operators watched.
//!
//! ```text
//! lines ─┬──────────────────────────────────────> raw (lines again)
//!        └─┬─> route ─┬─ low ──────────┬─> sum ─> text (lines)
//! rows ────┘          └─ high ─┬─> flaky ┤
//!                              └─────────┴─────> wild (columns)
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray, UInt32Array};
use serde_json::{Value, json};
use wasmill_engine::batch::{Batch, Records};
use wasmill_engine::clock::Micros;
use wasmill_engine::graph::{Draft, OnError, SinkDraft, SourceDraft, StageDraft};
use wasmill_engine::operator::{
    Call, CallError, Effects, Emit, Factory, Operator, OperatorKind, OperatorPlan, Refusal, SharedFactory,
};
use wasmill_engine::schema::{Field, Format, Kind, Schema};
use wasmill_engine::sink::{Block, Progress, Promise, SinkError, SinkWriter, Wants};
use wasmill_engine::source::{Position, Read, SourceError, SourceReader};

use super::input::{LATENESS, RETRIES, failures};
use super::outside::{Fault, POINT, Sabotage, Seen, Shared};
use super::world::{Sum, ints, port, reads};

/// The pipeline; lanes of `lines`, `rows`, `flaky` and `sum`.
pub(crate) fn draft(outside: &Shared, lanes: [u32; 4]) -> Draft {
    let mut fields = ["id", "key", "value"].map(|name| Field::required(name, Kind::Int64)).to_vec();
    fields.extend([Field::required("at", Kind::Timestamp), Field::nullable("note", Kind::Utf8)]);
    let ahead = if outside.lock().unwrap().is(Sabotage::WatermarkAhead) { 2_000_000 } else { 0 };
    let source = |number: usize, name: &str, format| SourceDraft {
        name: name.into(),
        schema: Schema::new(fields.clone()),
        format,
        event_time: Some(("at".into(), LATENESS[number] - ahead)),
        lanes: lanes[number],
    };
    let stage = |name: &'static str, from: &[&str], inner: SharedFactory, lanes: u32| StageDraft {
        name: name.into(),
        from: from.iter().map(|from| (*from).to_owned()).collect(),
        factory: Arc::new(Watched { name, inner, outside: outside.clone(), last: Micros::MIN }),
        config: json!({}),
        key: Vec::new(),
        lanes: Some(lanes),
        on_error: OnError::DeadLetter,
        latency: None,
    };
    let sink = |name: &str, from: &[&str], format| SinkDraft {
        name: name.into(),
        from: from.iter().map(|from| (*from).to_owned()).collect(),
        format,
    };
    let retry = if outside.lock().unwrap().is(Sabotage::NoRetry) { 0 } else { RETRIES };
    Draft {
        name: "wide".into(),
        sources: vec![source(0, "lines", Some(Format::Ndjson)), source(1, "rows", None)],
        stages: vec![
            stage("route", &["lines", "rows"], Arc::new(Route), 1),
            StageDraft {
                on_error: OnError::Retry(retry),
                ..stage("flaky", &["route.high"], Arc::new(Flaky), lanes[2])
            },
            StageDraft { key: vec!["key".into()], ..stage("sum", &["route.low", "flaky"], Arc::new(Sum), lanes[3]) },
        ],
        sinks: vec![
            sink("raw", &["lines"], Some(Format::Ndjson)),
            sink("text", &["sum"], Some(Format::Ndjson)),
            sink("wild", &["route.high", "flaky"], None),
        ],
        dead_letters: Some(sink("dead", &[], None)),
    }
}

/// An operator that tells the outside which watermarks it is called with.
#[derive(Clone)]
struct Watched {
    name: &'static str,
    inner: SharedFactory,
    outside: Shared,
    last: Micros,
}

struct Opened {
    told: Watched,
    inner: Box<dyn Operator>,
}

impl Factory for Watched {
    fn kind(&self) -> OperatorKind {
        self.inner.kind()
    }

    fn digest(&self) -> &str {
        self.inner.digest()
    }

    fn open(&self, config: &Value, input: &[Field]) -> Result<(OperatorPlan, Box<dyn Operator>), Refusal> {
        let (plan, inner) = self.inner.open(config, input)?;
        Ok((plan, Box::new(Opened { told: self.clone(), inner })))
    }
}

impl Operator for Opened {
    fn process(&mut self, call: &Call<'_>) -> Result<Effects, CallError> {
        let Watched { name, outside, last, .. } = &mut self.told;
        outside.lock().unwrap().watched(name, *last, call.context.watermark);
        *last = call.context.watermark;
        self.inner.process(call)
    }
}

/// To one port, the other, both, or neither.
struct Route;

impl Factory for Route {
    fn kind(&self) -> OperatorKind {
        OperatorKind::Transform
    }

    fn digest(&self) -> &str {
        "route"
    }

    fn open(&self, _: &Value, _: &[Field]) -> Result<(OperatorPlan, Box<dyn Operator>), Refusal> {
        let ports = ["low", "high"].map(|name| {
            let mut port = port(&[]);
            port.name = name.into();
            port
        });
        let plan =
            OperatorPlan { reads: reads(&["value"]), ports: ports.to_vec(), tables: Vec::new(), metrics: Vec::new() };
        Ok((plan, Box::new(Self)))
    }
}

impl Operator for Route {
    fn process(&mut self, call: &Call<'_>) -> Result<Effects, CallError> {
        let values = ints(&call.columns[0]);
        let emit = |port: usize, other: i64| {
            let rows = (0u32..).zip(values).filter(|(_, value)| **value >= 50 && **value % 3 != other);
            Emit { port, origin: Some(rows.map(|(row, _)| row).collect()), columns: Vec::new() }
        };
        Ok(Effects { emits: vec![emit(0, 1), emit(1, 0)], ..Effects::default() })
    }
}

/// Doubles `value`; fails with some rows at the first tries.
struct Flaky;

impl Factory for Flaky {
    fn kind(&self) -> OperatorKind {
        OperatorKind::Transform
    }

    fn digest(&self) -> &str {
        "flaky"
    }

    fn open(&self, _: &Value, _: &[Field]) -> Result<(OperatorPlan, Box<dyn Operator>), Refusal> {
        let (reads, ports) = (reads(&["id", "value"]), vec![port(&["value"])]);
        Ok((OperatorPlan { reads, ports, tables: Vec::new(), metrics: Vec::new() }, Box::new(Self)))
    }
}

impl Operator for Flaky {
    fn process(&mut self, call: &Call<'_>) -> Result<Effects, CallError> {
        let [ids, values] = [0, 1].map(|column| ints(&call.columns[column]));
        let fails =
            |(row, (id, value)): (u32, (&i64, &i64))| (call.context.attempt < failures(*id, *value)).then_some(row);
        match (0u32..).zip(ids.iter().zip(values)).find_map(fails) {
            // Some name the row to blame, others do not.
            Some(row) if values[row as usize] % 2 == 0 => {
                Err(CallError::Fault { message: "not now".into(), row: Some(row) })
            }
            Some(_) => Err(CallError::Trap { message: "not now".into(), backtrace: String::new() }),
            None => {
                let doubled: ArrayRef = Arc::new(Int64Array::from_iter_values(values.iter().map(|value| value * 2)));
                let emits = vec![Emit { port: 0, origin: None::<UInt32Array>, columns: vec![doubled] }];
                Ok(Effects { emits, ..Effects::default() })
            }
        }
    }
}

/// Reads either source of the outside.
pub(crate) struct Reader {
    outside: Shared,
    source: usize,
    /// The next byte or row of each partition, and whether it has ended.
    at: Vec<(u64, bool)>,
    start: Vec<u64>,
}

impl Reader {
    pub(crate) fn new(outside: &Shared, source: usize) -> Self {
        let partitions = outside.lock().unwrap().from[source].len();
        Self { outside: outside.clone(), source, at: vec![(0, false); partitions], start: vec![0; partitions] }
    }

    /// Gives the next of a partition.
    fn step(&mut self, partition: usize, max: u64, max_rows: u64, into: &mut Vec<u8>) -> Read {
        let mut outside = self.outside.lock().unwrap();
        let (at, ended) = &mut self.at[partition];
        let from = *at;
        if self.source == 1 {
            let end = outside.input.rows[1].len() as u64;
            let rows = (1 + outside.roll(40)).min(max_rows).min(end - from);
            *at += rows;
            outside.gave(1, 0, *at);
            let records = own_rows(&outside.input.rows[1][from as usize..*at as usize]);
            return Read::Records(Box::new(records));
        }
        let most = max.min(1 + outside.roll(900));
        let bytes = &outside.input.bytes[partition];
        let end = bytes.len() as u64;
        if from == end {
            *ended = true;
            let number = partition as u32;
            let is_broken = partition + 1 == self.at.len() && self.start[partition] < end;
            return match is_broken {
                true => Read::Broken { partition: number, reason: "the last record broke off".into() },
                false => Read::End { partition: number },
            };
        }
        let to = (from + most).min(end);
        let lost = outside.is(Sabotage::LosesBytes) && from > 2_000;
        if !lost {
            into.extend_from_slice(&bytes[from as usize..to as usize]);
        }
        self.at[partition].0 = to;
        outside.gave(0, partition, to);
        Read::Bytes { partition: partition as u32 }
    }
}

fn own_rows(rows: &[super::input::Row]) -> Records {
    let ints = |of: fn(&super::input::Row) -> i64| -> Option<ArrayRef> {
        Some(Arc::new(Int64Array::from_iter_values(rows.iter().map(of))))
    };
    let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.at)));
    let notes: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| format!("n {} é", row.id))));
    Records {
        source: "rows".into(),
        partition: "0".into(),
        rows: rows.len(),
        columns: vec![ints(|row| row.id), ints(|row| row.key), ints(|row| row.value), Some(at), Some(notes)],
        event_time: None,
        message: None,
        raw: None,
        first: rows.first().map_or(0, |row| row.offset),
    }
}

fn struck() -> SourceError {
    SourceError { message: "struck".into(), retriable: true }
}

impl SourceReader for Reader {
    fn seek(&mut self, positions: &[Position]) -> Result<(), SourceError> {
        let mut outside = self.outside.lock().unwrap();
        let fault = outside.strike("seek");
        let too_far = u64::from(outside.is(Sabotage::SeeksTooFar));
        if fault.is_none_or(|fault| fault.happened) {
            for position in positions {
                let partition = position.partition.parse::<usize>().unwrap();
                let end = outside.input.ends(self.source)[partition];
                self.at[partition].0 = (position.offset + too_far).min(end);
                self.start[partition] = self.at[partition].0;
            }
        }
        if fault.is_some() { Err(struck()) } else { Ok(()) }
    }

    fn read(&mut self, _: Micros, max: usize, max_rows: usize, into: &mut Vec<u8>) -> Result<Read, SourceError> {
        let (fault, open, pick) = {
            let mut outside = self.outside.lock().unwrap();
            let all = outside.input.rows[1].len() as u64;
            let ended = |(at, ended): (u64, bool)| ended || self.source == 1 && at == all;
            let open: Vec<usize> = (0..self.at.len()).filter(|partition| !ended(self.at[*partition])).collect();
            let pick = outside.roll(open.len().max(1) as u64) as usize;
            (outside.strike("read"), open, pick)
        };
        let Some(partition) = open.get(pick) else { return Ok(Read::Finished) };
        match fault {
            Some(Fault { heard: false, .. }) => return Ok(Read::Idle { until: None }),
            Some(Fault { happened: false, .. }) => return Err(struck()),
            _ => {}
        }
        let read = self.step(*partition, max as u64, max_rows as u64, into);
        if fault.is_some() { Err(struck()) } else { Ok(read) }
    }

    fn partition(&self, number: u32) -> Arc<str> {
        number.to_string().into()
    }

    fn start(&self, number: u32) -> Position {
        let offset = self.start[number as usize];
        let outside = self.outside.lock().unwrap();
        let before = |bytes: &Vec<u8>| bytes[..offset as usize].iter().filter(|byte| **byte == b'\n').count() as u64;
        let line = if self.source == 0 { before(&outside.input.bytes[number as usize]) } else { 0 };
        Position { partition: self.partition(number), offset, line }
    }

    fn progress(&self) -> Option<(u64, u64)> {
        None
    }

    fn acknowledge(&mut self, positions: &[Position]) -> Result<(), SourceError> {
        self.outside.lock().unwrap().acknowledge(self.source, positions)
    }
}

/// Writes to a ledger of the outside.
pub(crate) struct Writer {
    pub(crate) outside: Shared,
    pub(crate) sink: usize,
}

impl SinkWriter for Writer {
    fn wants(&self) -> Wants {
        if self.sink < 2 { Wants::Bytes } else { Wants::Columns }
    }

    fn promise(&self) -> Promise {
        let is_point = self.sink == POINT && self.outside.lock().unwrap().commit_point;
        if is_point { Promise::CommitPoint } else { Promise::Recoverable }
    }

    fn recover(&mut self, committed: Option<u64>) -> Result<Option<u64>, SinkError> {
        self.outside.lock().unwrap().recover(self.sink, committed)
    }

    fn write(&mut self, _: Micros, block: &Block<'_>) -> Result<Progress, SinkError> {
        let rows = if self.sink < 2 { lines(block) } else { columns(block.batch) };
        self.outside.lock().unwrap().write(self.sink, rows)
    }

    fn prepare(&mut self, epoch: u64) -> Result<Progress, SinkError> {
        self.outside.lock().unwrap().prepare(self.sink, epoch)
    }

    fn commit(&mut self, epoch: u64) -> Result<Progress, SinkError> {
        self.outside.lock().unwrap().commit(self.sink, epoch)
    }

    fn place(&self) -> String {
        "memory".into()
    }
}

/// The rows of a block by their bytes.
fn lines(block: &Block<'_>) -> Vec<Seen> {
    let starts = std::iter::once(0).chain(block.ends.iter().copied());
    let line = |(start, end): (u32, &u32)| {
        let text = std::str::from_utf8(&block.bytes[start as usize..*end as usize]).unwrap().trim_end().to_owned();
        let value: Value = serde_json::from_str(&text).expect("an encoder writes JSON");
        let numbers = value.as_object().unwrap().iter();
        let numbers = numbers.filter_map(|(name, value)| Some((name.clone(), value.as_i64()?))).collect();
        Seen { numbers, text, ..Seen::default() }
    };
    starts.zip(block.ends).map(line).collect()
}

/// The rows of a batch by their columns.
fn columns(batch: &Batch) -> Vec<Seen> {
    let fields: Vec<_> = batch.layout().schema.fields().iter().enumerate().collect();
    let row = |row: usize| {
        let (mut numbers, mut texts) = (BTreeMap::new(), BTreeMap::new());
        for (position, field) in &fields {
            let column = batch.column(*position);
            match field.kind {
                _ if column.is_null(row) => {}
                Kind::Int64 => {
                    numbers.insert(field.name.to_string(), column.as_primitive::<Int64Type>().value(row));
                }
                Kind::Utf8 => drop(texts.insert(&*field.name, column.as_string::<i32>().value(row).to_owned())),
                _ => {}
            }
        }
        let mut text = |name: &str| texts.remove(name).unwrap_or_default();
        Seen { source: text("source"), partition: text("partition"), text: text("record"), numbers }
    };
    (0..batch.rows()).map(row).collect()
}
