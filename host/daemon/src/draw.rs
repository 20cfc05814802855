//! Drawings of a graph: what reads from what, with each part's code, key and lanes, for a terminal and as a picture.
//!
//! Both drawings are of one [`Sketch`], which knows words and edges and nothing of graphs' types. Neighbours:
//! [`crate::spec`] gives the graph and the names of connectors and plugins.

mod place;
mod svg;
#[cfg(test)]
mod tests;
mod text;

use wasmill_engine::codec::Format;
use wasmill_engine::graph::{Graph, Upstream};
use wasmill_engine::operator::Port;

use crate::spec::{Connector, Spec};

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Source,
    Stage,
    Sink,
}

/// A part of the pipeline in words.
#[derive(Clone, Debug)]
struct Part {
    role: Role,
    name: String,
    /// `file readings/*.ndjson`, `4 lanes`.
    details: Vec<String>,
}

/// Rows from one part to another.
#[derive(Clone, Debug)]
struct Edge {
    from: usize,
    to: usize,
    /// Name of the port; none for the first.
    port: Option<String>,
}

/// A pipeline in words: each part after those that it reads from.
#[derive(Clone, Debug)]
struct Sketch {
    name: String,
    parts: Vec<Part>,
    edges: Vec<Edge>,
    dead_letters: Option<Part>,
}

/// A drawing for a terminal, at most 80 columns wide where names allow it; `ascii` uses no other characters.
pub(crate) fn text(graph: &Graph, spec: &Spec, ascii: bool) -> String {
    text::draw(&sketch(graph, spec), ascii)
}

/// A picture that needs nothing outside itself and fits a light or a dark page.
pub(crate) fn svg(graph: &Graph, spec: &Spec) -> String {
    svg::draw(&sketch(graph, spec))
}

fn sketch(graph: &Graph, spec: &Spec) -> Sketch {
    let mut parts = Vec::new();
    let mut edges = Vec::new();
    for (source, connector) in graph.sources.iter().zip(&spec.sources) {
        let mut details = vec![shown(connector)];
        details.extend(source.decode.as_ref().map(|decode| named(&decode.format).to_owned()));
        details.extend(source.event_time.map(|(column, lateness)| {
            let column = &source.layout.schema.fields()[column].name;
            if lateness == 0 {
                format!("event time {column}")
            } else {
                format!("event time {column} + {}", span(lateness))
            }
        }));
        details.extend(lanes(source.lanes));
        parts.push(Part { role: Role::Source, name: source.name.to_string(), details });
    }
    for (stage, plugin) in graph.stages.iter().zip(&spec.plugins) {
        let mut details = vec![plugin.to_string()];
        if !stage.key.is_empty() {
            let key: Vec<&str> = stage.key.iter().map(|field| &*stage.schema.fields()[*field].name).collect();
            details.push(format!("key {}", key.join(", ")));
        }
        details.extend(lanes(stage.lanes));
        let part = Part { role: Role::Stage, name: stage.name.to_string(), details };
        join(graph, &stage.inputs, parts.len(), &mut edges);
        parts.push(part);
    }
    for (sink, connector) in graph.sinks.iter().zip(&spec.sinks) {
        let part =
            Part { role: Role::Sink, name: sink.name.to_string(), details: written(connector, sink.format.as_ref()) };
        join(graph, &sink.inputs, parts.len(), &mut edges);
        parts.push(part);
    }
    let dead_letters = graph.dead_letters.as_ref().zip(spec.dead_letters.as_ref()).map(|(sink, connector)| {
        let details = written(connector, sink.format.as_ref());
        Part { role: Role::Sink, name: "dead letters".to_owned(), details }
    });
    Sketch { name: graph.name.to_string(), parts, edges, dead_letters }
}

fn join(graph: &Graph, inputs: &[Upstream], to: usize, edges: &mut Vec<Edge>) {
    edges.extend(inputs.iter().map(|upstream| match *upstream {
        Upstream::Source(from) => Edge { from, to, port: None },
        Upstream::Port(stage, port) => {
            let named = |port: &Port| port.name.clone();
            let port = graph.stages[stage].plan.ports.get(port).filter(|_| port > 0).map(named);
            Edge { from: graph.sources.len() + stage, to, port }
        }
    }));
}

fn written(connector: &Connector, format: Option<&Format>) -> Vec<String> {
    std::iter::once(shown(connector)).chain(format.map(|format| named(format).to_owned())).collect()
}

/// The connector and the first text of its configuration, which is what it is about.
fn shown(connector: &Connector) -> String {
    let config = connector.config.as_object();
    let first =
        config.and_then(|config| config.get("path").or_else(|| config.values().find(|value| value.is_string())));
    match first.and_then(|value| value.as_str()) {
        Some(text) => format!("{} {text}", connector.name),
        None => connector.name.clone(),
    }
}

/// The word for a format in a pipeline file.
pub(crate) fn named(format: &Format) -> &'static str {
    match format {
        Format::Ndjson => "ndjson",
        Format::Csv { .. } => "csv",
        Format::Raw => "raw",
    }
}

fn lanes(lanes: u32) -> Option<String> {
    (lanes > 1).then(|| format!("{lanes} lanes"))
}

/// A duration in the largest unit that holds it whole.
fn span(micros: i64) -> String {
    const UNITS: [(i64, &str); 5] =
        [(3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"), (1_000, "ms"), (1, "us")];
    let whole = UNITS.iter().find(|(unit, _)| micros % unit == 0);
    whole.map_or_else(|| format!("{micros}us"), |(unit, name)| format!("{}{name}", micros / unit))
}
