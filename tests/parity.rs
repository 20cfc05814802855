//! The languages agree: guests in Rust, Go and C do the same jobs, and one table of cases holds for all of them.
//!
//! Each guest goes the way of a user's: its language's compiler, the encoder, the host's checks, compilation, calls.
//! What is compared is what the engine would get. Neighbours: `parity/cases.rs` is the table, `parity/guests.rs`
//! builds, `parity/tour.rs`, `parity/words.rs` and `parity/system.rs` look at what the four jobs do not touch,
//! `parity/table.rs` at the table of `docs/sdk.md`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![forbid(unsafe_code)]

#[path = "parity/cases.rs"]
mod cases;
#[path = "parity/guests.rs"]
mod guests;
#[path = "parity/system.rs"]
mod system;
#[path = "parity/table.rs"]
mod table;
#[path = "parity/tour.rs"]
mod tour;
#[path = "parity/words.rs"]
mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow_array::{Array, ArrayRef, Int64Array};
use serde_json::{Value, json};
use wasmill_engine::operator::{Call, Context, Effects, Factory, Keys, OperatorPlan, TableRows};
use wasmill_wasm::{Component, Engine, Limits};
use wit_parser::WorldItem;

use cases::{Batch, Case, Job, cases};
use guests::{Language, component};

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(Limits::default(), None).unwrap())
}

/// The guest that does a job, and the configuration that makes it do it.
fn guest(language: Language, job: Job) -> (&'static str, Value) {
    match (language, job) {
        (_, Job::Keyed) => ("keyed", json!({})),
        (Language::C, Job::Convert) => ("transform", json!({ "job": "q1" })),
        (Language::C, Job::Filter) => ("transform", json!({ "job": "q2" })),
        (Language::C, Job::Domain) => ("transform", json!({ "job": "domain" })),
        (_, Job::Convert) => ("convert", json!({})),
        (_, Job::Filter) => ("filter", json!({})),
        (_, Job::Domain) => ("domain", json!({})),
    }
}

/// A guest, built, checked and compiled: once in a run of these tests.
fn load(language: Language, guest: &'static str) -> Option<Component> {
    type Loaded = HashMap<(Language, &'static str), Option<Component>>;
    static LOADED: OnceLock<Mutex<Loaded>> = OnceLock::new();
    let mut loaded = LOADED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    loaded.entry((language, guest)).or_insert_with(|| compile(language, guest)).clone()
}

fn compile(language: Language, guest: &str) -> Option<Component> {
    let bytes = component(language, guest)?;
    for function in imported_functions(&bytes) {
        assert_eq!(function, "wasmill:operator/log@0.1.0#write", "{language:?} `{guest}` imports a function");
    }
    Some(engine().load(&bytes).unwrap_or_else(|error| panic!("{language:?} `{guest}`: {error}")))
}

/// Every function that a component imports: what the host would have to grant.
fn imported_functions(bytes: &[u8]) -> Vec<String> {
    let decoded = wit_component::decode(bytes).expect("a finished component says what it imports");
    let wit_component::DecodedWasm::Component(resolve, world) = decoded else { panic!("this is no component") };
    let functions = |(key, item)| match item {
        &WorldItem::Interface { id, .. } => {
            let interface = resolve.name_world_key(key);
            resolve.interfaces[id].functions.keys().map(|name| format!("{interface}#{name}")).collect()
        }
        WorldItem::Function(_) => vec![resolve.name_world_key(key)],
        WorldItem::Type { .. } => Vec::new(),
    };
    resolve.worlds[world].imports.iter().flat_map(functions).collect()
}

/// The state of a keyed job between calls, as the host would keep it: a row a key.
#[derive(Default)]
struct State {
    rows: HashMap<u32, Vec<i64>>,
}

impl State {
    /// The slot of each row, the keys of the slots, and the table's rows for them.
    fn gather(&self, keys: &[u32], fields: usize) -> (Vec<u32>, Vec<u32>, TableRows) {
        let mut distinct = Vec::new();
        let slots = keys.iter().map(|key| {
            let known = distinct.iter().position(|seen| seen == key).unwrap_or_else(|| {
                distinct.push(*key);
                distinct.len() - 1
            });
            u32::try_from(known).unwrap()
        });
        let slots = slots.collect();
        let fresh = distinct.iter().map(|key| u8::from(!self.rows.contains_key(key))).collect();
        let value = |key: &u32, field: usize| self.rows.get(key).map_or(0, |row| row[field]);
        let column = |field| Arc::new(Int64Array::from_iter_values(distinct.iter().map(|key| value(key, field)))) as _;
        let rows = TableRows { fresh, columns: (0..fields).map(column).collect() };
        (slots, distinct, rows)
    }

    fn scatter(&mut self, distinct: &[u32], columns: &[ArrayRef]) {
        let columns: Vec<&Int64Array> = columns.iter().map(|column| column.as_any().downcast_ref().unwrap()).collect();
        for (slot, key) in distinct.iter().enumerate() {
            self.rows.insert(*key, columns.iter().map(|column| column.value(slot)).collect());
        }
    }
}

fn run(language: Language, component: &Component, config: &Value, case: &Case) {
    let story = format!("{language:?}, {:?}, {}", case.job, case.name);
    let (plan, mut operator) = component.open(config, &case.job.input()).unwrap_or_else(|no| panic!("{story}: {no}"));
    assert_plan(&plan, case.job, &story);
    let mut state = State::default();
    for (number, batch) in case.batches.iter().enumerate() {
        let number = u64::try_from(number).unwrap();
        let context = Context { batch: number, attempt: 0, watermark: i64::MIN, now: 1_700_000_000, seed: number };
        let columns = [batch.column.clone()];
        let mut call = Call { context, rows: batch.column.len(), columns: &columns, keys: None };
        let fields = plan.tables.first().map_or(0, |table| table.columns.len());
        let (slots, distinct, rows) = state.gather(&batch.keys, fields);
        let tables = [rows];
        if case.job == Job::Keyed {
            let count = u32::try_from(distinct.len()).unwrap();
            call.keys = Some(Keys { slots: &slots, count, tables: &tables });
        }
        let effects = operator.process(&call).unwrap_or_else(|error| panic!("{story}, batch {number}: {error}"));
        if let Some(changes) = effects.tables.first().filter(|changes| !changes.columns.is_empty()) {
            state.scatter(&distinct, &changes.columns);
        }
        assert_answer(&effects, batch, &format!("{story}, batch {number}"));
    }
}

fn assert_plan(plan: &OperatorPlan, job: Job, story: &str) {
    let reads: Vec<&str> = plan.reads.iter().map(|read| &*read.name).collect();
    assert_eq!(reads, [&*job.input()[1].name], "{story}: what is read");
    let makes: Vec<String> = plan.ports[0].makes.iter().map(ToString::to_string).collect();
    let expected: &[&str] = match job {
        Job::Convert => &["price: int64"],
        Job::Filter => &[],
        Job::Domain => &["domain: utf8"],
        Job::Keyed => &["count: int64", "sum: int64", "avg: float64"],
    };
    assert_eq!(makes, expected, "{story}: what is made");
    let state: Vec<String> = plan.tables.iter().flat_map(|table| &table.columns).map(ToString::to_string).collect();
    let expected: &[&str] = if job == Job::Keyed { &["n: int64", "sum: int64"] } else { &[] };
    assert_eq!(state, expected, "{story}: the state");
}

/// An answer without an emit, and one whose emit has no rows, say the same; so do all rows by number and without.
fn assert_answer(effects: &Effects, batch: &Batch, story: &str) {
    assert!(effects.rejects.is_empty() && effects.emits.len() <= 1, "{story}: {effects:?}");
    let Some(emit) = effects.emits.first() else {
        assert!(batch.origin.is_empty(), "{story}: no answer");
        return;
    };
    let every_row = || (0..u32::try_from(batch.column.len()).unwrap()).collect();
    let origin: Vec<u32> = emit.origin.as_ref().map_or_else(every_row, |origin| origin.values().to_vec());
    assert_eq!(origin, batch.origin, "{story}: which rows");
    assert_eq!(emit.columns, batch.makes, "{story}: what is made");
}

fn holds_the_table(language: Language) {
    for case in cases() {
        let (name, config) = guest(language, case.job);
        let Some(component) = load(language, name) else { return };
        run(language, &component, &config, &case);
    }
}

#[test]
fn guests_in_rust_that_loop_over_columns_hold_the_table() {
    for case in cases() {
        let name = match case.job {
            Job::Convert => "convert_columns",
            Job::Filter => "filter_columns",
            Job::Keyed => "keyed_columns",
            // What it does is done to one text, in columns as in rows.
            Job::Domain => continue,
        };
        let component = load(Language::Rust, name).unwrap();
        run(Language::Rust, &component, &json!({}), &case);
    }
}

#[test]
fn guests_in_rust_hold_the_table() {
    holds_the_table(Language::Rust);
}

#[test]
fn guests_in_go_hold_the_table() {
    holds_the_table(Language::Go);
}

#[test]
fn guests_in_c_hold_the_table() {
    holds_the_table(Language::C);
}

#[test]
fn a_refusal_names_the_configuration_key_in_c() {
    let Some(component) = load(Language::C, "transform") else { return };
    let refusal = component.open(&json!({ "job": "q9" }), &[]).map(|_| ()).unwrap_err();
    assert_eq!(refusal.config_path.as_deref(), Some("job"), "{refusal}");
    assert!(refusal.message.contains("choose q1, q2"), "{refusal}");
}
