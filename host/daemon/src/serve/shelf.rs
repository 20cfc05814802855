//! What a pipeline file may refer to on a server: connectors as everywhere, and code by its digest from the data
//! directory. Code that a file names by a path is read here, and taken into the data directory when the file is
//! applied, so that what runs does not change behind the server's back; a file that is refused or only planned leaves
//! nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use wasmill_engine::operator::SharedFactory;
use wasmill_engine::schema::Schema;
use wasmill_wasm::{Component, Level};

use super::disk::{Disk, DiskError};
use super::journal::{Line, Recent, now_ms};
use super::pins::{Pin, Pins};
use crate::assemble::{self, World};
use crate::plugins;
use crate::spec::{ConfigError, Limits, Outside, PluginRef};

/// How a file names code by its digest: `sha256@DIGEST`.
const BY_DIGEST: &str = "sha256";

/// Components in memory that are kept although nothing may use them.
const COMPILED_MAX: usize = 64;

/// Components by their digests, so that pipelines share their compiled code.
#[derive(Default)]
pub(crate) struct Compiled(Mutex<BTreeMap<String, Component>>);

impl Compiled {
    fn find(&self, digest: &str) -> Option<Component> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    /// Lets go of a component that was deleted.
    pub(crate) fn forget(&self, digest: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }

    /// Keeps a component in memory, in place of one that was kept before where there are too many: what works has its
    /// own hold on its code.
    pub(crate) fn keep(&self, component: &Component) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= COMPILED_MAX {
            kept.pop_first();
        }
        kept.insert(component.info().digest.clone(), component.clone());
    }
}

/// The shelf for one pipeline.
pub(crate) struct Shelf<'a> {
    /// The machine.
    pub(crate) world: &'a World,
    /// The data directory.
    pub(crate) disk: &'a Disk,
    /// Code that is ready.
    pub(crate) compiled: &'a Compiled,
    /// Code that must not be deleted now.
    pub(crate) pins: &'a Pins,
    /// Name of the pipeline.
    pub(crate) pipeline: &'a str,
    /// Where guests log to.
    pub(crate) lines: Arc<Recent<Line>>,
    /// Digests that stages have, whatever the file says: as it was before a restart.
    pub(crate) fixed: BTreeMap<String, String>,
    /// What was found.
    pub(crate) found: RefCell<Found<'a>>,
}

/// Code that a file names.
#[derive(Default)]
pub(crate) struct Found<'a> {
    /// For each stage its digest.
    pub(crate) digests: BTreeMap<String, String>,
    /// By digest.
    code: BTreeMap<String, Code<'a>>,
}

/// Code, pinned.
struct Code<'a> {
    pin: Pin<'a>,
    /// Where a file names it by a path: its bytes, and itself.
    read: Option<(Vec<u8>, Component)>,
}

impl Found<'_> {
    /// Takes it into the data directory, as far as it is not there.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn bring(&self, compiled: &Compiled) -> Result<(), DiskError> {
        for code in self.code.values() {
            if let Some((bytes, component)) = &code.read {
                code.pin.bring(bytes)?;
                compiled.keep(component);
            }
        }
        Ok(())
    }

    /// The digests of all of it.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        self.code.keys().map(String::as_str)
    }
}

impl Shelf<'_> {
    /// The code of that digest, for a stage that may use so much.
    ///
    /// # Errors
    /// There is none, or it is not one that this host takes.
    pub(crate) fn load(&self, stage: &str, digest: &str, limits: &Limits) -> Result<Component, String> {
        // What is compiled may have come from elsewhere than the data directory.
        let there = self.disk.has_plugin(digest);
        let component = match self.compiled.find(digest).filter(|_| there) {
            Some(component) => component,
            None => self.compile(digest)?,
        };
        Ok(self.for_stage(component, stage, limits))
    }

    /// A component that may use so much, and whose lines are kept as those of a stage.
    fn for_stage(&self, component: Component, stage: &str, limits: &Limits) -> Component {
        let (pipeline, stage, lines) = (self.pipeline.to_owned(), stage.to_owned(), self.lines.clone());
        let component = component.limited_to(assemble::of_guests(limits));
        component.logging_to(Arc::new(move |line| {
            let level = match line.level {
                Level::Trace => "trace",
                Level::Debug => "debug",
                Level::Info => "info",
                Level::Warn => "warn",
                Level::Error => "error",
            };
            let (pipeline, stage, message) = (pipeline.clone(), stage.clone(), line.message.clone());
            assemble::log(&format!("{pipeline}/{stage}"), &line);
            lines.add(Line { at_ms: now_ms(), pipeline, stage, level, message });
        }))
    }

    fn compile(&self, digest: &str) -> Result<Component, String> {
        let bytes = self.disk.plugin(digest).map_err(|error| error.to_string())?;
        let bytes = bytes.ok_or_else(|| {
            format!("there is no plugin of digest {digest} here; upload it, or look at the list of plugins")
        })?;
        let component = self.world.engine()?.load(&bytes).map_err(|error| error.to_string())?;
        self.compiled.keep(&component);
        Ok(component)
    }

    /// The code that a file names for a stage, and its digest.
    fn named(
        &self,
        stage: &str,
        plugin: &PluginRef,
        base: &Path,
        limits: &Limits,
    ) -> Result<(String, Component), String> {
        if let PluginRef::Named { name, version } = plugin
            && name == BY_DIGEST
        {
            return self.pinned(stage, version, limits);
        }
        let path = plugins::find(plugin, base)?;
        let unreadable = |error| format!("{} cannot be read: {error}; check the path", path.display());
        let bytes = std::fs::read(&path).map_err(unreadable)?;
        let digest = wasmill_wasm::digest(&bytes);
        let pin = self.pins.pin(self.disk, &digest);
        let component = match self.compiled.find(&digest) {
            Some(component) => component,
            None => self.world.engine()?.load(&bytes).map_err(|error| format!("{}: {error}", path.display()))?,
        };
        let read = Some((bytes, component.clone()));
        self.found.borrow_mut().code.insert(digest.clone(), Code { pin, read });
        Ok((digest, self.for_stage(component, stage, limits)))
    }

    /// The code of that digest, which stays there.
    fn pinned(&self, stage: &str, digest: &str, limits: &Limits) -> Result<(String, Component), String> {
        let pin = self.pins.pin(self.disk, digest);
        let component = self.load(stage, digest, limits)?;
        self.found.borrow_mut().code.entry(digest.to_owned()).or_insert(Code { pin, read: None });
        Ok((digest.to_owned(), component))
    }
}

/// Refuses the streams of a process as ends of a pipeline: a server has them for itself, and one set for all.
fn not_own(connector: &str) -> Result<(), ConfigError> {
    if !["stdin", "stdout"].contains(&connector) {
        return Ok(());
    }
    let message = format!("`{connector}` would be the server's own; use `file`, or `wasmill run`");
    Err(ConfigError { path: String::new(), message })
}

impl Outside for Shelf<'_> {
    fn source_names(&self) -> Vec<&'static str> {
        self.world.source_names()
    }

    fn sink_names(&self) -> Vec<&'static str> {
        self.world.sink_names()
    }

    fn check_source(&self, connector: &str, config: &Value) -> Result<(), ConfigError> {
        not_own(connector)?;
        self.world.check_source(connector, config)
    }

    fn check_sink(&self, connector: &str, config: &Value) -> Result<(), ConfigError> {
        not_own(connector)?;
        self.world.check_sink(connector, config)
    }

    fn source_schema(&self, connector: &str, config: &Value) -> Option<Schema> {
        self.world.source_schema(connector, config)
    }

    fn plugin(&self, stage: &str, plugin: &PluginRef, base: &Path, limits: &Limits) -> Result<SharedFactory, String> {
        let (digest, component) = match self.fixed.get(stage) {
            Some(digest) => self.pinned(stage, digest, limits)?,
            None => self.named(stage, plugin, base, limits)?,
        };
        self.found.borrow_mut().digests.insert(stage.to_owned(), digest);
        Ok(Arc::new(component))
    }

    fn warning(&self, plugin: &PluginRef, base: &Path) -> Option<String> {
        self.world.warning(plugin, base)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.world.variable(name)
    }
}
