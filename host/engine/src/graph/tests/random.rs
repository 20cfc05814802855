//! Random graphs, run with one row of numbers in place of operators: whatever a stage or sink uses must be the value
//! that a simple model of named values says, and must have been asked of the source.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array};

use super::*;
use crate::batch::{Batch, Place, Records};

/// A row by names: the model.
type Row = Vec<(String, i64)>;

/// xorshift64: the same graphs each time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % n
    }
}

/// A draft, with the names of the columns of everything that can be read.
struct Sketch {
    sources: Vec<SourceDraft>,
    stages: Vec<StageDraft>,
    open: Vec<(String, Vec<String>)>,
}

fn typed(names: &[String]) -> Vec<String> {
    names.iter().map(|name| format!("{name}: int64")).collect()
}

fn strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// A port over columns of these names, and the names that it gives.
fn random_port(random: &mut Random, number: usize, input: &[String]) -> (Port, Vec<String>) {
    let mut makes: Vec<String> = Vec::new();
    for _ in 0..random.below(3) {
        let name = format!("f{}", random.below(6));
        if !makes.contains(&name) {
            makes.push(name);
        }
    }
    let made = typed(&makes);
    let name = format!("p{number}");
    let (port, mut names) = if random.below(3) > 0 {
        (port(&name, &strs(&made)), input.to_vec())
    } else {
        let chosen: Vec<String> = input.iter().filter(|_| random.below(2) == 0).cloned().collect();
        (choosing(&name, &strs(&chosen), &strs(&made)), chosen)
    };
    for name in makes {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    (port, names)
}

fn sketch(random: &mut Random) -> Sketch {
    let names: Vec<String> = (0..4).map(|i| format!("f{i}")).collect();
    let mut sketch = Sketch { sources: vec![], stages: vec![], open: vec![] };
    for i in 0..=random.below(2) {
        sketch.sources.push(source(&format!("source{i}"), &strs(&typed(&names))));
        sketch.open.push((format!("source{i}"), names.clone()));
    }
    for i in 0..random.below(6) {
        let (first, names) = sketch.open[random.below(sketch.open.len())].clone();
        let same = sketch.open.iter().filter(|(name, other)| *name != first && *other == names);
        let second: Vec<String> = same.map(|(name, _)| name.clone()).take(random.below(3)).collect();
        let from: Vec<String> = std::iter::once(first).chain(second).collect();
        let reads: Vec<String> = names.iter().filter(|_| random.below(3) == 0).cloned().collect();
        let mut ports = Vec::new();
        for number in 0..=random.below(2) {
            let (port, given) = random_port(random, number, &names);
            let name = if number == 0 { format!("stage{i}") } else { format!("stage{i}.{}", port.name) };
            sketch.open.push((name, given));
            ports.push(port);
        }
        let factory = operator(OperatorKind::Transform, plan(&strs(&typed(&reads)), ports));
        sketch.stages.push(stage(&format!("stage{i}"), &strs(&from), factory));
    }
    sketch
}

/// A batch of one row and the row of the model.
type Pair = (Batch, Row);

fn from_source(graph: &Graph, number: usize, fresh: &mut i64) -> Pair {
    let source = &graph.sources[number];
    let needs = &source.decode.as_ref().unwrap().needs;
    let (mut columns, mut row) = (Vec::new(), Vec::new());
    for (field, fill) in source.layout.schema.fields().iter().zip(&needs.fill) {
        *fresh += 1;
        columns.push(fill.then(|| Arc::new(Int64Array::from(vec![*fresh])) as ArrayRef));
        row.push((field.name.to_string(), *fresh));
    }
    let (source, layout) = (source.name.clone(), source.layout.clone());
    let (event_time, message, raw) = (None, None, None);
    let records = Records { source, partition: "p".into(), rows: 1, columns, event_time, message, raw, first: 0 };
    (Batch::new(Arc::new(records), layout), row)
}

/// What the port makes of the pair, in the graph's way and in the model's.
fn through(stage: &Stage, port: usize, (batch, row): &Pair, fresh: &mut i64) -> Pair {
    let shape = stage.shapes.iter().find(|shape| Arc::ptr_eq(&shape.input, batch.layout())).expect("a shape for each");
    let (derived, declared) = (&shape.ports[port], &stage.plan.ports[port]);
    let mut given: Row = match &declared.carries {
        None => row.clone(),
        Some(carries) => {
            let value = |name: &String| row.iter().find(|(other, _)| other == name).unwrap().1;
            carries.iter().map(|(from, to)| (to.clone(), value(from))).collect()
        }
    };
    let mut made: Vec<ArrayRef> = Vec::new();
    for field in &declared.makes {
        *fresh += 1;
        made.push(Arc::new(Int64Array::from(vec![*fresh])));
        match given.iter_mut().find(|(name, _)| **name == *field.name) {
            Some((_, value)) => *value = *fresh,
            None => given.push((field.name.to_string(), *fresh)),
        }
    }
    (batch.derive(None, made, &derived.keeps, &derived.layout), given)
}

fn check_column((batch, row): &Pair, position: usize) {
    let (name, value) = &row[position];
    assert_eq!(*batch.layout().schema.fields()[position].name, **name);
    assert_eq!(batch.column(position).as_primitive::<Int64Type>().value(0), *value, "of column `{name}`");
}

/// Everything that comes out of an upstream: one pair for each way.
fn arriving(graph: &Graph, inputs: &[Upstream], ports: &[Vec<Vec<Pair>>], fresh: &mut i64) -> Vec<Pair> {
    let of = |upstream: &Upstream| match *upstream {
        Upstream::Source(source) => vec![from_source(graph, source, fresh)],
        Upstream::Port(stage, port) => ports[stage][port].clone(),
    };
    inputs.iter().flat_map(of).collect()
}

/// The values that a sink cannot copy are there; the others are located or appended.
fn check_sink(graph: &Graph, pair: &Pair) {
    let source = graph.sources.iter().find(|source| source.name == pair.0.records().source).unwrap();
    let needs = &source.decode.as_ref().unwrap().needs;
    let layout = pair.0.layout();
    for (position, place) in layout.places.iter().enumerate() {
        let name = &layout.schema.fields()[position].name;
        match (place, layout.source.position(name)) {
            (Place::Record(_), _) if layout.whole => continue,
            (Place::Made(_), Some(field)) if layout.whole => assert!(needs.locate[field], "`{name}` is located"),
            _ => {}
        }
        check_column(pair, position);
    }
}

#[test]
fn on_every_way_through_random_graphs_each_column_has_the_value_that_its_name_means() {
    let mut random = Random(0x5EED);
    let mut ways = 0;
    for _ in 0..400 {
        let Sketch { sources, stages, open } = sketch(&mut random);
        let sinks = open.iter().enumerate().map(|(i, (name, _))| sink(&format!("sink{i}"), &[name])).collect();
        let graph = built(draft(sources, stages, sinks));
        let mut fresh = 0;
        let mut ports: Vec<Vec<Vec<Pair>>> = Vec::new();
        for stage in &graph.stages {
            let pairs = arriving(&graph, &stage.inputs, &ports, &mut fresh);
            for pair in &pairs {
                for fill in &stage.fills {
                    let Column::Field(position) = fill.column else { panic!("all reads are of fields") };
                    check_column(pair, position);
                }
            }
            let given = 0..stage.plan.ports.len();
            let of_port = |port| pairs.iter().map(|pair| through(stage, port, pair, &mut fresh)).collect();
            ports.push(given.map(of_port).collect());
        }
        for sink in &graph.sinks {
            for pair in arriving(&graph, &sink.inputs, &ports, &mut fresh) {
                check_sink(&graph, &pair);
                ways += 1;
            }
        }
    }
    assert!(ways > 2_000, "the graphs are not trivial: {ways}");
}
