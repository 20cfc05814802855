//! Components that want too much of the compiler, and the child that compiles: the real one, `wasmill` itself.

use std::process::Command;

use wasmill_tests::assembled::Image;
use wasmill_tests::process::binary;
use wasmill_wasm::{CacheOutcome, Compiler, ComponentError, Engine, Limits};

use crate::{attacker, limit, limits, open, transform, transform_with};

fn child() -> Compiler {
    Compiler::Child { program: binary().to_owned() }
}

fn good() -> Vec<u8> {
    transform(|_, good| format!("(i32.const {good})"))
}

/// An operator with so many functions, each of so many blocks with values that live across all of them.
fn heavy(functions: usize, blocks: usize) -> Vec<u8> {
    let function = |number: usize| {
        let block = |block: usize| {
            format!(
                "(block (br_if 0 (i64.eq (local.get $a) (i64.const {block})))
                   (local.set $b (i64.add (i64.mul (local.get $a) (local.get $b)) (i64.const {number}))))
                 (local.set $a (i64.rotl (local.get $b) (local.get $a)))"
            )
        };
        let blocks: String = (0..blocks).map(block).collect();
        format!("(func $heavy{number} (param $a i64) (param $b i64) (result i64) {blocks} (local.get $b))")
    };
    let functions: String = (0..functions).map(function).collect();
    transform_with(&functions, |_: &mut Image, good| format!("(i32.const {good})"))
}

fn refusal(limits: Limits, component: &[u8]) -> ComponentError {
    let engine = Engine::compiling(child(), limits, None).expect("the host starts");
    engine.load(component).expect_err("it was compiled")
}

#[test]
fn what_a_child_compiles_runs_as_what_this_process_compiles() {
    let engine = Engine::compiling(child(), limits(), None).unwrap();
    let component = engine.load(&good()).unwrap();
    assert_eq!(*component.cache(), CacheOutcome::Off);
    assert!(open(&component).call(0, 0..10).is_ok());
    let mut endless = open(&engine.load(&attacker("(loop $on (br $on))")).unwrap());
    assert_eq!(limit(endless.attacked()).0, "call_ms_max", "its settings are the same");
    let off = transform_with("(memory i64 1)", |_, good| format!("(i32.const {good})"));
    let refused = engine.load(&off).expect_err("it needs what is off");
    assert!(matches!(&refused, ComponentError::Compile(reason) if reason.contains("memory64")), "{refused}");
}

#[test]
fn a_component_that_takes_too_long_to_compile_is_given_up_and_the_next_one_is_compiled() {
    let limits = Limits { compile_ms_max: 50, ..limits() };
    let refused = refusal(limits, &heavy(200, 300));
    assert_eq!(refused, ComponentError::CompileTime { allowed_ms: 50 });
    assert!(refused.to_string().contains("compile_ms_max: limit 50 ms"), "{refused}");
    assert!(Engine::compiling(child(), crate::limits(), None).unwrap().load(&good()).is_ok());
}

#[test]
fn a_component_that_takes_too_much_memory_to_compile_is_given_up_and_the_host_goes_on() {
    let limits = Limits { compile_memory_bytes_max: 200 << 20, ..limits() };
    let refused = refusal(limits, &heavy(2, 20_000));
    let ComponentError::CompileMemory { allowed, requested } = refused else { panic!("{refused}") };
    assert!(allowed == 200 << 20 && requested > 0, "{requested}");
    let engine = Engine::compiling(child(), limits, None).unwrap();
    assert!(engine.load(&good()).is_ok(), "the limit is enough for others");
}

#[test]
fn the_binary_outlives_what_compiling_a_component_takes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("heavy.wasm"), heavy(2, 20_000)).unwrap();
    let mut shell = Command::new("/bin/sh");
    // What the shell limits is for the child too, and less than it would limit itself to.
    shell.args(["-c", "ulimit -v 204800; exec \"$0\" --cache cache plugin inspect heavy.wasm"]);
    let ended = shell.arg(binary()).current_dir(&folder).output().unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(told.contains(&format!("compile_memory_bytes_max: limit {}", 204_800 << 10)), "{told}");
    assert_eq!(ended.status.code(), Some(2), "{told}");
}

#[test]
fn a_component_that_was_compiled_before_starts_without_a_child() {
    let directory = tempfile::tempdir().unwrap();
    let load = |compiler| {
        Engine::compiling(compiler, limits(), Some(directory.path().into())).and_then(|engine| engine.load(&good()))
    };
    assert_eq!(*load(child()).unwrap().cache(), CacheOutcome::Stored);
    let nobody = || Compiler::Child { program: "/no/such/program".into() };
    let component = load(nobody()).unwrap();
    assert_eq!(*component.cache(), CacheOutcome::Hit);
    assert!(open(&component).call(0, 0..10).is_ok());
    std::fs::remove_dir_all(directory.path()).unwrap();
    assert!(matches!(load(nobody()), Err(ComponentError::Host(reason)) if reason.contains("/no/such/program")));
}

#[test]
fn a_component_that_many_load_at_once_is_compiled_once() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::compiling(child(), limits(), Some(directory.path().into())).unwrap();
    let outcomes: Vec<CacheOutcome> = std::thread::scope(|scope| {
        let load = || engine.load(&good()).unwrap().cache().clone();
        let loads: Vec<_> = (0..8).map(|_| scope.spawn(load)).collect();
        loads.into_iter().map(|load| load.join().unwrap()).collect()
    });
    let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
    assert_eq!((count(CacheOutcome::Stored), count(CacheOutcome::Hit)), (1, 7));
}
