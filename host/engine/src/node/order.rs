//! What a running lane of a stage is told, and what it tells: swaps and taps.
//!
//! A lane looks for orders between two messages, so a batch in flight finishes on the code that began it.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Weak};

use crate::batch::Batch;
use crate::clock::Micros;
use crate::node::code::Code;

/// To a lane of a stage.
pub enum StageOrder {
    /// Work with this code from now on, and watch it.
    Install {
        /// The code.
        code: Box<Code>,
        /// For so many batches.
        watch: u32,
    },
    /// Work with the code before that version again, if that version is the one that runs.
    Back {
        /// The version to leave.
        version: u64,
    },
    /// That version is good: watch it no longer, but be ready to go back where another lane has to.
    Settle {
        /// The version.
        version: u64,
    },
    /// All lanes find that version good: forget the code before it.
    Forget {
        /// The version.
        version: u64,
    },
    /// Show rows.
    Tap(Tap),
}

/// A look at the rows of a lane. What the receiver has no room for is not shown; it ends when the reader is gone.
pub struct Tap {
    /// Whether to show what comes in, or what goes out.
    pub side: Side,
    /// Where batches go.
    pub to: SyncSender<Tapped>,
    /// Lives as long as somebody reads.
    pub reader: Weak<()>,
    /// Lives as long as the look does, so that looks can be counted.
    pub(crate) _counted: Arc<()>,
}

/// Which rows a tap shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What comes into the stage.
    In,
    /// What goes out of it.
    Out,
}

/// Rows that a tap shows.
#[derive(Clone, Debug)]
pub struct Tapped {
    /// The output port; 0 for what comes in.
    pub port: usize,
    /// The rows.
    pub batch: Batch,
}

/// From a lane of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageReport {
    /// Number of the stage.
    pub stage: usize,
    /// The lane.
    pub lane: u32,
    /// The version that this is about.
    pub version: u64,
    /// What happened.
    pub news: News,
}

/// What a lane has done about a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It works with it.
    Installed {
        /// How long rows waited for the switch, in microseconds: from when the lane began with it, between two batches,
        /// to the begin of the first batch of this code, or to when there was nothing to do.
        waited: Micros,
        /// Keys whose state was carried over.
        keys: u64,
    },
    /// So many batches went well that the code before can go.
    Passed,
    /// It works with the code before again.
    Back {
        /// Why, where it was this lane's own decision.
        why: Option<String>,
        /// How long rows waited for the failed call and the switch, in microseconds.
        waited: Micros,
    },
    /// Its input has ended, whatever the version: it takes no orders any more.
    Ended,
}
