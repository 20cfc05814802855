//! What a graph and its operators are made of, as JSON for scripts: names, ports, columns with their kinds.
//!
//! Always true: a list is a list of objects or of names, and never a sentence to be taken apart. Neighbour:
//! [`crate::draw`] shows a graph to people.

use serde_json::{Value, json};
use wasmill_engine::graph::{Graph, Sink, Source, Stage, Upstream};
use wasmill_engine::operator::{Metric, MetricKind, OperatorPlan, Port, Read, Table};
use wasmill_engine::schema::Field;

use crate::draw::named;
use crate::spec::{Connector, Spec};

/// A pipeline: its nodes, each after those that it reads from, and the edges between them.
pub(crate) fn graph(graph: &Graph, spec: &Spec) -> Value {
    let sources = graph.sources.iter().zip(&spec.sources).map(|(of, connector)| source(of, connector));
    let stages = graph.stages.iter().zip(&spec.plugins).map(|(of, plugin)| stage(graph, of, &plugin.to_string()));
    let sinks = graph.sinks.iter().zip(&spec.sinks).map(|(of, connector)| sink(graph, "sink", of, connector));
    let dead = graph.dead_letters.iter().zip(&spec.dead_letters);
    let dead = dead.map(|(of, connector)| sink(graph, "dead letters", of, connector));
    let nodes: Vec<Value> = sources.chain(stages).chain(sinks).chain(dead).collect();
    let readers = graph.stages.iter().map(|of| (&of.name, &of.inputs));
    let readers = readers.chain(graph.sinks.iter().map(|of| (&of.name, &of.inputs)));
    let edge = |from: &Upstream, to: &str| {
        let (name, port) = ends(graph, *from);
        json!({ "from": name, "port": port, "to": to })
    };
    let edges: Vec<Value> = readers.flat_map(|(to, inputs)| inputs.iter().map(move |from| edge(from, to))).collect();
    json!({ "pipeline": &*graph.name, "nodes": nodes, "edges": edges, "warnings": spec.warnings.diagnostics })
}

/// What an operator declares when it is opened: what it reads, its ports, its state, its metrics.
pub(crate) fn operator(plan: &OperatorPlan) -> Value {
    let read = |of: &Read| {
        let (name, kind) = (&of.name, of.kind.name());
        json!({ "name": name, "kind": kind, "nullable": of.nullable, "fallback": of.fallback })
    };
    let table = |of: &Table| {
        let columns = columns(&of.columns);
        json!({ "name": of.name, "version": of.version, "columns": columns, "ttl_ms": of.ttl_ms })
    };
    let metric = |of: &Metric| {
        let kind = if of.kind == MetricKind::Counter { "counter" } else { "gauge" };
        json!({ "name": of.name, "kind": kind, "help": of.help })
    };
    json!({
        "reads": plan.reads.iter().map(read).collect::<Vec<_>>(),
        "ports": plan.ports.iter().map(port).collect::<Vec<_>>(),
        "state": plan.tables.iter().map(table).collect::<Vec<_>>(),
        "metrics": plan.metrics.iter().map(metric).collect::<Vec<_>>(),
    })
}

fn source(of: &Source, connector: &Connector) -> Value {
    let schema = &of.layout.schema;
    let event_time = of
        .event_time
        .map(|(column, lateness)| json!({ "column": &*schema.fields()[column].name, "lateness_us": lateness }));
    json!({
        "part": "source", "name": &*of.name, "from": [], "connector": connector.name, "lanes": of.lanes,
        "format": of.decode.as_ref().map(|decode| named(&decode.format)), "event_time": event_time,
        "columns": columns(schema.fields()),
    })
}

fn stage(graph: &Graph, of: &Stage, plugin: &str) -> Value {
    let key: Vec<&str> = of.key.iter().map(|field| &*of.schema.fields()[*field].name).collect();
    let mut node = operator(&of.plan);
    // What leaves a port is the same for each layout that comes in, but for where its columns lie.
    let leaves = of.shapes.first().map_or(&[][..], |shape| &shape.ports);
    for (port, derived) in node["ports"].as_array_mut().into_iter().flatten().zip(leaves) {
        port["columns"] = columns(derived.layout.schema.fields());
    }
    let facts = json!({
        "part": "stage", "name": &*of.name, "from": from(graph, &of.inputs), "plugin": plugin,
        "kind": of.factory.kind().to_string(), "digest": of.factory.digest(), "key": key, "lanes": of.lanes,
        "columns": columns(of.schema.fields()),
    });
    if let (Some(node), Value::Object(facts)) = (node.as_object_mut(), facts) {
        node.extend(facts);
    }
    node
}

fn sink(graph: &Graph, part: &str, of: &Sink, connector: &Connector) -> Value {
    json!({
        "part": part, "name": &*of.name, "from": from(graph, &of.inputs), "connector": connector.name,
        "format": of.format.as_ref().map(named), "columns": columns(of.schema.fields()),
    })
}

/// What inputs read from, as a pipeline file has it: `source`, `stage`, or `stage.port`.
fn from(graph: &Graph, inputs: &[Upstream]) -> Vec<String> {
    let named = |input: &Upstream| match (ends(graph, *input), input) {
        ((name, Some(port)), Upstream::Port(_, 1..)) => format!("{name}.{port}"),
        ((name, _), _) => name.to_owned(),
    };
    inputs.iter().map(named).collect()
}

/// The name of what rows come from, and of the port; none for a source.
fn ends(graph: &Graph, from: Upstream) -> (&str, Option<&str>) {
    match from {
        Upstream::Source(source) => (&*graph.sources[source].name, None),
        Upstream::Port(stage, port) => {
            let stage = &graph.stages[stage];
            (&*stage.name, stage.plan.ports.get(port).map(|port| port.name.as_str()))
        }
    }
}

fn port(of: &Port) -> Value {
    let carried = |(column, name): &(String, String)| json!({ "column": column, "as": name });
    let carries = match &of.carries {
        None => json!("everything"),
        Some(all) => all.iter().map(carried).collect(),
    };
    json!({ "name": of.name, "carries": carries, "makes": columns(&of.makes) })
}

fn columns(fields: &[Field]) -> Value {
    let column = |field: &Field| json!({ "name": &*field.name, "kind": field.kind.name(), "nullable": field.nullable });
    fields.iter().map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::tests::good;

    const SENSORS: &str = r#"
name: sensor-alerts
sources:
  readings:
    file: { path: "readings/*.ndjson" }
    format: { ndjson: { columns: { sensor: utf8, at: timestamp, value: float64, site.name: utf8? } } }
    event_time: { column: at, lateness: 5s }
stages:
  clean: { from: readings, plugin: validate@1 }
  score: { from: clean, plugin: ./score, key: sensor, lanes: 4 }
sinks:
  alerts: { from: score.alerts, stdout: {} }
  all:    { from: [score, clean], file: { path: out/ } }
dead_letters: { file: { path: dead/ } }
"#;

    #[test]
    fn a_graph_has_its_nodes_with_ports_key_lanes_and_columns_and_the_edges_between_them() {
        let (spec, graph) = good(SENSORS);
        let told = super::graph(&graph, &spec);
        let names: Vec<_> = told["nodes"].as_array().unwrap().iter().map(|node| node["name"].clone()).collect();
        assert_eq!(names, ["readings", "clean", "score", "alerts", "all", "dead_letters"]);
        let [readings, _, score, _, all, dead] = [0, 1, 2, 3, 4, 5].map(|node| &told["nodes"][node]);
        let site = json!({ "name": "site.name", "kind": "utf8", "nullable": true });
        assert_eq!((&readings["part"], &readings["columns"][3]), (&"source".into(), &site));
        assert_eq!(readings["event_time"], json!({ "column": "at", "lateness_us": 5_000_000 }));
        assert_eq!((&score["key"], &score["lanes"]), (&json!(["sensor"]), &4.into()), "{score:#}");
        assert_eq!(
            (&score["from"], &score["kind"], &score["plugin"]),
            (&json!(["clean"]), &"keyed".into(), &"./score".into())
        );
        assert_eq!(score["ports"][1]["carries"], "everything");
        assert_eq!((&score["ports"][1]["name"], &score["ports"][1]["columns"][3]), (&"alerts".into(), &site));
        assert_eq!(
            score["reads"],
            json!([{ "name": "value", "kind": "float64", "nullable": false, "fallback": null }])
        );
        assert_eq!(
            (&all["from"], &all["columns"][3], &all["format"]),
            (&json!(["score", "clean"]), &site, &"ndjson".into())
        );
        assert_eq!(dead["part"], "dead letters");
        let edge = |from: &str, port: Option<&str>, to: &str| json!({ "from": from, "port": port, "to": to });
        let edges = [
            edge("readings", None, "clean"),
            edge("clean", Some("main"), "score"),
            edge("score", Some("alerts"), "alerts"),
            edge("score", Some("main"), "all"),
            edge("clean", Some("main"), "all"),
        ];
        assert_eq!(told["edges"], json!(edges));
    }
}
