//! The contract's records as Rust types that wasmtime passes to a guest and takes from it.
//!
//! What goes in borrows the host's buffers, so that there is one copy: into the guest's memory. What comes out owns its
//! buffers, so that there is one copy: out of it. Reading answers in place is no option, because the guest frees them
//! before a call returns. Names and order are those of `wit/`; wasmtime compares both when an instance is made.
//! Neighbours: [`crate::lower`] fills the first kind, [`crate::check`] reads the second.

use wasmtime::component::{ComponentType, Lift, Lower};

/// `data.field`, towards the guest.
#[derive(ComponentType, Lower, Clone, Copy, Debug)]
#[component(record)]
pub(crate) struct FieldIn<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) nullable: bool,
}

/// `data.column`, towards the guest.
#[derive(ComponentType, Lower, Clone, Copy, Debug, Default)]
#[component(record)]
pub(crate) struct ColumnIn<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) offsets: &'a [u8],
    pub(crate) present: &'a [u8],
}

/// `data.rows`, towards the guest.
#[derive(ComponentType, Lower, Clone, Copy, Debug)]
#[component(record)]
pub(crate) struct RowsIn<'a> {
    pub(crate) count: u32,
    pub(crate) columns: &'a [ColumnIn<'a>],
}

/// `data.context`, towards the guest.
#[derive(ComponentType, Lower, Clone, Copy, Debug)]
#[component(record)]
pub(crate) struct ContextIn {
    pub(crate) batch: u64,
    pub(crate) attempt: u32,
    pub(crate) watermark: i64,
    pub(crate) now: i64,
    pub(crate) seed: u64,
}

/// `keyed.table-rows`, towards the guest.
#[derive(ComponentType, Lower, Clone, Copy, Debug)]
#[component(record)]
pub(crate) struct TableRowsIn<'a> {
    pub(crate) fresh: &'a [u8],
    pub(crate) columns: &'a [ColumnIn<'a>],
}

/// `data.field`, from the guest.
#[derive(ComponentType, Lift, Clone, Debug, PartialEq, Eq)]
#[component(record)]
pub(crate) struct FieldOut {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) nullable: bool,
}

/// `data.read`.
#[derive(ComponentType, Lift, Clone, Debug, PartialEq, Eq)]
#[component(record)]
pub(crate) struct ReadOut {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) nullable: bool,
    pub(crate) fallback: Option<String>,
}

/// `data.carried`.
#[derive(ComponentType, Lift, Clone, Debug, PartialEq, Eq)]
#[component(record)]
pub(crate) struct CarriedOut {
    pub(crate) input: String,
    pub(crate) output: String,
}

/// `data.port`.
#[derive(ComponentType, Lift, Clone, Debug, PartialEq, Eq)]
#[component(record)]
pub(crate) struct PortOut {
    pub(crate) name: String,
    pub(crate) carries: Option<Vec<CarriedOut>>,
    pub(crate) makes: Vec<FieldOut>,
}

/// `data.table`.
#[derive(ComponentType, Lift, Clone, Debug, PartialEq, Eq)]
#[component(record)]
pub(crate) struct TableOut {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) columns: Vec<FieldOut>,
    #[component(name = "ttl-ms")]
    pub(crate) ttl_ms: Option<u64>,
}

/// `data.metric`.
#[derive(ComponentType, Lift, Clone, Debug, PartialEq, Eq)]
#[component(record)]
pub(crate) struct MetricOut {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) help: String,
}

/// `data.plan`.
#[derive(ComponentType, Lift, Clone, Debug, PartialEq, Eq)]
#[component(record)]
pub(crate) struct PlanOut {
    pub(crate) reads: Vec<ReadOut>,
    pub(crate) ports: Vec<PortOut>,
    pub(crate) tables: Vec<TableOut>,
    pub(crate) metrics: Vec<MetricOut>,
}

/// `data.refusal`.
#[derive(ComponentType, Lift, Clone, Debug, PartialEq, Eq)]
#[component(record)]
pub(crate) struct RefusalOut {
    pub(crate) message: String,
    #[component(name = "config-path")]
    pub(crate) config_path: Option<String>,
    pub(crate) field: Option<String>,
}

/// `data.column`, from the guest.
#[derive(ComponentType, Lift, Clone, Debug, Default)]
#[component(record)]
pub(crate) struct ColumnOut {
    pub(crate) data: Vec<u8>,
    pub(crate) offsets: Vec<u8>,
    pub(crate) present: Vec<u8>,
}

/// `data.emit`.
#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(crate) struct EmitOut {
    pub(crate) port: u32,
    pub(crate) origin: Option<Vec<u8>>,
    pub(crate) columns: Vec<ColumnOut>,
}

/// `data.action`.
#[derive(ComponentType, Lift, Clone, Copy, Debug)]
#[component(variant)]
pub(crate) enum ActionOut {
    #[component(name = "dead-letter")]
    DeadLetter,
    #[component(name = "retry")]
    Retry(u32),
    #[component(name = "stop")]
    Stop,
}

/// `data.reject`.
#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(crate) struct RejectOut {
    pub(crate) row: u32,
    pub(crate) action: ActionOut,
    pub(crate) reason: String,
}

/// `data.effects`.
#[derive(ComponentType, Lift, Clone, Debug, Default)]
#[component(record)]
pub(crate) struct EffectsOut {
    pub(crate) emits: Vec<EmitOut>,
    pub(crate) rejects: Vec<RejectOut>,
    pub(crate) metrics: Vec<u8>,
}

/// `data.fault`.
#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(crate) struct FaultOut {
    pub(crate) message: String,
    pub(crate) row: Option<u32>,
}

/// `keyed.table-changes`.
#[derive(ComponentType, Lift, Clone, Debug, Default)]
#[component(record)]
pub(crate) struct TableChangesOut {
    pub(crate) forget: Vec<u8>,
    pub(crate) columns: Vec<ColumnOut>,
}

/// `keyed.step`.
#[derive(ComponentType, Lift, Clone, Debug, Default)]
#[component(record)]
pub(crate) struct StepOut {
    pub(crate) effects: EffectsOut,
    pub(crate) tables: Vec<TableChangesOut>,
    pub(crate) timers: Vec<u8>,
}

/// `log.level`, also what a log line carries.
#[derive(ComponentType, Lift, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[component(enum)]
#[repr(u8)]
pub enum Level {
    /// For whoever follows every step.
    #[component(name = "trace")]
    Trace,
    /// For the operator's author.
    #[component(name = "debug")]
    Debug,
    /// For whoever runs the pipeline.
    #[component(name = "info")]
    Info,
    /// Something that should be looked at.
    #[component(name = "warn")]
    Warn,
    /// Something that failed.
    #[component(name = "error")]
    Error,
}

/// Parameters of `open` in both kinds.
pub(crate) type OpenIn<'a> = (&'a str, &'a [FieldIn<'a>]);
/// Answer of `open` in both kinds.
pub(crate) type OpenOut = (Result<PlanOut, RefusalOut>,);
/// Parameters of `transform.process`.
pub(crate) type TransformIn<'a> = (ContextIn, RowsIn<'a>);
/// Answer of `transform.process`.
pub(crate) type TransformOut = (Result<EffectsOut, FaultOut>,);
/// Parameters of `keyed.process`.
pub(crate) type KeyedIn<'a> = (ContextIn, RowsIn<'a>, &'a [u8], u32, &'a [TableRowsIn<'a>]);
/// Answer of `keyed.process`.
pub(crate) type KeyedOut = (Result<StepOut, FaultOut>,);
