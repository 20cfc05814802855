//! What a server tells of its pipelines: as JSON for the API, as lines for Prometheus.

use serde::Serialize;
use wasmill_engine::graph::{Graph, Upstream};
use wasmill_engine::plan::Part;
use wasmill_engine::runtime::stages::Phase;

use super::disk::Goal;
use super::registry::{Pipeline, Server};
use super::running::{End, Running};
use crate::report::{self, Line};

/// A pipeline in a list.
#[derive(Debug, Serialize)]
pub(crate) struct Short {
    pub(crate) name: String,
    /// `running`, `paused`, `draining`, `done`, `failed`, `broken`.
    pub(crate) state: &'static str,
    pub(crate) revision: u64,
    /// Rows a second that its sources gave and its sinks wrote, lately.
    pub(crate) rows_in_per_s: f32,
    pub(crate) rows_out_per_s: f32,
}

/// A pipeline.
#[derive(Debug, Serialize)]
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
    pub(crate) dead_letters: u64,
    /// Its sources, stages and sinks, in the order of a record's way.
    pub(crate) nodes: Vec<Node>,
}

/// A source, stage or sink.
#[derive(Debug, Serialize)]
pub(crate) struct Node {
    #[serde(flatten)]
    pub(crate) line: Line,
    /// What it reads from.
    pub(crate) from: Vec<String>,
    pub(crate) rows_in_per_s: f64,
    pub(crate) rows_out_per_s: f64,
    /// Rows of a batch and the time that one takes, on average since the start, for a stage.
    pub(crate) batch_rows: f64,
    pub(crate) batch_us: f64,
    /// For a stage its versions since the pipeline was started, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) versions: Vec<VersionOf>,
}

/// A version of a stage's code.
#[derive(Debug, Serialize)]
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
    /// Time that a batch took on average.
    pub(crate) batch_us: f64,
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
            (None, Goal::End) => "draining",
        },
    };
    let (rows_in_per_s, rows_out_per_s) =
        view.history.last().map_or((0.0, 0.0), |last| (last.rows_in_per_s, last.rows_out_per_s));
    Some(Short { name: desired.name.clone(), state, revision: desired.revision, rows_in_per_s, rows_out_per_s })
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
        dead_letters: of("source", |line| line.dead_letters) + of("stage", |line| line.dead_letters),
        nodes,
        short,
    })
}

fn nodes(running: &Running, rates: &[[f64; 2]]) -> Vec<Node> {
    running.ask(|controls| {
        let graph = controls.graph();
        let mut places = running.places.iter();
        let node = |(number, status): (usize, &wasmill_engine::runtime::Status)| {
            let place = matches!(status.part, Part::Sink | Part::DeadLetters).then(|| places.next().cloned()).flatten();
            let [rows_in_per_s, rows_out_per_s] = rates.get(number).copied().unwrap_or_default();
            let stages = controls.stages();
            let live = stages.live(&status.name);
            let versions = stages.versions(&status.name).filter(|_| status.part == Part::Stage).unwrap_or_default();
            let version = |of: &std::sync::Arc<wasmill_engine::node::code::Version>| VersionOf {
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
                batch_us: mean(of.counters.micros.get(), of.counters.batches.get()),
            };
            let mut status = status.clone();
            if let (Part::Stage, Some((live, _))) = (status.part, &live) {
                status.metrics = Some(live.metrics.clone());
            }
            Node {
                line: report::line(graph, &status, place),
                from: from(graph, status.part, &status.name),
                rows_in_per_s,
                rows_out_per_s,
                batch_rows: mean(status.counters.rows_in.get(), status.counters.batches.get()),
                batch_us: mean(status.counters.micros.get(), status.counters.batches.get()),
                versions: versions.iter().map(version).collect(),
            }
        };
        running.status.iter().enumerate().map(node).collect()
    })
}

fn mean(sum: u64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum as f64 / count as f64 }
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

/// A metric: its name, kind, help, and where its value is.
type Metric = (&'static str, &'static str, &'static str, fn(&Node) -> f64);

/// The metrics of a node. Names are here and nowhere else.
const NODE_METRICS: [Metric; 8] = [
    ("wasmill_rows_in_total", "counter", "Rows that came in.", |node| node.line.rows_in as f64),
    ("wasmill_rows_out_total", "counter", "Rows that went out.", |node| node.line.rows_out as f64),
    ("wasmill_rows_filtered_total", "counter", "Rows that went nowhere, by the operator's choice.", |node| {
        node.line.filtered as f64
    }),
    ("wasmill_dead_letters_total", "counter", "Rows that went to the dead letters.", |node| {
        node.line.dead_letters as f64
    }),
    ("wasmill_failed_calls_total", "counter", "Calls of operators that failed as a whole.", |node| {
        node.line.failures as f64
    }),
    ("wasmill_retries_total", "counter", "Rows that were tried again.", |node| node.line.retries as f64),
    ("wasmill_batches_total", "counter", "Batches that took effect.", |node| node.line.batches as f64),
    ("wasmill_bytes_total", "counter", "Bytes read or written.", |node| node.line.bytes as f64),
];
const UP: &str = "wasmill_up_seconds";
const PIPELINES: &str = "wasmill_pipelines";
const SWAPS: &str = "wasmill_stage_version";

/// All metrics as Prometheus reads them.
pub(crate) fn metrics(server: &Server) -> String {
    let pipelines: Vec<Whole> = server.all().iter().filter_map(|pipeline| whole(pipeline)).collect();
    let mut text = String::new();
    let head = |text: &mut String, name: &str, kind: &str, help: &str| {
        *text += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    };
    head(&mut text, UP, "gauge", "Seconds since the server started.");
    text += &format!("{UP} {}\n", server.since.elapsed().as_secs_f64());
    head(&mut text, PIPELINES, "gauge", "Pipelines, by state.");
    for state in ["running", "paused", "draining", "done", "failed", "broken"] {
        let count = pipelines.iter().filter(|pipeline| pipeline.short.state == state).count();
        text += &format!("{PIPELINES}{{state=\"{state}\"}} {count}\n");
    }
    for (name, kind, help, value) in NODE_METRICS {
        head(&mut text, name, kind, help);
        for pipeline in &pipelines {
            for node in &pipeline.nodes {
                let (of, part, node_name) =
                    (label(&pipeline.short.name), label(node.line.part), label(&node.line.name));
                let labels = format!("pipeline=\"{of}\",part=\"{part}\",node=\"{node_name}\"");
                text += &format!("{name}{{{labels}}} {}\n", value(node));
            }
        }
    }
    head(&mut text, SWAPS, "gauge", "The version of a stage that works, counted since the pipeline started.");
    for pipeline in &pipelines {
        for node in &pipeline.nodes {
            if let Some(live) = node.versions.iter().find(|version| version.live) {
                let (of, stage) = (label(&pipeline.short.name), label(&node.line.name));
                let digest = &live.digest;
                text +=
                    &format!("{SWAPS}{{pipeline=\"{of}\",stage=\"{stage}\",digest=\"{digest}\"}} {}\n", live.version);
            }
        }
    }
    text
}

/// A label's value. Names are letters, digits, `-` and `_`, but that is checked elsewhere.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
