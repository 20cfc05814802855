//! What a server tells of its pipelines, as JSON for the API. Neighbour: [`super::metrics`] has it for Prometheus.

use std::sync::Arc;

use serde::Serialize;
use wasmill_engine::clock::Clock as _;
use wasmill_engine::counters::Counters;
use wasmill_engine::graph::{Graph, Upstream};
use wasmill_engine::histogram::{Histogram, Spread};
use wasmill_engine::node::code::Version;
use wasmill_engine::plan::Part;
use wasmill_engine::runtime::stages::Phase;

use super::disk::Goal;
use super::lag::{Input, Lag, waiting};
use super::rates::Rate;
use super::registry::Pipeline;
use super::running::{End, Running};
use crate::driver::MachineClock;
use crate::report::{self, Line};

/// A pipeline in a list.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Short {
    pub(crate) name: String,
    /// `running`, `paused`, `draining`, `done`, `failed`, `broken`.
    pub(crate) state: &'static str,
    pub(crate) revision: u64,
    /// Rows a second that its sources gave and its sinks wrote, lately.
    pub(crate) rows_in_per_s: f32,
    pub(crate) rows_out_per_s: f32,
    /// How far its sources are behind, together.
    pub(crate) lag: Lag,
    /// Rows that wait on its edges.
    pub(crate) waiting_rows: u64,
    pub(crate) dead_letters: u64,
    /// Calls of operators that failed as a whole.
    pub(crate) failures: u64,
}

/// A pipeline.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Whole {
    #[serde(flatten)]
    pub(crate) short: Short,
    /// Why it failed or cannot be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Its file's name and text as applied.
    pub(crate) file: String,
    pub(crate) text: String,
    /// Seconds since it was started; none = it was not since the server was.
    pub(crate) up_s: Option<f64>,
    /// The last epoch that is committed.
    pub(crate) committed_epoch: Option<u64>,
    pub(crate) records_in: u64,
    pub(crate) rows_out: u64,
    pub(crate) filtered: u64,
    /// Its sources, stages and sinks, in the order of a record's way.
    pub(crate) nodes: Vec<Node>,
}

/// A source, stage or sink.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Node {
    #[serde(flatten)]
    pub(crate) line: Line,
    /// What it reads from.
    pub(crate) from: Vec<String>,
    /// The same with what comes from there and what waits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) inputs: Vec<Input>,
    /// For a source how far it is behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lag: Option<Lag>,
    pub(crate) rows_in_per_s: f64,
    pub(crate) rows_out_per_s: f64,
    /// Rows of a batch and the time that one takes, on average since the start, for a stage.
    pub(crate) batch_rows: f64,
    pub(crate) batch_us: f64,
    /// For a stage the times that batches took in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) took: Option<Times>,
    /// For a stage and a sink how old rows were, since they were read, when they left it, or reached it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) age: Option<Times>,
    /// For a keyed stage its keys, and the bytes of memory that they take.
    pub(crate) keys: u64,
    pub(crate) state_bytes: u64,
    /// For a stage its versions since the pipeline was started, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) versions: Vec<VersionOf>,
}

/// A version of a stage's code.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct VersionOf {
    pub(crate) version: u64,
    pub(crate) digest: String,
    /// Whether it is the one that works.
    pub(crate) live: bool,
    /// Whether its first batches are still watched.
    pub(crate) watched: bool,
    pub(crate) rows_in: u64,
    pub(crate) rows_out: u64,
    pub(crate) batches: u64,
    pub(crate) failures: u64,
    /// Time that a batch took on average, and the times that batches took.
    pub(crate) batch_us: f64,
    pub(crate) took: Times,
}

/// How long something took since the start: the middle, what one in 20 and one in 100 exceed, and the longest.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Times {
    pub(crate) p50_us: u64,
    pub(crate) p95_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) max_us: u64,
    #[serde(skip)]
    pub(crate) spread: Spread,
}

impl Times {
    fn of(histogram: &Histogram) -> Self {
        let spread = histogram.spread();
        let [p50_us, p95_us, p99_us] = [0.5, 0.95, 0.99].map(|part| spread.quantile(part));
        Self { p50_us, p95_us, p99_us, max_us: spread.longest(), spread }
    }
}

/// A pipeline in a word.
pub(crate) fn short(pipeline: &Pipeline) -> Option<Short> {
    let view = pipeline.view();
    let desired = view.desired.as_ref()?;
    let state = match (&view.running, view.broken.is_some(), desired.goal) {
        (_, true, _) => "broken",
        (None, _, _) => "done",
        (Some(running), _, goal) => match (running.end(), goal) {
            (Some(End::Failed(_)), _) => "failed",
            (Some(_), _) => "done",
            (None, Goal::Run) => "running",
            (None, Goal::Pause) => "paused",
            (None, Goal::Drain | Goal::End) => "draining",
        },
    };
    let (rows_in_per_s, rows_out_per_s) =
        view.history.last().map_or((0.0, 0.0), |last| (last.rows_in_per_s, last.rows_out_per_s));
    let status = view.running.as_ref().map_or(&[][..], |running| &running.status);
    // Of sources and stages: sinks count neither.
    let sum = |of: fn(&Counters) -> u64| -> u64 { status.iter().map(|status| of(&status.counters)).sum() };
    Some(Short {
        name: desired.name.clone(),
        state,
        revision: desired.revision,
        rows_in_per_s,
        rows_out_per_s,
        lag: view.alive().map_or_else(Lag::default, |running| {
            running.ask(|controls| Lag::of_all(controls.graph(), status, MachineClock::new().now()))
        }),
        waiting_rows: waiting(status),
        dead_letters: sum(|of| of.dead.get()),
        failures: sum(|of| of.failures.get()),
    })
}

/// All of a pipeline.
pub(crate) fn whole(pipeline: &Pipeline) -> Option<Whole> {
    let short = short(pipeline)?;
    let view = pipeline.view();
    let desired = view.desired.as_ref()?;
    let running = view.running.clone();
    let failed = running.as_ref().and_then(|running| match running.end() {
        Some(End::Failed(failure)) => Some(failure.to_string()),
        _ => None,
    });
    let nodes = running.as_ref().map_or_else(Vec::new, |running| nodes(running, &view.rates));
    let of = |part: &str, count: fn(&Line) -> u64| -> u64 {
        nodes.iter().map(|node| &node.line).filter(|line| line.part == part).map(count).sum()
    };
    Some(Whole {
        reason: view.broken.clone().or(failed),
        file: desired.file.clone(),
        text: desired.text.clone(),
        up_s: running.as_ref().map(|running| running.since.elapsed().as_secs_f64()),
        committed_epoch: running.as_ref().and_then(|running| running.ask(|controls| controls.complete())),
        records_in: of("source", |line| line.rows_in),
        rows_out: of("sink", |line| line.rows_out),
        filtered: of("stage", |line| line.filtered),
        nodes,
        short,
    })
}

fn nodes(running: &Running, rates: &[Rate]) -> Vec<Node> {
    let (now, over) = (MachineClock::new().now(), running.end().is_some());
    running.ask(|controls| {
        let graph = controls.graph();
        let mut places = running.places.iter();
        let node = |(number, status): (usize, &wasmill_engine::runtime::Status)| {
            let place = matches!(status.part, Part::Sink | Part::DeadLetters).then(|| places.next().cloned()).flatten();
            let rate = rates.get(number).cloned().unwrap_or_default();
            let [rows_in_per_s, rows_out_per_s] = rate.rows;
            let from = from(graph, status.part, &status.name);
            let stages = controls.stages();
            let live = stages.live(&status.name);
            let versions = stages.versions(&status.name).filter(|_| status.part == Part::Stage).unwrap_or_default();
            let version = |of: &Arc<Version>| VersionOf {
                version: of.number,
                digest: of.digest().to_owned(),
                live: live.as_ref().is_some_and(|(live, _)| live.number == of.number),
                watched: live
                    .as_ref()
                    .is_some_and(|(live, phase)| live.number == of.number && *phase != Phase::Settled),
                rows_in: of.counters.rows_in.get(),
                rows_out: of.counters.rows_out.get(),
                batches: of.counters.batches.get(),
                failures: of.counters.failures.get(),
                batch_us: mean(&of.counters),
                took: Times::of(&of.counters.took),
            };
            let mut status = status.clone();
            if let (Part::Stage, Some((live, _))) = (status.part, &live) {
                status.metrics = Some(live.metrics.clone());
            }
            Node {
                line: report::line(graph, &status, place),
                inputs: Input::all(&status, &from, &rate),
                from,
                lag: (status.part == Part::Source && !over).then(|| Lag::of(graph, &status, now)),
                rows_in_per_s,
                rows_out_per_s,
                batch_rows: per_batch(status.counters.rows_in.get(), &status.counters),
                batch_us: mean(&status.counters),
                took: (status.part == Part::Stage).then(|| Times::of(&status.counters.took)),
                age: matches!(status.part, Part::Stage | Part::Sink).then(|| Times::of(&status.counters.age)),
                keys: status.counters.state_keys.get(),
                state_bytes: status.counters.state_bytes.get(),
                versions: versions.iter().map(version).collect(),
            }
        };
        running.status.iter().enumerate().map(node).collect()
    })
}

/// Time that a batch took on average, in microseconds.
fn mean(of: &Counters) -> f64 {
    per_batch(of.took.spread().sum(), of)
}

fn per_batch(sum: u64, of: &Counters) -> f64 {
    let batches = of.batches.get();
    if batches == 0 { 0.0 } else { sum as f64 / batches as f64 }
}

/// What a node reads from: `source`, `stage` or `stage.port`.
fn from(graph: &Graph, part: Part, name: &str) -> Vec<String> {
    let inputs = match part {
        Part::Stage => graph.stages.iter().find(|stage| *stage.name == *name).map(|stage| &stage.inputs),
        Part::Sink => graph.sinks.iter().find(|sink| *sink.name == *name).map(|sink| &sink.inputs),
        Part::Source | Part::DeadLetters => None,
    };
    let named = |input: &Upstream| match input {
        Upstream::Source(source) => graph.sources[*source].name.to_string(),
        Upstream::Port(stage, port) => {
            let stage = &graph.stages[*stage];
            if *port == 0 { stage.name.to_string() } else { format!("{}.{}", stage.name, stage.plan.ports[*port].name) }
        }
    };
    inputs.into_iter().flatten().map(named).collect()
}
