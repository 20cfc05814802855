//! Every part of the contract that the four jobs do not use, crossed by hand-written bindings: Go's and C's.
//!
//! The guests are `tour` and, for state, `keyed` with a configuration that makes it do more than count.

use std::sync::{Arc, Mutex};

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray, UInt32Array,
};
use serde_json::{Value, json};
use wasmill_engine::operator::{
    Action, Call, CallError, Context, Effects, Factory, Keys, MetricKind, Operator, OperatorPlan, Reject, Table,
    TableRows,
};
use wasmill_engine::schema::{Field, Kind};
use wasmill_wasm::{Component, Level};

use crate::guests::Language;
use crate::load;

fn input() -> Vec<Field> {
    vec![
        Field::nullable("flag", Kind::Boolean),
        Field::nullable("amount", Kind::Float64),
        Field::nullable("blob", Kind::Bytes),
        Field::required("at", Kind::Timestamp),
    ]
}

/// The columns of as many rows as there are amounts; the first is null wherever it may be.
fn columns(amounts: &[f64]) -> [ArrayRef; 4] {
    let blobs: [&[u8]; 3] = [b"\xff\0", b"", "b\u{e4}r".as_bytes()];
    let blob = |row: usize| (row > 0).then(|| blobs[row % 3]);
    let rows = 0..amounts.len();
    [
        Arc::new(rows.clone().map(|row| (row > 0).then_some(row % 2 == 0)).collect::<BooleanArray>()),
        Arc::new(Float64Array::from(amounts.to_vec())),
        Arc::new(rows.clone().map(blob).collect::<BinaryArray>()),
        Arc::new(rows.map(|row| Some(1_000 - row as i64)).collect::<TimestampMicrosecondArray>()),
    ]
}

fn process(operator: &mut dyn Operator, amounts: &[f64]) -> Result<Effects, CallError> {
    let context = Context { batch: 1, attempt: 0, watermark: 5, now: 6, seed: 7 };
    operator.process(&Call { context, rows: amounts.len(), columns: &columns(amounts), keys: None })
}

fn each(check: impl Fn(Language, &Component)) {
    for language in [Language::Go, Language::C] {
        if let Some(component) = load(language, "tour") {
            check(language, &component);
        }
    }
}

#[test]
fn a_plan_arrives_as_it_was_declared() {
    each(|language, component| {
        let (plan, _) = component.open(&json!({}), &input()).unwrap();
        let reads: Vec<(&str, Kind, bool)> =
            plan.reads.iter().map(|read| (&*read.name, read.kind, read.nullable)).collect();
        assert_eq!(
            reads,
            [
                ("flag", Kind::Boolean, true),
                ("amount", Kind::Float64, false),
                ("blob", Kind::Bytes, true),
                ("at", Kind::Timestamp, false),
            ],
            "{language:?}"
        );
        let fallbacks: Vec<_> = plan.reads.iter().map(|read| read.fallback.clone()).collect();
        assert_eq!(fallbacks, [None, Some(json!(0.5)), None, None], "{language:?}");
        let ports: Vec<&str> = plan.ports.iter().map(|port| &*port.name).collect();
        assert_eq!(ports, ["same", "twice", "count"], "{language:?}");
        let carries: Vec<_> = plan.ports.iter().map(|port| port.carries.clone()).collect();
        let renamed = vec![("at".to_string(), "seen.at".to_string())];
        assert_eq!(carries, [None, Some(renamed), Some(Vec::new())], "{language:?}");
        let kinds: Vec<String> = plan.ports[0].makes.iter().map(ToString::to_string).collect();
        let expected = ["flag: boolean?", "amount: float64", "blob: bytes?", "at: timestamp", "note: json"];
        assert_eq!(kinds, expected, "{language:?}");
        let metrics: Vec<_> = plan.metrics.iter().map(|metric| (&*metric.name, metric.kind, &*metric.help)).collect();
        assert_eq!(
            metrics,
            [("seen_rows", MetricKind::Counter, "Rows seen."), ("last_amount", MetricKind::Gauge, "The last amount."),],
            "{language:?}"
        );
    });
}

#[test]
fn effects_arrive_as_they_were_meant() {
    each(|language, component| {
        let (_, mut operator) = component.open(&json!({}), &input()).unwrap();
        let amounts = [1.0, -1.0, f64::MIN_POSITIVE, -2.0, -3.0, f64::MAX];
        let effects = process(&mut *operator, &amounts).unwrap();
        let kept = UInt32Array::from(vec![0, 2, 5]);
        let take = |column: &ArrayRef| arrow_select::take::take(column, &kept, None).unwrap();
        let mut same: Vec<ArrayRef> = columns(&amounts).iter().map(take).collect();
        same.push(Arc::new(StringArray::from(vec![r#"{"tour":[1]}"#; 3])));
        assert_eq!(effects.emits.len(), 3, "{language:?}");
        assert_eq!(effects.emits[0].origin.as_ref(), Some(&kept), "{language:?}");
        assert_eq!(effects.emits[0].columns, same, "{language:?}");
        assert_eq!(effects.emits[1].origin, Some(UInt32Array::from(vec![5, 5, 2, 2, 0, 0])), "{language:?}");
        assert_eq!(effects.emits[2].columns, [Arc::new(Int64Array::from(vec![3])) as ArrayRef], "{language:?}");
        let reject = |row, action, reason: &str| Reject { row, action, reason: reason.to_string() };
        assert_eq!(
            effects.rejects,
            [
                reject(1, Action::DeadLetter, "amount is negative"),
                reject(3, Action::Retry(250), "not yet"),
                reject(4, Action::Stop, "no further"),
            ],
            "{language:?}"
        );
        assert_eq!(effects.metrics, [6.0, f64::MAX], "{language:?}");
    });
}

#[test]
fn all_rows_refused_and_no_row_at_all_are_answers_too() {
    each(|language, component| {
        let (_, mut operator) = component.open(&json!({}), &input()).unwrap();
        let refused = process(&mut *operator, &[-1.0, -1.0]).unwrap();
        assert_eq!(refused.rejects.len(), 2, "{language:?}");
        assert!(refused.emits.iter().all(|emit| emit.origin.as_ref().is_some_and(|rows| rows.values().is_empty())));
        let nothing = process(&mut *operator, &[]).unwrap();
        assert!(nothing.rejects.is_empty() && nothing.emits.len() == 2, "{language:?}: {nothing:?}");
    });
}

#[test]
fn a_fault_names_its_row_and_the_operator_goes_on() {
    each(|language, component| {
        let (_, mut operator) = component.open(&json!({}), &input()).unwrap();
        let fault = process(&mut *operator, &[1.0, 2.0, -4.0]).unwrap_err();
        assert_eq!(fault, CallError::Fault { message: "amount is -4".into(), row: Some(2) }, "{language:?}");
        assert_eq!(process(&mut *operator, &[1.0]).unwrap().emits.len(), 3, "{language:?}");
    });
}

#[test]
fn a_refusal_names_the_field() {
    each(|language, component| {
        let refusal = component.open(&json!({}), &[Field::required("old", Kind::Utf8)]).map(|_| ()).unwrap_err();
        assert_eq!(refusal.field.as_deref(), Some("old"), "{language:?}");
        assert_eq!((refusal.message.as_str(), refusal.config_path), ("drop the field `old`", None), "{language:?}");
    });
}

#[test]
fn a_line_written_to_the_log_arrives_with_its_level() {
    each(|language, component| {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = lines.clone();
        let component = component.clone().logging_to(Arc::new(move |line| sink.lock().unwrap().push(line)));
        let (_, mut operator) = component.open(&json!({}), &input()).unwrap();
        process(&mut *operator, &[]).unwrap();
        let lines = lines.lock().unwrap();
        assert_eq!(lines.len(), 1, "{language:?}");
        assert_eq!((lines[0].level, lines[0].message.as_str()), (Level::Warn, "tour: größer"), "{language:?}");
    });
}

/// A call of `keyed` with two keys, one of them new.
fn process_keyed(component: &Component, config: &Value) -> (OperatorPlan, Result<Effects, CallError>) {
    let (plan, mut operator) = component.open(config, &[Field::required("price", Kind::Int64)]).unwrap();
    let column = |values: &[i64]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
    let tables = [TableRows { fresh: vec![0, 1], columns: vec![column(&[3, 0]), column(&[30, 0])] }];
    let keys = Keys { slots: &[0, 1, 0], count: 2, tables: &tables };
    let context = Context { batch: 1, attempt: 0, watermark: 5, now: 6, seed: 7 };
    let columns = [column(&[1, 2, 3])];
    let effects = operator.process(&Call { context, rows: 3, columns: &columns, keys: Some(keys) });
    (plan, effects)
}

fn each_keyed(check: impl Fn(Language, &Component)) {
    for language in [Language::Go, Language::C] {
        let guest = if language == Language::Go { "totals" } else { "keyed" };
        if let Some(component) = load(language, guest) {
            check(language, &component);
        }
    }
}

#[test]
fn a_table_arrives_as_it_was_declared() {
    each_keyed(|language, component| {
        let (plan, effects) = process_keyed(component, &json!({}));
        let columns = vec![Field::required("n", Kind::Int64), Field::required("sum", Kind::Int64)];
        let table = Table { name: "totals".into(), version: 1, columns, ttl_ms: Some(3_600_000) };
        assert_eq!(plan.tables, [table], "{language:?}");
        let changes = &effects.unwrap().tables[0];
        assert!(changes.forget.iter().all(|forget| *forget == 0), "{language:?}");
        let column = |values: &[i64]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
        assert_eq!(changes.columns, [column(&[5, 1]), column(&[34, 2])], "{language:?}");
    });
}

#[test]
fn keys_can_be_forgotten() {
    each_keyed(|language, component| {
        let (_, effects) = process_keyed(component, &json!({ "do": "forget new keys" }));
        assert_eq!(effects.unwrap().tables[0].forget, [0, 1], "{language:?}");
    });
}

#[test]
fn a_timer_is_seen_and_refused_while_there_are_none() {
    each_keyed(|language, component| {
        let (_, effects) = process_keyed(component, &json!({ "do": "set timers" }));
        let refused = effects.unwrap_err().to_string();
        assert!(refused.contains("timer"), "{language:?}: {refused}");
    });
}
