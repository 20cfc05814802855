//! Code that changes while rows flow: at any moment, with state, to code that is better, worse or broken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use serde_json::Value;
use wasmill_engine::batch::Batch;
use wasmill_engine::clock::ManualClock;
use wasmill_engine::graph::Graph;
use wasmill_engine::limits::{STAGE_TAPS_MAX, WATCH_BATCHES};
use wasmill_engine::node::Step;
use wasmill_engine::node::order::Side;
use wasmill_engine::operator::{
    Call, CallError, Effects, Factory, Operator, OperatorKind, OperatorPlan, Refusal, SharedFactory,
};
use wasmill_engine::runtime::Runtime;
use wasmill_engine::runtime::change::{Change, ChangeError, Trial};
use wasmill_engine::runtime::stages::{Phase, StageEvent, TapError};
use wasmill_engine::schema::{Field, Kind};

use super::world::{Dice, Double, Sum, ints};
use super::{check_keys, draft, simulate_with, value_of};
use crate::world::{POISON, REJECTED};

/// Code that does what another does, under another digest, and perhaps with more in its plan, or not for long.
#[derive(Clone)]
struct Other {
    inner: Arc<dyn Factory>,
    digest: String,
    /// Nullable fields added to its state.
    added: Vec<&'static str>,
    /// Calls that go well before all fail; none = all do.
    good_calls: Option<u64>,
    /// Changes the plan.
    twist: fn(&mut OperatorPlan),
}

impl Other {
    fn new(inner: Arc<dyn Factory>, number: u64) -> Self {
        Self { inner, digest: format!("code {number}"), added: Vec::new(), good_calls: None, twist: |_| {} }
    }
}

struct OpenOther {
    inner: Box<dyn Operator>,
    added: usize,
    good_calls: Option<u64>,
}

impl Factory for Other {
    fn kind(&self) -> OperatorKind {
        self.inner.kind()
    }

    fn digest(&self) -> &str {
        &self.digest
    }

    fn open(&self, config: &Value, input: &[Field]) -> Result<(OperatorPlan, Box<dyn Operator>), Refusal> {
        let (mut plan, inner) = self.inner.open(config, input)?;
        for table in &mut plan.tables {
            table.columns.extend(self.added.iter().map(|name| Field::nullable(name, Kind::Int64)));
        }
        (self.twist)(&mut plan);
        Ok((plan, Box::new(OpenOther { inner, added: self.added.len(), good_calls: self.good_calls })))
    }
}

impl Operator for OpenOther {
    fn process(&mut self, call: &Call<'_>) -> Result<Effects, CallError> {
        if let Some(left) = &mut self.good_calls {
            if *left == 0 {
                return Err(CallError::Trap { message: "unreachable".into(), backtrace: String::new() });
            }
            *left -= 1;
        }
        let mut effects = self.inner.process(call)?;
        // What was added keeps the number of changes of its key: not null once it was there.
        for (changes, table) in effects.tables.iter_mut().zip(call.keys.iter().flat_map(|keys| keys.tables)) {
            let from = table.columns.len() - self.added;
            changes.columns.extend(table.columns[from..].iter().cloned());
        }
        Ok(effects)
    }
}

/// `graph` with other code in one stage.
fn with_code(graph: &Graph, stage: &str, factory: SharedFactory) -> Result<Graph, String> {
    let mut wanted = graph.clone();
    let number = graph.stages.iter().position(|of| &*of.name == stage).unwrap();
    wanted.stages[number] = graph.stages[number].with_code(factory)?.0;
    Ok(wanted)
}

fn prepare(
    runtime: &Runtime,
    stage: &str,
    factory: Other,
    samples: &[Batch],
    may_drop: bool,
) -> Result<Change, ChangeError> {
    let running = runtime.controls.graph();
    let wanted = with_code(running, stage, Arc::new(factory)).unwrap();
    let samples = |_: &str| samples.to_vec();
    Change::prepare(running, &wanted, &Trial { samples: &samples, may_drop, watch: WATCH_BATCHES, now: 0 })
}

fn apply(runtime: &mut Runtime, change: Change) -> Result<(), ChangeError> {
    runtime.controls.check(&change).map(|()| runtime.controls.apply(change))
}

/// What the meddler has done and seen.
#[derive(Default)]
struct Seen {
    number: u64,
    /// Version of broken code that the pipeline has still to leave.
    broken: Option<u64>,
    switched: usize,
    back: usize,
    settled: usize,
    wide: bool,
    /// Whether other changes are asked for while broken code is watched, which calls it good.
    hasty: bool,
    /// For each stage that was not switching: its live version, and rows that the others had processed.
    others: BTreeMap<&'static str, (u64, u64)>,
    /// For each stage how long it has been going back.
    going_back: BTreeMap<&'static str, u32>,
}

impl Seen {
    /// While a stage is not switching, only its live version works, on every lane.
    fn check_lanes(&mut self, runtime: &Runtime, seed: u64) {
        for stage in ["sum", "double"] {
            let stages = runtime.controls.stages();
            let (live, phase) = stages.live(stage).unwrap();
            let waited = self.going_back.entry(stage).or_default();
            *waited = if phase == Phase::GoingBack { *waited + 1 } else { 0 };
            assert!(*waited < 3_000, "seed {seed}: {stage} does not come back");
            let versions = stages.versions(stage).unwrap();
            let others = versions.iter().filter(|version| version.number != live.number);
            let rows: u64 = others.map(|version| version.counters.rows_in.get()).sum();
            let before = self.others.remove(stage);
            if phase == Phase::Settled {
                if let Some((version, before)) = before {
                    assert!(version != live.number || before == rows, "seed {seed}: {stage} works with two versions");
                }
                self.others.insert(stage, (live.number, rows));
            }
        }
    }
}

/// Changes the code of some stage now and then.
fn meddle(seed: u64, seen: &mut Seen, runtime: &mut Runtime, dice: &mut Dice) {
    seen.check_lanes(runtime, seed);
    for event in runtime.controls.events() {
        match event {
            StageEvent::Switched { .. } => seen.switched += 1,
            StageEvent::Settled { .. } => seen.settled += 1,
            StageEvent::WentBack { why, .. } => {
                assert!(why.contains("trapped"), "{why}");
                assert!(seen.broken.take().is_some() || seen.hasty, "only broken code is left");
                seen.back += 1;
            }
        }
    }
    if seen.broken.is_some() && !seen.hasty || dice.roll(20) != 0 {
        return;
    }
    let keyed = dice.roll(3) > 0;
    let (stage, inner): (_, Arc<dyn Factory>) =
        if keyed { ("sum", Arc::new(Sum)) } else { ("double", Arc::new(Double)) };
    seen.number += 1;
    let mut other = Other::new(inner, seen.number);
    let wide = if keyed { dice.roll(2) == 0 } else { seen.wide };
    if keyed && wide {
        other.added = vec!["extra", "more"];
    }
    if keyed && dice.roll(3) == 0 {
        other.good_calls = Some(dice.roll(15));
    }
    let broken = other.good_calls.is_some();
    let change = prepare(runtime, stage, other, &[], true).unwrap();
    match apply(runtime, change) {
        Ok(()) if broken => seen.broken = Some(seen.number),
        Ok(()) if keyed => seen.wide = wide,
        Ok(()) | Err(ChangeError::Busy { .. } | ChangeError::Ended { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn no_row_is_lost_or_doubled_and_no_state_broken_by_swaps_at_any_moment() {
    let (mut switched, mut back, mut settled) = (0, 0, 0);
    for seed in 0..80 {
        let mut dice = Dice(seed ^ 0x5EED);
        let lanes = [1 + dice.roll(3) as u32, 1 + dice.roll(3) as u32, 1 + dice.roll(4) as u32];
        let rows = 500 + dice.roll(3_000) as i64;
        let mut seen = Seen::default();
        let (kept, dead) =
            simulate_with(seed, rows, draft(lanes), |runtime, dice, _| meddle(seed, &mut seen, runtime, dice));
        let mut by_key = BTreeMap::new();
        for row in kept.committed {
            by_key.entry(row["key"]).or_insert_with(Vec::new).push(row);
        }
        check_keys(seed, rows, &by_key);
        let given_up = (0..rows).filter(|id| matches!(value_of(*id).1, POISON | REJECTED)).count();
        assert_eq!(dead.committed.len(), given_up, "seed {seed}, lanes {lanes:?}: dead letters");
        switched += seen.switched;
        back += seen.back;
        settled += seen.settled;
    }
    assert!(switched > 200 && back > 60 && settled > 60, "{switched} switched, {back} back, {settled} settled");
}

#[test]
fn lanes_of_a_stage_never_part_however_hastily_its_code_is_changed() {
    let mut back = 0;
    for seed in 100..200 {
        let mut dice = Dice(seed ^ 0x5EED);
        let lanes = [1 + dice.roll(3) as u32, 2 + dice.roll(3) as u32, 2 + dice.roll(4) as u32];
        let mut seen = Seen { hasty: true, ..Seen::default() };
        simulate_with(seed, 2_000, draft(lanes), |runtime, dice, _| meddle(seed, &mut seen, runtime, dice));
        back += seen.back;
    }
    assert!(back > 60, "{back} back");
}

#[test]
fn a_change_that_the_end_of_the_input_overtakes_is_done_or_never_was_and_nobody_waits_for_it() {
    let (mut switched, mut never) = (0, 0);
    for seed in 0..600 {
        let (mut last, mut told, mut ended, mut live) = (1, BTreeMap::new(), false, 0);
        let rows = 1 + seed as i64 % 50;
        let (kept, _) = simulate_with(seed, rows, draft([1, 2, 3]), |runtime, dice, clock| {
            let change = prepare(runtime, "sum", Other::new(Arc::new(Sum), last), &[], false).unwrap();
            let checked = runtime.controls.check(&change);
            // What the nodes report in these steps nobody has heard when the change is applied.
            for _ in 0..dice.roll(300) {
                let node = dice.roll(runtime.nodes.len() as u64) as usize;
                runtime.nodes[node].node.step(clock);
            }
            match checked {
                Ok(()) => {
                    runtime.controls.apply(change);
                    last += 1;
                }
                Err(ChangeError::Ended { .. }) => ended = true,
                Err(ChangeError::Busy { .. }) => {}
                Err(error) => panic!("seed {seed}: {error}"),
            }
            if runtime.nodes.iter_mut().any(|placed| placed.node.step(clock) != Step::Finished) {
                return;
            }
            runtime.controls.pump();
            for event in runtime.controls.events() {
                let (StageEvent::Switched { version, .. } | StageEvent::Settled { version, .. }) = event else {
                    panic!("seed {seed}: {event:?}");
                };
                *told.entry(version).or_insert(0) += 1;
            }
            let (version, phase) = runtime.controls.stages().live("sum").unwrap();
            assert_eq!(phase, Phase::Settled, "seed {seed}: nothing is on its way any more");
            live = version.number;
        });
        assert!(ended && last - live <= 1, "seed {seed}: of {last} versions {live} works, ended: {ended}");
        let numbers: Vec<u64> = told.keys().copied().collect();
        assert_eq!(numbers, (2..=live).collect::<Vec<_>>(), "seed {seed}: who waits for one that works hears of it");
        assert!(told.values().all(|events| *events == 2), "seed {seed}: each has switched and settled: {told:?}");
        (switched, never) = (switched + live - 1, never + last - live);
        let mut by_key = BTreeMap::new();
        for row in kept.committed {
            by_key.entry(row["key"]).or_insert_with(Vec::new).push(row);
        }
        check_keys(seed, rows, &by_key);
    }
    assert!(switched > 100 && never > 5, "{switched} switched, {never} never did");
}

/// A runtime that is stepped until `enough`, and asked then.
fn halfway(meddle: impl FnMut(&mut Runtime, &mut Dice, &ManualClock)) {
    simulate_with(7, 2_000, draft([1, 2, 2]), meddle);
}

#[test]
fn code_that_does_not_fit_is_refused_with_both_shown_and_the_old_code_goes_on() {
    let mut told = Vec::new();
    halfway(|runtime, _, _| {
        if told.is_empty() {
            let sum = || Other::new(Arc::new(Sum), 1);
            let twisted = |twist: fn(&mut OperatorPlan)| Other { twist, ..sum() };
            let mut refused = |other: Other, may_drop| {
                let Err(error) = prepare(runtime, "sum", other, &[], may_drop) else { panic!("it was taken") };
                told.push(error.to_string());
            };
            refused(twisted(|plan| plan.ports[0].name = "elsewhere".into()), false);
            refused(twisted(|plan| plan.tables[0].version = 2), false);
            refused(twisted(|plan| plan.tables[0].columns[0].kind = Kind::Float64), false);
            refused(twisted(|plan| plan.tables[0].columns.push(Field::required("new", Kind::Int64))), false);
            refused(twisted(|plan| drop(plan.tables[0].columns.remove(1))), true);
            refused(twisted(|plan| plan.tables.clear()), false);
            refused(Other::new(Arc::new(Double), 1), false);
            assert_eq!(runtime.controls.stages().live("sum").unwrap().0.digest(), "native");
        }
    });
    let parts: [&[&str]; 7] = [
        &["[out: makes n: int64, sum: int64", "[elsewhere: makes n: int64, sum: int64"],
        &["[sums version 1: n: int64, sum: int64]", "[sums version 2:", "goes from version 1 to 2"],
        &["n: float64", "`sums.n: float64` has no value"],
        &["`sums.new: int64` has no value"],
        &["`sums.sum: int64` would be lost"],
        &["the tables are others"],
        &["runs a keyed operator and the new code is transform"],
    ];
    for (told, parts) in told.iter().zip(parts) {
        parts.iter().for_each(|part| assert!(told.contains(part), "`{told}` does not say `{part}`"));
    }
}

#[test]
fn code_that_fails_on_sampled_rows_is_refused_unless_the_rows_are_to_blame() {
    let (mut tap, reader) = (None, Arc::new(()));
    let mut tried = [false, false];
    halfway(|runtime, _, _| {
        let rows = tap.get_or_insert_with(|| {
            let (to, rows) = sync_channel(64);
            assert_eq!(runtime.controls.stages().tap("double", Side::In, &to, &reader), Ok(()));
            rows
        });
        let poisoned = |batch: &Batch| ints(&batch.column(2)).contains(&POISON);
        for batch in rows.try_iter().map(|tapped| tapped.batch) {
            let broken = Other { good_calls: Some(0), ..Other::new(Arc::new(Double), 1) };
            let poisoned = poisoned(&batch);
            let told = prepare(runtime, "double", broken, std::slice::from_ref(&batch), false).map(drop);
            assert_eq!(poisoned, told.is_ok(), "the old code cannot process poison either");
            assert!(told.is_ok() || matches!(told, Err(ChangeError::Trial { .. })), "{told:?}");
            assert!(prepare(runtime, "double", Other::new(Arc::new(Double), 1), &[batch], false).is_ok());
            tried[usize::from(poisoned)] = true;
        }
    });
    assert_eq!(tried, [true, true], "with poison and without");
}

#[test]
fn of_two_changes_made_ready_for_the_same_code_one_is_stale() {
    let (mut second, mut busy, mut stale) = (None, 0, 0);
    halfway(|runtime, _, _| {
        let ready = |number| prepare(runtime, "sum", Other::new(Arc::new(Sum), number), &[], false).unwrap();
        match second.take() {
            None if stale == 0 => {
                let (first, later) = (ready(1), ready(2));
                apply(runtime, first).unwrap();
                second = Some(later);
            }
            None => {}
            Some(later) => match runtime.controls.check(&later) {
                Err(ChangeError::Busy { version: 2, .. }) => {
                    busy += 1;
                    second = Some(later);
                }
                Err(ChangeError::Stale { stage }) if &*stage == "sum" => stale += 1,
                other => panic!("{other:?}"),
            },
        }
    });
    assert!(busy > 0 && stale == 1, "{busy} times busy, {stale} times stale");
}

#[test]
fn looks_at_rows_are_bounded_and_closed_ones_are_forgotten_though_no_row_comes() {
    let (mut moments, mut again) = (0, 0);
    halfway(|runtime, _, _| {
        moments += 1;
        let (to, _rows) = sync_channel(1);
        let look = |reader: &Arc<()>| runtime.controls.stages().tap("sum", Side::Out, &to, reader);
        if moments == 1 {
            let reader = Arc::new(());
            (0..STAGE_TAPS_MAX).for_each(|_| assert_eq!(look(&reader), Ok(())));
            assert_eq!(look(&reader), Err(TapError::TooMany));
            assert_eq!(runtime.controls.stages().tap("some", Side::Out, &to, &reader), Err(TapError::Unknown));
        }
        if moments % 1_000 == 0 {
            (0..STAGE_TAPS_MAX / 2).for_each(|_| assert_eq!(look(&Arc::new(())), Ok(()), "they were closed long ago"));
            again += 1;
        }
    });
    assert!(again > 1, "{moments} moments");
}

#[test]
fn a_paused_pipeline_reads_nothing_and_goes_on_where_it_was() {
    let (mut paused_at, mut steps) = (None, 0);
    let (kept, _) = simulate_with(3, 1_000, draft([2, 2, 2]), |runtime, _, _| {
        steps += 1;
        let read = runtime.status[0].counters.rows_out.get();
        match steps {
            60 => runtime.controls.pause(),
            // What was read before is through by then.
            500 => paused_at = Some(read),
            900 => {
                assert_eq!(paused_at, Some(read), "nothing was read in between");
                runtime.controls.resume();
            }
            _ => {}
        }
    });
    assert!(paused_at.is_some_and(|rows| rows < 1_000));
    assert_eq!(kept.committed.len(), super::expected(1_000).values().map(Vec::len).sum::<usize>());
}
