//! Components that are never run, or never get past `open`: each is refused with what is wrong with it. At the end, one
//! that is taken: from the cache.

use serde_json::Value;
use wasmill_engine::operator::{Factory, OperatorKind};
use wasmill_tests::assembled::Image;
use wasmill_wasm::{CONTRACT_SECTION, CacheOutcome, ComponentError, Engine, Limits, contract_digest, encode};

use crate::{limits, open, transform, transform_with};

/// The sections of a component behind those of another.
pub(crate) fn grafted(component: &[u8], graft: &str) -> Vec<u8> {
    let graft = wat::parse_str(graft).expect("the graft is WebAssembly");
    [component, &graft[8..]].concat()
}

pub(crate) fn good() -> Vec<u8> {
    transform(|_, good| format!("(i32.const {good})"))
}

#[test]
fn components_that_ask_for_what_is_off_are_refused() {
    let engine = Engine::new(limits(), None).unwrap();
    let off = [
        ("gc feature", "(core module (type (struct (field i32))))"),
        ("exceptions proposal", "(core module (tag))"),
        ("threads must be enabled", "(core module (memory 1 1 shared))"),
        ("memory64 must be", "(core module (memory i64 1))"),
        ("function references required", "(core module (func (param (ref func))))"),
        ("stack switching is disabled", "(core module (type $f (func)) (type (cont $f)))"),
        ("custom page sizes proposal", "(core module (memory 1 (pagesize 1)))"),
        (
            "wide arithmetic support",
            "(core module (func (param i64) (result i64 i64)
            (i64.mul_wide_u (local.get 0) (local.get 0))))",
        ),
        (
            "relaxed SIMD support",
            "(core module (func (param v128) (result v128)
            (f32x4.relaxed_madd (local.get 0) (local.get 0) (local.get 0))))",
        ),
        ("component model async", "(core func (canon backpressure.inc))"),
        ("component model async", "(type (stream u8))"),
    ];
    for (expected, graft) in off {
        let refused = engine.load(&grafted(&good(), &format!("(component {graft})"))).expect_err(expected);
        assert!(matches!(&refused, ComponentError::Compile(reason) if reason.contains(expected)), "{refused}");
    }
    let on = ["(core module (memory 1) (memory 1))", "(core module (func (param v128)))"];
    for graft in on {
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

#[test]
fn a_component_that_was_built_for_another_text_of_the_contract_is_refused_when_it_is_loaded() {
    let engine = Engine::new(limits(), None).unwrap();
    let ours = contract_digest();
    // As a language says it whose linker makes no sections.
    let text = format!("(data (i32.const 64) \"{CONTRACT_SECTION}={ours}\")");
    let built = transform_with(&text, |_, good| format!("(i32.const {good})"));
    assert!(engine.load(&built).is_ok());
    let theirs = "0".repeat(ours.len());
    let other = replaced(&built, ours.as_bytes(), theirs.as_bytes());
    assert_eq!(engine.load(&other).unwrap_err(), ComponentError::OtherContractText { built: theirs, ours });
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in 0..=bytes.len() - from.len() {
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
    let start = |code: &str| {
        transform_with(&format!("(start $start) (func $start {code})"), |_, good| format!("(i32.const {good})"))
    };
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
