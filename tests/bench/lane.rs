//! One lane of a stage by itself: batches in, batches out, on the path that they take in a pipeline.
//!
//! The stage is planned by the real planner, for rows of 64-bit integers and texts that a source made; the node is the
//! runtime's, with its edges. What stands for the world is a clock that stands still and a bound on state that nobody
//! meets.

use std::sync::Arc;
use std::sync::mpsc::channel;

use anyhow::Context as _;
use arrow_array::ArrayRef;
use serde_json::{Value, json};
use wasmill_engine::batch::{Batch, Layout, Records};
use wasmill_engine::clock::{ManualClock, Micros};
use wasmill_engine::codec::Format;
use wasmill_engine::edge::{Inbox, Message, Parcel, Rx, Tx, edge};
use wasmill_engine::graph::{Draft, Graph, OnError, SinkDraft, SourceDraft, StageDraft};
use wasmill_engine::node::code::{Code, Version};
use wasmill_engine::node::outbox::{Outbox, Receiver, Split};
use wasmill_engine::node::stage::{Parts, StageNode};
use wasmill_engine::node::{Node as _, Step};
use wasmill_engine::operator::SharedFactory;
use wasmill_engine::pace::Throttle;
use wasmill_engine::schema::{Field, Schema};
use wasmill_engine::state::KeyedState;
use wasmill_wasm::{Component, Engine, Limits};

use crate::guests::{Language, component};

/// Rows of a batch.
pub(crate) const ROWS: usize = 1_024;

/// A lane.
pub(crate) struct Lane {
    node: StageNode,
    input: Tx,
    output: Rx,
    clock: ManualClock,
    layout: Arc<Layout>,
}

impl Lane {
    /// A lane of a stage of that operator over rows of these fields, by the key of these names.
    pub(crate) fn new(factory: SharedFactory, fields: &[Field], key: &[&str]) -> anyhow::Result<Self> {
        Self::configured(factory, json!({}), fields, key)
    }

    /// The same with a configuration.
    pub(crate) fn configured(
        factory: SharedFactory,
        config: Value,
        fields: &[Field],
        key: &[&str],
    ) -> anyhow::Result<Self> {
        let (schema, from) = (Schema::new(fields.to_vec()), |name: &str| vec![name.to_owned()]);
        let source = SourceDraft { name: "rows".into(), schema, format: None, event_time: None, lanes: 1 };
        let stage = StageDraft {
            name: "stage".into(),
            from: from("rows"),
            factory,
            config,
            key: key.iter().map(ToString::to_string).collect(),
            lanes: None,
            on_error: OnError::Stop,
            latency: None,
        };
        let sink = SinkDraft { name: "sink".into(), from: from("stage"), format: Some(Format::Ndjson) };
        let (sources, stages, sinks) = (vec![source], vec![stage], vec![sink]);
        let draft = Draft { name: "bench".into(), sources, stages, sinks, dead_letters: None };
        let graph = Graph::build(draft).map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
        let stage = graph.stages.into_iter().next().context("the draft has a stage")?;
        let operator = stage.factory.open(&stage.config, stage.schema.fields())?.1;
        let kinds: Vec<_> = stage.key.iter().map(|field| stage.schema.fields()[*field].kind).collect();
        let state = (!kinds.is_empty()).then(|| KeyedState::new(&kinds, &stage.plan.tables, u64::MAX));
        let ((input, inbox), (outbox, output)) = (edge(), edge());
        // The first port is read, the others are not.
        let mut receivers = vec![vec![Receiver { split: Split::Whole, lanes: vec![outbox] }]];
        receivers.resize_with(stage.plan.ports.len(), Vec::new);
        let parts = Parts {
            number: 0,
            lane: 0,
            code: Code { version: Arc::new(Version::new(1, Arc::new(stage))), operator },
            state,
            inbox: Inbox::new(vec![vec![inbox]]),
            outbox: Outbox::new(receivers, None),
            emitted_bytes_max: u64::MAX,
            throttle: Throttle::new(Vec::new(), 10_000),
            counters: Arc::default(),
            orders: channel().1,
            reports: channel().0,
        };
        let (node, layout) = (StageNode::new(parts, 1), graph.sources[0].layout.clone());
        Ok(Self { node, input, output, clock: ManualClock::default(), layout })
    }

    /// A batch of these columns, which are the fields' values.
    pub(crate) fn batch(&self, columns: &[ArrayRef]) -> Batch {
        let records = Records {
            source: "rows".into(),
            partition: "0".into(),
            rows: columns[0].len(),
            columns: columns.iter().cloned().map(Some).collect(),
            event_time: None,
            message: None,
            raw: None,
            first: 0,
        };
        Batch::new(Arc::new(records), self.layout.clone())
    }

    /// What the stage makes of a batch.
    pub(crate) fn run(&mut self, batch: &Batch) -> anyhow::Result<Vec<Batch>> {
        let parcel = Parcel { batches: vec![batch.clone()], watermark: Micros::MIN };
        self.input.send(Message::Rows(parcel)).map_err(|_| anyhow::anyhow!("the edge is full"))?;
        loop {
            match self.node.step(&self.clock) {
                Step::Progressed => {}
                other => anyhow::bail!("the stage has not answered: {other:?}"),
            }
            if let Some(Message::Rows(parcel)) = self.output.receive() {
                return Ok(parcel.batches);
            }
        }
    }
}

/// A guest of `tests/guests/rust`, built and compiled.
pub(crate) fn guest(name: &str) -> anyhow::Result<Component> {
    let bytes = component(Language::Rust, name).context("guests in Rust can always be built")?;
    Ok(Engine::new(Limits::default(), None)?.load(&bytes)?)
}

/// CPU time of this thread, in nanoseconds.
pub(crate) fn cpu_ns() -> anyhow::Result<f64> {
    // The kernel brings the figure up to date when a thread yields, else only at its next tick.
    std::thread::yield_now();
    let times = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(times.split(' ').next().context("schedstat is empty")?.parse()?)
}
