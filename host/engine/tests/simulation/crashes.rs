//! The wide pipeline in a world of faults: calls that fail or are not answered, and processes that die between any two
//! steps. What must hold is what the sink protocol promises while state is in memory: what was committed stays, what
//! was only prepared is withdrawn by the next process, nothing is ever half visible, and a source is never told to
//! forget what is not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use wasmill_engine::clock::{Clock, ManualClock, Micros};
use wasmill_engine::graph::Graph;
use wasmill_engine::node::Step;
use wasmill_engine::plan::Plan;
use wasmill_engine::runtime::{Connectors, Runtime, RuntimeError, Settings};
use wasmill_engine::sink::SinkWriter;
use wasmill_engine::source::{Position, SourceReader};

use super::check;
use super::input::Input;
use super::outside::{Fault, Outside, SINKS, Sabotage, Shared};
use super::wide::{Reader, Writer, draft};
use super::world::Dice;

/// A storm.
#[derive(Clone, Copy, Default)]
struct Storm {
    /// Processes that die or fail, at most, before one is left alone.
    crashes: u64,
    /// Whether a process goes on where the sources were told to, and not at the beginning.
    resumes: bool,
    sabotage: Option<Sabotage>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    Died,
    Failed,
}

/// Lets a storm pass over the pipeline; what was found wrong, or the outside as it is then and how processes ended.
fn weather(seed: u64, storm: Storm) -> Result<(Outside, Vec<End>), String> {
    let mut dice = Dice(seed);
    let input = Input::new(50 + dice.roll(400) as i64, 20 + dice.roll(300) as i64);
    let outside: Shared = Arc::new(Mutex::new(Outside::new(seed, input, storm.sabotage)));
    let lanes = [1 + dice.roll(3), 1 + dice.roll(3), 1 + dice.roll(3), 1 + dice.roll(4)].map(|lanes| lanes as u32);
    let graph = Graph::build(draft(&outside, lanes)).unwrap();
    let mut ends = Vec::new();
    while ends.last() != Some(&End::Done) {
        let calm = ends.len() as u64 == storm.crashes;
        let rate = if calm { 0 } else { 4 + dice.roll(60) };
        let dies_at = if calm || dice.roll(3) == 0 { u64::MAX } else { dice.roll(4_000) };
        outside.lock().unwrap().begin(rate);
        let end = process(seed, &graph, &outside, (&mut dice, dies_at), storm.resumes);
        let found = std::mem::take(&mut outside.lock().unwrap().findings);
        if !found.is_empty() {
            return Err(format!("seed {seed}, lanes {lanes:?}, {storm}: {}", found.join("\n")));
        }
        ends.push(end);
    }
    drop(graph);
    let outside = Arc::into_inner(outside).expect("every process is gone").into_inner().unwrap();
    let mut found = [check::state(&outside), check::lost(&outside)].concat();
    for source in 0..2 {
        found.extend(check::source(&outside, source, &outside.input.ends(source)));
    }
    if found.is_empty() { Ok((outside, ends)) } else { Err(format!("seed {seed}, {storm}: {}", found.join("\n"))) }
}

impl std::fmt::Display for Storm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { crashes, resumes, sabotage } = self;
        write!(f, "{crashes} crashes, resumes: {resumes}, {sabotage:?}")
    }
}

/// One process: opens, recovers, and is stepped until it is done, fails, or dies.
fn process(seed: u64, graph: &Graph, outside: &Shared, (dice, dies_at): (&mut Dice, u64), resumes: bool) -> End {
    let mut runtime = start(graph, outside, resumes);
    let (clock, mut last) = (ManualClock::default(), 0);
    for step in 0.. {
        if step == dies_at {
            return End::Died;
        }
        let number = dice.roll(runtime.nodes.len() as u64) as usize;
        let stepped = runtime.nodes[number].node.step(&clock);
        outside.lock().unwrap().note("step", number as u64 ^ (clock.now() as u64) << 8);
        if let Step::Failed(failure) = stepped {
            // Nothing but what struck from outside is a reason to fail.
            assert_eq!(failure.message, "struck", "seed {seed}: {failure}");
            return End::Failed;
        }
        if dice.roll(3) == 0 {
            clock.advance(dice.roll(20_000) as Micros);
            runtime.controls.pump();
        }
        if dice.roll(50) == 0 {
            runtime.controls.tick();
        }
        if runtime.controls.finished() {
            last = step;
            break;
        }
        assert!(step < 3_000_000, "seed {seed}: no end after {step} steps");
    }
    // What the sources may forget at the very end they are told by orders that they still have to take.
    outside.lock().unwrap().note("finished", last);
    let mut left: Vec<_> = runtime.nodes.iter_mut().map(|placed| &mut placed.node).collect();
    while !left.is_empty() {
        let mut failed = false;
        left.retain_mut(|node| match node.step(&clock) {
            Step::Failed(failure) => {
                assert_eq!(failure.message, "struck", "seed {seed}: {failure}");
                failed = true;
                false
            }
            step => step != Step::Finished,
        });
        if failed {
            return End::Failed;
        }
    }
    reconcile(seed, &runtime);
    End::Done
}

/// What every node took in it has passed on, filtered out, or given up; a row may go out at both ports of `route`.
fn reconcile(seed: u64, runtime: &Runtime) {
    for status in runtime.status.iter().filter(|status| &*status.name != "route") {
        let counters = &status.counters;
        let gone = counters.rows_out.get() + counters.filtered.get() + counters.dead.get();
        assert_eq!(counters.rows_in.get(), gone, "seed {seed}: {:?} {}", status.part, status.name);
    }
}

/// A process that starts: it tries until what it opens answers.
fn start(graph: &Graph, outside: &Shared, resumes: bool) -> Runtime {
    let before = outside.lock().unwrap().shown();
    loop {
        let sources = [0, 1].map(|source| reader(outside, source, resumes)).into();
        let sink = |sink| -> Box<dyn SinkWriter> { Box::new(Writer { outside: outside.clone(), sink }) };
        let (sinks, dead_letters) = ((0..3).map(sink).collect(), Some(sink(3)));
        let connectors = Connectors { sources, sinks, dead_letters };
        match Runtime::apply(&Plan::between(None, graph), graph, connectors, &Settings::default()) {
            Ok(runtime) => {
                outside.lock().unwrap().recovered(before);
                return runtime;
            }
            Err(RuntimeError::Recover { error, .. }) => assert_eq!(error.message, "struck"),
            Err(error) => panic!("{error}"),
        }
    }
}

fn reader(outside: &Shared, source: usize, resumes: bool) -> Box<dyn SourceReader> {
    if !resumes {
        return Box::new(Reader::new(outside, source));
    }
    let from = outside.lock().unwrap().acknowledged[source].clone();
    outside.lock().unwrap().from[source] = from.clone();
    let position =
        |(number, offset): (usize, &u64)| Position { partition: number.to_string().into(), offset: *offset, line: 0 };
    let positions: Vec<_> = from.iter().enumerate().map(position).collect();
    loop {
        let mut reader = Reader::new(outside, source);
        if reader.seek(&positions).is_ok() {
            return Box::new(reader);
        }
    }
}

/// What was found wrong in some of these seeds.
fn caught(sabotage: Sabotage, resumes: bool) -> String {
    let storm = Storm { crashes: 4, resumes, sabotage: Some(sabotage) };
    (0..20).find_map(|seed| weather(seed, storm).err()).unwrap_or_else(|| panic!("{sabotage:?} was not found"))
}

#[test]
fn a_pipeline_with_ports_merges_and_formats_does_what_a_plain_loop_does() {
    for seed in 0..40 {
        let (outside, ends) = weather(seed, Storm::default()).unwrap_or_else(|found| panic!("{found}"));
        assert_eq!(ends, [End::Done]);
        assert!(outside.watermark > Micros::MIN, "seed {seed}: event time went on");
        let all = [0, 1].map(|source| outside.input.ends(source));
        assert_eq!(outside.acknowledged, all, "seed {seed}: the sources may forget all that they brought");
        assert!(SINKS.iter().zip(&outside.ledgers).all(|(_, ledger)| !ledger.visible.is_empty()), "seed {seed}");
    }
}

#[test]
fn whatever_fails_or_dies_and_when_what_is_visible_is_whole_and_nothing_that_was_acknowledged_is_lost() {
    let (mut died, mut failed, mut faults) = (0, 0, BTreeMap::new());
    for seed in 0..120 {
        let storm = Storm { crashes: 1 + seed % 5, resumes: seed % 2 == 0, sabotage: None };
        let (outside, ends) = weather(seed, storm).unwrap_or_else(|found| panic!("{found}"));
        died += ends.iter().filter(|end| **end == End::Died).count();
        failed += ends.iter().filter(|end| **end == End::Failed).count();
        outside.faults.into_iter().for_each(|(fault, times)| *faults.entry(fault).or_insert(0) += times);
    }
    assert!(died > 30 && failed > 30, "{died} died, {failed} failed");
    for call in ["recover", "seek", "read", "write", "prepare", "commit", "acknowledge"] {
        for (happened, heard) in [(false, false), (false, true), (true, false), (true, true)] {
            assert!(faults.contains_key(&(call, Fault { happened, heard })), "{call} was never struck so: {faults:?}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_storm() {
    let trace = |seed| {
        let storm = Storm { crashes: 3, resumes: true, sabotage: None };
        let (outside, ends) = weather(seed, storm).unwrap_or_else(|found| panic!("{found}"));
        (outside.trace, ends)
    };
    assert_eq!(trace(11), trace(11));
    assert_ne!(trace(11), trace(12));
}

#[test]
fn a_sink_that_breaks_its_protocol_is_found() {
    for sabotage in [Sabotage::ShowsPrepared, Sabotage::KeepsOpen, Sabotage::KeepsPrepared] {
        let found = caught(sabotage, false);
        let named = ["past epoch", "a process that died"].iter().any(|what| found.contains(what));
        assert!(named, "{sabotage:?}: {found}");
    }
    let found = caught(Sabotage::CommitsTwice, false);
    assert!(found.contains("has beside that"), "{found}");
}

#[test]
fn a_source_that_loses_bytes_or_goes_on_elsewhere_is_found() {
    assert!(caught(Sabotage::LosesBytes, false).contains("lacks"));
    assert!(caught(Sabotage::SeeksTooFar, true).contains("lacks"));
}

#[test]
fn a_watermark_past_its_minimum_and_a_policy_that_is_not_kept_are_found() {
    assert!(caught(Sabotage::WatermarkAhead, false).contains("past the minimum"));
    assert!(caught(Sabotage::NoRetry, false).contains("lacks"));
}
