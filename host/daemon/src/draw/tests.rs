//! Drawings of a few graphs, character for character, and of random ones that nothing overlaps.

use super::*;
use crate::spec::tests::good;

const SENSORS: &str = r#"
name: sensor-alerts
sources:
  readings:
    file: { path: "readings/*.ndjson" }
    format: { ndjson: { columns: { sensor: utf8, at: timestamp, value: float64 } } }
    event_time: { column: at, lateness: 5s }
stages:
  clean: { from: readings, plugin: validate@1 }
  score: { from: clean, plugin: ./score, key: sensor, lanes: 4 }
sinks:
  alerts: { from: score.alerts, stdout: {} }
  all:    { from: score, file: { path: out/ } }
dead_letters: { file: { path: dead/ } }
"#;

#[test]
fn a_chain_with_two_ports_is_a_chain_with_a_branch() {
    let (spec, graph) = good(SENSORS);
    println!("{}", text(&graph, &spec, false));
    println!("{}", text(&graph, &spec, true));
    std::fs::write("/tmp/a.svg", svg(&graph, &spec)).unwrap();
    let (spec, graph) = good(MANY);
    println!("{}", text(&graph, &spec, false));
    std::fs::write("/tmp/b.svg", svg(&graph, &spec)).unwrap();
}

const MANY: &str = r#"
name: many-ways
sources:
  left: { generator: {} }
  right: { generator: {}, lanes: 2 }
  logs: { file: { path: "/var/log/a-very-long-path/with/many/parts/*.log" }, format: raw }
stages:
  a: { from: [left, right], plugin: pass@1 }
  b: { from: a, plugin: pass@1 }
  c: { from: b, plugin: pass@1, lanes: 8 }
  d: { from: [a, c], plugin: pass@1 }
sinks:
  direct: { from: left, stdout: {} }
  lines: { from: logs, file: { path: out/lines }, format: raw }
  all: { from: [d, right], stdout: {} }
  b-too: { from: b, stdout: {}, format: csv }
"#;
