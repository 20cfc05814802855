//! The host of guests, set up once a process: where components become something that can be called.
//!
//! Always true: what the cache has is not compiled again, and no process is started for it. One component is compiled
//! at a time, so that many that come at once take the time and memory of one. Neighbours: [`crate::inspect`] sees every
//! component first, [`crate::compile`] or [`crate::child`] compiles it, [`crate::cache`] keeps the result.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::Linker;

use crate::cache::{self, Cache, CacheOutcome};
use crate::child::{self, Compiler};
use crate::compile::{self, Artefact};
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
    compiler: Compiler,
    /// Whose turn it is to compile.
    turn: Mutex<()>,
    cache: Option<Cache>,
    ticker: Arc<Ticker>,
}

impl Engine {
    /// An engine whose components and instances have these limits, and that compiles in this process. `cache` is a
    /// directory that belongs to this process's user alone; compiled components are kept there. Without it every load
    /// compiles.
    ///
    /// # Errors
    /// The runtime refuses the settings, a thread cannot be started, or others can write to the directory.
    pub fn new(limits: Limits, cache: Option<PathBuf>) -> Result<Self, ComponentError> {
        Self::compiling(Compiler::InProcess, limits, cache)
    }

    /// The same, compiling there: in a child where components come from strangers.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn compiling(compiler: Compiler, limits: Limits, cache: Option<PathBuf>) -> Result<Self, ComponentError> {
        let wasmtime = compile::engine(limits.stack_bytes_max)?;
        let mut linker = Linker::new(&wasmtime);
        grant(&mut linker).map_err(|reason| ComponentError::Host(format!("{reason:#}")))?;
        let cache = cache.map(|directory| Cache::open(directory, &wasmtime)).transpose()?;
        let ticker = Arc::new(Ticker::start(wasmtime.clone())?);
        let turn = Mutex::new(());
        Ok(Self(Arc::new(Shared { wasmtime, linker, limits, compiler, turn, cache, ticker })))
    }

    /// Checks and compiles a component, or takes it from the cache.
    ///
    /// # Errors
    /// The bytes are not an operator that this host runs.
    pub fn load(&self, bytes: &[u8]) -> Result<Component, ComponentError> {
        let info = inspect(bytes, &self.0.limits)?;
        let (compiled, outcome) = match self.cached(&info.digest) {
            Some(compiled) => (compiled, CacheOutcome::Hit),
            None => self.compiled(bytes, &info.digest)?,
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

    fn cached(&self, digest: &str) -> Option<wasmtime::component::Component> {
        self.0.cache.as_ref()?.load(&self.0.wasmtime, digest)
    }

    /// Compiles a component when its turn comes, unless somebody else has by then.
    fn compiled(
        &self,
        bytes: &[u8],
        digest: &str,
    ) -> Result<(wasmtime::component::Component, CacheOutcome), ComponentError> {
        let _turn = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = self.cached(digest) {
            return Ok((compiled, CacheOutcome::Hit));
        }
        let artefact = self.compile(bytes)?;
        let compiled = cache::ready(&self.0.wasmtime, &artefact)?;
        let outcome = self.0.cache.as_ref().map_or(CacheOutcome::Off, |cache| cache.store(&artefact, digest));
        Ok((compiled, outcome))
    }

    fn compile(&self, bytes: &[u8]) -> Result<Artefact, ComponentError> {
        match &self.0.compiler {
            Compiler::InProcess => compile::compile(&self.0.wasmtime, bytes),
            Compiler::Child { program } => child::ask(Command::new(program), bytes, &self.0.limits),
        }
    }
}
