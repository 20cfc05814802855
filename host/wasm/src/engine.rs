//! The compiler and runtime for guests, set up once a process.
//!
//! Always true: of the proposals past WebAssembly's core, only several memories is on beside what Rust, C, Go,
//! JavaScript and Python need; most security advisories of the runtime are in what is off here. They are off by
//! configuration, not by leaving code out of the build, because builds without it have had advisories of their own.
//! Neighbours: [`crate::inspect`] has passed what is compiled here, [`crate::cache`] keeps the result.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime::{Config, OptLevel, Strategy, WasmBacktraceDetails};

use crate::cache::{Cache, CacheOutcome};
use crate::component::Component;
use crate::error::ComponentError;
use crate::inspect::inspect;
use crate::limits::Limits;
use crate::store::{Guest, grant};
use crate::ticker::Ticker;

/// Loads components. One a process is enough; components keep it alive.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    wasmtime: wasmtime::Engine,
    linker: Linker<Guest>,
    limits: Limits,
    cache: Option<Cache>,
    ticker: Arc<Ticker>,
}

impl Engine {
    /// An engine whose components and instances have these limits. `cache` is a directory that belongs to this
    /// process's user alone; compiled components are kept there. Without it every load compiles.
    ///
    /// # Errors
    /// The runtime refuses the settings, a thread cannot be started, or others can write to the directory.
    pub fn new(limits: Limits, cache: Option<PathBuf>) -> Result<Self, ComponentError> {
        let host = |reason: wasmtime::Error| ComponentError::Host(format!("{reason:#}"));
        let wasmtime = wasmtime::Engine::new(&settings(&limits)).map_err(host)?;
        let mut linker = Linker::new(&wasmtime);
        grant(&mut linker).map_err(host)?;
        let cache = cache.map(|directory| Cache::open(directory, &wasmtime)).transpose()?;
        let ticker = Ticker::start(wasmtime.clone())?;
        Ok(Self(Arc::new(Shared { wasmtime, linker, limits, cache, ticker: Arc::new(ticker) })))
    }

    /// Checks and compiles a component, or takes it from the cache.
    ///
    /// # Errors
    /// The bytes are not an operator that this host runs.
    pub fn load(&self, bytes: &[u8]) -> Result<Component, ComponentError> {
        let info = inspect(bytes, &self.0.limits)?;
        let (compiled, outcome) = match &self.0.cache {
            None => (self.compile(bytes)?, CacheOutcome::Off),
            Some(cache) => match cache.load(&self.0.wasmtime, &info.digest) {
                Some(compiled) => (compiled, CacheOutcome::Hit),
                None => {
                    let compiled = self.compile(bytes)?;
                    let outcome = cache.store(&compiled, &info.digest);
                    (compiled, outcome)
                }
            },
        };
        let link = |reason: wasmtime::Error| ComponentError::Link(format!("{reason:#}"));
        let linked = self.0.linker.instantiate_pre(&compiled).map_err(link)?;
        Ok(Component::new(self.0.ticker.clone(), self.0.limits, info, linked, outcome))
    }

    /// The limits that its components have.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    fn compile(&self, bytes: &[u8]) -> Result<wasmtime::component::Component, ComponentError> {
        let compile = || wasmtime::component::Component::from_binary(&self.0.wasmtime, bytes);
        match catch_unwind(AssertUnwindSafe(compile)) {
            Ok(compiled) => compiled.map_err(|reason| ComponentError::Compile(format!("{reason:#}"))),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it gave no reason");
                Err(ComponentError::CompilerPanic(text.to_string()))
            }
        }
    }
}

fn settings(limits: &Limits) -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(usize::try_from(limits.stack_bytes_max).unwrap_or(usize::MAX))
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
