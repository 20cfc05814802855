//! Rows through an operator, as a pipeline would put them through: the same graph, decoder, checks, calls, state and
//! encoder, without sources, sinks and threads.
//!
//! Always true: what is tried does not depend on the machine, the clock or what was tried before. A call takes as many
//! rows as a pipeline's would. Neighbours: [`crate::cases`] has the rows and what they shall come to,
//! [`crate::infer`] their columns.

mod kept;

use std::sync::Arc;

use arrow_array::UInt32Array;
use arrow_buffer::Buffer;
use serde_json::Value;
use wasmill_engine::batch::{Batch, PADDING};
use wasmill_engine::clock::Micros;
use wasmill_engine::codec::{self, Chunk, Format};
use wasmill_engine::graph::{Draft, Graph, GraphError, OnError, SinkDraft, SourceDraft, Stage, StageDraft};
use wasmill_engine::key;
use wasmill_engine::node::fill;
use wasmill_engine::operator::SharedFactory;
use wasmill_engine::operator::{
    Action, Call, CallError, Context, Effects, Keys, Operator, OperatorKind, OperatorPlan, Refusal,
};
use wasmill_engine::schema::{Field, Kind, Schema};
use wasmill_engine::state::KeyedState;

use crate::cases::{ACTIONS, Outcome, Refused};
use crate::infer;
use crate::row::{Item, Row};
use kept::Kept;

/// What is put through an operator.
#[derive(Clone, Debug)]
pub(crate) struct Trial<'a> {
    /// The operator's configuration.
    pub(crate) config: &'a Value,
    /// The columns of the key.
    pub(crate) key: &'a [String],
    /// The columns whose kinds are given; those of others follow from what the operator reads, else from the values.
    pub(crate) columns: &'a [Field],
    /// What happens, one after the other. State is kept from each to the next.
    pub(crate) steps: &'a [Step<'a>],
}

/// What happens at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'a> {
    /// What the operator takes for the present.
    pub(crate) now: Micros,
    /// Event time up to which the rows are complete; none = unknown.
    pub(crate) watermark: Option<Micros>,
    /// The rows that go in.
    pub(crate) rows: &'a [Row],
}

impl Trial<'_> {
    /// The rows of all steps.
    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.steps.iter().flat_map(|step| step.rows)
    }

    /// How the row at that position among all of them is called.
    fn name_of(&self, row: u64) -> String {
        let mut first = 0;
        for (number, step) in (1..).zip(self.steps) {
            let next = first + step.rows.len() as u64;
            if row < next && self.steps.len() > 1 {
                return format!("row {} of the input of step {number}", row - first);
            }
            first = next;
        }
        format!("row {row} of the input")
    }
}

/// Why nothing came of it.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum TrialError {
    /// The operator does not open with that configuration.
    #[error("the operator cannot be opened: {}", .0.message)]
    Refused(Refusal),
    /// The rows do not suit the operator.
    #[error("{}", .0.join("\n"))]
    Unsuitable(Vec<String>),
    /// A row is not what its columns say.
    #[error("{row}: {reason}")]
    Row {
        /// Which one.
        row: String,
        /// What is wrong.
        reason: String,
    },
    /// The call failed.
    #[error("{0}")]
    Call(CallError),
}

/// How the parts of the graph around an operator are called, in messages.
const OPERATOR: &str = "operator";
const INPUT: &str = "input";

/// Rows of a call, at most: as a pipeline cuts them.
const ROWS_A_CALL: usize = wasmill_wasm::INPUT_ROWS as usize;

/// Bytes of state that a trial may keep.
const STATE_BYTES_MAX: u64 = 1 << 30;

/// Puts rows through an operator that `factory` opens, and answers what came of each step.
///
/// # Errors
/// As [`TrialError`] says; nothing outside was changed.
pub(crate) fn run(factory: &SharedFactory, trial: &Trial<'_>) -> Result<Vec<Outcome>, TrialError> {
    let fields = fields(factory, trial)?;
    let (plan, mut operator) = factory.open(trial.config, &fields).map_err(TrialError::Refused)?;
    let graph =
        Graph::build(draft(factory, trial, fields, &plan)).map_err(|errors| TrialError::Unsuitable(told(errors)))?;
    let batch = decoded(&graph, trial)?;
    let stage = &graph.stages[0];
    let (mut kept, texts) = (stage_state(stage), key_texts(trial));
    let (mut outcomes, mut first, mut number) = (Vec::new(), 0, 0);
    for Step { now, watermark, rows } in trial.steps {
        let end = first + rows.len();
        let mut done = Done { ports: vec![Vec::new(); plan.ports.len()], rejects: Vec::new() };
        for begin in (first..end).step_by(ROWS_A_CALL) {
            number += 1;
            let rows = begin as u32..end.min(begin + ROWS_A_CALL) as u32;
            let part = batch.pick(&UInt32Array::from_iter_values(rows));
            let watermark = watermark.unwrap_or(Micros::MIN);
            let context = Context { batch: number, attempt: 0, watermark, now: *now, seed: number };
            let effects = call(stage, &mut *operator, kept.as_mut(), &part, context).map_err(TrialError::Call)?;
            done.apply(stage, &part, effects, (begin - first) as u32);
        }
        done.rejects.sort_by_key(|refused| refused.row);
        let state = kept.as_ref().map(|kept| kept.rows(&texts, &plan.tables, *now));
        let ports = plan.ports.iter().map(|port| port.name.clone()).zip(done.ports).collect();
        outcomes.push(Outcome { ports, rejects: done.rejects, state });
        first = end;
    }
    Ok(outcomes)
}

/// What of these fields does not suit what the operator reads, a sentence each.
///
/// # Errors
/// It does not open with that configuration.
pub(crate) fn unsuitable(factory: &SharedFactory, config: &Value, fields: &[Field]) -> Result<Vec<String>, Refusal> {
    let (plan, _) = factory.open(config, fields)?;
    // Any key is good here: it is about the reads.
    let keyed = factory.kind() == OperatorKind::Keyed;
    let key: Vec<String> = fields.iter().take(usize::from(keyed)).map(|field| field.name.to_string()).collect();
    let trial = Trial { config, key: &key, columns: fields, steps: &[] };
    let errors = Graph::build(draft(factory, &trial, fields.to_vec(), &plan)).err().unwrap_or_default();
    Ok(told(errors))
}

/// Errors of the graph to somebody who knows of an operator only.
fn told(errors: Vec<GraphError>) -> Vec<String> {
    let about = format!("stage `{OPERATOR}`");
    errors.into_iter().map(|error| error.message.replace(&about, "the operator")).collect()
}

/// The columns of the rows.
fn fields(factory: &SharedFactory, trial: &Trial<'_>) -> Result<Vec<Field>, TrialError> {
    let objects: Vec<Vec<(String, Item)>> = trial.rows().map(Row::object).collect();
    let mut fields = trial.columns.to_vec();
    let within = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
    for field in infer::columns(objects.iter().map(Vec::as_slice)) {
        let given = |other: &Field| {
            other.name == field.name || within(&field.name, &other.name) || within(&other.name, &field.name)
        };
        if !trial.columns.iter().any(given) {
            fields.push(field);
        }
    }
    // What an operator reads does not depend on the fields that there are.
    let (plan, _) = factory.open(trial.config, &fields).map_err(TrialError::Refused)?;
    let own = trial.columns.len();
    for read in plan.reads.iter().filter(|read| !read.name.starts_with('@')) {
        if fields[..own].iter().any(|field| *field.name == *read.name) {
            continue;
        }
        if let Some(field) = fields[own..].iter_mut().find(|field| *field.name == *read.name) {
            field.kind = read.kind;
        } else if fields[own..].iter().any(|field| within(&field.name, &read.name)) {
            let has = |field: &Field| within(&field.name, &read.name);
            let nullable = fields[own..].iter().filter(|field| has(field)).all(|field| field.nullable);
            fields = fields
                .iter()
                .enumerate()
                .filter(|(at, field)| *at < own || !has(field))
                .map(|(_, f)| f.clone())
                .collect();
            fields.push(Field { name: read.name.as_str().into(), kind: read.kind, nullable });
        } else if objects.is_empty() {
            fields.push(Field::required(&read.name, read.kind));
        }
    }
    let missing = |name: &&String| objects.is_empty() && !fields.iter().any(|field| *field.name == ***name);
    let keys: Vec<Field> = trial.key.iter().filter(missing).map(|name| Field::required(name, Kind::Utf8)).collect();
    fields.extend(keys);
    Ok(fields)
}

/// The smallest pipeline around the operator: each of its ports goes to a sink.
fn draft(factory: &SharedFactory, trial: &Trial<'_>, fields: Vec<Field>, plan: &OperatorPlan) -> Draft {
    let source = SourceDraft {
        name: INPUT.to_owned(),
        schema: Schema::new(fields),
        format: Some(Format::Ndjson),
        event_time: None,
        lanes: 1,
    };
    let stage = StageDraft {
        name: OPERATOR.to_owned(),
        from: vec![INPUT.to_owned()],
        factory: factory.clone(),
        config: trial.config.clone(),
        key: trial.key.to_vec(),
        lanes: None,
        on_error: OnError::Stop,
        latency: None,
    };
    let sink = |(number, port): (usize, &wasmill_engine::operator::Port)| SinkDraft {
        name: format!("port-{number}"),
        from: vec![format!("{OPERATOR}.{}", port.name)],
        format: Some(Format::Ndjson),
    };
    let sinks = plan.ports.iter().enumerate().map(sink).collect();
    Draft { name: "trial".to_owned(), sources: vec![source], stages: vec![stage], sinks, dead_letters: None }
}

/// The rows as the source's decoder makes them from a line of JSON each.
fn decoded(graph: &Graph, trial: &Trial<'_>) -> Result<Batch, TrialError> {
    let source = &graph.sources[0];
    let mut bytes = Vec::new();
    for row in trial.rows() {
        bytes.extend_from_slice(row.json().as_bytes());
        bytes.push(b'\n');
    }
    let len = bytes.len();
    bytes.resize(len + PADDING, 0);
    let chunk = Chunk {
        source: INPUT.into(),
        partition: INPUT.into(),
        data: Buffer::from_vec(bytes),
        len,
        offset: 0,
        line: 1,
        header: None,
        broken: None,
    };
    let plan = source.decode.clone().expect("the source has a format");
    let decoded = codec::decoder(plan).decode(&chunk);
    if let Some(bad) = decoded.bad.into_iter().next() {
        let row = trial.name_of(bad.line.map_or(0, |line| line - 1));
        return Err(TrialError::Row { row, reason: bad.reason });
    }
    Ok(Batch::new(Arc::new(decoded.records), source.layout.clone()))
}

fn stage_state(stage: &Stage) -> Option<Kept> {
    let kinds: Vec<Kind> = stage.key.iter().map(|field| stage.schema.fields()[*field].kind).collect();
    let keyed = !kinds.is_empty();
    keyed.then(|| Kept::new(KeyedState::new(&kinds, &stage.plan.tables, STATE_BYTES_MAX)))
}

/// One call with its state, which is changed when this is Ok and else as it was.
fn call(
    stage: &Stage,
    operator: &mut dyn Operator,
    kept: Option<&mut Kept>,
    batch: &Batch,
    context: Context,
) -> Result<Effects, CallError> {
    let columns = fill::columns(batch, &stage.plan.reads, &stage.fills);
    let rows = batch.rows();
    let Some(kept) = kept else {
        return operator.process(&Call { context, rows, columns: &columns, keys: None });
    };
    let of_key: Vec<_> = stage.key.iter().map(|field| batch.column(*field)).collect();
    let keys = key::Keys::encode(&of_key);
    let turn = kept.resolve(&keys, context.now)?;
    let values = turn.gather();
    let keys = Keys { slots: turn.slots(), count: turn.count(), tables: &values };
    let effects = operator.process(&Call { context, rows, columns: &columns, keys: Some(keys) })?;
    turn.apply(&effects.tables)?;
    Ok(effects)
}

/// The key of each row as people write it.
fn key_texts(trial: &Trial<'_>) -> Vec<String> {
    let text = |row: &Row, name: &String| match row.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => "null".to_owned(),
    };
    let of_row = |row: &Row| trial.key.iter().map(|name| text(row, name)).collect::<Vec<_>>().join(",");
    trial.rows().map(of_row).collect()
}

/// What came of the calls so far.
struct Done {
    ports: Vec<Vec<Row>>,
    rejects: Vec<Refused>,
}

impl Done {
    fn apply(&mut self, stage: &Stage, batch: &Batch, effects: Effects, first: u32) {
        let shape = &stage.shapes[0];
        for emit in effects.emits {
            let port = &shape.ports[emit.port];
            let made = batch.derive(emit.origin.as_ref(), emit.columns, &port.keeps, &port.layout);
            let (mut bytes, mut ends) = (Vec::new(), Vec::new());
            codec::encoder(&Format::Ndjson).encode(&made, &mut bytes, &mut ends);
            let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            self.ports[emit.port].extend(lines.map(row));
        }
        for reject in effects.rejects {
            let action = match reject.action {
                Action::DeadLetter => ACTIONS[0],
                Action::Retry(_) => ACTIONS[1],
                Action::Stop => ACTIONS[2],
            };
            self.rejects.push(Refused { row: first + reject.row, action, reason: Some(reject.reason) });
        }
    }
}

fn row(line: &[u8]) -> Row {
    match serde_json::from_slice(line) {
        Ok(Item::Object(entries)) => Row::of(entries),
        other => unreachable!("the encoder writes a JSON object a line, not {other:?}"),
    }
}
