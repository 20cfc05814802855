//! Reads the standard input on a thread of its own, because reading a pipe waits.
//!
//! Always true: at most [`CHUNKS`] + 2 chunks of [`CHUNK_BYTES`] are in memory, however much the pipe brings; the
//! thread waits while the engine is behind. Chunks go back to the thread to be filled again. What the thread has read
//! is handed on, after a stop too, unless it was left while it waited: then it says how many bytes are lost.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, SendError, SyncSender, TryRecvError, sync_channel};
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

/// What the thread is doing.
const READS: u8 = 0;
const HANDS_ON: u8 = 1;
const AT_THE_END: u8 = 2;

/// It waits for the input, and nobody for it: what it still reads is unwanted.
const IS_LEFT: u8 = 3;

/// What thread and engine tell each other beside chunks.
#[derive(Default)]
struct Signals {
    doing: AtomicU8,
    /// Nothing more is wanted.
    stopped: AtomicBool,
}

/// The engine's end of the thread.
struct Pipe {
    signals: Arc<Signals>,
    filled: Receiver<Filled>,
    empty: SyncSender<Vec<u8>>,
    chunk: Vec<u8>,
    /// Bytes of the chunk that the input filled, and how many of them were handed on.
    length: usize,
    taken: usize,
    /// How the input ended, once it has.
    end: Option<End>,
}

#[derive(Clone, Debug)]
enum End {
    /// It has no more.
    Whole,
    /// It may have more, which nobody wants.
    Stopped,
    Failed(String),
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
        let (signals, given) = (Arc::new(Signals::default()), name.to_owned());
        let shared = signals.clone();
        let thread = std::thread::Builder::new().name(name.to_owned());
        let run = move || pump(&given, input, fill, &empties, &shared, &waker);
        thread.spawn(run).map_err(|error| SourceError {
            message: format!("no thread could be started to read {name}: {error}; raise the limit on threads"),
            retriable: true,
        })?;
        Ok(Self { signals, filled, empty, chunk: Vec::new(), length: 0, taken: 0, end: None })
    }

    /// Appends what is there, up to `max` bytes, and answers how many. An end once nothing will ever come.
    fn take(&mut self, max: usize, into: &mut Vec<u8>) -> Result<usize, End> {
        let before = into.len();
        while into.len() - before < max {
            if self.taken == self.length {
                // Before the chunks are looked at, what it had is among them; after, it has got nothing meanwhile.
                let waited = self.waits();
                match self.filled.try_recv() {
                    Ok(Ok((chunk, length))) => self.renew(chunk, length),
                    Ok(Err(error)) => self.end = Some(End::Failed(error)),
                    Err(TryRecvError::Disconnected) => self.end = self.end.take().or(Some(self.over())),
                    // Bytes of this call are handed on first: what comes meanwhile is for the next.
                    Err(TryRecvError::Empty) if into.len() > before => break,
                    Err(TryRecvError::Empty) if self.is_stopped() && waited && self.leave() => {
                        self.end = Some(End::Stopped);
                    }
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
            Some(end) if into.len() == before => Err(end.clone()),
            _ => Ok(into.len() - before),
        }
    }

    fn is_stopped(&self) -> bool {
        self.signals.stopped.load(Ordering::SeqCst)
    }

    /// Whether the thread waits for the input.
    fn waits(&self) -> bool {
        self.signals.doing.load(Ordering::SeqCst) == READS
    }

    /// Leaves the thread where it waits for the input; false when it has got something.
    fn leave(&self) -> bool {
        self.signals.doing.compare_exchange(READS, IS_LEFT, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// What the end of the thread means.
    fn over(&self) -> End {
        if self.signals.doing.load(Ordering::SeqCst) == AT_THE_END { End::Whole } else { End::Stopped }
    }

    fn renew(&mut self, chunk: Vec<u8>, length: usize) {
        let used = std::mem::replace(&mut self.chunk, chunk);
        (self.length, self.taken) = (length, 0);
        // The thread may have ended, and then needs no chunk.
        drop(self.empty.try_send(used));
    }
}

/// The thread: fills chunks until the input ends or nobody wants them any more.
fn pump<R: std::io::Read>(
    name: &str,
    mut input: R,
    fill: SyncSender<Filled>,
    empties: &Receiver<Vec<u8>>,
    signals: &Signals,
    waker: &Waker,
) {
    while !signals.stopped.load(Ordering::SeqCst) {
        let mut chunk = empties.try_recv().unwrap_or_default();
        chunk.resize(CHUNK_BYTES, 0);
        signals.doing.store(READS, Ordering::SeqCst);
        let read = input.read(&mut chunk);
        if signals.doing.swap(HANDS_ON, Ordering::SeqCst) == IS_LEFT {
            lose(name, read.unwrap_or(0));
            break;
        }
        let filled = match read {
            Ok(0) => {
                signals.doing.store(AT_THE_END, Ordering::SeqCst);
                break;
            }
            Ok(length) => Ok((chunk, length)),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error.to_string()),
        };
        let failed = filled.is_err();
        if let Err(SendError(unwanted)) = fill.send(filled) {
            if let (Ok((_, bytes)), true) = (unwanted, signals.stopped.load(Ordering::SeqCst)) {
                lose(name, bytes);
            }
            break;
        }
        if failed {
            break;
        }
        waker.wake_by_ref();
    }
    // The end is seen by the sender being gone: before the last call.
    drop(fill);
    waker.wake_by_ref();
}

/// Says what was read after the pipeline had been stopped: the thread cannot be called back from waiting.
fn lose(name: &str, bytes: usize) {
    if bytes > 0 {
        tracing::warn!("{bytes} bytes of {name} came when the pipeline had been stopped; they are lost");
    }
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
            Ok(0) => Ok(Read::Idle { until: None }),
            Ok(_) => Ok(Read::Bytes { partition: 0 }),
            Err(End::Whole) => {
                self.state = State::Ended;
                Ok(Read::End { partition: 0 })
            }
            Err(End::Stopped) => {
                self.state = State::Ended;
                let reason = "the pipeline was stopped before the rest of the record came; these are its first bytes";
                Ok(Read::Broken { partition: 0, reason: reason.to_owned() })
            }
            Err(End::Failed(error)) => Err(self.error(&error)),
        }
    }

    /// What is in the pipe stays there; what the thread has taken from it comes.
    fn stop(&mut self) -> bool {
        match &self.state {
            State::Reading(pipe) => {
                pipe.signals.stopped.store(true, Ordering::SeqCst);
                true
            }
            State::Unread(_) | State::Ended => false,
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
