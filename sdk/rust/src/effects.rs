//! What a call wants done, in the contract's words.
//!
//! Neighbours: [`crate::out`] and [`crate::operator`] put it together, [`crate::record`] lowers it.

use crate::column::Column;

/// What the host does with a refused row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// To the dead letters.
    DeadLetter,
    /// Call again with it after so many milliseconds.
    Retry(u32),
    /// Stop the pipeline before it.
    Stop,
}

/// A refusal of the row. Made by [`reject`](crate::verdict::reject), [`retry`](crate::verdict::retry) and
/// [`stop`](crate::verdict::stop), and from a text by `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// What to do with the row.
    pub action: Action,
    /// A sentence for whoever reads the dead letter.
    pub reason: String,
}

impl From<String> for Reject {
    fn from(reason: String) -> Self {
        Self { action: Action::DeadLetter, reason }
    }
}

impl From<&str> for Reject {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}

/// Rows for one port.
#[derive(Debug, PartialEq)]
pub struct Emit<'a> {
    /// Position in the plan's ports.
    pub port: u32,
    /// For each row its input row; none = every input row, in order.
    pub origin: Option<&'a [u32]>,
    /// One column for each that the port makes.
    pub columns: Vec<Column<'a>>,
}

/// What a call wants done with rows.
#[derive(Debug, Default, PartialEq)]
pub struct Effects<'a> {
    /// At most one for each port.
    pub emits: Vec<Emit<'a>>,
    /// The refused rows.
    pub rejects: Vec<(u32, Reject)>,
    /// A number for each metric of the plan; empty = nothing to report.
    pub metrics: Vec<f64>,
}

/// What a call of a keyed operator wants done.
#[derive(Debug, Default, PartialEq)]
pub struct Step<'a> {
    /// The part about rows.
    pub effects: Effects<'a>,
    /// A byte a key, 1 = forget it; empty = none.
    pub forget: Vec<u8>,
    /// The state of all keys.
    pub state: Vec<Column<'a>>,
}

/// The call as a whole failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What failed.
    pub message: String,
}
