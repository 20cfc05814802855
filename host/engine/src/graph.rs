//! The typed graph: a pipeline with every name resolved, every type checked, and every column's place worked out.
//!
//! A [`Draft`] is what a pipeline file says, by names; [`Graph::build`] turns it into a [`Graph`] or says all that is
//! wrong with it. Nothing downstream looks up a name again. Neighbours: whoever runs a graph opens each stage's
//! operator again, once a lane, under the same configuration and fields.

mod build;
mod code;
mod flow;
mod layout;
mod names;
mod needs;
mod reads;
pub mod suggest;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;

use crate::batch::{Layout, Meta};
use crate::clock::Micros;
use crate::codec::{DecodePlan, Format};
use crate::limits::KEY_GROUPS;
use crate::operator::{OperatorPlan, SharedFactory};
use crate::schema::Schema;

/// What happens to the rows of a call that failed, and to rows that an operator rejects with `retry`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The row to blame goes to the dead letters, the others go on.
    DeadLetter,
    /// The row is tried again with back-off, at most so many times, then goes to the dead letters.
    Retry(u32),
    /// The pipeline stops before it, with an error.
    Stop,
}

/// A source as a pipeline file has it.
#[derive(Clone, Debug)]
pub struct SourceDraft {
    /// Its name.
    pub name: String,
    /// Its fields, declared or the connector's own.
    pub schema: Schema,
    /// How its bytes are decoded; none = it makes rows itself.
    pub format: Option<Format>,
    /// Name of the field that is the event time, and how late a row may be.
    pub event_time: Option<(String, Micros)>,
    /// Lanes that decode.
    pub lanes: u32,
}

/// A stage as a pipeline file has it.
#[derive(Clone)]
pub struct StageDraft {
    /// Its name.
    pub name: String,
    /// `source`, `stage` or `stage.port`, one or several.
    pub from: Vec<String>,
    /// The operator's code.
    pub factory: SharedFactory,
    /// Its configuration, an object.
    pub config: Value,
    /// The fields whose values make the key; empty for a transform.
    pub key: Vec<String>,
    /// Lanes; none = as many as what it reads from.
    pub lanes: Option<u32>,
    /// What happens on failure.
    pub on_error: OnError,
    /// How long a batch may take in this stage, in microseconds; batches are made small enough for it.
    pub latency: Option<Micros>,
}

/// A sink as a pipeline file has it.
#[derive(Clone, Debug)]
pub struct SinkDraft {
    /// Its name.
    pub name: String,
    /// As [`StageDraft::from`]; empty for the dead letters.
    pub from: Vec<String>,
    /// How its rows are encoded; none = it takes columns.
    pub format: Option<Format>,
}

/// A pipeline by names.
#[derive(Clone)]
pub struct Draft {
    /// Name of the pipeline.
    pub name: String,
    /// Where rows come from.
    pub sources: Vec<SourceDraft>,
    /// What happens to them.
    pub stages: Vec<StageDraft>,
    /// Where they go.
    pub sinks: Vec<SinkDraft>,
    /// Where the records go that cannot be processed.
    pub dead_letters: Option<SinkDraft>,
}

/// Where rows of an input come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// A source, by its position in the graph.
    Source(usize),
    /// An output port of a stage, by their positions.
    Port(usize, usize),
}

/// A source, resolved.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name.
    pub name: Arc<str>,
    /// Format, fields and what of them is needed; none = it makes rows itself, all columns filled.
    pub decode: Option<DecodePlan>,
    /// Layout of its rows.
    pub layout: Arc<Layout>,
    /// Position of the event time among its fields, and how late a row may be.
    pub event_time: Option<(usize, Micros)>,
    /// Lanes that decode.
    pub lanes: u32,
}

/// Where an operator's column comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// A field, by its position in the stage's input schema.
    Field(usize),
    /// Metadata.
    Meta(Meta),
    /// Nowhere: the input has no such field; all rows are null or have the fallback.
    Absent,
}

/// How one entry of an operator's reads is filled.
#[derive(Clone, Debug, PartialEq)]
pub struct Fill {
    /// Where from.
    pub column: Column,
    /// Whether an int64 is made a float64 on the way.
    pub widen: bool,
    /// Value in place of null.
    pub fallback: Option<Value>,
}

/// What the rows of an output port are, for one input layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// Their layout; made columns come first, in the order of the port's `makes`, then those of `keeps`.
    pub layout: Arc<Layout>,
    /// Positions, in the input batch's made columns, of those that the port carries on.
    pub keeps: Vec<usize>,
}

/// What each port makes of rows of one layout.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The layout of the rows that come in.
    pub input: Arc<Layout>,
    /// One entry a port.
    pub ports: Vec<Derived>,
}

/// A stage, resolved.
#[derive(Clone)]
pub struct Stage {
    /// Its name.
    pub name: Arc<str>,
    /// Where its rows come from; all of one schema.
    pub inputs: Vec<Upstream>,
    /// The fields of its rows.
    pub schema: Schema,
    /// The operator's code.
    pub factory: SharedFactory,
    /// Its configuration.
    pub config: Value,
    /// What the operator declared.
    pub plan: OperatorPlan,
    /// How each of the plan's reads is filled.
    pub fills: Vec<Fill>,
    /// Positions of the key's fields; empty for a transform.
    pub key: Vec<usize>,
    /// One entry for each layout that can come in.
    pub shapes: Vec<Shape>,
    /// Lanes.
    pub lanes: u32,
    /// What happens on failure.
    pub on_error: OnError,
    /// How long a batch may take.
    pub latency: Option<Micros>,
}

/// A sink, resolved.
#[derive(Clone, Debug)]
pub struct Sink {
    /// Its name.
    pub name: Arc<str>,
    /// Where its rows come from; all of one schema. Empty for the dead letters.
    pub inputs: Vec<Upstream>,
    /// The fields of its rows.
    pub schema: Schema,
    /// How they are encoded; none = it takes columns.
    pub format: Option<Format>,
}

/// A pipeline, resolved and checked.
#[derive(Clone)]
pub struct Graph {
    /// Name of the pipeline.
    pub name: Arc<str>,
    /// Its sources.
    pub sources: Vec<Source>,
    /// Its stages, each after those that it reads from.
    pub stages: Vec<Stage>,
    /// Its sinks.
    pub sinks: Vec<Sink>,
    /// The sink for dead letters, under the schema of [`crate::dead_letter::schema`].
    pub dead_letters: Option<Sink>,
    /// What is allowed and probably not meant.
    pub warnings: Vec<GraphError>,
}

/// Whether a source or a stage can have so many lanes.
///
/// # Errors
/// A sentence: it cannot.
pub fn check_lanes(lanes: u32) -> Result<(), String> {
    if (1..=KEY_GROUPS).contains(&lanes) {
        Ok(())
    } else {
        Err(format!("`lanes` is {lanes}; it can be 1 to {KEY_GROUPS}"))
    }
}

/// Something that is wrong with a draft.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct GraphError {
    /// Where in the pipeline file: `stages.score.from` (`stages.score.from.1` where there are several),
    /// `stages.score.config.value.min`, `sources.readings.event_time.column`.
    pub path: String,
    /// What is wrong, and what to do or the nearest name, a sentence.
    pub message: String,
}
