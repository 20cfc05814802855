//! The sink seam: where rows go, in epochs that become visible as a whole.
//!
//! Rows of an epoch are written, then *prepared* (durable, not visible), then *committed* (visible). Between the two
//! the checkpoint becomes durable. What a sink can promise after a crash is its [`Promise`]; the plan checks that they
//! fit together. A sink never blocks: what has to wait answers [`Progress::Pending`] and is asked again.

use crate::batch::Batch;
use crate::clock::Micros;

/// What a sink wants to be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Records encoded in the sink's format, one after the other.
    Bytes,
    /// Columns: the sink has its own encoding, as databases do.
    Columns,
}

/// Rows for a sink, in order.
#[derive(Debug)]
pub struct Block<'a> {
    /// The rows.
    pub batch: &'a Batch,
    /// They encoded; empty for a sink that wants columns.
    pub bytes: &'a [u8],
    /// One past the last byte of each row in `bytes`, line end included.
    pub ends: &'a [u32],
}

/// What a sink does with an epoch that was prepared when the process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Rows may be repeated.
    AtLeastOnce,
    /// The commit can be repeated until it has happened.
    Recoverable,
    /// The commit cannot be resumed: the sink itself is the place that says what committed.
    CommitPoint,
}

/// Whether something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is.
    Done,
    /// Ask again when woken, or then.
    Pending {
        /// When to ask again, if no waker call comes.
        until: Option<Micros>,
    },
}

/// Why a sink cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    /// What, where, and what to do, a sentence.
    pub message: String,
    /// Whether trying again later may help.
    pub retriable: bool,
}

/// An opened sink.
pub trait SinkWriter: Send {
    /// What it wants to be given.
    fn wants(&self) -> Wants;

    /// What it promises after a crash.
    fn promise(&self) -> Promise;

    /// Called once before anything else: finishes or undoes what an earlier process left. `committed` is the last epoch
    /// whose checkpoint is complete. Answers the last epoch that this sink has committed, where it knows.
    ///
    /// # Errors
    /// What was left can be neither finished nor undone.
    fn recover(&mut self, committed: Option<u64>) -> Result<Option<u64>, SinkError>;

    /// Takes rows of the current epoch, or answers `Pending` and has taken none of them.
    ///
    /// # Errors
    /// The rows were not taken, or not whole: the epoch must be given up.
    fn write(&mut self, now: Micros, block: &Block<'_>) -> Result<Progress, SinkError>;

    /// Ends the current epoch under this number and makes it durable. Called again with the same number until `Done`.
    ///
    /// # Errors
    /// The epoch must be given up.
    fn prepare(&mut self, epoch: u64) -> Result<Progress, SinkError>;

    /// Makes a prepared epoch visible. Called again with the same number until `Done`, and again after a restart.
    ///
    /// # Errors
    /// The epoch stays prepared.
    fn commit(&mut self, epoch: u64) -> Result<Progress, SinkError>;

    /// Where its results are, for people: a path, an address.
    fn place(&self) -> String;
}
