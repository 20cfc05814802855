//! The source seam: where bytes or rows come from, and where to go on after a restart.
//!
//! A reader is polled by the engine's read node and never blocks: what has to wait (a socket, a pipe) waits on a thread
//! of the connector and calls the waker that it was opened with. A reader knows nothing of formats: it appends bytes,
//! and the node cuts them where the codec says that a record ends.

use std::sync::Arc;

use crate::batch::Records;
use crate::clock::Micros;

/// How far a partition was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which partition: a file's path, or topic and number.
    pub partition: Arc<str>,
    /// The next byte (before compression: decompressed) or message to read.
    pub offset: u64,
    /// Lines before that; 0 where lines mean nothing.
    pub line: u64,
}

/// What a call of [`SourceReader::read`] brought.
#[derive(Debug)]
pub enum Read {
    /// Bytes of that partition were appended to the buffer. `partition` counts partitions as
    /// [`SourceReader::partition`] names them.
    Bytes {
        /// Which partition.
        partition: u32,
    },
    /// That partition has ended; a last record without line end is complete.
    End {
        /// Which partition.
        partition: u32,
    },
    /// That partition broke off: what is left of it cannot be read. The records before are good; the rest of a record
    /// goes to the dead letters with this reason, and the source goes on with its other partitions.
    Broken {
        /// Which partition.
        partition: u32,
        /// What is wrong and where, a sentence.
        reason: String,
    },
    /// Rows that the source made itself, all columns filled. Such a source has one partition, number 0.
    Records(Box<Records>),
    /// Nothing now. The waker is called when there is; or ask again at `until`.
    Idle {
        /// When to ask again, if no waker call comes.
        until: Option<Micros>,
    },
    /// Nothing ever again.
    Finished,
}

/// Why a source cannot go on at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What, where, and what to do, a sentence.
    pub message: String,
    /// Whether trying again later may help.
    pub retriable: bool,
}

/// An opened source.
pub trait SourceReader: Send {
    /// Goes on from these positions; partitions not named start at their beginning. Called at most once, before `read`.
    ///
    /// # Errors
    /// A position that does not exist any more.
    fn seek(&mut self, positions: &[Position]) -> Result<(), SourceError>;

    /// Brings what is there, at most about `max` bytes (or `max_rows` rows where it makes rows), without waiting.
    /// Bytes are appended to `into`.
    ///
    /// # Errors
    /// The source as a whole cannot go on.
    fn read(&mut self, now: Micros, max: usize, max_rows: usize, into: &mut Vec<u8>) -> Result<Read, SourceError>;

    /// Name of the partition of that number, as dead letters and positions have it.
    fn partition(&self, number: u32) -> Arc<str>;

    /// Where reading that partition began: not the start after a `seek`.
    fn start(&self, number: u32) -> Position;

    /// Appends the first bytes of that partition, about `max` of them, wherever it is read: a format with a header
    /// needs them after a `seek`. None are appended where they cannot be had any more.
    ///
    /// # Errors
    /// The source as a whole cannot go on.
    fn beginning(&mut self, _number: u32, _max: usize, _into: &mut Vec<u8>) -> Result<(), SourceError> {
        Ok(())
    }

    /// `(done, all)` in bytes or rows for a progress bar, where the end is known.
    fn progress(&self) -> Option<(u64, u64)>;

    /// Bytes, or rows where it makes rows, that could be read now if there were time for it; none where nobody knows.
    fn behind(&self, _now: Micros) -> Option<u64> {
        self.progress().map(|(done, all)| all.saturating_sub(done))
    }

    /// Nothing more is wanted. True: what was taken from outside and cannot be had again is still to come, so `read` is
    /// called until it is [`Read::Finished`]; a partition that breaks off for that is [`Read::Broken`]. False: all can
    /// be read again, or there is nothing.
    fn stop(&mut self) -> bool {
        false
    }

    /// Partitions that have ended and are never read again, also not after a restart: nobody needs to know their
    /// positions any more. Each is told once, and from then on its number means nothing.
    fn forget(&mut self) -> Vec<u32> {
        Vec::new()
    }

    /// What of the records up to `positions` may be forgotten, because a checkpoint that names them is complete.
    ///
    /// # Errors
    /// The outside system refused the acknowledgement.
    fn acknowledge(&mut self, positions: &[Position]) -> Result<(), SourceError>;
}
