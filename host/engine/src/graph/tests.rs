//! Drafts with native operators: what the graph of a good one is, and what is said of a bad one.

mod errors;
mod layouts;
mod needs;
mod random;

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::operator::{Call, CallError, Effects, Factory, Operator, OperatorKind, Port, Read, Refusal};
use crate::schema::{Field, Kind};

/// What an operator declares, for an input and a configuration.
type Declare = dyn Fn(&Value, &[Field]) -> Result<OperatorPlan, Refusal> + Send + Sync;

/// An operator that declares and never runs.
struct Declared(OperatorKind, Box<Declare>);

struct Idle;

impl Operator for Idle {
    fn process(&mut self, _: &Call<'_>) -> Result<Effects, CallError> {
        Ok(Effects::default())
    }
}

impl Factory for Declared {
    fn kind(&self) -> OperatorKind {
        self.0
    }

    fn digest(&self) -> &str {
        "native"
    }

    fn open(&self, config: &Value, input: &[Field]) -> Result<(OperatorPlan, Box<dyn Operator>), Refusal> {
        Ok(((self.1)(config, input)?, Box::new(Idle)))
    }
}

/// `value: float64?` as a field.
fn field(text: &str) -> Field {
    let (name, kind) = text.split_once(": ").expect("`name: kind`");
    let nullable = kind.ends_with('?');
    let kind = Kind::parse(kind.trim_end_matches('?')).expect("a kind");
    Field { name: name.into(), kind, nullable }
}

fn schema(fields: &[&str]) -> Schema {
    Schema::new(fields.iter().map(|text| field(text)).collect())
}

fn read(text: &str) -> Read {
    let Field { name, kind, nullable } = field(text);
    Read { name: name.to_string(), kind, nullable, fallback: None }
}

/// A port that carries everything and makes these.
fn port(name: &str, makes: &[&str]) -> Port {
    Port { name: name.to_owned(), carries: None, makes: makes.iter().map(|text| field(text)).collect() }
}

/// A port that carries only these, `input` or `input>output`, and makes those.
fn choosing(name: &str, carries: &[&str], makes: &[&str]) -> Port {
    let pair = |text: &&str| {
        let (input, output) = text.split_once('>').unwrap_or((text, text));
        (input.to_owned(), output.to_owned())
    };
    Port { carries: Some(carries.iter().map(pair).collect()), ..port(name, makes) }
}

fn plan(reads: &[&str], ports: Vec<Port>) -> OperatorPlan {
    OperatorPlan { reads: reads.iter().map(|text| read(text)).collect(), ports, tables: vec![], metrics: vec![] }
}

fn operator(kind: OperatorKind, plan: OperatorPlan) -> SharedFactory {
    Arc::new(Declared(kind, Box::new(move |_, _| Ok(plan.clone()))))
}

/// A transform that reads these, carries everything and makes those.
fn transform(reads: &[&str], makes: &[&str]) -> SharedFactory {
    operator(OperatorKind::Transform, plan(reads, vec![port("main", makes)]))
}

fn keyed(reads: &[&str], makes: &[&str]) -> SharedFactory {
    operator(OperatorKind::Keyed, plan(reads, vec![port("main", makes)]))
}

fn source(name: &str, fields: &[&str]) -> SourceDraft {
    let format = Some(Format::Ndjson);
    SourceDraft { name: name.to_owned(), schema: schema(fields), format, event_time: None, lanes: 1 }
}

fn stage(name: &str, from: &[&str], factory: SharedFactory) -> StageDraft {
    StageDraft {
        name: name.to_owned(),
        from: from.iter().map(ToString::to_string).collect(),
        factory,
        config: json!({}),
        key: vec![],
        lanes: None,
        on_error: OnError::DeadLetter,
        latency: None,
    }
}

fn keyed_by(key: &[&str], stage: StageDraft) -> StageDraft {
    StageDraft { key: key.iter().map(ToString::to_string).collect(), ..stage }
}

fn sink(name: &str, from: &[&str]) -> SinkDraft {
    let from = from.iter().map(ToString::to_string).collect();
    SinkDraft { name: name.to_owned(), from, format: Some(Format::Ndjson) }
}

fn draft(sources: Vec<SourceDraft>, stages: Vec<StageDraft>, sinks: Vec<SinkDraft>) -> Draft {
    Draft { name: "test".to_owned(), sources, stages, sinks, dead_letters: None }
}

fn built(draft: Draft) -> Graph {
    match Graph::build(draft) {
        Ok(graph) => graph,
        Err(errors) => panic!("the draft is good, but: {errors:#?}"),
    }
}

/// All errors as `path: message`.
fn errors(draft: Draft) -> Vec<String> {
    let errors = Graph::build(draft).err().expect("the draft is bad");
    errors.iter().map(|error| format!("{}: {}", error.path, error.message)).collect()
}

#[test]
fn a_chain_is_resolved_whatever_the_order_of_its_stages_in_the_file() {
    let graph = built(draft(
        vec![SourceDraft { lanes: 3, ..source("bids", &["price: int64", "auction: int64", "at: timestamp"]) }],
        vec![
            keyed_by(&["auction"], stage("count", &["convert"], keyed(&["price: float64"], &["n: int64"]))),
            stage("convert", &["bids"], transform(&["price: int64"], &["price: int64"])),
        ],
        vec![sink("out", &["count"])],
    ));
    let names: Vec<&str> = graph.stages.iter().map(|stage| &*stage.name).collect();
    assert_eq!(names, ["convert", "count"]);
    assert_eq!(graph.stages[0].inputs, [Upstream::Source(0)]);
    assert_eq!(graph.stages[1].inputs, [Upstream::Port(0, 0)]);
    assert_eq!(graph.sinks[0].inputs, [Upstream::Port(1, 0)]);
    assert_eq!(graph.stages[1].key, [1]);
    assert_eq!(graph.stages[1].lanes, 3, "as many as what it reads from");
    assert_eq!(graph.stages[1].fills, [Fill { column: Column::Field(0), widen: true, fallback: None }]);
    assert_eq!(graph.sinks[0].schema, schema(&["price: int64", "auction: int64", "at: timestamp", "n: int64"]));
    assert!(graph.warnings.is_empty());
}

#[test]
fn reads_are_filled_from_fields_metadata_or_nothing() {
    let reads = vec![
        Read { fallback: Some(json!("unknown")), ..read("site.name: utf8") },
        read("@offset: int64"),
        read("@key: bytes?"),
        read("missing: int64?"),
        Read { fallback: Some(json!(0)), ..read("other: float64") },
    ];
    let declared = OperatorPlan { reads, ..plan(&[], vec![port("main", &[])]) };
    let graph = built(draft(
        vec![source("readings", &["value: float64", "site.name: utf8?"])],
        vec![stage("clean", &["readings"], operator(OperatorKind::Transform, declared))],
        vec![sink("out", &["clean"])],
    ));
    let columns: Vec<&Column> = graph.stages[0].fills.iter().map(|fill| &fill.column).collect();
    let meta = |meta| Column::Meta(meta);
    let expected = [Column::Field(1), meta(Meta::Offset), meta(Meta::Key), Column::Absent, Column::Absent];
    assert_eq!(columns, expected.iter().collect::<Vec<_>>());
    assert_eq!(graph.stages[0].fills[4].fallback, Some(json!(0)));
}

#[test]
fn a_port_that_nobody_reads_and_an_optional_field_with_a_near_name_are_warnings() {
    let declared = plan(&["valeu: float64?"], vec![port("main", &[]), port("alerts", &[])]);
    let graph = built(draft(
        vec![source("readings", &["value: float64"])],
        vec![stage("score", &["readings"], operator(OperatorKind::Transform, declared))],
        vec![sink("out", &["score"])],
    ));
    let warnings: Vec<String> =
        graph.warnings.iter().map(|warning| format!("{}: {}", warning.path, warning.message)).collect();
    assert_eq!(
        warnings,
        [
            "stages.score.plugin: stage `score` reads `valeu`, which its input does not have, so it gets null; \
             did you mean `value`?",
            "stages.score: nobody reads from `score.alerts`; its rows are dropped",
        ]
    );
}

#[test]
fn the_first_port_can_be_named_by_the_stage_or_in_full() {
    let score = || operator(OperatorKind::Transform, plan(&[], vec![port("main", &[]), port("alerts", &[])]));
    let graph = built(draft(
        vec![source("readings", &["value: float64"])],
        vec![stage("score", &["readings"], score())],
        vec![sink("a", &["score"]), sink("b", &["score.main"]), sink("c", &["score.alerts"])],
    ));
    let inputs: Vec<&[Upstream]> = graph.sinks.iter().map(|sink| &sink.inputs[..]).collect();
    assert_eq!(inputs, [[Upstream::Port(0, 0)], [Upstream::Port(0, 0)], [Upstream::Port(0, 1)]]);
}

#[test]
fn a_keyless_stage_may_have_other_lanes_than_what_it_reads_from() {
    let graph = built(draft(
        vec![source("readings", &["value: float64"])],
        vec![StageDraft { lanes: Some(4), ..stage("a", &["readings"], transform(&[], &[])) }],
        vec![sink("out", &["a"])],
    ));
    assert_eq!((graph.sources[0].lanes, graph.stages[0].lanes), (1, 4));
}

#[test]
fn dead_letters_have_their_own_schema_and_read_from_nobody() {
    let mut draft = draft(vec![source("readings", &["value: float64"])], vec![], vec![sink("out", &["readings"])]);
    draft.dead_letters = Some(sink("dead_letters", &[]));
    let dead = built(draft).dead_letters.expect("it was in the draft");
    assert_eq!(dead.schema, crate::dead_letter::schema());
    assert!(dead.inputs.is_empty());
}
