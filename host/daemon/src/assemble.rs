//! From a pipeline file to a runtime that can be driven: connectors opened, components loaded, the plan applied.
//!
//! [`World`] is what a pipeline file may refer to. Neighbours: [`crate::spec`] asks it, [`crate::driver`] runs what
//! comes out.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use serde_json::Value;
use wasmill_connectors::{self as connectors, ConnectorError, SinkContext, SourceContext};
use wasmill_engine::codec::{self, Format};
use wasmill_engine::graph::{Graph, Sink};
use wasmill_engine::operator::SharedFactory;
use wasmill_engine::plan::Plan;
use wasmill_engine::runtime::{Connectors, Runtime, Settings};
use wasmill_engine::schema::Schema;
use wasmill_engine::sink::SinkWriter;
use wasmill_engine::source::SourceReader;
use wasmill_wasm::{Compiler, Engine, Level, Limits, LogLine};

use crate::plugins;
use crate::spec::{self, ConfigError, Connector, Diagnostics, Outside, PluginRef, Spec};

/// The connectors, plugins and variables that a pipeline file may name.
pub(crate) struct World {
    /// Where compiled components are kept.
    cache: PathBuf,
    /// Made when the first plugin is loaded.
    engine: OnceLock<Engine>,
}

impl World {
    pub(crate) fn new(cache: &Path) -> Self {
        Self { cache: cache.to_owned(), engine: OnceLock::new() }
    }

    /// The engine that compiles and calls components.
    ///
    /// # Errors
    /// It cannot be made on this machine.
    pub(crate) fn engine(&self) -> Result<&Engine, String> {
        if self.engine.get().is_none() {
            let limits =
                Limits { component_bytes_max: wasmill_wasm::COMPONENT_BYTES_WITH_RUNTIME, ..Limits::default() };
            let cache = Some(self.cache.join("components"));
            let made = Engine::compiling(Compiler::this_program(), limits, cache).map_err(|error| error.to_string())?;
            drop(self.engine.set(made));
        }
        Ok(self.engine.get().expect("it has just been set"))
    }
}

impl Outside for World {
    fn source_names(&self) -> Vec<&'static str> {
        connectors::source_names()
    }

    fn sink_names(&self) -> Vec<&'static str> {
        connectors::sink_names()
    }

    fn check_source(&self, connector: &str, config: &Value) -> Result<(), ConfigError> {
        connectors::check_source(connector, config).map_err(blamed)
    }

    fn check_sink(&self, connector: &str, config: &Value) -> Result<(), ConfigError> {
        connectors::check_sink(connector, config).map_err(blamed)
    }

    fn source_schema(&self, connector: &str, config: &Value) -> Option<Schema> {
        connectors::source_schema(connector, config)
    }

    fn plugin(&self, _: &str, plugin: &PluginRef, base: &Path, limits: &spec::Limits) -> Result<SharedFactory, String> {
        let path = plugins::find(plugin, base)?;
        let name = plugin.to_string();
        let component = plugins::load(&path, self.engine()?)?.limited_to(of_guests(limits));
        Ok(Arc::new(component.logging_to(Arc::new(move |line| log(&name, &line)))))
    }

    fn warning(&self, plugin: &PluginRef, base: &Path) -> Option<String> {
        plugins::warning(plugin, base)
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// The limits of a pipeline's operators.
pub(crate) fn of_guests(limits: &spec::Limits) -> Limits {
    let usual = Limits::default();
    Limits {
        memory_bytes_max: limits.memory_bytes_max.unwrap_or(usual.memory_bytes_max),
        call_ms_max: limits.call_ms_max.unwrap_or(usual.call_ms_max),
        output_rows_max: limits.output_rows_max.unwrap_or(usual.output_rows_max),
        output_bytes_factor: limits.output_bytes_factor.unwrap_or(usual.output_bytes_factor),
        output_bytes_extra: limits.output_bytes_extra.unwrap_or(usual.output_bytes_extra),
        retry_ms_max: limits.retry_ms_max.unwrap_or(usual.retry_ms_max),
        log_bytes_per_s_max: limits.log_bytes_per_s_max.unwrap_or(usual.log_bytes_per_s_max),
        ..usual
    }
}

/// The limits of the engine's own.
pub(crate) fn settings(limits: &spec::Limits) -> Settings {
    let usual = Settings::default();
    Settings {
        state_bytes_max: limits.state_bytes_max.unwrap_or(usual.state_bytes_max),
        emitted_bytes_max: limits.emitted_bytes_max.unwrap_or(usual.emitted_bytes_max),
        ..usual
    }
}

fn blamed(error: ConnectorError) -> ConfigError {
    ConfigError { path: error.path().to_owned(), message: error.to_string() }
}

/// A line that a guest wrote, for the process's own log.
pub(crate) fn log(plugin: &str, line: &LogLine) {
    if line.dropped > 0 {
        tracing::warn!(plugin, "{} lines of the log were dropped: there were too many", line.dropped);
    }
    let text = &line.message;
    match line.level {
        Level::Trace => tracing::trace!(plugin, "{text}"),
        Level::Debug => tracing::debug!(plugin, "{text}"),
        Level::Info => tracing::info!(plugin, "{text}"),
        Level::Warn => tracing::warn!(plugin, "{text}"),
        Level::Error => tracing::error!(plugin, "{text}"),
    }
}

/// Reads and checks a pipeline file.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn load(path: &Path, world: &World) -> Result<(Spec, Graph), Diagnostics> {
    spec::load(path, world)
}

/// A pipeline that is ready to be driven.
pub(crate) struct Assembled {
    pub(crate) graph: Graph,
    pub(crate) runtime: Runtime,
    /// Where the results are, one entry a sink, the dead letters last.
    pub(crate) places: Vec<String>,
    /// Whether some source has no end that is known.
    pub(crate) endless: bool,
}

/// What becomes of the sink of the dead letters before it is used.
pub(crate) type Wrap<'a> = &'a dyn Fn(Box<dyn SinkWriter>) -> Box<dyn SinkWriter>;

/// Opens the connectors that a checked pipeline names. No sink has looked yet at what an earlier run has left.
///
/// # Errors
/// One that cannot be opened.
pub(crate) fn connect(spec: &Spec, graph: &Graph, waker: &Waker, wrap: Wrap<'_>) -> anyhow::Result<Connectors> {
    let mut sources: Vec<Box<dyn SourceReader>> = Vec::new();
    for (source, connector) in graph.sources.iter().zip(&spec.sources) {
        let context = SourceContext {
            base: spec.base.clone(),
            waker: waker.clone(),
            pipeline: graph.name.clone(),
            name: source.name.clone(),
        };
        let opened = connectors::source(&connector.name, &connector.config, &context);
        sources.push(opened.map_err(|error| anyhow::anyhow!("source {}: {error}", source.name))?);
    }
    let sink = |sink: &Sink, connector: &Connector| open_sink(spec, graph, sink, connector, waker);
    let ends = graph.sinks.iter().zip(&spec.sinks);
    let sinks = ends.map(|(end, connector)| sink(end, connector)).collect::<anyhow::Result<Vec<_>>>()?;
    let dead_letters = match (&graph.dead_letters, &spec.dead_letters) {
        (Some(end), Some(connector)) => Some(wrap(sink(end, connector)?)),
        _ => None,
    };
    Ok(Connectors { sources, sinks, dead_letters })
}

/// Opens what a checked pipeline names and applies the plan that starts it.
///
/// # Errors
/// A connector that cannot be opened, or a plan that cannot be applied.
pub(crate) fn open(spec: &Spec, graph: Graph, waker: &Waker, wrap: Wrap<'_>) -> anyhow::Result<Assembled> {
    let connectors = connect(spec, &graph, waker, wrap)?;
    let places = connectors.sinks.iter().chain(&connectors.dead_letters).map(|sink| sink.place()).collect();
    let endless = connectors.sources.iter().any(|source| source.progress().is_none());
    let plan = Plan::between(None, &graph);
    let runtime = Runtime::apply(&plan, &graph, connectors, &settings(&spec.limits))?;
    Ok(Assembled { graph, runtime, places, endless })
}

fn open_sink(
    spec: &Spec,
    graph: &Graph,
    sink: &Sink,
    connector: &Connector,
    waker: &Waker,
) -> anyhow::Result<Box<dyn SinkWriter>> {
    let format = sink.format.clone().unwrap_or(Format::Ndjson);
    let context = SinkContext {
        base: spec.base.clone(),
        waker: waker.clone(),
        pipeline: graph.name.clone(),
        name: sink.name.clone(),
        extension: codec::extension(&format).into(),
        header: codec::header(&format, &sink.schema).into(),
    };
    let opened = connectors::sink(&connector.name, &connector.config, &context);
    opened.map_err(|error| anyhow::anyhow!("sink {}: {error}", sink.name))
}
