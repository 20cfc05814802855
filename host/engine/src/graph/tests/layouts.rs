//! Where columns lie after a stage: carried, replaced, appended, renamed, and over several ways.

use super::*;
use crate::batch::Place::{Made, Record};

fn one(port: Port) -> SharedFactory {
    operator(OperatorKind::Transform, plan(&[], vec![port]))
}

#[test]
fn a_made_column_takes_the_place_of_the_carried_one_and_the_row_stays_whole() {
    let graph = built(draft(
        vec![source("bids", &["a: int64", "b: int64", "c: int64"])],
        vec![
            stage("first", &["bids"], transform(&[], &["b: utf8", "d: int64"])),
            stage("second", &["first"], transform(&[], &["d: int64?", "e: int64"])),
        ],
        vec![sink("out", &["second"])],
    ));
    let first = &graph.stages[0].shapes[0].ports[0];
    assert_eq!(first.layout.schema, schema(&["a: int64", "b: utf8", "c: int64", "d: int64"]));
    assert_eq!(first.layout.places, [Record(0), Made(0), Record(2), Made(1)]);
    assert!(first.layout.whole && first.keeps.is_empty());

    let second = &graph.stages[1].shapes[0].ports[0];
    assert_eq!(second.layout.schema, schema(&["a: int64", "b: utf8", "c: int64", "d: int64?", "e: int64"]));
    assert_eq!(second.layout.places, [Record(0), Made(2), Record(2), Made(0), Made(1)]);
    assert_eq!(second.keeps, [0], "of the columns made before, only `b` goes on");
    assert!(second.layout.whole);
}

#[test]
fn a_port_that_chooses_renames_and_the_row_is_not_whole() {
    let graph = built(draft(
        vec![source("bids", &["a: int64", "b: int64"])],
        vec![stage("choose", &["bids"], one(choosing("main", &["b>x", "b", "a>y"], &["y: utf8"])))],
        vec![sink("out", &["choose"])],
    ));
    let port = &graph.stages[0].shapes[0].ports[0];
    assert_eq!(port.layout.schema, schema(&["x: int64", "b: int64", "y: utf8"]));
    assert_eq!(port.layout.places, [Record(1), Record(1), Made(0)]);
    assert!(!port.layout.whole);
}

#[test]
fn a_made_column_carried_under_two_names_is_kept_once() {
    let graph = built(draft(
        vec![source("bids", &["a: int64"])],
        vec![
            stage("make", &["bids"], transform(&[], &["m: int64"])),
            stage("twice", &["make"], one(choosing("main", &["m", "a", "m>n"], &["z: int64"]))),
        ],
        vec![sink("out", &["twice"])],
    ));
    let port = &graph.stages[1].shapes[0].ports[0];
    assert_eq!(port.layout.places, [Made(1), Record(0), Made(1), Made(0)]);
    assert_eq!(port.keeps, [0]);
}

#[test]
fn ways_that_end_with_equal_layouts_share_one() {
    let sources = vec![source("left", &["a: int64"]), source("right", &["a: int64"])];
    let graph = built(draft(
        sources,
        vec![stage("both", &["left", "right"], transform(&[], &["n: int64"]))],
        vec![sink("out", &["both"])],
    ));
    let shapes = &graph.stages[0].shapes;
    assert_eq!(shapes.len(), 1);
    assert!(Arc::ptr_eq(&graph.sources[0].layout, &graph.sources[1].layout));
    assert!(Arc::ptr_eq(&graph.sources[0].layout, &shapes[0].input));
}

#[test]
fn ways_that_end_with_columns_in_other_places_have_a_shape_each() {
    let graph = built(draft(
        vec![source("bids", &["a: int64", "b: int64"])],
        vec![
            stage("change", &["bids"], transform(&[], &["a: int64"])),
            stage("both", &["bids", "change"], transform(&[], &["b: int64"])),
        ],
        vec![sink("out", &["both"])],
    ));
    let shapes = &graph.stages[1].shapes;
    assert_eq!(shapes.len(), 2);
    assert!(Arc::ptr_eq(&shapes[0].input, &graph.sources[0].layout));
    assert!(Arc::ptr_eq(&shapes[1].input, &graph.stages[0].shapes[0].ports[0].layout));
    assert_eq!(shapes[0].ports[0].layout.places, [Record(0), Made(0)]);
    assert_eq!(shapes[1].ports[0].layout.places, [Made(1), Made(0)]);
}

#[test]
fn forks_that_multiply_the_ways_without_end_are_refused() {
    let mut stages = Vec::new();
    let mut from = vec!["bids".to_owned()];
    let fields: Vec<String> = (0..8).map(|i| format!("f{i}: int64")).collect();
    for (i, field) in fields.iter().enumerate() {
        let from_here: Vec<&str> = from.iter().map(String::as_str).collect();
        stages.push(stage(&format!("same{i}"), &from_here, transform(&[], &[])));
        stages.push(stage(&format!("made{i}"), &from_here, transform(&[], &[field])));
        from = vec![format!("same{i}"), format!("made{i}")];
    }
    let from: Vec<&str> = from.iter().map(String::as_str).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let errors = errors(draft(vec![source("bids", &fields)], stages, vec![sink("out", &from)]));
    assert_eq!(
        errors[0],
        "stages.same7.from: rows reach stage `same7` on 128 different ways, more than 64; join the ways in fewer places"
    );
}
