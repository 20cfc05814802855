//! A compiled component: opens operators. The only thing of this crate that the engine ever sees.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use wasmill_engine::operator::{Factory, Operator, OperatorKind, OperatorPlan, Refusal};
use wasmill_engine::schema::Field;
use wasmtime::component::InstancePre;

use crate::cache::CacheOutcome;
use crate::inspect::Info;
use crate::instance::Code;
use crate::limits::Limits;
use crate::operator::Opened;
use crate::store::{Guest, Log, LogSink};
use crate::ticker::Ticker;

/// A component, compiled and linked. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    info: Arc<Info>,
    cache: CacheOutcome,
    code: Code,
}

impl Component {
    pub(crate) fn new(
        ticker: Arc<Ticker>,
        limits: Limits,
        info: Info,
        linked: InstancePre<Guest>,
        cache: CacheOutcome,
    ) -> Self {
        let code = Code { kind: info.kind, linked, limits, log: Arc::new(Log::new(None, &limits)), _ticker: ticker };
        Self { info: Arc::new(info), cache, code }
    }

    /// The same component, whose operators have these limits. Those of the file and of the stack are the engine's. To
    /// be called before [`Self::logging_to`], as it concerns the log too.
    #[must_use]
    pub fn limited_to(mut self, limits: Limits) -> Self {
        self.code.log = Arc::new(Log::new(None, &limits));
        self.code.limits = limits;
        self
    }

    /// The same component, whose operators' log lines go to `sink`. Without this they go nowhere. All operators that
    /// are opened from what this returns, and its clones, share one allowance of bytes a second.
    #[must_use]
    pub fn logging_to(mut self, sink: LogSink) -> Self {
        self.code.log = Arc::new(Log::new(Some(sink), &self.code.limits));
        self
    }

    /// What it is.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Whether it came from the cache.
    #[must_use]
    pub fn cache(&self) -> &CacheOutcome {
        &self.cache
    }
}

impl Factory for Component {
    fn kind(&self) -> OperatorKind {
        self.info.kind
    }

    fn digest(&self) -> &str {
        &self.info.digest
    }

    fn imports(&self) -> Vec<String> {
        self.info.imports.clone()
    }

    fn open(&self, config: &Value, input: &[Field]) -> Result<(OperatorPlan, Box<dyn Operator>), Refusal> {
        let config = if config.is_null() { "{}".into() } else { config.to_string() };
        let opened = Opened::new(self.code.clone(), config, input)?;
        Ok((opened.plan().clone(), Box::new(opened)))
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component").field("info", &self.info).field("cache", &self.cache).finish_non_exhaustive()
    }
}
