//! Reads files to their end, one after the other, each a partition named by its path.
//!
//! The files are listed once, when the source is opened. What follows files while they grow is [`super::follow`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use wasmill_engine::clock::Micros;
use wasmill_engine::source::{Position, Read, SourceError, SourceReader};

use super::config::{Compression, SourceConfig};
use super::follow::Followed;
use super::input::{Input, Piece, beginning, short};
use super::listing::{Entry, list};
use crate::connector::{SourceContext, SourceEntry};
use crate::error::ConnectorError;

/// The source, for the registry.
pub(crate) const ENTRY: SourceEntry = SourceEntry { name: "file", check, open, schema: |_| None };

/// Checks the configuration.
fn check(value: &Value) -> Result<(), ConnectorError> {
    SourceConfig::parse(value).map(|_| ())
}

/// Lists the files; none is opened before it is read, but those whose names say that they cannot be.
fn open(value: &Value, context: &SourceContext) -> Result<Box<dyn SourceReader>, ConnectorError> {
    let config = SourceConfig::parse(value)?;
    let paths = config.path.all();
    if config.follow {
        return Ok(Box::new(Followed::new(&context.base, paths)));
    }
    let failed = |problem: String| ConnectorError::open("file", "path", problem);
    let listing = list(&context.base, paths).map_err(|error| failed(error.message))?;
    if let Some(path) = listing.unmatched {
        let folder = if context.base.as_os_str().is_empty() { Path::new(".") } else { &context.base };
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let problem = format!(
            "no file matches `{path}` in {}; correct `path`, or set `follow: true` to wait for files",
            folder.display()
        );
        return Err(failed(problem));
    }
    for entry in listing.entries.iter().filter(|entry| Compression::unknown(&entry.name).is_some()) {
        // One that cannot be opened says so when it is its turn.
        let input = Input::open(&entry.path, 0).ok();
        if let Some(reason) = input.as_ref().and_then(Input::broken) {
            return Err(failed(reason.to_owned()));
        }
    }
    Ok(Box::new(Listed::new(listing.entries)))
}

/// A source over files that are there.
struct Listed {
    partitions: Vec<Partition>,
    /// The file that is being read.
    current: usize,
    input: Option<Input>,
    /// Bytes on disk of all files, and of those before that one: there may be very many.
    all: u64,
    before: u64,
}

struct Partition {
    path: PathBuf,
    start: Position,
    /// Bytes on disk when it was listed.
    size: u64,
}

impl Listed {
    fn new(entries: Vec<Entry>) -> Self {
        let partition = |entry: Entry| Partition {
            // A file that is not there any more says so when it is read.
            size: std::fs::metadata(&entry.path).map_or(0, |metadata| metadata.len()),
            start: Position { partition: entry.name.into(), offset: 0, line: 0 },
            path: entry.path,
        };
        let partitions: Vec<Partition> = entries.into_iter().map(partition).collect();
        let all = partitions.iter().map(|partition| partition.size).sum();
        Self { partitions, current: 0, input: None, all, before: 0 }
    }
}

impl SourceReader for Listed {
    fn seek(&mut self, positions: &[Position]) -> Result<(), SourceError> {
        let names = self.partitions.iter().enumerate().map(|(i, partition)| (partition.start.partition.clone(), i));
        let by_name: BTreeMap<Arc<str>, usize> = names.collect();
        for position in positions {
            let Some(partition) = by_name.get(&position.partition).map(|i| &mut self.partitions[*i]) else {
                if position.offset == 0 {
                    continue;
                }
                let message = format!(
                    "{} was read up to byte {} before and is not there any more; \
                     put it back, or start without the checkpoint",
                    position.partition, position.offset
                );
                return Err(SourceError { message, retriable: false });
            };
            // How long a packed file is shows when it is unpacked.
            let input = Input::open(&partition.path, 0)?;
            if !input.is_packed() && partition.size < position.offset {
                return Err(short(&partition.path, partition.size, position.offset));
            }
            partition.start = position.clone();
        }
        Ok(())
    }

    fn read(&mut self, now: Micros, max: usize, _: usize, into: &mut Vec<u8>) -> Result<Read, SourceError> {
        let number = self.current as u32;
        let Some(partition) = self.partitions.get(self.current) else { return Ok(Read::Finished) };
        let input = match &mut self.input {
            Some(input) => input,
            None => self.input.insert(Input::open(&partition.path, partition.start.offset)?),
        };
        let read = match input.read(max, into)? {
            Piece::Bytes => return Ok(Read::Bytes { partition: number }),
            Piece::Skipped => return Ok(Read::Idle { until: Some(now) }),
            Piece::End => Read::End { partition: number },
            Piece::Broken(reason) => Read::Broken { partition: number, reason },
        };
        self.before += partition.size;
        self.input = None;
        self.current += 1;
        Ok(read)
    }

    fn partition(&self, number: u32) -> Arc<str> {
        self.partitions[number as usize].start.partition.clone()
    }

    fn start(&self, number: u32) -> Position {
        self.partitions[number as usize].start.clone()
    }

    fn beginning(&mut self, number: u32, max: usize, into: &mut Vec<u8>) -> Result<(), SourceError> {
        beginning(Input::open(&self.partitions[number as usize].path, 0)?, max, into)
    }

    fn progress(&self) -> Option<(u64, u64)> {
        let done = self.before + self.input.as_ref().map_or(0, Input::consumed);
        Some((done.min(self.all), self.all))
    }

    fn acknowledge(&mut self, _: &[Position]) -> Result<(), SourceError> {
        Ok(())
    }
}
