//! Hostile and broken guests against the real host: each gets the error that names what it did, and the next call
//! works.
//!
//! The guests are assembled here, see `guests/assembled.rs`. Most attack at the first try of a batch (`attempt` 0) and
//! behave at the second, which shows that nothing of an attack is left behind.

#[path = "hostile/compiling.rs"]
mod compiling;
#[path = "hostile/lies.rs"]
mod lies;
#[path = "hostile/many.rs"]
mod many;
#[path = "hostile/refused.rs"]
mod refused;

use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, Int64Array};
use serde_json::Value;
use wasmill_engine::operator::{
    Action, Call, CallError, Context, Effects, Factory, Keys, Operator, OperatorKind, OperatorPlan, TableRows,
};
use wasmill_engine::schema::{Field, Kind};
use wasmill_tests::assembled::Image;
use wasmill_wasm::{Component, Engine, Level, Limits, LogLine, encode};

use lies::LIES;

/// The action of a refused row that is to be tried again.
const RETRY: u32 = 1;

/// Limits under which attacks end soon.
fn limits() -> Limits {
    Limits { call_ms_max: 50, memory_bytes_max: 16 << 20, ..Limits::default() }
}

/// A transform that reads an int64 `n` and has a port for every kind of column; what it does is up to the caller.
/// `body` gets the image and the address of a good answer: all rows, unchanged, to the first port.
fn transform(body: impl FnOnce(&mut Image, u32) -> String) -> Vec<u8> {
    transform_with("", body)
}

fn transform_with(extra: &str, body: impl FnOnce(&mut Image, u32) -> String) -> Vec<u8> {
    let mut image = Image::default();
    let kinds = ["utf8", "int64", "boolean", "json", "bytes"];
    let makes: Vec<_> = kinds.iter().map(|kind| image.field("x", kind, *kind == "utf8")).collect();
    let mut ports = vec![image.port("main", &[])];
    ports.extend(kinds.iter().zip(makes).map(|(kind, field)| image.port(kind, &[field])));
    let read = image.read("n", "int64");
    let plan = image.plan(&[read], &ports, &[]);
    let all = image.emit(0, None, &[]);
    let good = image.effects(&[all], &[], &[]);
    let body = body(&mut image, good);
    encode(&image.guest(OperatorKind::Transform, plan, &body, extra), None).expect("it fits the contract")
}

/// A guest that does `attack` at the first try of a batch.
fn attacker(attack: &str) -> Vec<u8> {
    attacker_with("", attack)
}

fn attacker_with(extra: &str, attack: &str) -> Vec<u8> {
    transform_with(extra, |_, good| format!("(if (i32.eqz (local.get $attempt)) (then {attack})) (i32.const {good})"))
}

/// A guest that answers what `answer` lays out at the first try of a batch.
fn liar(answer: impl FnOnce(&mut Image) -> u32) -> Vec<u8> {
    transform(|image, good| {
        let bad = answer(image);
        format!("(if (i32.eqz (local.get $attempt)) (then (return (i32.const {bad})))) (i32.const {good})")
    })
}

struct Opened {
    operator: Box<dyn Operator>,
    plan: OperatorPlan,
}

fn open(component: &Component) -> Opened {
    let (plan, operator) = component.open(&Value::Null, &[Field::required("n", Kind::Int64)]).expect("it opens");
    Opened { operator, plan }
}

fn start(limits: Limits, bytes: &[u8]) -> Opened {
    let engine = Engine::new(limits, None).expect("the host starts");
    open(&engine.load(bytes).expect("it is an operator"))
}

impl Opened {
    fn call(&mut self, attempt: u32, numbers: impl IntoIterator<Item = i64>) -> Result<Effects, CallError> {
        let columns: [ArrayRef; 1] = [Arc::new(Int64Array::from_iter_values(numbers))];
        let context = Context { batch: 1, attempt, watermark: 0, now: 0, seed: 0 };
        let (rows, columns) = (columns[0].len(), &columns);
        self.operator.process(&Call { context, rows, columns, keys: None })
    }

    /// The error of the first try; the second must work.
    fn attacked(&mut self) -> CallError {
        let error = self.call(0, 0..1_000).expect_err("the attack succeeded");
        for _ in 0..2 {
            let effects = self.call(1, 0..1_000).expect("the call after the attack works");
            assert_eq!(effects.emits.len(), 1);
        }
        error
    }
}

fn limit(error: CallError) -> (&'static str, u64, u64, u64) {
    match error {
        CallError::Limit { limit, allowed, current, requested, .. } => (limit, allowed, current, requested),
        other => panic!("not a limit: {other}"),
    }
}

#[test]
fn a_trap_on_one_row_fails_the_call_and_no_other() {
    let poison = "(local $i i32) (local $at i32)
        (local.set $at (i32.load (local.get $columns)))
        (block $done (loop $next
          (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
          (if (i64.eq (i64.load (local.get $at)) (i64.const 3)) (then (call $inner)))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next)))";
    let inner = "(func $inner (call $innermost)) (func $innermost unreachable)";
    let mut guest = start(limits(), &transform_with(inner, |_, good| format!("{poison} (i32.const {good})")));
    let CallError::Trap { message, backtrace } = guest.call(0, 0..1_000).unwrap_err() else { panic!("not a trap") };
    assert!(message.contains("unreachable"), "{message}");
    let frames: Vec<&str> = backtrace.lines().collect();
    assert!(frames[0].contains("innermost") && frames[1].contains("inner"), "innermost first: {backtrace}");
    assert!(guest.call(0, 0..3).is_ok());
    assert!(guest.call(0, 3..4).is_err());
    assert!(guest.call(0, 4..1_000).is_ok());
}

#[test]
fn a_panic_is_reported_in_its_own_words() {
    let body = |image: &mut Image, _| {
        let [at, len] = image.bytes("panic: index 7 of 3".as_bytes());
        format!("(call $log (i32.const 4) (i32.const {at}) (i32.const {len})) unreachable")
    };
    let error = start(limits(), &transform(body)).call(0, 0..1).unwrap_err();
    assert!(matches!(&error, CallError::Trap { message, .. } if message == "index 7 of 3"), "{error}");
}

#[test]
fn an_endless_loop_ends_at_the_deadline() {
    let error = start(limits(), &attacker("(loop $on (br $on))")).attacked();
    assert_eq!(limit(error), ("call_ms_max", 50, 50, wasmill_wasm::TICK_MS));
}

#[test]
fn memory_without_end_is_refused_at_the_limit() {
    let attack = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    let (limit, allowed, current, requested) = limit(start(limits(), &attacker(attack)).attacked());
    assert_eq!((limit, allowed, requested), ("memory_bytes_max", 16 << 20, 16 << 16));
    assert!(current + requested > allowed && current <= allowed, "{current}");
}

#[test]
fn memory_counts_as_the_sum_over_all_memories() {
    let attack = "(drop (memory.grow $second (i32.const 100))) (drop (memory.grow 0 (i32.const 100)))
        (drop (memory.grow $second (i32.const 100))) unreachable";
    let (limit, ..) = limit(start(limits(), &attacker_with("(memory $second 1)", attack)).attacked());
    assert_eq!(limit, "memory_bytes_max");
}

#[test]
fn tables_without_end_are_refused_at_the_limit() {
    let attack = "(loop $more (br_if $more
        (i32.ne (table.grow $t (ref.null func) (i32.const 10000)) (i32.const -1)))) unreachable";
    let (limit, allowed, ..) = limit(start(limits(), &attacker_with("(table $t 1 funcref)", attack)).attacked());
    assert_eq!((limit, allowed), ("table_elements_max", 100_000));
}

#[test]
fn recursion_without_end_is_ended_by_the_stack_limit() {
    let deep = "(func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))";
    let error = start(limits(), &attacker_with(deep, "(drop (call $deep (i32.const 0)))")).attacked();
    assert_eq!(limit(error).0, "stack_bytes_max");
}

#[test]
fn too_many_rows_name_the_limit_and_how_many_there_were() {
    let answer = |image: &mut Image| {
        let rows = vec![0; 20_000];
        let emit = image.emit(0, Some(&rows), &[]);
        image.effects(&[emit], &[], &[])
    };
    let error = start(limits(), &liar(answer)).attacked();
    assert_eq!(limit(error), ("output_rows_max", 10_000, 0, 20_000));
}

#[test]
fn rows_are_counted_over_all_ports() {
    let answer = |image: &mut Image| {
        let (some, more) = (vec![0; 6_000], vec![0_u8; 6_000 * 8]);
        let numbers = image.column(&more, &[], &[]);
        let emits = [image.emit(0, Some(&some), &[]), image.emit(2, Some(&some), &[numbers])];
        image.effects(&emits, &[], &[])
    };
    let error = start(limits(), &liar(answer)).attacked();
    assert_eq!(limit(error), ("output_rows_max", 10_000, 6_000, 6_000));
}

#[test]
fn a_wait_of_weeks_before_a_row_is_tried_again_is_refused_and_one_of_a_minute_is_not() {
    let answer = |ms: u32| {
        move |image: &mut Image| {
            let [row, _, _, at, len] = image.reject(7, "later");
            image.effects(&[], &[[row, RETRY, ms, at, len]], &[])
        }
    };
    let error = start(limits(), &liar(answer(u32::MAX))).attacked();
    assert_eq!(limit(error), ("retry_ms_max", 60_000, 0, u64::from(u32::MAX)));
    let error = start(limits(), &liar(answer(60_001))).attacked();
    assert!(error.to_string().contains("retry_ms_max: limit 60000 ms, in use 0 ms, requested 60001 ms"), "{error}");
    let effects = start(limits(), &liar(answer(60_000))).call(0, 0..1_000).unwrap();
    assert_eq!(effects.rejects[0].action, Action::Retry(60_000));
    let more = Limits { retry_ms_max: u64::MAX, ..limits() };
    assert!(start(more, &liar(answer(u32::MAX))).call(0, 0..1_000).is_ok());
}

#[test]
fn ten_million_rows_are_refused_before_they_are_copied() {
    let limits = Limits { memory_bytes_max: 128 << 20, ..limits() };
    let grow = "(drop (memory.grow (i32.const 640)))";
    let guest = transform(|image, good| {
        let mut emit = image.emit(0, Some(&[]), &[]);
        emit[3] = 40_000_000;
        let bad = image.effects(&[emit], &[], &[]);
        format!("(if (i32.eqz (local.get $attempt)) (then {grow} (return (i32.const {bad})))) (i32.const {good})")
    });
    let (limit, allowed, _, requested) = limit(start(limits, &guest).attacked());
    assert_eq!((limit, allowed), ("output_bytes", 4 * 8_000 + (1 << 20)));
    assert!(requested > allowed);
}

#[test]
fn the_same_buffer_handed_back_a_thousand_times_counts_a_thousand_times() {
    let answer = |image: &mut Image| {
        let reject = image.reject(0, &"x".repeat(4_000));
        image.effects(&[], &vec![reject; 1_000], &[])
    };
    assert_eq!(limit(start(limits(), &liar(answer)).attacked()).0, "output_bytes");
}

#[test]
fn an_answer_over_the_limit_names_its_exact_size_where_it_was_small_enough_to_take() {
    let answer = |image: &mut Image| {
        let data = vec![b'x'; 1_500_000];
        let column = image.column(&data, &[0, 1_500_000], &[]);
        let emit = image.emit(1, Some(&[0]), &[column]);
        image.effects(&[emit], &[], &[])
    };
    let (limit, allowed, _, requested) = limit(start(limits(), &liar(answer)).attacked());
    assert_eq!((limit, allowed, requested), ("output_bytes", 4 * 8_000 + (1 << 20), 1_500_000 + 8 + 4));
}

#[test]
fn a_lie_in_an_answer_is_named_and_nothing_of_the_answer_is_used() {
    let engine = Engine::new(limits(), None).unwrap();
    for (expected, answer) in LIES {
        let error = open(&engine.load(&liar(answer)).unwrap()).attacked();
        assert!(matches!(error, CallError::Invalid(_)), "{expected}: {error:?}");
        assert!(error.to_string().contains(expected), "expected `{expected}`, was: {error}");
    }
}

#[test]
fn a_fault_is_the_operators_own_word() {
    let mut guest = start(limits(), &liar(|image| image.fault("no such currency", Some(3))));
    assert_eq!(guest.attacked(), CallError::Fault { message: "no such currency".into(), row: Some(3) });
}

#[test]
fn true_answers_become_columns() {
    let answer = |image: &mut Image| {
        let texts = image.column("aé".as_bytes(), &[0, 1, 1, 3], &[1, 0, 1]);
        let flags = image.column(&[1, 0], &[], &[]);
        let emits = [image.emit(1, Some(&[2, 2, 0]), &[texts]), image.emit(3, Some(&[1, 999]), &[flags])];
        let reject = image.reject(3, "unwanted");
        image.effects(&emits, &[reject], &[])
    };
    let effects = start(limits(), &liar(answer)).call(0, 0..1_000).unwrap();
    let shown: Vec<String> = effects.emits.iter().map(|emit| format!("{:?} {:?}", emit.origin, emit.columns)).collect();
    assert!(shown[0].contains("\"a\",\n  null,\n  \"é\""), "{}", shown[0]);
    assert!(shown[1].contains("true,\n  false"), "{}", shown[1]);
    assert_eq!(effects.rejects[0].reason, "unwanted");
}

#[test]
fn logs_without_end_are_cut_dropped_and_counted() {
    let body = |image: &mut Image, good| {
        let [at, len] = image.bytes(&[b'x'; 100]);
        format!(
            "(local $i i32) (loop $next (call $log (i32.const 2) (i32.const {at}) (i32.const {len}))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $next (i32.lt_u (local.get $i) (i32.const 20000)))) (i32.const {good})"
        )
    };
    let limits = Limits { log_line_bytes_max: 49, log_bytes_per_s_max: 500, ..Limits::default() };
    let lines: Arc<Mutex<Vec<LogLine>>> = Arc::default();
    let kept = lines.clone();
    let component = Engine::new(limits, None).unwrap().load(&transform(body)).unwrap();
    let component = component.logging_to(Arc::new(move |line| kept.lock().unwrap().push(line)));
    open(&component).call(0, 0..1).unwrap();
    let lines = lines.lock().unwrap();
    assert!((10..10_000).contains(&lines.len()), "{} of 20,000 lines came through", lines.len());
    assert!(lines.iter().all(|line| line.message.len() == 49 && line.level == Level::Info));
}

#[test]
fn an_instance_that_has_grown_too_far_is_replaced_before_it_fails() {
    let limits = Limits { memory_bytes_max: 4 << 20, ..limits() };
    let leak = |_: &mut Image, good| {
        format!("(if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable)) (i32.const {good})")
    };
    let mut guest = start(limits, &transform(leak));
    for call in 0..100 {
        assert!(guest.call(0, 0..10).is_ok(), "call {call} of a guest that leaks a mebibyte a call");
    }
}

/// A keyed operator with one table of one int64, that answers what is laid out.
fn keyed(answer: impl FnOnce(&mut Image) -> u32) -> Opened {
    let mut image = Image::default();
    let field = image.field("sum", "int64", false);
    let (port, table) = (image.port("main", &[]), image.table("totals", &[field]));
    let plan = image.plan(&[], &[port], &[table]);
    let answer = answer(&mut image);
    let core = image.guest(OperatorKind::Keyed, plan, &format!("(i32.const {answer})"), "");
    start(limits(), &encode(&core, None).expect("it fits the contract"))
}

fn call_keyed(guest: &mut Opened) -> Result<Effects, CallError> {
    let sums: ArrayRef = Arc::new(Int64Array::from(vec![10, 20]));
    let tables = [TableRows { fresh: vec![0, 1], columns: vec![sums] }];
    let keys = Keys { slots: &[0, 1, 0], count: 2, tables: &tables };
    let context = Context { batch: 1, attempt: 0, watermark: 0, now: 0, seed: 0 };
    guest.operator.process(&Call { context, rows: 3, columns: &[], keys: Some(keys) })
}

#[test]
fn state_comes_back_for_every_slot_or_not_at_all() {
    let changes = |image: &mut Image, data: &[u8], forget: &[u8]| {
        let column = image.column(data, &[], &[]);
        let (forget, columns) = (image.bytes(forget), image.records(&[column]));
        image.step(&[[forget[0], forget[1], columns[0], columns[1]]], &[])
    };
    let mut good = keyed(|image| changes(image, &[7; 16], &[0, 1]));
    assert_eq!(good.plan.tables[0].columns, [Field::required("sum", Kind::Int64)]);
    let effects = call_keyed(&mut good).unwrap();
    assert_eq!((effects.tables[0].forget.as_slice(), effects.tables[0].columns[0].len()), (&[0, 1][..], 2));
    let mut unchanged = keyed(|image| image.step(&[], &[]));
    assert!(call_keyed(&mut unchanged).unwrap().tables.is_empty());
    let refused = |mut guest: Opened, expected: &str| {
        let error = call_keyed(&mut guest).unwrap_err().to_string();
        assert!(error.contains(expected), "expected `{expected}`, was: {error}");
    };
    refused(keyed(|image| changes(image, &[7; 8], &[])), "table `totals`: column `sum: int64`: `data` has 8 bytes");
    refused(keyed(|image| changes(image, &[7; 16], &[1])), "`forget` is not a 0 or 1 for each of 2 slots");
    refused(keyed(|image| image.step(&[[0; 4], [0; 4]], &[])), "it changes 2 tables, the plan has 1");
    refused(keyed(|image| image.step(&[], &[0; 16])), "timers, which this host does not have yet");
}
