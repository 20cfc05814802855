//! Drawings of a few graphs, character for character, and of many random ones that nothing overlaps.

use super::place::{Place, place};
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

const MANY_WAYS: &str = r#"
name: many-ways
sources:
  left: { generator: {} }
  right: { generator: {}, lanes: 2 }
stages:
  a: { from: [left, right], plugin: pass@1 }
  b: { from: a, plugin: pass@1, lanes: 8 }
sinks:
  direct: { from: left, file: { path: "a/folder/with/a/rather/long/name/for/an/ordinary/terminal/*.csv" }, format: csv }
  all: { from: [b, a], stdout: {} }
"#;

#[test]
fn a_chain_stays_at_the_margin_and_a_port_branches_off() {
    let (spec, graph) = good(SENSORS);
    let drawn = "\
sensor-alerts

● readings            file readings/*.ndjson · ndjson · event time at + 5s
│
■ clean               validate@1
│
■ score               ./score · key sensor · 4 lanes
│
├─ alerts → ○ alerts  stdout · ndjson
│
○ all                 file out/ · ndjson

○ dead letters        file dead/ · ndjson
";
    assert_eq!(text(&graph, &spec, false), drawn);
}

#[test]
fn ways_that_join_are_drawn_at_the_last_of_them_and_long_details_go_on_below() {
    let (spec, graph) = good(MANY_WAYS);
    let drawn = "\
many-ways

* left    generator
|
|- a (below)
|
o direct  file a/folder/with/a/rather/long/name/for/an/ordinary/terminal/*.csv
          csv

* right   generator, 2 lanes
|
# a       pass@1
|
|- # b    pass@1, 8 lanes
|  |
|  `- all (below)
|
o all     stdout, ndjson
";
    assert_eq!(text(&graph, &spec, true), drawn);
    assert!(drawn.lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn a_picture_has_every_part_its_ports_and_both_colour_schemes() {
    let (spec, graph) = good(SENSORS);
    let picture = svg(&graph, &spec);
    for part in ["readings", "clean", "score", "alerts", "all", "dead letters"] {
        assert!(picture.contains(&format!(">{part}</text>")), "{part}");
    }
    assert!(picture.contains("class=\"port\"") && picture.contains("prefers-color-scheme: dark"));
    assert_eq!(picture.matches("<path class=\"edge\"").count(), 4);
    let outside = ["href", "url(", "@import", "<script", "<image"];
    assert!(outside.iter().all(|word| !picture.contains(word)), "it needs nothing outside itself");
}

#[test]
fn texts_of_a_file_cannot_break_out_of_a_picture() {
    let evil = SENSORS.replace("readings/*.ndjson", "</text><script>&\\u0007\\\"");
    let (spec, graph) = good(&evil);
    let picture = svg(&graph, &spec);
    assert!(picture.contains("&lt;/text&gt;&lt;script&gt;&amp; &quot;") && !picture.contains("<script"));
}

/// xorshift64: the same sketches each time.
fn below(state: &mut u64, n: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).unwrap() % n
}

fn random_sketch(state: &mut u64) -> Sketch {
    let (sources, stages, sinks) = (1 + below(state, 3), below(state, 10), 1 + below(state, 4));
    let mut sketch = Sketch { name: "random".to_owned(), parts: vec![], edges: vec![], dead_letters: None };
    for to in 0..sources + stages + sinks {
        let role = match to {
            to if to < sources => Role::Source,
            to if to < sources + stages => Role::Stage,
            _ => Role::Sink,
        };
        sketch.parts.push(Part { role, name: format!("part{to}"), details: vec![String::new(); below(state, 4)] });
        if role != Role::Source {
            let upstream = to.min(sources + stages);
            let mut from: Vec<usize> = (0..=below(state, 3)).map(|_| below(state, upstream)).collect();
            from.sort_unstable();
            from.dedup();
            sketch.edges.extend(from.into_iter().map(|from| Edge { from, to, port: None }));
        }
    }
    sketch
}

#[test]
fn in_random_pictures_no_boxes_overlap_and_all_edges_lead_to_the_right() {
    let mut state = 0x00D1_A61A;
    for _ in 0..300 {
        let sketch = random_sketch(&mut state);
        let heights: Vec<f64> = sketch.parts.iter().map(|part| 40.0 + 17.0 * part.details.len() as f64).collect();
        let places = place(&sketch, &heights);
        let passed = places.ways.iter().flat_map(|way| way[1..way.len() - 1].iter());
        let all: Vec<&Place> = places.parts.iter().chain(passed).collect();
        for (i, one) in all.iter().enumerate() {
            assert!(one.y - one.height / 2.0 >= -0.01 && one.y + one.height / 2.0 <= places.bottom + 0.01);
            for other in all[..i].iter().filter(|other| other.column == one.column) {
                let apart = (one.y - other.y).abs() - (one.height + other.height) / 2.0;
                assert!(apart > 1.0, "{one:?} and {other:?} are {apart} apart");
            }
        }
        let leads_right = |way: &Vec<Place>| way.windows(2).all(|pair| pair[0].column + 1 == pair[1].column);
        assert!(places.ways.iter().all(leads_right));
        assert!(text::draw(&sketch, false).lines().count() > sketch.parts.len());
    }
}

#[test]
fn durations_are_shown_in_the_largest_unit_that_holds_them() {
    assert_eq!(
        [span(5_000_000), span(250_000), span(90_000_000), span(7), span(7_200_000_000)],
        ["5s", "250ms", "90s", "7us", "2h"]
    );
}
