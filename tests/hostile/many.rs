//! Components of many parts: those that a language's runtime brings are taken, more than the limits allow are not.

use serde_json::Value;
use wasmill_engine::operator::Factory;
use wasmill_wasm::{Engine, Limits};

use crate::refused::{good, grafted};
use crate::{limits, open};

/// A good operator with a component beside it that is made of this, and that is instantiated with it.
fn beside(inner: &str) -> Vec<u8> {
    // The good one has a component of its own, its exports.
    grafted(&good(), &format!("(component (component {inner}) (instance (instantiate 1)))"))
}

/// So many modules, and instances of the first.
fn parts(modules: usize, instances: usize) -> Vec<u8> {
    beside(&["(core module)".repeat(modules), "(core instance (instantiate 0))".repeat(instances)].concat())
}

/// Why it is refused, when it is loaded or when it is opened.
fn refusal(limits: Limits, bytes: &[u8]) -> String {
    let component = match Engine::new(limits, None).expect("the host starts").load(bytes) {
        Ok(component) => component,
        Err(refused) => return refused.to_string(),
    };
    let Err(refusal) = component.open(&Value::Null, &[]) else { panic!("it was opened") };
    refusal.message
}

#[test]
fn as_many_modules_and_instances_as_a_language_with_its_runtime_inside_has_are_taken() {
    let engine = Engine::new(limits(), None).unwrap();
    let mut guest = open(&engine.load(&parts(38, 107)).unwrap());
    assert_eq!(guest.call(1, 0..10).unwrap().emits.len(), 1);
}

#[test]
fn exports_that_the_contract_does_not_know_are_passed_over() {
    let engine = Engine::new(limits(), None).unwrap();
    let more = grafted(&good(), r#"(component (instance) (export "else:where/more@1.0.0" (instance 2)))"#);
    let mut guest = open(&engine.load(&more).unwrap());
    assert_eq!(guest.call(1, 0..10).unwrap().emits.len(), 1);
}

#[test]
fn more_modules_or_instances_than_the_limits_allow_are_refused_with_all_three_numbers() {
    let said = refusal(limits(), &parts(64, 0));
    assert!(said.contains("core_modules_max: limit 64, requested 6"), "{said}");
    let said = refusal(limits(), &parts(1, 256));
    assert!(said.contains("core_instances_max: limit 256, requested 2"), "{said}");
}

#[test]
fn a_guest_that_takes_handles_without_end_is_refused() {
    let takes = r#"
        (type $r (resource (rep i32)))
        (core func $new (canon resource.new $r))
        (core module $m
          (import "" "new" (func $new (param i32) (result i32)))
          (func $start (loop $on (drop (call $new (i32.const 1))) (br $on)))
          (start $start))
        (core instance (instantiate $m (with "" (instance (export "new" (func $new))))))"#;
    let said = refusal(Limits { call_ms_max: 10_000, ..limits() }, &beside(takes));
    assert!(said.contains("handle"), "{said}");
}
