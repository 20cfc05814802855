//! How many rows sources are asked for: as many as the slowest of their own stages can do in its time, whatever else
//! the pipeline has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{ArrayRef, Int64Array};
use serde_json::{Value, json};
use wasmill_engine::batch::Records;
use wasmill_engine::clock::{ManualClock, Micros};
use wasmill_engine::graph::{Draft, Graph, OnError, SinkDraft, SourceDraft, StageDraft};
use wasmill_engine::limits::BATCH_ROWS_MAX;
use wasmill_engine::node::Step;
use wasmill_engine::operator::{
    Call, CallError, Effects, Factory, Operator, OperatorKind, OperatorPlan, Port, Refusal,
};
use wasmill_engine::plan::Plan;
use wasmill_engine::runtime::{Connectors, Runtime, Settings};
use wasmill_engine::schema::{Field, Kind, Schema};
use wasmill_engine::source::{Position, Read, SourceError, SourceReader};

use crate::world::{Dice, Keeper};

/// A source without end, and how many rows it was asked for last.
struct Asked(Arc<AtomicUsize>);

impl SourceReader for Asked {
    fn seek(&mut self, _: &[Position]) -> Result<(), SourceError> {
        Ok(())
    }

    fn read(&mut self, _: Micros, _: usize, max_rows: usize, _: &mut Vec<u8>) -> Result<Read, SourceError> {
        self.0.store(max_rows, Ordering::Relaxed);
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..max_rows as i64));
        Ok(Read::Records(Box::new(Records {
            source: "asked".into(),
            partition: "0".into(),
            rows: max_rows,
            columns: vec![Some(column)],
            event_time: None,
            message: None,
            raw: None,
            first: 0,
        })))
    }

    fn partition(&self, _: u32) -> Arc<str> {
        "0".into()
    }

    fn start(&self, _: u32) -> Position {
        Position { partition: "0".into(), offset: 0, line: 0 }
    }

    fn progress(&self) -> Option<(u64, u64)> {
        None
    }

    fn acknowledge(&mut self, _: &[Position]) -> Result<(), SourceError> {
        Ok(())
    }
}

/// Drops all rows, and takes so many microseconds for each. What it never gets it has a second port for.
struct Takes(Micros, Arc<ManualClock>);

impl Factory for Takes {
    fn kind(&self) -> OperatorKind {
        OperatorKind::Transform
    }

    fn digest(&self) -> &str {
        "native"
    }

    fn open(&self, _: &Value, _: &[Field]) -> Result<(OperatorPlan, Box<dyn Operator>), Refusal> {
        let port = Port { name: "out".into(), carries: None, makes: Vec::new() };
        let plan = OperatorPlan { reads: Vec::new(), ports: vec![port], tables: Vec::new(), metrics: Vec::new() };
        Ok((plan, Box::new(Self(self.0, self.1.clone()))))
    }
}

impl Operator for Takes {
    fn process(&mut self, call: &Call<'_>) -> Result<Effects, CallError> {
        self.1.advance(self.0 * call.rows as Micros);
        Ok(Effects::default())
    }
}

#[test]
fn a_slow_stage_makes_the_batches_of_its_own_source_small_and_an_idle_one_nobodys() {
    let clock = Arc::new(ManualClock::default());
    let schema = Schema::new(vec![Field::required("id", Kind::Int64)]);
    let source = |name: &str| SourceDraft {
        name: name.into(),
        schema: schema.clone(),
        format: None,
        event_time: None,
        lanes: 1,
    };
    let stage = |name: &str, from: &str, micros: Micros| StageDraft {
        name: name.into(),
        from: vec![from.into()],
        factory: Arc::new(Takes(micros, clock.clone())),
        config: json!({}),
        key: Vec::new(),
        lanes: None,
        on_error: OnError::Stop,
        latency: Some(10_000),
    };
    let sink = |name: &str, from: &str| SinkDraft { name: name.into(), from: vec![from.into()], format: None };
    let draft = Draft {
        name: "paces".into(),
        sources: vec![source("slowly"), source("fast")],
        // The last one never has a row.
        stages: vec![stage("slow", "slowly", 1_000), stage("quick", "fast", 1), stage("idle", "quick", 1)],
        sinks: vec![sink("a", "slow"), sink("b", "idle")],
        dead_letters: None,
    };
    let graph = Graph::build(draft).unwrap();
    let asked = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    let connectors = Connectors {
        sources: asked.iter().map(|asked| Box::new(Asked(asked.clone())) as Box<dyn SourceReader>).collect(),
        sinks: (0..2).map(|seed| Box::new(Keeper { kept: Arc::default(), dice: Dice(seed) }) as _).collect(),
        dead_letters: None,
    };
    let plan = Plan::between(None, &graph);
    let mut runtime = Runtime::apply(&plan, &graph, connectors, &Settings::default()).unwrap();
    for _ in 0..400 {
        for placed in &mut runtime.nodes {
            assert!(!matches!(placed.node.step(&*clock), Step::Failed(_)));
        }
    }
    let [slow, fast] = asked.map(|asked| asked.load(Ordering::Relaxed));
    assert_eq!((slow, fast), (10, BATCH_ROWS_MAX), "10 ms at a millisecond a row; 10 ms at a microsecond");
}
