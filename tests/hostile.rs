//! Hostile and broken guests against the real host: each gets the error that names what it did, and the next call works.
//!
//! The guests are assembled here, see `guests/assembled.rs`. Most attack at the first try of a batch (`attempt` 0) and
//! behave at the second, which shows that nothing of an attack is left behind.

use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, Int64Array};
use serde_json::Value;
use wasmill_engine::operator::{
    Call, CallError, Context, Effects, Factory, Keys, Operator, OperatorKind, OperatorPlan, TableRows,
};
use wasmill_engine::schema::{Field, Kind};
use wasmill_tests::assembled::Image;
use wasmill_wasm::{CacheOutcome, Component, ComponentError, Engine, Level, Limits, LogLine, encode};

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
    encode(&image.guest(OperatorKind::Transform, plan, &body, extra), None).unwrap()
}

/// A guest that does `attack` at the first try of a batch.
fn attacker(attack: &str) -> Vec<u8> {
    attacker_with("", attack)
}

fn attacker_with(extra: &str, attack: &str) -> Vec<u8> {
    transform_with(extra, |_, good| {
        format!("(if (i32.eqz (local.get $attempt)) (then {attack})) (i32.const {good})")
    })
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
    let (plan, operator) = component.open(&Value::Null, &[Field::required("n", Kind::Int64)]).unwrap();
    Opened { operator, plan }
}

fn start(limits: Limits, bytes: &[u8]) -> Opened {
    open(&Engine::new(limits, None).unwrap().load(bytes).unwrap())
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

/// An answer and what the error must say of it.
type Lie = (&'static str, fn(&mut Image) -> u32);

/// An answer that emits one row to a port with one column.
fn one(image: &mut Image, port: u32, data: &[u8], offsets: &[u32], present: &[u8]) -> u32 {
    let column = image.column(data, offsets, present);
    let emit = image.emit(port, Some(&[0]), &[column]);
    image.effects(&[emit], &[], &[])
}

const LIES: &[Lie] = &[
    ("port `int64`: column `x: int64`: `data` has 7 bytes, expected 8", |i| one(i, 2, &[0; 7], &[], &[])),
    ("`data` has 16 bytes, expected 8 for 1 rows", |i| one(i, 2, &[0; 16], &[], &[])),
    ("`offsets` has 8 bytes, this kind has none", |i| one(i, 2, &[0; 8], &[0, 8], &[])),
    ("`present` has 1 bytes, but the field is not nullable", |i| one(i, 2, &[0; 8], &[], &[1])),
    ("column `x: utf8?`: `present` has 2 bytes, expected none or 1", |i| one(i, 1, b"", &[0, 0], &[1, 1])),
    ("`present` has 7 in row 0, expected 0 or 1", |i| one(i, 1, b"", &[0, 0], &[7])),
    ("`data` has 2 in row 0, a boolean is 0 or 1", |i| one(i, 3, &[2], &[], &[])),
    ("`offsets` has 4 bytes, expected 8", |i| one(i, 1, b"abc", &[0], &[])),
    ("`offsets` has 0 bytes, expected 8", |i| one(i, 1, b"abc", &[], &[])),
    ("`offsets` go from 0 to 4, expected 0 to 3", |i| one(i, 1, b"abc", &[0, 4], &[])),
    ("`offsets` go from 0 to 2, expected 0 to 3", |i| one(i, 1, b"abc", &[0, 2], &[])),
    ("`offsets` go from 1 to 3, expected 0 to 3", |i| one(i, 1, b"abc", &[1, 3], &[])),
    ("`offsets` fall in row 0: from 0 to 4294967295", |i| one(i, 5, b"abc", &[0, u32::MAX], &[])),
    ("`offsets` fall in row 1: from 3 to 1", |i| {
        let column = i.column(b"abc", &[0, 3, 1, 3], &[]);
        let emit = i.emit(1, Some(&[0, 1, 2]), &[column]);
        i.effects(&[emit], &[], &[])
    }),
    ("the value in row 1 is not UTF-8", |i| {
        let column = i.column(b"ab\xff", &[0, 2, 3], &[]);
        let emit = i.emit(1, Some(&[0, 1]), &[column]);
        i.effects(&[emit], &[], &[])
    }),
    ("`offsets` cut a character of UTF-8 in two", |i| {
        let column = i.column("é".as_bytes(), &[0, 1, 2], &[]);
        let emit = i.emit(1, Some(&[0, 1]), &[column]);
        i.effects(&[emit], &[], &[])
    }),
    ("the value in row 0 is not JSON", |i| one(i, 4, b"{", &[0, 1], &[])),
    ("the JSON in row 0 goes over several lines", |i| one(i, 4, b"[\n]", &[0, 3], &[])),
    ("port `main`: `origin` names row 1000 of a batch of 1000 rows", |i| {
        let emit = i.emit(0, Some(&[0, 1_000]), &[]);
        i.effects(&[emit], &[], &[])
    }),
    ("`origin` has 3 bytes", |i| {
        let mut emit = i.emit(0, Some(&[0]), &[]);
        emit[3] = 3;
        i.effects(&[emit], &[], &[])
    }),
    ("port `utf8`: 0 columns, the plan has 1", |i| {
        let emit = i.emit(1, Some(&[0]), &[]);
        i.effects(&[emit], &[], &[])
    }),
    ("it emits to port 6, the plan has 6", |i| {
        let emit = i.emit(6, None, &[]);
        i.effects(&[emit], &[], &[])
    }),
    ("it emits to port `main` twice", |i| {
        let emit = i.emit(0, None, &[]);
        i.effects(&[emit, emit], &[], &[])
    }),
    ("it rejects row 1000 of a batch of 1000 rows", |i| {
        let reject = i.reject(1_000, "bad");
        i.effects(&[], &[reject], &[])
    }),
    ("it rejects row 7 twice", |i| {
        let reject = i.reject(7, "bad");
        i.effects(&[], &[reject, reject], &[])
    }),
    ("it both emits and rejects row 7", |i| {
        let (emit, reject) = (i.emit(0, Some(&[6, 7]), &[]), i.reject(7, "bad"));
        i.effects(&[emit], &[reject], &[])
    }),
    ("it both emits and rejects row 8", |i| {
        let (emit, reject) = (i.emit(0, None, &[]), i.reject(8, "bad"));
        i.effects(&[emit], &[reject], &[])
    }),
    ("`metrics` has 8 bytes, which is not 8 for each of 0 metrics", |i| i.effects(&[], &[], &[0; 8])),
    ("its fault blames row 1000 of a batch of 1000 rows: broken", |i| i.fault("broken", Some(1_000))),
    ("out of bounds", |i| {
        let mut emit = i.emit(0, Some(&[0]), &[]);
        emit[2] = 0xffff_0000;
        i.effects(&[emit], &[], &[])
    }),
    ("utf-8", |i| {
        let at = i.bytes(b"\xff\xfe");
        i.effects(&[], &[[0, 0, 0, at[0], at[1]]], &[])
    }),
    ("discriminant", |i| {
        let mut reject = i.reject(0, "bad");
        reject[1] = 9;
        i.effects(&[], &[reject], &[])
    }),
];

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
    start(limits(), &encode(&core, None).unwrap())
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

/// The sections of a component behind those of another.
fn grafted(component: &[u8], graft: &str) -> Vec<u8> {
    let graft = wat::parse_str(graft).unwrap();
    [component, &graft[8..]].concat()
}

fn good() -> Vec<u8> {
    transform(|_, good| format!("(i32.const {good})"))
}

#[test]
fn components_that_ask_for_what_is_off_are_refused() {
    let engine = Engine::new(limits(), None).unwrap();
    let off = [
        ("gc", "(core module (type (struct (field i32))))"),
        ("exceptions", "(core module (tag))"),
        ("threads", "(core module (memory 1 1 shared))"),
        ("memory64", "(core module (memory i64 1))"),
        ("function references", "(core module (func (param (ref func))))"),
        ("stack switching", "(core module (type $f (func)) (type (cont $f)))"),
        ("custom page sizes", "(core module (memory 1 (pagesize 1)))"),
        ("wide arithmetic", "(core module (func (param i64) (result i64 i64)
            (i64.mul_wide_u (local.get 0) (local.get 0))))"),
        ("relaxed simd", "(core module (func (param v128) (result v128)
            (f32x4.relaxed_madd (local.get 0) (local.get 0) (local.get 0))))"),
        ("async", "(core func (canon backpressure.inc))"),
        ("streams", "(type (stream u8))"),
    ];
    for (name, graft) in off {
        let refused = engine.load(&grafted(&good(), &format!("(component {graft})")));
        assert!(matches!(refused, Err(ComponentError::Compile(_))), "{name}: {refused:?}");
    }
    let on = ["(core module (memory 1) (memory 1))", "(core module (func (param v128)))", "(instance) (export \"init\" (instance 0))"];
    for graft in &on[..2] {
        assert!(engine.load(&grafted(&good(), &format!("(component {graft})"))).is_ok(), "{graft}");
    }
}

#[test]
fn components_that_are_not_operators_are_refused_with_what_is_wrong() {
    let engine = Engine::new(limits(), None).unwrap();
    let refusal = |bytes: &[u8]| engine.load(bytes).unwrap_err().to_string();
    let component = |text: &str| wat::parse_str(format!("(component {text})")).unwrap();
    let exporting = |name: &str| format!(r#"(instance) (export "{name}" (instance 0))"#);
    assert!(refusal(b"").contains("empty"));
    assert!(refusal(b"name: pipeline").contains(r#"begins with "name: pi""#));
    assert!(refusal(&wat::parse_str("(module)").unwrap()).contains("run `wasmill build`"));
    assert!(refusal(&good()[..500]).contains("damaged"));
    assert!(refusal(&component("")).contains("found nothing"));
    assert!(refusal(&component(&exporting("a:b/c@1.0.0"))).contains("found `a:b/c@1.0.0`"));
    let both = r#"(instance) (export "wasmill:operator/transform@0.1.0" (instance 0))
        (export "wasmill:operator/keyed@0.1.0" (instance 0))"#;
    assert!(refusal(&component(both)).contains("both transform and keyed"));
    let wasi = grafted(&good(), r#"(component (import "wasi:filesystem/types@0.2.0" (instance)))"#);
    let said = refusal(&wasi);
    assert!(said.contains("`wasi:filesystem/types@0.2.0`") && said.contains("wasmill build"), "{said}");
    let text = String::from_utf8_lossy(&good()).matches("0.1.0").count();
    assert!(text > 0);
    let said = refusal(&replaced(&good(), b"@0.1.0", b"@0.2.0"));
    assert!(said.contains("transform@0.2.0") && said.contains("0.1.0"), "{said}");
    let small = Engine::new(Limits { component_bytes_max: 1_000, ..limits() }, None).unwrap();
    let said = small.load(&good()).unwrap_err().to_string();
    assert!(said.contains(&format!("component_bytes_max: limit 1000, requested {}", good().len())), "{said}");
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
    bytes
}

#[test]
fn an_interface_without_the_contracts_functions_is_refused_when_it_is_opened() {
    let engine = Engine::new(limits(), None).unwrap();
    let text = r#"(component (instance) (export "wasmill:operator/transform@0.1.0" (instance 0)))"#;
    let component = engine.load(&wat::parse_str(text).unwrap()).unwrap();
    let Err(refusal) = component.open(&Value::Null, &[]) else { panic!("it was opened") };
    assert!(refusal.message.contains("has no function `open`"), "{refusal}");
}

#[test]
fn a_guest_that_fails_when_it_starts_or_is_opened_is_refused() {
    let engine = Engine::new(limits(), None).unwrap();
    let refusal = |bytes: &[u8]| match engine.load(bytes).unwrap().open(&Value::Null, &[]) {
        Ok(_) => panic!("it was opened"),
        Err(refusal) => refusal.message,
    };
    let start = |code: &str| transform_with(&format!("(start $start) (func $start {code})"), |_, good| format!("(i32.const {good})"));
    assert!(refusal(&start("unreachable")).contains("unreachable"));
    assert!(refusal(&start("(loop $on (br $on))")).contains("call_ms_max"));
    let huge = transform_with("(memory 1000)", |_, good| format!("(i32.const {good})"));
    assert!(refusal(&huge).contains("memory_bytes_max"));
    let mut image = Image::default();
    let plan = image.plan(&[], &[], &[]);
    let core = image.guest(OperatorKind::Transform, plan, "unreachable", "");
    assert!(refusal(&encode(&core, None).unwrap()).contains("no output port"));
}

#[test]
fn a_component_is_compiled_once_and_a_damaged_entry_is_mended() {
    let directory = tempfile::tempdir().unwrap();
    let cached = || Engine::new(limits(), Some(directory.path().into())).unwrap().load(&good()).unwrap();
    assert_eq!(*cached().cache(), CacheOutcome::Stored);
    assert_eq!(*cached().cache(), CacheOutcome::Hit);
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        std::fs::write(path, bytes).unwrap();
    }
    let mended = cached();
    assert_eq!(*mended.cache(), CacheOutcome::Stored);
    assert!(open(&mended).call(0, 0..10).is_ok());
    assert_eq!(*cached().cache(), CacheOutcome::Hit);
}
