//! From a graph to nodes and the edges between them.
//!
//! A source is one read node and a decode node a lane; a stage is a node a lane; a sink is an encode node for each lane
//! of each of its inputs, and one write node. Edges go lane to lane where sender and receiver have as many lanes and no
//! key moves rows between them, and from every lane to every lane otherwise.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use super::stages::{Lanes, Stages};
use super::{Connectors, Controls, Placed, Runtime, RuntimeError, Settings, Station, Status};
use crate::batch::Layout;
use crate::clock::Micros;
use crate::codec;
use crate::coordinator::{Coordinator, Order, Report};
use crate::counters::{Counters, Flow, OperatorMetrics, SharedCounters};
use crate::dead_letter;
use crate::edge::{Inbox, Rx, Tx, counted, edge};
use crate::graph::{Graph, Sink, Source, Stage, Upstream};
use crate::node::code::{Code, Version};
use crate::node::order::StageReport;
use crate::node::outbox::{Outbox, Receiver as Port, Split};
use crate::node::{decode, encode, read, stage, write};
use crate::pace::{Pace, Throttle};
use crate::plan::Part;
use crate::sink::{Promise, SinkWriter, Wants};
use crate::state::KeyedState;

/// The edges of one lane of a source or stage, while they are being made.
#[derive(Default)]
struct Ends {
    ports: Vec<Vec<Port>>,
    dead: Option<Tx>,
    inbox: Vec<Vec<Rx>>,
}

/// What goes into a stage or sink, for each of its inputs.
type Inputs = Vec<Vec<Arc<Flow>>>;

impl Ends {
    fn lanes(count: u32, ports: usize) -> Vec<Self> {
        let lane = |_| Self { ports: (0..ports).map(|_| Vec::new()).collect(), ..Self::default() };
        (0..count).map(lane).collect()
    }

    fn outbox(&mut self) -> Outbox {
        Outbox::new(std::mem::take(&mut self.ports), self.dead.take())
    }

    fn inbox(&mut self) -> Inbox {
        Inbox::new(std::mem::take(&mut self.inbox))
    }
}

/// A pipeline on its way to be wired.
struct Wiring<'a> {
    graph: &'a Graph,
    sources: Vec<Vec<Ends>>,
    stages: Vec<Vec<Ends>>,
    /// For each stage.
    inputs: Vec<Inputs>,
    nodes: Vec<Placed>,
    status: Vec<Status>,
    reports: Sender<Report>,
    source_orders: Vec<Sender<Order>>,
    sink_orders: Vec<Sender<Order>>,
    stage_reports: Sender<StageReport>,
    lanes: Vec<Lanes>,
    promises: Vec<Promise>,
    paces: Vec<Arc<Pace>>,
    /// For each source how many lanes have a hand on its pace so far.
    bounds: Vec<usize>,
    /// Bytes of state that a lane may hold.
    state_bytes_max: u64,
}

/// Nodes for a graph, over its connectors.
pub(super) fn wire(graph: &Graph, connectors: Connectors, settings: &Settings) -> Result<Runtime, RuntimeError> {
    let Connectors { sources, sinks, dead_letters } = connectors;
    assert_eq!((sources.len(), sinks.len()), (graph.sources.len(), graph.sinks.len()), "a connector for each end");
    let (reports, received) = channel();
    let (stage_reports, stages_received) = channel();
    let mut wiring = Wiring {
        graph,
        sources: graph.sources.iter().map(|source| Ends::lanes(source.lanes, 1)).collect(),
        stages: graph.stages.iter().map(|stage| Ends::lanes(stage.lanes, stage.plan.ports.len())).collect(),
        inputs: vec![Vec::new(); graph.stages.len()],
        nodes: Vec::new(),
        status: Vec::new(),
        reports,
        source_orders: Vec::new(),
        sink_orders: Vec::new(),
        stage_reports,
        lanes: Vec::new(),
        promises: Vec::new(),
        paces: (0..graph.sources.len()).map(|source| Pace::new(lanes_behind(graph, source))).collect(),
        bounds: vec![0; graph.sources.len()],
        state_bytes_max: settings.state_share(graph),
    };
    let dead_edges = wiring.connect_dead_letters();
    wiring.connect_stages();
    let sink_edges: Vec<_> = graph.sinks.iter().map(|sink| wiring.connect_sink(sink)).collect();
    for (number, reader) in sources.into_iter().enumerate() {
        wiring.source(number, &graph.sources[number], reader);
    }
    for (number, stage) in graph.stages.iter().enumerate() {
        wiring.stage(number, stage, settings)?;
    }
    for ((sink, (edges, inputs)), writer) in graph.sinks.iter().zip(sink_edges).zip(sinks) {
        wiring.sink(sink, edges, inputs, writer)?;
    }
    if let (Some(sink), Some(writer)) = (&graph.dead_letters, dead_letters) {
        let edges = dead_edges.into_iter().map(|rx| vec![rx]).collect();
        wiring.dead_letters(sink, edges, writer)?;
    }
    wiring.one_commit_point()?;
    let coordinator = Coordinator::new(graph.sources.len(), wiring.promises, 1);
    let (sources, sinks) = (wiring.source_orders, wiring.sink_orders);
    let stages = Stages::new(graph.clone(), wiring.lanes, stages_received);
    let controls = Controls { coordinator, reports: received, sources, sinks, stages };
    Ok(Runtime { nodes: wiring.nodes, controls, status: wiring.status })
}

impl Wiring<'_> {
    /// An edge to the dead letters for every lane that may give a record up.
    fn connect_dead_letters(&mut self) -> Vec<Rx> {
        if self.graph.dead_letters.is_none() {
            return Vec::new();
        }
        let lanes = self.sources.iter_mut().chain(&mut self.stages).flatten();
        let connect = |lane: &mut Ends| {
            let (tx, rx) = edge();
            lane.dead = Some(tx);
            rx
        };
        lanes.map(connect).collect()
    }

    /// The lanes of an upstream, and the port that is meant.
    fn upstream(&mut self, upstream: Upstream) -> (&mut Vec<Ends>, usize) {
        match upstream {
            Upstream::Source(source) => (&mut self.sources[source], 0),
            Upstream::Port(stage, port) => (&mut self.stages[stage], port),
        }
    }

    fn connect_stages(&mut self) {
        for (number, stage) in self.graph.stages.iter().enumerate() {
            for input in &stage.inputs {
                let count = stage.lanes as usize;
                let (senders, port) = self.upstream(*input);
                let direct = stage.key.is_empty() && senders.len() == count;
                let flow = Arc::default();
                let inboxes =
                    if direct { direct_edges(senders, port, &flow) } else { crossed(senders, port, stage, &flow) };
                self.inputs[number].push(vec![flow]);
                for (lane, edges) in self.stages[number].iter_mut().zip(inboxes) {
                    lane.inbox.push(edges);
                }
            }
        }
    }

    /// For each input of a sink the edges from its lanes, and what goes along them.
    fn connect_sink(&mut self, sink: &Sink) -> (Vec<Vec<Rx>>, Inputs) {
        let connect = |input: &Upstream| {
            let (senders, port) = self.upstream(*input);
            let flow = Arc::default();
            let edges = direct_edges(senders, port, &flow).into_iter().flatten().collect();
            (edges, vec![flow])
        };
        sink.inputs.iter().map(connect).unzip()
    }

    fn source(&mut self, number: usize, source: &Source, reader: Box<dyn crate::source::SourceReader>) {
        let counters = self.counters(Part::Source, &source.name, None, Vec::new());
        let (orders, received) = channel();
        self.source_orders.push(orders);
        let (to_lanes, from_reader): (Vec<_>, Vec<_>) = (0..source.lanes).map(|_| edge()).unzip();
        let parts = read::Parts {
            name: source.name.clone(),
            reader,
            framing: source.decode.as_ref().map(|plan| codec::framing(&plan.format)),
            layout: source.layout.clone(),
            lanes: source.lanes as usize,
            outbox: Outbox::new(vec![vec![Port { split: Split::Whole, lanes: to_lanes }]], None),
            pace: self.paces[number].clone(),
            counters: counters.clone(),
            orders: received,
            reports: self.reports.clone(),
            number,
            dead_letters: self.graph.dead_letters.is_some(),
        };
        self.place(Station::Read, read::ReadNode::new(parts));
        for (lane, rx) in from_reader.into_iter().enumerate() {
            let node = decode::DecodeNode {
                name: source.name.clone(),
                inbox: Inbox::new(vec![vec![rx]]),
                decoder: source.decode.clone().map(codec::decoder),
                layout: source.layout.clone(),
                event_time: source.event_time,
                outbox: self.sources[number][lane].outbox(),
                pace: self.paces[number].clone(),
                counters: counters.clone(),
                watermark: Micros::MIN,
            };
            self.place(Station::Lane(lane as u32), node);
        }
    }

    fn stage(&mut self, number: usize, stage: &Stage, settings: &Settings) -> Result<(), RuntimeError> {
        let version = Arc::new(Version::new(1, Arc::new(stage.clone())));
        let inputs = std::mem::take(&mut self.inputs[number]);
        let counters = self.counters(Part::Stage, &stage.name, Some(version.metrics.clone()), inputs);
        let mut orders = Vec::new();
        for lane in 0..stage.lanes {
            let refused = |message: String| RuntimeError::Operator { stage: stage.name.clone(), message };
            let opened = stage.factory.open(&stage.config, stage.schema.fields());
            let (plan, operator) = opened.map_err(|refusal| refused(refusal.to_string()))?;
            if plan != stage.plan {
                return Err(refused("the operator declared another plan than when the pipeline was checked".into()));
            }
            let key = stage.key_kinds();
            let state = || KeyedState::new(&key, &stage.plan.tables, self.state_bytes_max);
            let state = (!key.is_empty()).then(state);
            let throttle = self.throttle(number, stage.latency.unwrap_or(settings.latency_micros));
            let ends = &mut self.stages[number][lane as usize];
            let (order, received) = channel();
            orders.push(order);
            let node = stage::StageNode::new(
                stage::Parts {
                    number,
                    lane,
                    code: Code { version: version.clone(), operator },
                    state,
                    inbox: ends.inbox(),
                    outbox: ends.outbox(),
                    emitted_bytes_max: settings.emitted_bytes_max,
                    throttle,
                    counters: counters.clone(),
                    orders: received,
                    reports: self.stage_reports.clone(),
                },
                stage.inputs.len(),
            );
            self.place(Station::Lane(lane), node);
        }
        self.lanes.push(Lanes::new(version, orders));
        Ok(())
    }

    /// A hand on the paces of the sources whose rows come to that stage, and of no others.
    fn throttle(&mut self, number: usize, target: Micros) -> Throttle {
        let hand = |source: usize| {
            self.bounds[source] += 1;
            (self.paces[source].clone(), self.bounds[source] - 1)
        };
        Throttle::new(self.graph.sources_of(number).into_iter().map(hand).collect(), target)
    }

    fn sink(
        &mut self,
        sink: &Sink,
        edges: Vec<Vec<Rx>>,
        mut inputs: Inputs,
        writer: Box<dyn SinkWriter>,
    ) -> Result<(), RuntimeError> {
        let mut encoded = Vec::new();
        for (lanes, input) in edges.into_iter().zip(&mut inputs) {
            let (mut from_lanes, flow) = (Vec::new(), Arc::default());
            for (lane, rx) in lanes.into_iter().enumerate() {
                from_lanes.push(self.encode(sink, Some(lane as u32), vec![vec![rx]], &flow, &*writer));
            }
            encoded.push(from_lanes);
            input.push(flow);
        }
        let counters = self.counters(Part::Sink, &sink.name, None, inputs);
        self.write(sink, counters, encoded, writer)
    }

    /// The dead letters come from every lane, in no order; one node encodes them.
    fn dead_letters(
        &mut self,
        sink: &Sink,
        edges: Vec<Vec<Rx>>,
        writer: Box<dyn SinkWriter>,
    ) -> Result<(), RuntimeError> {
        let encoded = self.encode(sink, None, edges, &Arc::default(), &*writer);
        let counters = self.counters(Part::DeadLetters, &sink.name, None, Vec::new());
        self.write(sink, counters, vec![vec![encoded]], writer)
    }

    /// An encode node; the edge from it to the writer.
    fn encode(
        &mut self,
        sink: &Sink,
        lane: Option<u32>,
        inbox: Vec<Vec<Rx>>,
        flow: &Arc<Flow>,
        writer: &dyn SinkWriter,
    ) -> Rx {
        let (tx, rx) = counted(flow);
        let format = sink.format.as_ref().filter(|_| writer.wants() == Wants::Bytes);
        let dead = lane.is_none().then(|| Arc::new(Layout::of_source(&dead_letter::schema())));
        let node = encode::EncodeNode {
            name: sink.name.clone(),
            inbox: Inbox::new(inbox),
            encoder: format.map(codec::encoder),
            dead,
            outbox: Outbox::new(vec![vec![Port { split: Split::Whole, lanes: vec![tx] }]], None),
            expected: 0,
        };
        self.place(lane.map_or(Station::Write, Station::Lane), node);
        rx
    }

    fn write(
        &mut self,
        sink: &Sink,
        counters: SharedCounters,
        encoded: Vec<Vec<Rx>>,
        mut writer: Box<dyn SinkWriter>,
    ) -> Result<(), RuntimeError> {
        writer.recover(None).map_err(|error| RuntimeError::Recover { sink: sink.name.clone(), error })?;
        let (orders, received) = channel();
        let number = self.sink_orders.len();
        self.sink_orders.push(orders);
        self.promises.push(writer.promise());
        let (inbox, reports) = (Inbox::new(encoded), self.reports.clone());
        let parts =
            write::Parts { name: sink.name.clone(), inbox, writer, counters, orders: received, reports, number };
        self.place(Station::Write, write::WriteNode::new(parts));
        Ok(())
    }

    fn one_commit_point(&self) -> Result<(), RuntimeError> {
        let sinks = self.graph.sinks.iter().chain(&self.graph.dead_letters).zip(&self.promises);
        let mut points = sinks.filter(|(_, promise)| **promise == Promise::CommitPoint).map(|(sink, _)| &sink.name);
        match (points.next(), points.next()) {
            (Some(first), Some(second)) => {
                Err(RuntimeError::TwoCommitPoints { first: first.clone(), second: second.clone() })
            }
            _ => Ok(()),
        }
    }

    fn counters(
        &mut self,
        part: Part,
        name: &Arc<str>,
        metrics: Option<Arc<OperatorMetrics>>,
        inputs: Inputs,
    ) -> SharedCounters {
        let counters = Arc::new(Counters::default());
        self.status.push(Status { part, name: name.clone(), counters: counters.clone(), metrics, inputs });
        counters
    }

    fn place(&mut self, station: Station, node: impl crate::node::Node + 'static) {
        self.nodes.push(Placed { station, node: Box::new(node) });
    }
}

/// Lanes of the stages that rows of that source come to.
fn lanes_behind(graph: &Graph, source: usize) -> usize {
    let behind = |(number, _): &(usize, &Stage)| graph.sources_of(*number).contains(&source);
    graph.stages.iter().enumerate().filter(behind).map(|(_, stage)| stage.lanes as usize).sum()
}

/// An edge from each sending lane; one entry a receiving lane.
fn direct_edges(senders: &mut [Ends], port: usize, flow: &Arc<Flow>) -> Vec<Vec<Rx>> {
    let connect = |sender: &mut Ends| {
        let (tx, rx) = counted(flow);
        sender.ports[port].push(Port { split: Split::Whole, lanes: vec![tx] });
        vec![rx]
    };
    senders.iter_mut().map(connect).collect()
}

/// Edges from every sending lane to every receiving lane; one entry a receiving lane.
fn crossed(senders: &mut [Ends], port: usize, stage: &Stage, flow: &Arc<Flow>) -> Vec<Vec<Rx>> {
    let count = stage.lanes as usize;
    let mut inboxes: Vec<Vec<Rx>> = (0..count).map(|_| Vec::new()).collect();
    for sender in senders {
        let (lanes, receivers): (Vec<Tx>, Vec<Rx>) = (0..count).map(|_| counted(flow)).unzip();
        let split = match (count, stage.key.is_empty()) {
            (1, _) => Split::Whole,
            (_, true) => Split::Turn,
            (_, false) => Split::Key(stage.key.clone()),
        };
        sender.ports[port].push(Port { split, lanes });
        inboxes.iter_mut().zip(receivers).for_each(|(inbox, rx)| inbox.push(rx));
    }
    inboxes
}
