//! Guests that trap on one row, assembled by hand.

use wasmill_engine::operator::OperatorKind;
use wasmill_tests::assembled::Image;
use wasmill_wasm::encode;

/// A component that passes every row on, but traps, three functions deep, where the int64 `n` is `poison` and the
/// condition holds.
fn trapping(poison: u64, condition: &str) -> Vec<u8> {
    let mut image = Image::default();
    let (read, port) = (image.read("n", "int64"), image.port("main", &[]));
    let plan = image.plan(&[read], &[port], &[]);
    let all = image.emit(0, None, &[]);
    let good = image.effects(&[all], &[], &[]);
    let body = format!(
        "(local $i i32) (local $at i32)
         (local.set $at (i32.load (local.get $columns)))
         (block $done (loop $next
           (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
           (if (i32.and {condition} (i64.eq (i64.load (local.get $at)) (i64.const {poison}))) (then (call $outer)))
           (local.set $at (i32.add (local.get $at) (i32.const 8)))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br $next)))
         (i32.const {good})"
    );
    let extra = "(func $outer (call $inner)) (func $inner unreachable)";
    encode(&image.guest(OperatorKind::Transform, plan, &body, extra), None).expect("it fits the contract")
}

/// A guest that always traps on the row whose `n` is `poison`.
pub(crate) fn poisoned_by(poison: u64) -> Vec<u8> {
    trapping(poison, "(i32.const 1)")
}

/// A guest that traps on it the first time, and takes it when it is tried again.
pub(crate) fn poisoned_once_by(poison: u64) -> Vec<u8> {
    trapping(poison, "(i32.eqz (local.get $attempt))")
}

/// A guest that passes every row on.
pub(crate) fn passing() -> Vec<u8> {
    trapping(0, "(i32.const 0)")
}
