//! What a Go program finds where its operating system should be: the adapter, inside the component.

use std::sync::{Arc, Mutex};

use arrow_array::{Array, ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use serde_json::json;
use wasmill_engine::operator::{Call, CallError, Context, Effects, Factory, Operator};
use wasmill_engine::schema::{Field, Kind};
use wasmill_wasm::{Level, LogLine};

use crate::guests::Language;
use crate::load;

const NOW: i64 = 1_700_000_000_000_000;

type Lines = Arc<Mutex<Vec<LogLine>>>;

fn open(may_panic: bool) -> Option<(Box<dyn Operator>, Lines)> {
    let lines = Lines::default();
    let sink = lines.clone();
    let component = load(Language::Go, "system")?.logging_to(Arc::new(move |line| sink.lock().unwrap().push(line)));
    let input = [Field::required("price", Kind::Int64)];
    let (_, operator) = component.open(&json!({ "panic": may_panic }), &input).unwrap();
    Some((operator, lines))
}

fn process(operator: &mut dyn Operator, seed: u64, prices: &[i64]) -> Result<Effects, CallError> {
    let context = Context { batch: 1, attempt: 0, watermark: i64::MIN, now: NOW, seed };
    let columns = [Arc::new(Int64Array::from(prices.to_vec())) as ArrayRef];
    operator.process(&Call { context, rows: prices.len(), columns: &columns, keys: None })
}

fn column<A: Array + Clone + 'static>(effects: &Effects, position: usize) -> A {
    effects.emits[0].columns[position].as_any().downcast_ref::<A>().unwrap().clone()
}

#[test]
fn what_go_prints_goes_to_the_log_line_by_line() {
    let Some((mut operator, lines)) = open(false) else { return };
    process(&mut *operator, 1, &[]).unwrap();
    let lines: Vec<(Level, String)> = lines.lock().unwrap().drain(..).map(|line| (line.level, line.message)).collect();
    assert_eq!(
        lines,
        [
            (Level::Info, "one line, printed in two pieces".to_string()),
            (Level::Error, "not UTF-8: ??(??, but €".to_string()),
            (Level::Info, "ä".repeat(512)),
            (Level::Info, "no end of line".to_string()),
        ]
    );
}

#[test]
fn go_finds_the_calls_own_time_and_chance_and_nothing_else() {
    let Some((mut operator, _)) = open(false) else { return };
    let first = process(&mut *operator, 7, &[1, 2, 3]).unwrap();
    let again = process(&mut *operator, 7, &[1, 2, 3]).unwrap();
    let other = process(&mut *operator, 8, &[1, 2, 3]).unwrap();

    assert_eq!(column::<TimestampMicrosecondArray>(&first, 0).values()[..], [NOW; 3], "time.Now() is context.now");
    assert_eq!(column::<Int64Array>(&first, 1).values()[..], [1; 3], "an hour's sleep has taken an hour, and no time");
    let random = |effects: &Effects| column::<Int64Array>(effects, 2).values().to_vec();
    assert_eq!(random(&first), random(&again), "chance follows from context.seed");
    assert_ne!(random(&first), random(&other));
    assert_ne!(random(&first)[0], random(&first)[1]);
    let outside = column::<StringArray>(&first, 3);
    assert!(outside.iter().all(|found| found == Some("")), "there is something outside: {outside:?}");
}

#[test]
fn a_panic_in_go_is_a_trap_with_its_message_and_the_next_call_is_as_good_as_new() {
    let Some((mut operator, lines)) = open(true) else { return };
    let trap = process(&mut *operator, 1, &[5, -5]).unwrap_err();
    let CallError::Trap { message, .. } = &trap else { panic!("{trap}") };
    assert!(message.contains("price -5 is negative"), "{message}");
    assert!(message.contains("main.go"), "the message has no stack: {message}");
    assert!(lines.lock().unwrap().iter().any(|line| line.level == Level::Error && line.message.starts_with("panic: ")));
    assert_eq!(process(&mut *operator, 1, &[5]).unwrap().emits[0].columns[0].len(), 1);
}
