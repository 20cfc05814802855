//! The real engine under a scheduler that a seed drives: any node may be stepped next, any number of lanes may run,
//! calls fail, rows are poisoned, sinks have no room. What comes out is compared with what a plain loop over the input
//! makes.
//!
//! Always the same for the same seed; a failure names its seed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_types, reason = "a sink hands what it was given to the test through a mutex")]

#[path = "simulation/paces.rs"]
mod paces;
#[path = "simulation/shares.rs"]
mod shares;
#[path = "simulation/world.rs"]
mod world;
#[path = "simulation/input.rs"]
mod input;
#[path = "simulation/outside.rs"]
mod outside;
#[path = "simulation/check.rs"]
mod check;
#[path = "simulation/wide.rs"]
mod wide;
#[path = "simulation/crashes.rs"]
mod crashes;
#[path = "simulation/swaps.rs"]
mod swaps;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::json;
use wasmill_engine::clock::{ManualClock, Micros};
use wasmill_engine::dead_letter;
use wasmill_engine::graph::{Draft, Graph, OnError, SinkDraft, SourceDraft, StageDraft};
use wasmill_engine::node::Step;
use wasmill_engine::operator::Factory;
use wasmill_engine::plan::{Part, Plan};
use wasmill_engine::runtime::{Connectors, Runtime, Settings};
use wasmill_engine::schema::{Field, Kind, Schema};
use world::{Dice, Double, Keeper, Kept, Numbers, POISON, REJECTED, Sum, value_of};

fn draft(lanes: [u32; 3]) -> Draft {
    let schema = Schema::new(["id", "key", "value"].map(|name| Field::required(name, Kind::Int64)).to_vec());
    let stage = |name: &str, from: &str, factory: Arc<dyn Factory>, key: Vec<String>, lanes| StageDraft {
        name: name.into(),
        from: vec![from.into()],
        factory,
        config: json!({}),
        key,
        lanes: Some(lanes),
        on_error: OnError::DeadLetter,
        latency: None,
    };
    Draft {
        name: "simulated".into(),
        sources: vec![SourceDraft { name: "numbers".into(), schema, format: None, event_time: None, lanes: lanes[0] }],
        stages: vec![
            stage("double", "numbers", Arc::new(Double), Vec::new(), lanes[1]),
            stage("sum", "double", Arc::new(Sum), vec!["key".into()], lanes[2]),
        ],
        sinks: vec![SinkDraft { name: "kept".into(), from: vec!["sum".into()], format: None }],
        dead_letters: Some(SinkDraft { name: "dead_letters".into(), from: Vec::new(), format: None }),
    }
}

/// Runs `rows` rows over so many lanes with a scheduler of this seed; what was committed to the sink and to the dead
/// letters.
fn simulate(seed: u64, rows: i64, lanes: [u32; 3]) -> (Kept, Kept) {
    simulate_with(seed, rows, draft(lanes), |_, _, _| {})
}

/// The same for that pipeline; `meddle` is called now and then and may change what runs, and once more when all is
/// over.
fn simulate_with(
    seed: u64,
    rows: i64,
    draft: Draft,
    meddle: impl FnMut(&mut Runtime, &mut Dice, &ManualClock),
) -> (Kept, Kept) {
    let numbers = Numbers { next: 0, end: rows, row: value_of, dice: Dice(seed ^ 1) };
    simulate_under(seed, &Settings::default(), numbers, draft, meddle)
}

/// The same with these settings and rows.
fn simulate_under(
    seed: u64,
    settings: &Settings,
    numbers: Numbers,
    draft: Draft,
    mut meddle: impl FnMut(&mut Runtime, &mut Dice, &ManualClock),
) -> (Kept, Kept) {
    let mut dice = Dice(seed);
    let graph = Graph::build(draft).unwrap();
    let (kept, dead) = (Arc::new(Mutex::new(Kept::default())), Arc::new(Mutex::new(Kept::default())));
    let keeper = |kept: &Arc<Mutex<Kept>>, dice: Dice| Box::new(Keeper { kept: kept.clone(), dice });
    let connectors = Connectors {
        sources: vec![Box::new(numbers)],
        sinks: vec![keeper(&kept, Dice(seed ^ 2))],
        dead_letters: Some(keeper(&dead, Dice(seed ^ 3))),
    };
    let plan = Plan::between(None, &graph);
    let mut runtime = Runtime::apply(&plan, &graph, connectors, settings).unwrap();
    let clock = ManualClock::default();
    let mut steps = 0u64;
    while !runtime.controls.finished() {
        let node = dice.roll(runtime.nodes.len() as u64) as usize;
        if let Step::Failed(failure) = runtime.nodes[node].node.step(&clock) {
            panic!("seed {seed}: {failure}");
        }
        if dice.roll(3) == 0 {
            clock.advance(dice.roll(2_000) as Micros);
            runtime.controls.pump();
            meddle(&mut runtime, &mut dice, &clock);
        }
        if dice.roll(200) == 0 {
            runtime.controls.tick();
        }
        steps += 1;
        assert!(steps < 5_000_000, "seed {seed}: no end after {steps} steps");
    }
    let steps =
        |runtime: &mut Runtime| runtime.nodes.iter_mut().map(|placed| placed.node.step(&clock)).collect::<Vec<_>>();
    while steps(&mut runtime).iter().any(|step| *step != Step::Finished) {}
    runtime.controls.pump();
    meddle(&mut runtime, &mut dice, &clock);
    reconcile(seed, &runtime);
    drop(runtime);
    let take = |kept: Arc<Mutex<Kept>>| Arc::into_inner(kept).unwrap().into_inner().unwrap();
    (take(kept), take(dead))
}

/// What every node took in it has passed on, filtered out, or given up.
fn reconcile(seed: u64, runtime: &Runtime) {
    for status in &runtime.status {
        let counters = &status.counters;
        let gone = counters.rows_out.get() + counters.filtered.get() + counters.dead.get();
        assert_eq!(counters.lost.get(), 0, "seed {seed}: {:?} {}", status.part, status.name);
        assert_eq!(counters.rows_in.get(), gone, "seed {seed}: {:?} {}", status.part, status.name);
        if matches!(status.part, Part::Sink | Part::DeadLetters) {
            assert_eq!(counters.rows_out.get(), counters.committed.get(), "seed {seed}: {} is committed", status.name);
        }
    }
}

/// What a plain loop makes of the same input. `n` and `sum` of a key depend on the order of its rows.
fn expected(rows: i64) -> BTreeMap<i64, Vec<BTreeMap<String, i64>>> {
    let mut by_key: BTreeMap<i64, Vec<BTreeMap<String, i64>>> = BTreeMap::new();
    for id in 0..rows {
        let (key, value) = value_of(id);
        if value < 100 || value == POISON || value == REJECTED {
            continue;
        }
        let rows = by_key.entry(key).or_default();
        let n = rows.len() as i64 + 1;
        let sum = rows.last().map_or(0, |row| row["sum"]) + value * 2;
        let row = [("id", id), ("key", key), ("value", value * 2), ("n", n), ("sum", sum)];
        rows.push(row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    }
    by_key
}

#[test]
fn every_schedule_and_number_of_lanes_gives_each_key_its_rows_once_and_in_order() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let lanes = [1 + dice.roll(4) as u32, 1 + dice.roll(4) as u32, 1 + dice.roll(5) as u32];
        let rows = 1 + dice.roll(1_500) as i64;
        let (kept, dead) = simulate(seed, rows, lanes);
        let mut by_key: BTreeMap<i64, Vec<BTreeMap<String, i64>>> = BTreeMap::new();
        for row in kept.committed {
            by_key.entry(row["key"]).or_default().push(row);
        }
        check_keys(seed, rows, &by_key);
        let given_up = (0..rows).filter(|id| matches!(value_of(*id).1, POISON | REJECTED)).count();
        assert_eq!(dead.committed.len(), given_up, "seed {seed}, lanes {lanes:?}: dead letters");
    }
}

/// Each row is exactly where a plain loop has it, also one that was tried again.
fn check_keys(seed: u64, rows: i64, by_key: &BTreeMap<i64, Vec<BTreeMap<String, i64>>>) {
    let all = expected(rows);
    assert_eq!(all.keys().collect::<Vec<_>>(), by_key.keys().collect::<Vec<_>>(), "seed {seed}: keys");
    for (key, wanted) in &all {
        let ids = |rows: &[BTreeMap<String, i64>]| -> Vec<i64> { rows.iter().map(|row| row["id"]).collect() };
        let got = &by_key[key];
        assert_eq!(ids(wanted), ids(got), "seed {seed}, key {key}: each row once and in order");
        let counts: Vec<i64> = got.iter().map(|row| row["n"]).collect();
        assert_eq!(
            counts,
            (1..=got.len() as i64).collect::<Vec<_>>(),
            "seed {seed}, key {key}: state in step with rows"
        );
        let mut sum = 0;
        for row in got {
            sum += row["value"];
            assert_eq!(row["sum"], sum, "seed {seed}, key {key}: state in step with rows");
        }
    }
}

#[test]
fn dead_letters_have_the_schema_that_sinks_are_planned_with() {
    let graph = Graph::build(draft([1, 1, 1])).unwrap();
    assert_eq!(graph.dead_letters.unwrap().schema, dead_letter::schema());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || simulate(42, 700, [3, 3, 2]).0.committed;
    assert_eq!(run(), run());
}

#[test]
fn any_number_of_lanes_writes_the_rows_in_one_and_the_same_order_where_no_key_moves_them() {
    let order = |seed, lanes| -> Vec<i64> {
        let (kept, _) = simulate(seed, 900, lanes);
        kept.committed.iter().map(|row| row["id"]).collect()
    };
    let plain = order(1, [1, 1, 1]);
    for seed in 2..8 {
        assert_eq!(plain, order(seed, [4, 4, 1]), "seed {seed}");
    }
}
