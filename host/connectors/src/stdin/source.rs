//! Reads the standard input on a thread of its own, because reading a pipe waits.
//!
//! Always true: at most [`CHUNKS`] + 2 chunks of [`CHUNK_BYTES`] are in memory, however much the pipe brings; the
//! thread waits while the engine is behind. Chunks go back to the thread to be filled again.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::task::Waker;

use serde_json::Value;
use wasmill_engine::clock::Micros;
use wasmill_engine::source::{Position, Read, SourceError, SourceReader};

use super::config::Config;
use crate::config;
use crate::connector::{SourceContext, SourceEntry};
use crate::error::ConnectorError;

/// Chunks between the thread and the engine.
pub const CHUNKS: usize = 8;

/// Bytes of a chunk, at most. A pipe brings 64 KiB at once as a rule.
pub const CHUNK_BYTES: usize = 256 << 10;

/// The source, for the registry.
pub(crate) const ENTRY: SourceEntry = SourceEntry { name: "stdin", check, open, schema: |_| None };

/// Checks the configuration.
fn check(value: &Value) -> Result<(), ConnectorError> {
    config::parse::<Config>("stdin", value).map(|_| ())
}

/// Opens the standard input; it is not touched before the first `read`.
fn open(value: &Value, context: &SourceContext) -> Result<Box<dyn SourceReader>, ConnectorError> {
    check(value)?;
    Ok(Box::new(Piped::new("stdin", std::io::stdin(), context.waker.clone())))
}

/// A source over anything that is read by waiting.
pub struct Piped<R> {
    partition: Arc<str>,
    waker: Waker,
    state: State<R>,
}

enum State<R> {
    Unread(R),
    Reading(Pipe),
    Ended,
}

/// The engine's end of the thread.
struct Pipe {
    filled: Receiver<Filled>,
    empty: SyncSender<Vec<u8>>,
    chunk: Vec<u8>,
    /// Bytes of the chunk that the input filled, and how many of them were handed on.
    length: usize,
    taken: usize,
    /// How the input ended, once it has.
    end: Option<Result<(), String>>,
}

/// A chunk and how many of its bytes the input filled, or why there is none.
type Filled = Result<(Vec<u8>, usize), String>;

impl<R: std::io::Read + Send + 'static> Piped<R> {
    /// A source of one partition of that name. The input is not touched before the first `read`.
    #[must_use]
    pub fn new(partition: &str, input: R, waker: Waker) -> Self {
        Self { partition: partition.into(), waker, state: State::Unread(input) }
    }

    /// The pipe, its thread started; none once the input has ended.
    fn pipe(&mut self) -> Result<Option<&mut Pipe>, SourceError> {
        if let State::Unread(_) = self.state {
            let State::Unread(input) = std::mem::replace(&mut self.state, State::Ended) else { return Ok(None) };
            self.state = State::Reading(Pipe::start(&self.partition, input, self.waker.clone())?);
        }
        Ok(match &mut self.state {
            State::Reading(pipe) => Some(pipe),
            State::Unread(_) | State::Ended => None,
        })
    }

    fn error(&self, error: &str) -> SourceError {
        SourceError { message: format!("{} cannot be read: {error}", self.partition), retriable: false }
    }
}

impl Pipe {
    fn start<R: std::io::Read + Send + 'static>(name: &str, input: R, waker: Waker) -> Result<Self, SourceError> {
        let (fill, filled) = sync_channel(CHUNKS);
        let (empty, empties) = sync_channel(CHUNKS);
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread.spawn(move || pump(input, fill, &empties, &waker)).map_err(|error| SourceError {
            message: format!("no thread could be started to read {name}: {error}; raise the limit on threads"),
            retriable: true,
        })?;
        Ok(Self { filled, empty, chunk: Vec::new(), length: 0, taken: 0, end: None })
    }

    /// Appends what is there, up to `max` bytes. The answer is none once nothing will ever come.
    fn take(&mut self, max: usize, into: &mut Vec<u8>) -> Result<Option<usize>, String> {
        let before = into.len();
        while into.len() - before < max {
            if self.taken == self.length {
                match self.filled.try_recv() {
                    Ok(Ok((chunk, length))) => self.renew(chunk, length),
                    Ok(Err(error)) => self.end = Some(Err(error)),
                    Err(TryRecvError::Disconnected) => self.end = self.end.take().or(Some(Ok(()))),
                    Err(TryRecvError::Empty) => break,
                }
                if self.end.is_some() {
                    break;
                }
            }
            let some = (max - (into.len() - before)).min(self.length - self.taken);
            into.extend_from_slice(&self.chunk[self.taken..self.taken + some]);
            self.taken += some;
        }
        match &self.end {
            // What came before the end is handed on first.
            Some(end) if into.len() == before => end.clone().map(|()| None),
            _ => Ok(Some(into.len() - before)),
        }
    }

    fn renew(&mut self, chunk: Vec<u8>, length: usize) {
        let used = std::mem::replace(&mut self.chunk, chunk);
        (self.length, self.taken) = (length, 0);
        // The thread may have ended, and then needs no chunk.
        drop(self.empty.try_send(used));
    }
}

/// The thread: fills chunks until the input ends or nobody wants them any more.
fn pump<R: std::io::Read>(mut input: R, fill: SyncSender<Filled>, empties: &Receiver<Vec<u8>>, waker: &Waker) {
    loop {
        let mut chunk = empties.try_recv().unwrap_or_default();
        chunk.resize(CHUNK_BYTES, 0);
        let filled = match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => Ok((chunk, length)),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error.to_string()),
        };
        let failed = filled.is_err();
        if fill.send(filled).is_err() || failed {
            break;
        }
        waker.wake_by_ref();
    }
    // The end is seen by the sender being gone: before the last call.
    drop(fill);
    waker.wake_by_ref();
}

impl<R: std::io::Read + Send + 'static> SourceReader for Piped<R> {
    fn seek(&mut self, positions: &[Position]) -> Result<(), SourceError> {
        match positions.iter().find(|position| position.offset > 0) {
            None => Ok(()),
            Some(position) => Err(SourceError {
                message: format!(
                    "{} cannot be read again from byte {}: what came before is gone; start without the checkpoint, \
                     or read from a file",
                    self.partition, position.offset
                ),
                retriable: false,
            }),
        }
    }

    fn read(&mut self, _: Micros, max: usize, _: usize, into: &mut Vec<u8>) -> Result<Read, SourceError> {
        let Some(pipe) = self.pipe()? else { return Ok(Read::Finished) };
        match pipe.take(max, into) {
            Ok(Some(0)) => Ok(Read::Idle { until: None }),
            Ok(Some(_)) => Ok(Read::Bytes { partition: 0 }),
            Ok(None) => {
                self.state = State::Ended;
                Ok(Read::End { partition: 0 })
            }
            Err(error) => Err(self.error(&error)),
        }
    }

    fn partition(&self, _: u32) -> Arc<str> {
        self.partition.clone()
    }

    fn start(&self, _: u32) -> Position {
        Position { partition: self.partition.clone(), offset: 0, line: 0 }
    }

    fn progress(&self) -> Option<(u64, u64)> {
        None
    }

    fn acknowledge(&mut self, _: &[Position]) -> Result<(), SourceError> {
        Ok(())
    }
}
