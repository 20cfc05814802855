//! Guests that do something evil on one row, assembled by hand.

use wasmill_engine::operator::OperatorKind;
use wasmill_tests::assembled::Image;
use wasmill_wasm::encode;

/// A component that passes every row on, but does `attack` where the int64 `n` is `poison` and the condition holds.
fn attacking(poison: u64, condition: &str, attack: &str) -> Vec<u8> {
    with(poison, condition, |_| attack.to_owned(), "(func $outer (call $inner)) (func $inner unreachable)")
}

/// The same with an attack that answers of its own belong to, and these further definitions.
fn with(poison: u64, condition: &str, attack: impl FnOnce(&mut Image) -> String, extra: &str) -> Vec<u8> {
    let mut image = Image::default();
    let attack = attack(&mut image);
    let (read, port) = (image.read("n", "int64"), image.port("main", &[]));
    let plan = image.plan(&[read], &[port], &[]);
    let all = image.emit(0, None, &[]);
    let good = image.effects(&[all], &[], &[]);
    let body = format!(
        "(local $i i32) (local $at i32)
         (local.set $at (i32.load (local.get $columns)))
         (block $done (loop $next
           (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
           (if (i32.and {condition} (i64.eq (i64.load (local.get $at)) (i64.const {poison}))) (then {attack}))
           (local.set $at (i32.add (local.get $at) (i32.const 8)))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br $next)))
         (i32.const {good})"
    );
    encode(&image.guest(OperatorKind::Transform, plan, &body, extra), None).expect("it fits the contract")
}

/// A guest that always does `attack` on the row whose `n` is `poison`.
pub(crate) fn attacking_at(poison: u64, attack: &str) -> Vec<u8> {
    attacking(poison, "(i32.const 1)", attack)
}

/// A guest that always traps there, two functions deep.
pub(crate) fn poisoned_by(poison: u64) -> Vec<u8> {
    attacking_at(poison, "(call $outer)")
}

/// A guest that traps there the first time, and takes the row when it is tried again.
pub(crate) fn poisoned_once_by(poison: u64) -> Vec<u8> {
    attacking(poison, "(i32.eqz (local.get $attempt))", "unreachable")
}

/// A guest that names the first row so often, where the `n` of some row is `poison`.
pub(crate) fn repeating_at(poison: u64, times: usize) -> Vec<u8> {
    let attack = |image: &mut Image| {
        let emit = image.emit(0, Some(&vec![0; times]), &[]);
        format!("(return (i32.const {}))", image.effects(&[emit], &[], &[]))
    };
    with(poison, "(i32.const 1)", attack, "")
}

/// A guest that wants to be called with the first row again after so long, where the `n` of some row is `poison`.
pub(crate) fn retrying_at(poison: u64, after_ms: u32) -> Vec<u8> {
    let attack = |image: &mut Image| {
        let [row, _, _, at, len] = image.reject(0, "later");
        format!("(return (i32.const {}))", image.effects(&[], &[[row, 1, after_ms, at, len]], &[]))
    };
    with(poison, "(i32.const 1)", attack, "")
}

/// A guest that refuses the row on which `n` is `poison`, the first of its batch, and wants the pipeline to stop there.
pub(crate) fn stopping_at(poison: u64) -> Vec<u8> {
    let attack = |image: &mut Image| {
        let [row, _, _, at, len] = image.reject(0, "the sensor is broken");
        format!("(return (i32.const {}))", image.effects(&[], &[[row, 2, 0, at, len]], &[]))
    };
    with(poison, "(i32.const 1)", attack, "")
}

/// A guest whose answer is that lie, where the `n` of some row is `poison`.
pub(crate) fn lying_at(poison: u64, lie: impl FnOnce(&mut Image) -> u32) -> Vec<u8> {
    with(poison, "(i32.const 1)", |image| format!("(return (i32.const {}))", lie(image)), "")
}

/// A guest that counts so far before it passes a row on whose `n` is `poison`.
pub(crate) fn slow_at(poison: u64, rounds: u64) -> Vec<u8> {
    let count = format!(
        "(func $count (local $i i64) (loop $on
           (local.set $i (i64.add (local.get $i) (i64.const 1)))
           (br_if $on (i64.lt_u (local.get $i) (i64.const {rounds})))))"
    );
    with(poison, "(i32.const 1)", |_| "(call $count)".to_owned(), &count)
}

/// A guest that passes every row on.
pub(crate) fn passing() -> Vec<u8> {
    attacking(0, "(i32.const 0)", "unreachable")
}

/// A guest that warns with that text when the row comes by.
pub(crate) fn speaking_at(n: u64, text: &str) -> Vec<u8> {
    // Where nothing else of the guest's memory is.
    let data = format!("(data (i32.const 64) \"{text}\")");
    let log = format!("(call $log (i32.const 3) (i32.const 64) (i32.const {}))", text.len());
    with(n, "(i32.const 1)", |_| log, &data)
}
