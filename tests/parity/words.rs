//! Each word of an SDK, crossed by a guest that is written with it, a row at a time: nullable and nested fields,
//! borrowed texts and bytes, times, ports, refusals, configuration, metrics, the log, panics, state.
//!
//! The guests are `words` and, for state, `memory`. What the words mean is the same in each language that has them.

use std::sync::{Arc, Mutex};

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
    UInt32Array,
};
use serde_json::{Value, json};
use wasmill_engine::operator::{
    Action, Call, CallError, Context, Effects, Factory, Keys, Operator, OperatorPlan, Reject, TableRows,
};
use wasmill_engine::schema::{Field, Kind};
use wasmill_wasm::{Component, Level};

use crate::guests::Language;
use crate::load;

const LANGUAGES: [Language; 2] = [Language::Rust, Language::Go];
const NOW: i64 = 1_700_000_000_000_000;

fn each(guest: &'static str, check: impl Fn(Language, &Component)) {
    for language in LANGUAGES {
        if let Some(component) = load(language, guest) {
            check(language, &component);
        }
    }
}

fn input() -> Vec<Field> {
    vec![
        Field::required("do", Kind::Utf8),
        Field::nullable("site.name", Kind::Utf8),
        Field::nullable("count", Kind::Int64),
        Field::required("body", Kind::Bytes),
        Field::required("at", Kind::Timestamp),
        Field::nullable("tags", Kind::Json),
        Field::nullable("ratio", Kind::Float64),
        Field::required("never read", Kind::Utf8),
    ]
}

fn open(component: &Component, config: &Value) -> (OperatorPlan, Box<dyn Operator>) {
    component.open(config, &input()).unwrap()
}

/// Calls with a row for each word; every second row has all that may be absent.
fn call(operator: &mut dyn Operator, words: &[&str]) -> Result<Effects, CallError> {
    call_in(Context { batch: 1, attempt: 0, watermark: 5, now: NOW, seed: 7 }, operator, words)
}

fn call_in(context: Context, operator: &mut dyn Operator, words: &[&str]) -> Result<Effects, CallError> {
    let rows = 0..words.len();
    let odd = |row: usize| row % 2 == 1;
    let columns: [ArrayRef; 7] = [
        Arc::new(StringArray::from(words.to_vec())),
        Arc::new(rows.clone().map(|row| odd(row).then(|| format!("größer {row}"))).collect::<StringArray>()),
        Arc::new(rows.clone().map(|row| odd(row).then_some(row as i64)).collect::<Int64Array>()),
        Arc::new(rows.clone().map(|row| Some([0xff, row as u8])).collect::<BinaryArray>()),
        Arc::new(rows.clone().map(|row| Some(-(row as i64))).collect::<TimestampMicrosecondArray>()),
        Arc::new(rows.clone().map(|row| odd(row).then_some("[1]")).collect::<StringArray>()),
        Arc::new(rows.map(|row| Some(if odd(row) { 1.5 } else { 0.5 })).collect::<Float64Array>()),
    ];
    operator.process(&Call { context, rows: words.len(), columns: &columns, keys: None })
}

#[test]
fn the_plan_is_what_the_types_say() {
    each("words", |_, component| {
        let (plan, _) = open(component, &json!({}));
        let reads: Vec<String> = plan
            .reads
            .iter()
            .map(|read| {
                let fallback = read.fallback.as_ref().map_or_else(String::new, |fallback| format!(" else {fallback}"));
                format!("{}: {}{}{fallback}", read.name, read.kind, if read.nullable { "?" } else { "" })
            })
            .collect();
        let expected = [
            "do: utf8",
            "site.name: utf8?",
            "count: int64?",
            "body: bytes",
            "at: timestamp",
            "tags: json?",
            "ratio: float64 else 0.5",
        ];
        assert_eq!(reads, expected);
        let makes: Vec<String> = plan.ports[0].makes.iter().map(ToString::to_string).collect();
        let expected = [
            "site.label: utf8?",
            "double: int64?",
            "body: bytes",
            "seen.at: timestamp",
            "tags: json?",
            "half: boolean",
            "now: timestamp",
        ];
        assert_eq!(makes, expected);
        assert_eq!(plan.ports.iter().map(|port| &*port.name).collect::<Vec<_>>(), ["main", "late"]);
        assert_eq!(plan.ports[1].makes, plan.ports[0].makes);
        let carries = [("at", "at"), ("site.name", "place")].map(|(from, to)| (from.to_owned(), to.to_owned()));
        assert_eq!(plan.ports[0].carries.as_deref(), Some(&carries[..]));
        let metrics: Vec<String> =
            plan.metrics.iter().map(|metric| format!("{} {:?}: {}", metric.name, metric.kind, metric.help)).collect();
        let expected = ["kept_rows Counter: Rows that were kept.", "last_ratio Gauge: The ratio of the last row."];
        assert_eq!(metrics, expected);
    });
}

#[test]
fn values_that_may_be_absent_nested_borrowed_and_made_arrive() {
    each("words", |_, component| {
        let (_, mut operator) = open(component, &json!({ "label": { "prefix": "an " } }));
        let effects = call(&mut *operator, &["keep", "keep"]).unwrap();
        let columns: [ArrayRef; 7] = [
            Arc::new(StringArray::from(vec![None, Some("an größer 1")])),
            Arc::new(Int64Array::from(vec![None, Some(2)])),
            Arc::new(BinaryArray::from_iter_values([[0xff, 0], [0xff, 1]])),
            Arc::new(TimestampMicrosecondArray::from(vec![0, -1])),
            Arc::new(StringArray::from(vec![None, Some("[1]")])),
            Arc::new(BooleanArray::from(vec![true, false])),
            Arc::new(TimestampMicrosecondArray::from(vec![NOW, NOW])),
        ];
        assert_eq!(effects.emits.len(), 1);
        assert_eq!((&effects.emits[0].origin, &effects.emits[0].columns[..]), (&None, &columns[..]));
        let nothing = call(&mut *operator, &[]).unwrap();
        assert!(nothing.emits.iter().all(|emit| emit.columns[0].is_empty()) && nothing.rejects.is_empty());
    });
}

#[test]
fn each_row_goes_where_its_word_says_and_what_is_refused_leaves_nothing() {
    each("words", |_, component| {
        let (_, mut operator) = open(component, &json!({}));
        let words = ["keep", "drop", "reject", "error", "retry", "stop", "late", "twice", "keep"];
        let effects = call(&mut *operator, &words).unwrap();
        let origins: Vec<(usize, Option<UInt32Array>)> =
            effects.emits.iter().map(|emit| (emit.port, emit.origin.clone())).collect();
        assert_eq!(origins, [(0, Some(vec![0, 7, 7, 8].into())), (1, Some(vec![6].into()))]);
        let reject = |row, action, reason: &str| Reject { row, action, reason: reason.to_owned() };
        let expected = [
            reject(2, Action::DeadLetter, "refused as asked"),
            reject(3, Action::DeadLetter, "wrapped: a plain error"),
            reject(4, Action::Retry(250), "not yet"),
            reject(5, Action::Stop, "no further"),
        ];
        assert_eq!(effects.rejects, expected);
        assert_eq!(effects.metrics, [3.0, 0.5]);
        assert_eq!(call(&mut *operator, &["drop", "keep"]).unwrap().metrics, [1.0, 1.5], "a counter begins again");
    });
}

#[test]
fn a_configuration_has_defaults_and_a_check_and_an_unknown_key_is_told_what_was_meant() {
    each("words", |_, component| {
        let (_, mut operator) = open(component, &json!({ "factor": -1 }));
        let effects = call(&mut *operator, &["keep", "keep"]).unwrap();
        let label: &StringArray = effects.emits[0].columns[0].as_any().downcast_ref().unwrap();
        let double: &Int64Array = effects.emits[0].columns[1].as_any().downcast_ref().unwrap();
        assert_eq!((label.value(1), double.value(1)), ("> größer 1", -1), "one default, one value");

        let refused = |config| component.open(&config, &input()).map(|_| ()).unwrap_err();
        let unknown = refused(json!({ "label": { "prefiks": "" } }));
        assert_eq!(unknown.config_path.as_deref(), Some("label.prefiks"));
        assert!(unknown.message.ends_with("unknown key; did you mean `prefix`?"), "{}", unknown.message);
        let wrong = refused(json!({ "factor": "two" }));
        assert_eq!(wrong.config_path.as_deref(), Some("factor"));
        assert!(wrong.message.contains("\"two\""), "{}", wrong.message);
        let checked = refused(json!({ "factor": 0 }));
        assert_eq!(checked.message, "the configuration is not usable: factor is 0, which leaves nothing");
    });
}

#[test]
fn what_is_logged_arrives_with_its_level() {
    each("words", |_, component| {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = lines.clone();
        let component = component.clone().logging_to(Arc::new(move |line| sink.lock().unwrap().push(line)));
        let (_, mut operator) = open(&component, &json!({}));
        call(&mut *operator, &["keep", "log"]).unwrap();
        let mut lines: Vec<(Level, String)> =
            lines.lock().unwrap().drain(..).map(|line| (line.level, line.message)).collect();
        lines.sort_by(|(_, a), (_, b)| a.cmp(b));
        let expected = [
            (Level::Error, "complained"),
            (Level::Warn, "logged: größer"),
            (Level::Info, "printed"),
            (Level::Debug, "structured count=1"),
        ];
        assert_eq!(lines, expected.map(|(level, line)| (level, line.to_owned())));
    });
}

#[test]
fn what_a_call_may_depend_on_arrives() {
    each("words", |_, component| {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = lines.clone();
        let component = component.clone().logging_to(Arc::new(move |line| sink.lock().unwrap().push(line.message)));
        let (_, mut operator) = open(&component, &json!({}));
        for (batch, attempt, watermark, seed) in [(3, 0, i64::MIN, 7), (u64::MAX, 2, -5, u64::MAX - 1)] {
            let context = Context { batch, attempt, watermark, now: NOW, seed };
            call_in(context, &mut *operator, &["context"]).unwrap();
            let told = format!("batch {batch} attempt {attempt} watermark {watermark} seed {seed} now {NOW}");
            assert_eq!(lines.lock().unwrap().drain(..).collect::<Vec<String>>(), [told]);
        }
    });
}

#[test]
fn a_panic_says_what_and_where_and_the_next_call_is_as_good_as_new() {
    each("words", |language, component| {
        let (_, mut operator) = open(component, &json!({}));
        let trap = call(&mut *operator, &["keep", "panic"]).unwrap_err();
        let CallError::Trap { message, .. } = &trap else { panic!("{trap}") };
        let (what, place) = match language {
            Language::Go => {
                ("runtime error: index out of range [5] with length 0", ["\n  at main.do ", "words/main.go:"])
            }
            _ => ("index out of bounds: the len is 0 but the index is 5", [" at ", "words/src/lib.rs:"]),
        };
        assert!(message.contains(what) && place.iter().all(|part| message.contains(part)), "{message}");
        assert_eq!(call(&mut *operator, &["keep"]).unwrap().emits[0].columns[0].len(), 1);
    });
}

/// A call with three keys: one that is known, one that is new, one whose only row is refused.
fn remember(operator: &mut dyn Operator) -> Effects {
    let words = ["a", "b", "bad", "c", "worse"];
    let columns: [ArrayRef; 2] = [
        Arc::new(StringArray::from(words.to_vec())),
        Arc::new(BooleanArray::from(vec![false, false, true, false, true])),
    ];
    let tables = [TableRows {
        fresh: vec![0, 1, 1],
        columns: vec![
            Arc::new(Int64Array::from(vec![5, 0, 0])),
            Arc::new(StringArray::from(vec!["old", "", ""])),
            Arc::new(StringArray::from(vec![Some("ol"), None, None])),
            Arc::new(BinaryArray::from_iter_values([&b"\xff"[..], b"", b""])),
            Arc::new(TimestampMicrosecondArray::from(vec![1, 0, 0])),
            Arc::new(BooleanArray::from(vec![true, false, false])),
            Arc::new(Float64Array::from(vec![0.25, 0.0, 0.0])),
        ],
    }];
    let keys = Keys { slots: &[0, 1, 0, 0, 2], count: 3, tables: &tables };
    let context = Context { batch: 1, attempt: 0, watermark: 5, now: NOW, seed: 7 };
    operator.process(&Call { context, rows: words.len(), columns: &columns, keys: Some(keys) }).unwrap()
}

#[test]
fn state_of_every_kind_comes_and_goes_and_a_refused_row_does_not_touch_it() {
    each("memory", |_, component| {
        let fields = [Field::required("word", Kind::Utf8), Field::required("bad", Kind::Boolean)];
        let (plan, mut operator) = component.open(&json!({}), &fields).unwrap();
        let table = &plan.tables[0];
        assert_eq!((&*table.name, table.version, table.ttl_ms), ("kept", 3, Some(60_000)));
        for _ in 0..2 {
            let effects = remember(&mut *operator);
            assert_eq!(effects.emits[0].origin, Some(vec![0, 1, 3].into()));
            let before: [ArrayRef; 3] = [
                Arc::new(Int64Array::from(vec![5, 100, 6])),
                Arc::new(StringArray::from(vec!["old", "", "olda"])),
                Arc::new(StringArray::from(vec![Some("ol"), None, Some("a")])),
            ];
            assert_eq!(effects.emits[0].columns, before, "what the key had before the row");
            let changes = &effects.tables[0];
            assert_eq!(changes.forget, [0, 0, 1], "the key whose only row was refused is not kept");
            let kept = |column: usize| changes.columns[column].slice(0, 2);
            let after: [ArrayRef; 7] = [
                Arc::new(Int64Array::from(vec![7, 101])),
                Arc::new(StringArray::from(vec!["oldac", "b"])),
                Arc::new(StringArray::from(vec![Some("c"), Some("b")])),
                Arc::new(BinaryArray::from_iter_values([&b"\xffac"[..], b"b"])),
                Arc::new(TimestampMicrosecondArray::from(vec![NOW, NOW])),
                Arc::new(BooleanArray::from(vec![true, true])),
                Arc::new(Float64Array::from(vec![3.5, 50.5])),
            ];
            assert_eq!((0..7).map(kept).collect::<Vec<_>>(), after);
        }
    });
}
