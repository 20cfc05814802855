//! Sources and sinks: where rows come from and where they go, on the engine's seams.
//!
//! A connector is a folder with the same file names in each (`config.rs`, and `source.rs` or `sink.rs` where it is
//! one) and a word in the registry below. [`check_source`] and [`check_sink`] read a configuration and touch nothing
//! outside; [`source`] and [`sink`] open. What may wait (a pipe, a disk's flush) waits on a thread of the connector,
//! which calls the waker of its context.
#![forbid(unsafe_code)]

mod error;
mod connector;
mod config;
pub mod file;
pub mod stdin;
pub mod generator;
pub mod memory;
pub mod stdout;

use std::path::{Path, PathBuf};

use serde_json::Value;
use wasmill_engine::schema::Schema;
use wasmill_engine::sink::SinkWriter;
use wasmill_engine::source::SourceReader;

pub use connector::{SinkContext, SourceContext};
use connector::{SinkEntry, SourceEntry};
pub use error::ConnectorError;

/// The sources, by name.
const SOURCES: &[SourceEntry] = &[file::source::ENTRY, generator::source::ENTRY, stdin::source::ENTRY];

/// The sinks, by name.
const SINKS: &[SinkEntry] = &[file::sink::ENTRY, stdout::sink::ENTRY];

/// Names of the sources, sorted.
#[must_use]
pub fn source_names() -> Vec<&'static str> {
    SOURCES.iter().map(|entry| entry.name).collect()
}

/// Names of the sinks, sorted.
#[must_use]
pub fn sink_names() -> Vec<&'static str> {
    SINKS.iter().map(|entry| entry.name).collect()
}

/// Opens the source of that name.
///
/// # Errors
/// There is none of that name, its configuration is wrong, or what it names is not there.
pub fn source(name: &str, config: &Value, context: &SourceContext) -> Result<Box<dyn SourceReader>, ConnectorError> {
    (find_source(name)?.open)(config, context)
}

/// Opens the sink of that name.
///
/// # Errors
/// There is none of that name, its configuration is wrong, or what it names cannot be made.
pub fn sink(name: &str, config: &Value, context: &SinkContext) -> Result<Box<dyn SinkWriter>, ConnectorError> {
    (find_sink(name)?.open)(config, context)
}

/// Checks the configuration of a source, without any I/O.
///
/// # Errors
/// There is no such source, or its configuration is wrong.
pub fn check_source(name: &str, config: &Value) -> Result<(), ConnectorError> {
    (find_source(name)?.check)(config)
}

/// Checks the configuration of a sink, without any I/O.
///
/// # Errors
/// There is no such sink, or its configuration is wrong.
pub fn check_sink(name: &str, config: &Value) -> Result<(), ConnectorError> {
    (find_sink(name)?.check)(config)
}

/// The one file, below `base`, that a sink writes and that must not be there when it starts anew; none where it writes
/// others, or its configuration is wrong.
#[must_use]
pub fn one_file(name: &str, config: &Value, base: &Path) -> Option<PathBuf> {
    find_sink(name).ok().and_then(|entry| (entry.one_file)(config, base))
}

/// The schema of a source that makes its own rows; none for one that brings bytes, or whose configuration is wrong.
#[must_use]
pub fn source_schema(name: &str, config: &Value) -> Option<Schema> {
    find_source(name).ok().and_then(|entry| (entry.schema)(config))
}

fn find_source(name: &str) -> Result<&'static SourceEntry, ConnectorError> {
    let found = SOURCES.iter().find(|entry| entry.name == name);
    found.ok_or_else(|| ConnectorError::unknown("source", name, &source_names()))
}

fn find_sink(name: &str) -> Result<&'static SinkEntry, ConnectorError> {
    let found = SINKS.iter().find(|entry| entry.name == name);
    found.ok_or_else(|| ConnectorError::unknown("sink", name, &sink_names()))
}
