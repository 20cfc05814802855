//! The records of the contract as they cross: field by field what `wit/` says, in the layout of the canonical ABI.
//!
//! A list in an answer points to what the operator made or to the arena of the call; nothing is copied. Neighbours:
//! [`crate::abi`] has lists and memory, [`crate::plan`] and [`crate::effects`] the values that are lowered here.

use crate::abi::{self, Arena, List, bytes_of};
use crate::column::Column;
use crate::effects::{Action, Effects, Emit, Fault, Reject, Step};
use crate::plan::{Carried, Field, Metric, Plan, Port, Read, Refusal, Table};

/// A `string` as it crosses.
type Text<'a> = List<'a, u8>;

fn text(text: &str) -> Text<'_> {
    text.as_bytes().into()
}

/// `option`, in the layout that the canonical ABI gives it: a byte, then the value.
#[repr(C, u8)]
#[derive(Clone, Copy)]
enum Maybe<T> {
    None,
    Some(T),
}

impl<T> From<Option<T>> for Maybe<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Self::Some)
    }
}

/// `result`, in the layout that the canonical ABI gives it.
#[repr(C, u8)]
pub enum Answer<T, E> {
    /// The call has an answer.
    Ok(T),
    /// The call failed.
    Err(E),
}

/// `data.field`.
#[repr(C)]
pub struct RawField<'a> {
    name: Text<'a>,
    kind: Text<'a>,
    nullable: bool,
}

#[repr(C)]
struct RawRead<'a> {
    name: Text<'a>,
    kind: Text<'a>,
    nullable: bool,
    fallback: Maybe<Text<'a>>,
}

#[repr(C)]
struct RawCarried<'a> {
    input: Text<'a>,
    output: Text<'a>,
}

#[repr(C)]
struct RawPort<'a> {
    name: Text<'a>,
    carries: Maybe<List<'a, RawCarried<'a>>>,
    makes: List<'a, RawField<'a>>,
}

#[repr(C)]
struct RawTable<'a> {
    name: Text<'a>,
    version: u32,
    columns: List<'a, RawField<'a>>,
    ttl_ms: Maybe<u64>,
}

#[repr(C)]
struct RawMetric<'a> {
    name: Text<'a>,
    kind: Text<'a>,
    help: Text<'a>,
}

/// `data.plan`.
#[repr(C)]
pub struct RawPlan<'a> {
    reads: List<'a, RawRead<'a>>,
    ports: List<'a, RawPort<'a>>,
    tables: List<'a, RawTable<'a>>,
    metrics: List<'a, RawMetric<'a>>,
}

/// `data.refusal`.
#[repr(C)]
pub struct RawRefusal<'a> {
    message: Text<'a>,
    config_path: Maybe<Text<'a>>,
    field: Maybe<Text<'a>>,
}

#[repr(C)]
struct RawEmit<'a> {
    port: u32,
    origin: Maybe<List<'a, u8>>,
    columns: List<'a, Column<'a>>,
}

#[repr(C, u8)]
enum RawAction {
    DeadLetter,
    Retry(#[expect(dead_code, reason = "the host reads it")] u32),
    Stop,
}

#[repr(C)]
struct RawReject<'a> {
    row: u32,
    action: RawAction,
    reason: Text<'a>,
}

/// `data.effects`.
#[repr(C)]
pub struct RawEffects<'a> {
    emits: List<'a, RawEmit<'a>>,
    rejects: List<'a, RawReject<'a>>,
    metrics: List<'a, u8>,
}

/// `data.fault`.
#[repr(C)]
pub struct RawFault<'a> {
    message: Text<'a>,
    row: Maybe<u32>,
}

#[repr(C)]
struct RawTableChanges<'a> {
    forget: List<'a, u8>,
    columns: List<'a, Column<'a>>,
}

/// `keyed.step`.
#[repr(C)]
pub struct RawStep<'a> {
    effects: RawEffects<'a>,
    tables: List<'a, RawTableChanges<'a>>,
    timers: List<'a, u8>,
}

/// What `open` answers.
pub type Opened<'a> = Answer<RawPlan<'a>, RawRefusal<'a>>;
/// What `transform.process` answers.
pub type Processed<'a> = Answer<RawEffects<'a>, RawFault<'a>>;
/// What `keyed.process` and `keyed.on-timers` answer.
pub type Stepped<'a> = Answer<RawStep<'a>, RawFault<'a>>;

/// The columns of an operator's input.
pub(crate) fn lift_fields(fields: List<'_, RawField<'_>>) -> Vec<Field> {
    let own = |name: Text<'_>| abi::text(name.get()).to_owned().into();
    let lift = |field: &RawField<'_>| Field { name: own(field.name), kind: own(field.kind), nullable: field.nullable };
    fields.get().iter().map(lift).collect()
}

pub(crate) fn lower_plan<'a>(plan: &'a Result<Plan, Refusal>, arena: &'a Arena) -> Opened<'a> {
    match plan {
        Ok(plan) => Answer::Ok(RawPlan {
            reads: arena.list(plan.reads.iter().map(lower_read)),
            ports: arena.list(plan.ports.iter().map(|port| lower_port(port, arena))),
            tables: arena.list(plan.tables.iter().map(|table| lower_table(table, arena))),
            metrics: arena.list(plan.metrics.iter().map(lower_metric)),
        }),
        Err(refusal) => Answer::Err(RawRefusal {
            message: text(&refusal.message),
            config_path: refusal.config_path.as_deref().map(text).into(),
            field: refusal.field.as_deref().map(text).into(),
        }),
    }
}

fn lower_field(field: &Field) -> RawField<'_> {
    RawField { name: text(&field.name), kind: text(&field.kind), nullable: field.nullable }
}

fn lower_read(read: &Read) -> RawRead<'_> {
    let RawField { name, kind, nullable } = lower_field(&read.field);
    RawRead { name, kind, nullable, fallback: read.fallback.as_deref().map(text).into() }
}

fn lower_port<'a>(port: &'a Port, arena: &'a Arena) -> RawPort<'a> {
    let carry = |names: &'a Carried| RawCarried { input: text(&names.input), output: text(&names.output) };
    RawPort {
        name: text(&port.name),
        carries: port.carries.as_ref().map(|names| arena.list(names.iter().map(carry))).into(),
        makes: arena.list(port.makes.iter().map(lower_field)),
    }
}

fn lower_table<'a>(table: &'a Table, arena: &'a Arena) -> RawTable<'a> {
    RawTable {
        name: text(&table.name),
        version: table.version,
        columns: arena.list(table.columns.iter().map(lower_field)),
        ttl_ms: table.ttl_ms.into(),
    }
}

fn lower_metric(metric: &Metric) -> RawMetric<'_> {
    RawMetric { name: text(&metric.name), kind: text(&metric.kind), help: text(&metric.help) }
}

pub(crate) fn lower_effects<'a>(effects: &'a Effects<'_>, arena: &'a Arena) -> RawEffects<'a> {
    RawEffects {
        emits: arena.list(effects.emits.iter().map(lower_emit)),
        rejects: arena.list(effects.rejects.iter().map(lower_reject)),
        metrics: bytes_of(&effects.metrics).into(),
    }
}

fn lower_emit<'a>(emit: &'a Emit<'_>) -> RawEmit<'a> {
    RawEmit {
        port: emit.port,
        origin: emit.origin.map(|rows| bytes_of(rows).into()).into(),
        columns: emit.columns[..].into(),
    }
}

fn lower_reject((row, reject): &(u32, Reject)) -> RawReject<'_> {
    let action = match reject.action {
        Action::DeadLetter => RawAction::DeadLetter,
        Action::Retry(after_ms) => RawAction::Retry(after_ms),
        Action::Stop => RawAction::Stop,
    };
    RawReject { row: *row, action, reason: text(&reject.reason) }
}

pub(crate) fn lower_step<'a>(step: &'a Result<Step<'_>, Fault>, arena: &'a Arena) -> Stepped<'a> {
    match step {
        Ok(step) => Answer::Ok(RawStep {
            effects: lower_effects(&step.effects, arena),
            tables: arena.list(std::iter::once(RawTableChanges {
                forget: step.forget[..].into(),
                columns: step.state[..].into(),
            })),
            timers: List::default(),
        }),
        Err(fault) => Answer::Err(RawFault { message: text(&fault.message), row: Maybe::None }),
    }
}

#[cfg(test)]
mod layout;
