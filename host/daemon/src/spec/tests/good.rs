//! What good files become.

use wasmill_engine::graph::{OnError, Upstream};

use super::*;

/// The measure of how short a pipeline is.
const SENSORS: &str = r#"
name: sensor-alerts
sources:
  readings:
    file: { path: "readings/*.ndjson", follow: true }
    format: { ndjson: { columns: { sensor: utf8, at: timestamp, value: float64, site.name: utf8? } } }
    event_time: { column: at, lateness: 5s }
stages:
  clean: { from: readings, plugin: validate@1, config: { value: { min: -50, max: 150 } } }
  score: { from: clean, plugin: ./score, key: sensor, lanes: 4, config: { sigma: 3 }, on_error: dead_letter }
sinks:
  alerts: { from: score.alerts, stdout: {} }
  all:    { from: score, file: { path: out/ } }
dead_letters: { file: { path: dead/ } }
"#;

#[test]
fn the_measure_of_a_pipeline_file_is_read() {
    let (spec, graph) = good(SENSORS);
    assert_eq!(&*graph.name, "sensor-alerts");
    let source = &graph.sources[0];
    assert_eq!((source.event_time, source.lanes), (Some((1, 5_000_000)), 1));
    let fields: Vec<String> = source.layout.schema.fields().iter().map(ToString::to_string).collect();
    assert_eq!(fields, ["sensor: utf8", "at: timestamp", "value: float64", "site.name: utf8?"]);
    assert_eq!(source.decode.as_ref().map(|decode| &decode.format), Some(&Format::Ndjson));
    let score = &graph.stages[1];
    assert_eq!((score.lanes, score.on_error, &score.key[..]), (4, OnError::DeadLetter, &[0][..]));
    assert_eq!(score.config, json!({ "sigma": 3 }));
    assert_eq!(graph.stages[0].on_error, OnError::DeadLetter, "the default where there are dead letters");
    assert_eq!(graph.sinks[0].inputs, [Upstream::Port(1, 1)]);
    assert_eq!(graph.sinks[1].format, Some(Format::Ndjson), "as the only source has it");

    let files = json!({ "path": "readings/*.ndjson", "follow": true });
    assert_eq!(spec.sources, [Connector { name: "file".to_owned(), config: files }]);
    assert_eq!(spec.sinks[0], Connector { name: "stdout".to_owned(), config: json!({}) });
    assert_eq!(spec.dead_letters, Some(Connector { name: "file".to_owned(), config: json!({ "path": "dead/" }) }));
    let plugins: Vec<String> = spec.plugins.iter().map(ToString::to_string).collect();
    assert_eq!(plugins, ["validate@1", "./score"]);
    assert!(spec.warnings.diagnostics.is_empty());
}

#[test]
fn a_no_that_is_not_quoted_is_text() {
    let (_, graph) = good(&SENSORS.replace("{ sigma: 3 }", "{ sigma: 3, country: no, on: true }"));
    assert_eq!(graph.stages[1].config, json!({ "sigma": 3, "country": "no", "on": true }));
}

/// A file with one stage of these keys.
fn with_stage(keys: &str) -> String {
    format!(
        "name: p\nsources: {{ bids: {{ generator: {{}} }} }}\n\
         stages: {{ pass: {{ from: bids, plugin: pass@1, {keys} }} }}\n\
         sinks: {{ out: {{ from: pass, stdout: }} }}\n"
    )
}

#[test]
fn without_dead_letters_a_bad_record_stops_the_pipeline() {
    let (_, graph) = good(&with_stage(""));
    assert_eq!(graph.stages[0].on_error, OnError::Stop);
}

#[test]
fn failed_calls_can_be_tried_again() {
    let (_, graph) = good(&with_stage("on_error: { retry: { max: 3 } }"));
    assert_eq!(graph.stages[0].on_error, OnError::Retry(3));
    let (_, graph) = good(&with_stage("on_error: retry"));
    assert_eq!(graph.stages[0].on_error, OnError::Retry(5));
}

#[test]
fn a_source_that_makes_rows_brings_its_columns() {
    let (_, graph) = good(&with_stage("latency: 10ms"));
    assert!(graph.sources[0].decode.is_none());
    assert_eq!(graph.sources[0].layout.schema.fields().len(), 2);
    assert_eq!(graph.sinks[0].format, Some(Format::Ndjson));
    assert_eq!(graph.stages[0].latency, Some(10_000));
}

#[test]
fn lanes_of_the_pipeline_are_those_of_every_part_that_does_not_say() {
    let text = with_stage("").replace("name: p", "name: p\nlanes: 2");
    let (_, graph) = good(&text);
    assert_eq!((graph.sources[0].lanes, graph.stages[0].lanes), (2, 2));
    let (_, graph) = good(&text.replace("plugin: pass@1", "plugin: pass@1, lanes: 3"));
    assert_eq!((graph.sources[0].lanes, graph.stages[0].lanes), (2, 3));
}

#[test]
fn limits_are_those_of_the_file_and_else_nobodys() {
    let (spec, _) = good(&with_stage(""));
    assert_eq!(spec.limits, Limits::default());
    let limits = "limits: { state_bytes_max: 4GiB, call_ms_max: 2s, output_bytes_factor: 8, log_bytes_per_s_max: 0 }";
    let (spec, _) = good(&with_stage("").replace("name: p", &format!("name: p\n{limits}")));
    let expected = Limits {
        state_bytes_max: Some(4 << 30),
        call_ms_max: Some(2_000),
        output_bytes_factor: Some(8),
        log_bytes_per_s_max: Some(0),
        ..Limits::default()
    };
    assert_eq!(spec.limits, expected);
}

#[test]
fn a_variable_that_stands_alone_and_bare_is_typed_and_others_are_text() {
    let config = "\n      n: \"${LANES}\"\n      m: ${NONE:-1.5}\n      b: ${NONE:-true}\n      \
                  path: ${FOLDER}/${NONE:-x}\n      \
                  kept: $${LANES}\n      plain: ${FOLDER}";
    let (_, graph) = good(&format!(
        "name: p\nsources: {{ bids: {{ generator: {{}}, lanes: '${{LANES}}' }} }}\n\
         stages:\n  pass:\n    from: bids\n    \
         plugin: pass@1\n    lanes: ${{LANES}}\n    config: {config}\nsinks: {{ out: {{ from: pass, stdout: }} }}\n"
    ));
    assert_eq!((graph.sources[0].lanes, graph.stages[0].lanes), (4, 4));
    let config = json!({ "n": "4", "m": 1.5, "b": true, "path": "/data/x", "kept": "${LANES}", "plain": "/data" });
    assert_eq!(graph.stages[0].config, config);
}

#[test]
fn csv_has_a_header_and_commas_unless_it_says_otherwise() {
    let csv = |options: &str| {
        let source = format!("{{ stdin: {{}}, format: {{ csv: {{ {options} columns: {{ a: int64, b: utf8? }} }} }} }}");
        let (_, graph) =
            good(&format!("name: p\nsources: {{ s: {source} }}\nsinks: {{ o: {{ from: s, stdout: }} }}\n"));
        (graph.sources[0].decode.clone().map(|decode| decode.format), graph.sinks[0].format.clone())
    };
    let both = |separator, header| {
        let format = Format::Csv { separator, header };
        (Some(format.clone()), Some(format))
    };
    assert_eq!(csv(""), both(b',', true));
    assert_eq!(csv(r#"separator: "\t", header: false,"#), both(b'\t', false));
}

#[test]
fn raw_lines_are_one_column_and_ndjson_may_have_none() {
    let columns = |format: &str| {
        let source = format!("{{ stdin: , format: {format} }}");
        let (_, graph) =
            good(&format!("name: p\nsources: {{ s: {source} }}\nsinks: {{ o: {{ from: s, stdout: }} }}\n"));
        graph.sources[0].layout.schema.fields().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(columns("raw"), ["line: utf8"]);
    assert_eq!(columns("{ raw: { columns: { bytes: bytes } } }"), ["bytes: bytes"]);
    assert!(columns("ndjson").is_empty());
}

#[test]
fn anchors_and_merges_may_spare_repetition() {
    let (_, graph) = good(
        "name: p\nsources: { bids: { generator: {} } }\n\
         stages:\n  a: &same { from: bids, plugin: pass@1, lanes: 2 }\n  \
         b: { <<: *same, from: a }\nsinks: { out: { from: b, stdout: {} } }\n",
    );
    assert_eq!((graph.stages[1].lanes, &graph.stages[1].inputs[..]), (2, &[Upstream::Port(0, 0)][..]));
}

#[test]
fn warnings_have_places_too() {
    let text = SENSORS.replace("  alerts: { from: score.alerts, stdout: {} }\n", "");
    let (spec, _) = good(&text);
    assert_eq!(
        spec.warnings.render(false),
        "pipeline.yaml:10:3: warning: nobody reads from `score.alerts`\n \
         10 |   score: { from: clean, plugin: ./score, key: sensor, lanes: 4, config: { sigma: 3 }, \
         on_error: dead...\n    \
         |   ^^^^^\n    = its rows are dropped\n"
    );
}

#[test]
fn code_that_is_not_what_its_author_thinks_is_told_at_its_place_also_beside_errors() {
    let old = SENSORS.replace("plugin: ./score", "plugin: ./old");
    let warning = "pipeline.yaml:10:33: warning: old/src/lib.rs has changed\n";
    let told = good(&old).0.warnings.render(false);
    assert!(told.starts_with(warning) && told.ends_with("= build it\n"), "{told}");
    let broken = old.replace("score.alerts", "score.alarms");
    let told = parse("pipeline.yaml", Path::new(""), &broken, &Shelf).err().unwrap().render(false);
    assert!(told.starts_with(warning) && told.contains("error: ") && told.contains("alarms"), "{told}");
}

#[test]
fn every_snippet_of_the_reference_is_a_good_file() {
    let page = include_str!("../../../../../docs/pipelines.md");
    let snippets: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(snippets.len() >= 5, "the page has snippets");
    for snippet in snippets {
        good(snippet);
    }
}

#[test]
fn the_reference_names_every_kind_and_the_limits() {
    let page = include_str!("../../../../../docs/pipelines.md");
    for kind in Kind::ALL {
        assert!(page.contains(&format!("| `{kind}` |")), "{kind}");
    }
    assert!(page.contains(&format!("1 to {}", wasmill_engine::limits::KEY_GROUPS)));
    assert!(page.contains(&format!("N = {}", wasmill_engine::limits::RETRIES_MAX)));
}
