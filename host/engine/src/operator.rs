//! The operator seam: a pure function of (rows, state) to effects.
//!
//! Native operators (tests, benchmarks, simulation) and guests (`host/wasm`) implement the same two traits. An operator
//! never sees a batch, only the columns that it asked for in its [`OperatorPlan`]; it never changes anything, it says
//! what it wants done. The stage checks nothing here: whoever builds [`Effects`] from outside data has checked them.
//!
//! The words are the contract's, see `wit/data.wit`.

use std::fmt;
use std::sync::Arc;

use arrow_array::{ArrayRef, UInt32Array};
use serde_json::Value;

use crate::clock::Micros;
use crate::limits::RETRIES_MAX;
use crate::schema::{Field, Kind};

/// A column that an operator wants to see.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// Path of the field, or the name of a metadata column.
    pub name: String,
    /// The kind that the operator expects.
    pub kind: Kind,
    /// Whether it accepts null.
    pub nullable: bool,
    /// Value for rows that have none; of the right kind.
    pub fallback: Option<Value>,
}

/// An output of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Unique within the plan.
    pub name: String,
    /// `(input, output)` names of the columns passed on by reference; none = all under their own names.
    pub carries: Option<Vec<(String, String)>>,
    /// The columns that the operator makes.
    pub makes: Vec<Field>,
}

/// State that the host keeps for each key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Unique within the plan.
    pub name: String,
    /// Version of the meaning of the columns.
    pub version: u32,
    /// The fields of a key's row.
    pub columns: Vec<Field>,
    /// Forget a key so long after its last change.
    pub ttl_ms: Option<u64>,
}

/// How the values of a metric add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Amounts are added.
    Counter,
    /// The last value counts.
    Gauge,
}

/// A number that the operator wants to be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Name without prefix.
    pub name: String,
    /// How its values add up.
    pub kind: MetricKind,
    /// One sentence.
    pub help: String,
}

/// What an operator declares when it is opened.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorPlan {
    /// The columns that it sees.
    pub reads: Vec<Read>,
    /// Its outputs; never empty.
    pub ports: Vec<Port>,
    /// Its state; empty for a transform.
    pub tables: Vec<Table>,
    /// Its metrics.
    pub metrics: Vec<Metric>,
}

/// Whether an operator has state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorKind {
    /// No state.
    Transform,
    /// State for each key.
    Keyed,
}

impl fmt::Display for OperatorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transform => "transform",
            Self::Keyed => "keyed",
        })
    }
}

/// What a call may depend on beside rows and state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Number of the batch within stage and lane.
    pub batch: u64,
    /// 0 at the first try.
    pub attempt: u32,
    /// Event time up to which the input is complete; `i64::MIN` = unknown.
    pub watermark: Micros,
    /// The host's clock.
    pub now: Micros,
    /// Seed for random numbers.
    pub seed: u64,
}

/// One table's rows for the slots of a call.
#[derive(Clone, Debug)]
pub struct TableRows {
    /// A byte a slot, 1 = new; empty = none is new.
    pub fresh: Vec<u8>,
    /// The table's columns, a row a slot.
    pub columns: Vec<ArrayRef>,
}

/// The state part of a call.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// For each row its slot.
    pub slots: &'a [u32],
    /// Number of slots.
    pub count: u32,
    /// One entry a table of the plan.
    pub tables: &'a [TableRows],
}

/// A batch as an operator gets it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What it may depend on.
    pub context: Context,
    /// Number of rows.
    pub rows: usize,
    /// One column for each of the plan's reads: of exactly that kind, without nulls where the read accepts none.
    pub columns: &'a [ArrayRef],
    /// State, for a keyed operator.
    pub keys: Option<Keys<'a>>,
}

/// Rows for one output port.
#[derive(Clone, Debug)]
pub struct Emit {
    /// Position in the plan's ports.
    pub port: usize,
    /// For each output row its input row; none = all in order.
    pub origin: Option<UInt32Array>,
    /// One column for each of the port's `makes`.
    pub columns: Vec<ArrayRef>,
}

/// What to do with a refused row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// To the dead letters.
    DeadLetter,
    /// Call again with it after so many milliseconds.
    Retry(u32),
    /// Stop the pipeline before it.
    Stop,
}

/// A row that the operator refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Number of the input row.
    pub row: u32,
    /// What to do with it.
    pub action: Action,
    /// What is wrong with it.
    pub reason: String,
}

/// One table's rows after a call.
#[derive(Clone, Debug, Default)]
pub struct TableChanges {
    /// A byte a slot, 1 = forget the key; empty = none.
    pub forget: Vec<u8>,
    /// The columns as they shall be, all slots; empty = nothing changed.
    pub columns: Vec<ArrayRef>,
}

/// All that a call wants done.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// At most one for each port.
    pub emits: Vec<Emit>,
    /// The refused rows; none twice, none of them the origin of an emitted row.
    pub rejects: Vec<Reject>,
    /// One value for each metric of the plan, or empty.
    pub metrics: Vec<f64>,
    /// One entry a table, or empty.
    pub tables: Vec<TableChanges>,
}

impl Effects {
    /// The rows that the operator wants to be called with again, each with the milliseconds before that.
    pub fn retries(&self) -> impl Iterator<Item = (u32, u32)> {
        self.rejects.iter().filter_map(|reject| match reject.action {
            Action::Retry(after_ms) => Some((reject.row, after_ms)),
            Action::DeadLetter | Action::Stop => None,
        })
    }

    /// Whether nothing of this is done yet, because a row is tried again and others must not overtake it. After too
    /// many tries it is not.
    #[must_use]
    pub fn wait(&self, attempt: u32) -> bool {
        attempt < RETRIES_MAX && self.retries().next().is_some()
    }
}

/// Why a call had no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The operator says so.
    #[error("the operator failed: {message}")]
    Fault {
        /// What it says.
        message: String,
        /// The row to blame, where it knows.
        row: Option<u32>,
    },
    /// The guest trapped.
    #[error("the operator trapped: {message}")]
    Trap {
        /// The trap, or the panic's message where the SDK passed it on.
        message: String,
        /// The guest's frames, innermost first, a line each.
        backtrace: String,
    },
    /// A limit was hit.
    #[error(
        "the operator exceeded {limit}: limit {allowed} {unit}, in use {current} {unit}, requested {requested} {unit}"
    )]
    Limit {
        /// Name of the limit as configuration has it.
        limit: &'static str,
        /// Unit of the three numbers.
        unit: &'static str,
        /// The limit.
        allowed: u64,
        /// In use before.
        current: u64,
        /// What was asked for on top.
        requested: u64,
        /// The guest's frames where it was interrupted, as of a trap; empty where it had returned.
        backtrace: String,
    },
    /// What came back breaks the contract.
    #[error("the operator's answer is invalid: {0}")]
    Invalid(String),
}

impl CallError {
    /// The guest's frames where it was interrupted, innermost first, a line each.
    #[must_use]
    pub fn backtrace(&self) -> Option<&str> {
        match self {
            Self::Trap { backtrace, .. } | Self::Limit { backtrace, .. } => {
                Some(&**backtrace).filter(|frames| !frames.is_empty())
            }
            Self::Fault { .. } | Self::Invalid(_) => None,
        }
    }

    /// A limit that was met once the guest had returned.
    #[must_use]
    pub const fn limit(limit: &'static str, unit: &'static str, allowed: u64, current: u64, requested: u64) -> Self {
        Self::Limit { limit, unit, allowed, current, requested, backtrace: String::new() }
    }
}

/// Why an operator could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What is wrong and what to do.
    pub message: String,
    /// Path of the key in the stage's configuration.
    pub config_path: Option<String>,
    /// The input field.
    pub field: Option<String>,
}

impl Refusal {
    /// A refusal that blames neither a key nor a field.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), config_path: None, field: None }
    }
}

/// An opened operator.
pub trait Operator: Send {
    /// What the call wants done. After an error the operator is as good as new: the next call does not depend on it.
    ///
    /// # Errors
    /// The call failed as a whole and had no effect.
    fn process(&mut self, call: &Call<'_>) -> Result<Effects, CallError>;
}

/// Something that opens operators: a compiled component, or native code.
pub trait Factory: Send + Sync {
    /// With or without state.
    fn kind(&self) -> OperatorKind;

    /// What dead letters and status call this code: a component's digest, `native` otherwise.
    fn digest(&self) -> &str;

    /// What this code asks of the host, by the names that it uses; nothing where it is not a component.
    fn imports(&self) -> Vec<String> {
        Vec::new()
    }

    /// Opens an operator. With the same arguments the plan is the same each time.
    ///
    /// # Errors
    /// The configuration or the input does not suit the operator, or the code itself is unusable.
    fn open(&self, config: &Value, input: &[Field]) -> Result<(OperatorPlan, Box<dyn Operator>), Refusal>;
}

/// A factory, shared by the lanes of a stage.
pub type SharedFactory = Arc<dyn Factory>;
