//! What a connector is to the registry, and what it is opened with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Waker;

use serde_json::Value;
use wasmill_engine::schema::Schema;
use wasmill_engine::sink::SinkWriter;
use wasmill_engine::source::SourceReader;

use crate::error::ConnectorError;

/// What a source is opened with, beside its configuration.
#[derive(Clone, Debug)]
pub struct SourceContext {
    /// Folder that relative paths start from: empty = the current directory.
    pub base: PathBuf,
    /// Called when a source that was idle has something.
    pub waker: Waker,
    /// Name of the pipeline.
    pub pipeline: Arc<str>,
    /// Name of the source in the pipeline.
    pub name: Arc<str>,
}

/// What a sink is opened with, beside its configuration.
#[derive(Clone, Debug)]
pub struct SinkContext {
    /// Folder that relative paths start from: empty = the current directory.
    pub base: PathBuf,
    /// Called when a sink that answered `Pending` can go on.
    pub waker: Waker,
    /// Name of the pipeline.
    pub pipeline: Arc<str>,
    /// Name of the sink in the pipeline.
    pub name: Arc<str>,
    /// What the names of files in the sink's format end in, without a dot: `ndjson`, `csv`.
    pub extension: Arc<str>,
    /// Bytes that each output begins with: the header of CSV; else empty.
    pub header: Arc<[u8]>,
}

/// Opens a source with this configuration.
pub(crate) type OpenSource = fn(&Value, &SourceContext) -> Result<Box<dyn SourceReader>, ConnectorError>;

/// Opens a sink with this configuration.
pub(crate) type OpenSink = fn(&Value, &SinkContext) -> Result<Box<dyn SinkWriter>, ConnectorError>;

/// A source as the registry knows it.
pub(crate) struct SourceEntry {
    /// As pipelines name it.
    pub(crate) name: &'static str,
    /// Reads a configuration, without I/O.
    pub(crate) check: fn(&Value) -> Result<(), ConnectorError>,
    /// Opens a source.
    pub(crate) open: OpenSource,
    /// The schema of a source that makes its own rows.
    pub(crate) schema: fn(&Value) -> Option<Schema>,
}

/// A sink as the registry knows it.
pub(crate) struct SinkEntry {
    /// As pipelines name it.
    pub(crate) name: &'static str,
    /// Reads a configuration, without I/O.
    pub(crate) check: fn(&Value) -> Result<(), ConnectorError>,
    /// Opens a sink.
    pub(crate) open: OpenSink,
    /// The one file, below this folder, that it writes and would not overwrite, where it is one.
    pub(crate) one_file: fn(&Value, &Path) -> Option<PathBuf>,
}
