//! Writes the standard output on a thread of its own, because whoever reads it may be slow.
//!
//! Each block is one write, so a line is visible as soon as the engine has handed it over. Always true: at most
//! [`BLOCKS`] blocks wait; then it answers `Pending`. `prepare` is done when all that was taken is written.

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::task::Waker;

use serde_json::Value;
use wasmill_engine::clock::Micros;
use wasmill_engine::sink::{Block, Progress, Promise, SinkError, SinkWriter, Wants};

use super::config::Config;
use crate::config;
use crate::connector::{SinkContext, SinkEntry};
use crate::error::ConnectorError;

/// Blocks between the engine and the thread.
pub const BLOCKS: usize = 4;

/// The sink, for the registry.
pub(crate) const ENTRY: SinkEntry = SinkEntry { name: "stdout", check, open, one_file: |_, _| None };

/// Checks the configuration.
fn check(value: &Value) -> Result<(), ConnectorError> {
    config::parse::<Config>("stdout", value).map(|_| ())
}

/// Opens the standard output.
fn open(value: &Value, context: &SinkContext) -> Result<Box<dyn SinkWriter>, ConnectorError> {
    check(value)?;
    let sink = Piped::new("stdout", std::io::stdout(), &context.header, context.waker.clone());
    Ok(Box::new(sink.map_err(|error| ConnectorError::open("stdout", "", error.message))?))
}

/// A sink over anything that is written by waiting.
pub struct Piped {
    name: Arc<str>,
    /// What goes before the next rows.
    header: Vec<u8>,
    blocks: SyncSender<Vec<u8>>,
    written: Receiver<Result<Vec<u8>, SinkError>>,
    /// Blocks that went to the thread and did not come back.
    waiting: usize,
    empty: Vec<Vec<u8>>,
    failed: Option<SinkError>,
}

impl Piped {
    /// A sink of that name; the first rows are preceded by `header`.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn new<W: Write + Send + 'static>(
        name: &str,
        output: W,
        header: &[u8],
        waker: Waker,
    ) -> Result<Self, SinkError> {
        let (blocks, queue) = sync_channel(BLOCKS);
        let (done, written) = channel();
        let name: Arc<str> = name.into();
        let thread = std::thread::Builder::new().name(name.to_string());
        let place = name.clone();
        thread.spawn(move || pump(&place, output, &queue, &done, &waker)).map_err(|error| SinkError {
            message: format!("no thread could be started to write {name}: {error}; raise the limit on threads"),
            retriable: true,
        })?;
        Ok(Self { name, header: header.to_vec(), blocks, written, waiting: 0, empty: Vec::new(), failed: None })
    }

    /// Takes back what the thread is done with.
    fn settle(&mut self) -> Result<(), SinkError> {
        while let Ok(written) = self.written.try_recv() {
            self.waiting -= 1;
            match written {
                Ok(block) => self.empty.push(block),
                Err(error) => self.failed = Some(error),
            }
        }
        self.failed.clone().map_or(Ok(()), Err)
    }
}

/// The thread: writes blocks until one fails or no more can come.
fn pump<W: Write>(
    name: &str,
    mut output: W,
    queue: &Receiver<Vec<u8>>,
    done: &Sender<Result<Vec<u8>, SinkError>>,
    waker: &Waker,
) {
    while let Ok(block) = queue.recv() {
        let written = output.write_all(&block).and_then(|()| output.flush());
        let failed = written.is_err();
        let answer = written.map(|()| block).map_err(|error| failure(name, &error));
        let gone = done.send(answer).is_err();
        waker.wake_by_ref();
        if failed || gone {
            break;
        }
    }
}

fn failure(name: &str, error: &std::io::Error) -> SinkError {
    let message = match error.kind() {
        ErrorKind::BrokenPipe => format!("{name} was closed by its reader"),
        _ => format!("{name} cannot be written: {error}"),
    };
    SinkError { message, retriable: false }
}

impl SinkWriter for Piped {
    fn wants(&self) -> Wants {
        Wants::Bytes
    }

    fn promise(&self) -> Promise {
        Promise::AtLeastOnce
    }

    fn recover(&mut self, _: Option<u64>) -> Result<Option<u64>, SinkError> {
        Ok(None)
    }

    fn write(&mut self, _: Micros, block: &Block<'_>) -> Result<Progress, SinkError> {
        self.settle()?;
        if self.waiting == BLOCKS {
            return Ok(Progress::Pending { until: None });
        }
        let mut bytes = self.empty.pop().unwrap_or_default();
        bytes.clear();
        bytes.append(&mut self.header);
        bytes.extend_from_slice(block.bytes);
        if self.blocks.send(bytes).is_err() {
            // The thread ends only after it has said why.
            self.settle()?;
            return Err(SinkError { message: format!("{} has no writer any more", self.name), retriable: false });
        }
        self.waiting += 1;
        Ok(Progress::Done)
    }

    fn prepare(&mut self, _: u64) -> Result<Progress, SinkError> {
        self.settle()?;
        Ok(if self.waiting == 0 { Progress::Done } else { Progress::Pending { until: None } })
    }

    fn commit(&mut self, _: u64) -> Result<Progress, SinkError> {
        Ok(Progress::Done)
    }

    fn place(&self) -> String {
        self.name.to_string()
    }
}
