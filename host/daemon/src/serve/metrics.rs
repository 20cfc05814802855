//! What a server counts, as Prometheus reads it. The names of all metrics are in this file and nowhere else.

use std::fmt::Write as _;

use wasmill_engine::histogram::Spread;

use super::lag::Lag;
use super::registry::Server;
use super::status::{Node, Whole, whole};

/// A metric: its name, kind, help, and where its value is.
type Metric = (&'static str, &'static str, &'static str, fn(&Node) -> f64);

/// The metrics of a node. Names are here and nowhere else.
const NODE_METRICS: [Metric; 10] = [
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
    ("wasmill_state_keys", "gauge", "Keys of a stage's state.", |node| node.keys as f64),
    ("wasmill_state_bytes", "gauge", "Bytes of memory that a stage's state takes.", |node| node.state_bytes as f64),
];
const UP: &str = "wasmill_up_seconds";
const PIPELINES: &str = "wasmill_pipelines";
const WAITING: &str = "wasmill_waiting_rows";
const TOOK: &str = "wasmill_batch_seconds";
const AGE: &str = "wasmill_row_age_seconds";
const SWAPS: &str = "wasmill_stage_version";

/// All metrics as Prometheus reads them.
pub(crate) fn render(server: &Server) -> String {
    let pipelines: Vec<Whole> = server.all().iter().filter_map(|pipeline| whole(pipeline)).collect();
    let mut text = String::new();
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
    times(&mut text, &pipelines);
    lags(&mut text, &pipelines);
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

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string does not fail, here and below.
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").ok();
}

/// How long batches take, a version of a stage each, and how old rows are when they leave a stage or reach a sink.
fn times(text: &mut String, pipelines: &[Whole]) {
    head(text, TOOK, "histogram", "Time that a batch took in a stage.");
    for pipeline in pipelines {
        for node in &pipeline.nodes {
            for of in &node.versions {
                let (name, stage) = (label(&pipeline.short.name), label(&node.line.name));
                let labels = format!(
                    "pipeline=\"{name}\",stage=\"{stage}\",version=\"{}\",digest=\"{}\"",
                    of.version, of.digest
                );
                histogram(text, TOOK, &labels, &of.took.spread);
            }
        }
    }
    head(text, AGE, "histogram", "Time from when a batch's rows were read to when it left a stage or reached a sink.");
    for pipeline in pipelines {
        for node in &pipeline.nodes {
            if let Some(age) = &node.age {
                let (name, part, node_name) =
                    (label(&pipeline.short.name), label(node.line.part), label(&node.line.name));
                let labels = format!("pipeline=\"{name}\",part=\"{part}\",node=\"{node_name}\"");
                histogram(text, AGE, &labels, &age.spread);
            }
        }
    }
}

/// A metric of a source that may not be known: its name, help, and where its value is.
type Gauge = (&'static str, &'static str, fn(&Lag) -> Option<f64>);

const LAGS: [Gauge; 4] = [
    ("wasmill_source_behind_bytes", "Bytes that are there and were not read.", |lag| {
        lag.behind_bytes.map(|bytes| bytes as f64)
    }),
    ("wasmill_source_behind_rows", "Rows that the rate of a source owes.", |lag| {
        lag.behind_rows.map(|rows| rows as f64)
    }),
    ("wasmill_source_event_time_lag_seconds", "Time from a source's watermark to now.", |lag| lag.event_time_s),
    ("wasmill_source_idle_seconds", "Time since a source brought something.", |lag| lag.idle_s),
];

/// How far sources are behind, and what waits on each edge.
fn lags(text: &mut String, pipelines: &[Whole]) {
    let nodes = || pipelines.iter().flat_map(|of| of.nodes.iter().map(|node| (label(&of.short.name), node)));
    for (name, help, value) in LAGS {
        head(text, name, "gauge", help);
        for (pipeline, node) in nodes() {
            if let Some(value) = node.lag.as_ref().and_then(value) {
                let source = label(&node.line.name);
                writeln!(text, "{name}{{pipeline=\"{pipeline}\",source=\"{source}\"}} {value}").ok();
            }
        }
    }
    head(text, WAITING, "gauge", "Rows on an edge that were sent and not taken.");
    for (pipeline, node) in nodes() {
        for input in &node.inputs {
            let (from, to) = (label(&input.from), label(&node.line.name));
            let labels = format!("pipeline=\"{pipeline}\",from=\"{from}\",to=\"{to}\"");
            writeln!(text, "{WAITING}{{{labels}}} {}", input.waiting_rows).ok();
        }
    }
}

/// The powers of two, in microseconds, that buckets end at: from 16 microseconds to 17 seconds, each four times longer.
const BUCKET_POWERS: [u32; 11] = [4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24];

fn histogram(text: &mut String, name: &str, labels: &str, of: &Spread) {
    for power in BUCKET_POWERS {
        let end = f64::from(1_u32 << power) / 1e6;
        writeln!(text, "{name}_bucket{{{labels},le=\"{end}\"}} {}", of.within(power)).ok();
    }
    let count = of.count();
    writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}").ok();
    writeln!(text, "{name}_sum{{{labels}}} {}\n{name}_count{{{labels}}} {count}", of.sum() as f64 / 1e6).ok();
}

/// A label's value. Names are letters, digits, `-` and `_`, but that is checked elsewhere.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use wasmill_engine::histogram::Histogram;

    use super::*;

    #[test]
    fn a_histogram_has_buckets_that_grow_and_the_last_has_all() {
        let times = Histogram::default();
        [10, 16, 17, 2_000, 60_000_000].into_iter().for_each(|took| times.record(took));
        let mut text = String::new();
        histogram(&mut text, TOOK, "stage=\"s\"", &times.spread());
        for line in [
            "wasmill_batch_seconds_bucket{stage=\"s\",le=\"0.000016\"} 2\n",
            "wasmill_batch_seconds_bucket{stage=\"s\",le=\"0.000064\"} 3\n",
            "wasmill_batch_seconds_bucket{stage=\"s\",le=\"16.777216\"} 4\n",
            "wasmill_batch_seconds_bucket{stage=\"s\",le=\"+Inf\"} 5\n",
            "wasmill_batch_seconds_sum{stage=\"s\"} 60.002043\n",
            "wasmill_batch_seconds_count{stage=\"s\"} 5\n",
        ] {
            assert!(text.contains(line), "no {line} in\n{text}");
        }
    }
}
