//! From a component to machine code: the compiler, its settings, and the code that it makes.
//!
//! Always true: of the proposals past WebAssembly's core, only several memories is on beside what Rust, C, Go,
//! JavaScript and Python need; most security advisories of the runtime are in what is off here. They are off by
//! configuration, not by leaving code out of the build, because builds without it have had advisories of their own.
//! Neighbours: [`crate::inspect`] has passed what is compiled here, [`crate::child`] does it in a process of its own,
//! [`crate::cache`] keeps the code and makes it ready to run.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wasmtime::{Config, OptLevel, Strategy, WasmBacktraceDetails};

use crate::error::ComponentError;

/// Machine code of a component, as this compiler writes it down. It will run in this process, so it is made by this
/// module and by [`crate::child`] only: here, or by our own program at the other end of our own pipe.
pub(crate) struct Artefact(Vec<u8>);

impl Artefact {
    /// What our own child has sent whole.
    pub(crate) fn of_child(code: Vec<u8>) -> Self {
        Self(code)
    }

    /// The code.
    pub(crate) fn code(&self) -> &[u8] {
        &self.0
    }
}

/// The compiler and runtime, for guests whose stacks have so many bytes.
pub(crate) fn engine(stack_bytes_max: u64) -> Result<wasmtime::Engine, ComponentError> {
    let made = wasmtime::Engine::new(&settings(stack_bytes_max));
    made.map_err(|reason| ComponentError::Host(format!("{reason:#}")))
}

/// Compiles a component.
pub(crate) fn compile(engine: &wasmtime::Engine, bytes: &[u8]) -> Result<Artefact, ComponentError> {
    match catch_unwind(AssertUnwindSafe(|| engine.precompile_component(bytes))) {
        Ok(compiled) => compiled.map(Artefact).map_err(|reason| ComponentError::Compile(format!("{reason:#}"))),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it gave no reason");
            Err(ComponentError::CompilerPanic(text.to_string()))
        }
    }
}

fn settings(stack_bytes_max: u64) -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(usize::try_from(stack_bytes_max).unwrap_or(usize::MAX))
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_multi_memory(true)
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_exceptions(false)
        .wasm_threads(false)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .wasm_stack_switching(false);
    config
}
