//! What of a source is filled, and what is located because a sink copies records and replaces values in them.

use arrow_array::{ArrayRef, Int64Array};

use super::*;
use crate::batch::{Batch, PADDING};
use crate::codec::{self, Chunk};

const BIDS: [&str; 4] = ["auction: int64", "price: int64", "url: utf8", "at: timestamp"];

/// Names of the fields to fill and to locate of the first source.
fn needs(graph: &Graph) -> (Vec<&str>, Vec<&str>) {
    let decode = graph.sources[0].decode.as_ref().expect("the source has a format");
    let names = |chosen: &[bool]| {
        let fields = decode.schema.fields().iter().zip(chosen.to_owned());
        fields.filter(|(_, chosen)| *chosen).map(|(field, _)| &*field.name).collect::<Vec<_>>()
    };
    (names(&decode.needs.fill), names(&decode.needs.locate))
}

fn through(factory: SharedFactory, format: Option<Format>) -> Graph {
    let sink = SinkDraft { format, ..sink("out", &["stage"]) };
    built(draft(vec![source("bids", &BIDS)], vec![stage("stage", &["bids"], factory)], vec![sink]))
}

#[test]
fn a_copy_of_untouched_records_fills_nothing() {
    let graph = built(draft(vec![source("bids", &BIDS)], vec![], vec![sink("out", &["bids"])]));
    assert_eq!(needs(&graph), (vec![], vec![]));
}

#[test]
fn a_replaced_value_is_read_by_the_stage_and_located_for_the_sink() {
    let graph = through(transform(&["price: int64"], &["price: int64"]), Some(Format::Ndjson));
    assert_eq!(needs(&graph), (vec!["price"], vec!["price"]));
}

#[test]
fn a_new_value_is_appended_and_needs_nothing_located() {
    let graph = through(transform(&["url: utf8"], &["domain: utf8"]), Some(Format::Ndjson));
    assert_eq!(needs(&graph), (vec!["url"], vec![]));
}

#[test]
fn a_new_nested_value_needs_the_whole_record_written_anew() {
    let graph = through(transform(&["url: utf8"], &["site.domain: utf8"]), Some(Format::Ndjson));
    assert_eq!(needs(&graph), (vec!["auction", "price", "url", "at"], vec![]));
}

#[test]
fn a_sink_of_another_format_needs_every_field_that_no_stage_made() {
    let csv = Format::Csv { separator: b',', header: true };
    let graph = through(transform(&["price: int64"], &["price: float64"]), Some(csv));
    assert_eq!(needs(&graph), (vec!["auction", "price", "url", "at"], vec![]));
    let graph = through(transform(&[], &["price: float64"]), None);
    assert_eq!(needs(&graph), (vec!["auction", "url", "at"], vec![]));
}

#[test]
fn a_stage_that_chooses_fields_needs_those_filled() {
    let chosen = operator(OperatorKind::Transform, plan(&[], vec![choosing("main", &["url>u"], &[])]));
    assert_eq!(needs(&through(chosen, Some(Format::Ndjson))), (vec!["url"], vec![]));
}

#[test]
fn keys_and_event_times_are_filled() {
    let graph = built(draft(
        vec![SourceDraft { event_time: Some(("at".to_owned(), 0)), ..source("bids", &BIDS) }],
        vec![keyed_by(&["auction"], stage("count", &["bids"], keyed(&[], &["n: int64"])))],
        vec![sink("out", &["count"])],
    ));
    assert_eq!(needs(&graph), (vec!["auction", "at"], vec![]));
    assert_eq!(graph.sources[0].decode.as_ref().and_then(|decode| decode.event_time), Some(3));
}

#[test]
fn a_field_that_an_earlier_stage_replaced_is_not_read_from_the_source() {
    let graph = built(draft(
        vec![source("bids", &BIDS)],
        vec![
            stage("make", &["bids"], transform(&[], &["price: int64"])),
            stage("use", &["make"], transform(&["price: int64"], &[])),
        ],
        vec![sink("out", &["use"])],
    ));
    assert_eq!(needs(&graph), (vec![], vec!["price"]));
}

#[test]
fn of_two_sources_with_equal_schemas_only_the_one_in_the_sinks_format_is_copied() {
    let csv = Some(Format::Csv { separator: b';', header: true });
    let graph = built(draft(
        vec![source("lines", &BIDS), SourceDraft { format: csv, ..source("table", &BIDS) }],
        vec![],
        vec![sink("out", &["lines", "table"])],
    ));
    let filled = |source: usize| {
        let decode = graph.sources[source].decode.as_ref().expect("both have a format");
        decode.needs.fill.iter().filter(|fill| **fill).count()
    };
    assert_eq!((filled(0), filled(1)), (0, 4));
}

#[test]
fn raw_lines_are_copied_while_nobody_made_a_column() {
    let raw = |factory| {
        let source = SourceDraft { format: Some(Format::Raw), ..source("lines", &["line: utf8"]) };
        let sink = SinkDraft { format: Some(Format::Raw), ..sink("out", &["stage"]) };
        Graph::build(draft(vec![source], vec![stage("stage", &["lines"], factory)], vec![sink]))
    };
    let graph = raw(transform(&[], &[])).unwrap_or_else(|_| panic!("a filter of lines is good"));
    assert_eq!(needs(&graph), (vec![], vec![]));
    assert!(raw(transform(&["line: utf8"], &["line: utf8"])).is_ok(), "one text column can be written as lines");
    assert!(raw(transform(&["line: utf8"], &["n: int64"])).is_err(), "two columns cannot");
}

/// Rows that a stage made `made` over, decoded as the graph plans it and encoded as its sink does.
fn written(graph: &Graph, lines: &str, made: ArrayRef) -> String {
    let plan = graph.sources[0].decode.clone().expect("the source has a format");
    let data = [lines.as_bytes(), &[0; PADDING]].concat().into();
    let (source, partition, len) = ("bids".into(), "p".into(), lines.len());
    let chunk = Chunk { source, partition, data, len, offset: 0, line: 1, header: None, broken: None };
    let decoded = codec::decoder(plan).decode(&chunk);
    assert_eq!(decoded.bad, vec![]);
    let batch = Batch::new(Arc::new(decoded.records), graph.sources[0].layout.clone());
    let port = &graph.stages[0].shapes[0].ports[0];
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    let batch = batch.derive(None, vec![made], &port.keeps, &port.layout);
    codec::encoder(&Format::Ndjson).encode(&batch, &mut bytes, &mut ends);
    String::from_utf8(bytes).expect("the encoder writes text")
}

#[test]
fn a_nested_field_that_may_be_missing_is_made_anew_with_all_that_stands_beside_it() {
    let source = source("bids", &["id: int64", "site.size: int64?"]);
    let stage = stage("stage", &["bids"], transform(&["id: int64"], &["site.size: int64"]));
    let graph = built(draft(vec![source], vec![stage], vec![sink("out", &["stage"])]));
    assert_eq!(needs(&graph), (vec!["id"], vec![]));
    let lines = "{\"id\":1,\"site\":{\"size\":4}}\n{\"id\":2}\n";
    let made = Arc::new(Int64Array::from(vec![10, 20]));
    let expected = "{\"id\":1,\"site\":{\"size\":10}}\n{\"id\":2,\"site\":{\"size\":20}}\n";
    assert_eq!(written(&graph, lines, made), expected);
}

#[test]
fn a_required_nested_field_is_replaced_in_a_copy_of_its_record() {
    let source = source("bids", &["id: int64", "site.size: int64"]);
    let stage = stage("stage", &["bids"], transform(&[], &["site.size: int64"]));
    let graph = built(draft(vec![source], vec![stage], vec![sink("out", &["stage"])]));
    assert_eq!(needs(&graph), (vec![], vec!["site.size"]));
    let made = Arc::new(Int64Array::from(vec![10]));
    let lines = "{\"x\": [], \"site\":{\"size\":4, \"y\":5},\"id\":1}\n";
    assert_eq!(written(&graph, lines, made), lines.replace('4', "10"));
}

#[test]
fn an_object_that_is_made_while_a_field_within_it_is_declared_is_refused_before_anything_runs() {
    let source = source("bids", &["site: json", "site.name: utf8"]);
    let stage = stage("stage", &["bids"], transform(&[], &["site: json"]));
    let said = errors(draft(vec![source], vec![stage], vec![sink("out", &["stage"])]));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("cannot write both `site` and `site.name`"), "{said:?}");
}
