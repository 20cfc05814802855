//! The code of a stage: a version of it, shared by the lanes, and one lane's operator.

use std::sync::Arc;

use arrow_array::Array;

use crate::batch::{Batch, bytes_of};
use crate::counters::{OperatorMetrics, SharedCounters};
use crate::graph::Stage;
use crate::key;
use crate::limits::EMITTED_BYTES_PER_ROW;
use crate::node::fill;
use crate::operator::{Call, CallError, Context, Effects, Emit, Keys, Operator};
use crate::state::KeyedState;

/// A version of a stage: its code, and what that has done.
pub struct Version {
    /// Counted from 1, within the stage and since the pipeline started.
    pub number: u64,
    /// The stage as this code has it.
    pub stage: Arc<Stage>,
    /// What this version counts, over all lanes.
    pub counters: SharedCounters,
    /// What the operator counts.
    pub metrics: Arc<OperatorMetrics>,
}

impl Version {
    /// A version that has done nothing yet.
    #[must_use]
    pub fn new(number: u64, stage: Arc<Stage>) -> Self {
        let metrics = OperatorMetrics::new(&stage.plan.metrics);
        Self { number, stage, counters: Arc::default(), metrics }
    }

    /// The code's digest.
    #[must_use]
    pub fn digest(&self) -> &str {
        self.stage.factory.digest()
    }
}

/// How many bytes the rows that go out for one message may be, and are.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    allowed: u64,
    current: u64,
}

impl Room {
    /// Room for so many bytes.
    #[must_use]
    pub fn of(allowed: u64) -> Self {
        Self { allowed, current: 0 }
    }

    /// All of it is free again.
    pub fn clear(&mut self) {
        self.current = 0;
    }

    fn check(self, requested: u64) -> Result<(), CallError> {
        let Self { allowed, current } = self;
        if requested <= allowed - current {
            return Ok(());
        }
        Err(CallError::limit("emitted_bytes_max", "B", allowed, current, requested))
    }
}

/// What one lane calls.
pub struct Code {
    /// The version that it is of.
    pub version: Arc<Version>,
    /// Opened for this lane.
    pub operator: Box<dyn Operator>,
}

impl Code {
    /// Calls the operator with a batch. The state that it changed is changed when this is Ok, and else as it was; it is
    /// also as it was where the effects [wait](Effects::wait). What goes out takes its room.
    ///
    /// # Errors
    /// The call failed as a whole and had no effect.
    pub fn call(
        &mut self,
        state: Option<&mut KeyedState>,
        batch: &Batch,
        context: Context,
        room: &mut Room,
    ) -> Result<Effects, CallError> {
        let stage = &self.version.stage;
        let columns = fill::columns(batch, &stage.plan.reads, &stage.fills);
        let rows = batch.rows();
        let Some(state) = state else {
            let effects = self.operator.process(&Call { context, rows, columns: &columns, keys: None })?;
            if !effects.wait(context.attempt) {
                let bytes = emitted_bytes(stage, batch, &effects);
                room.check(bytes)?;
                room.current += bytes;
            }
            return Ok(effects);
        };
        let of_key: Vec<_> = stage.key.iter().map(|field| batch.column(*field)).collect();
        let turn = state.resolve(&key::Keys::encode(&of_key), context.now)?;
        let values = turn.gather();
        let keys = Keys { slots: turn.slots(), count: turn.count(), tables: &values };
        let effects = self.operator.process(&Call { context, rows, columns: &columns, keys: Some(keys) })?;
        if !effects.wait(context.attempt) {
            let bytes = emitted_bytes(stage, batch, &effects);
            room.check(bytes)?;
            turn.apply(&effects.tables)?;
            room.current += bytes;
        }
        Ok(effects)
    }
}

/// Bytes that the answered rows stand for. Records and columns made earlier count where a row may be answered more than
/// once: else they are no more than what came in.
fn emitted_bytes(stage: &Stage, batch: &Batch, effects: &Effects) -> u64 {
    let shape = stage.shape(batch);
    let of_emit = |emit: &Emit| {
        let rows = emit.origin.as_ref().map_or(batch.rows(), Array::len) as u64;
        let made: u64 = emit.columns.iter().map(bytes_of).sum();
        let carried = match (&emit.origin, shape) {
            (Some(origin), Some(shape)) if !rises(origin.values()) => {
                batch.carried_bytes(origin.values(), &shape.ports[emit.port].keeps)
            }
            _ => 0,
        };
        rows * EMITTED_BYTES_PER_ROW + made + carried
    };
    let reasons = effects.rejects.iter().map(|reject| reject.reason.len() as u64);
    effects.emits.iter().map(of_emit).chain(reasons).sum()
}

/// Whether no row stands twice, as far as that can be told fast: over all before any is looked for.
fn rises(rows: &[u32]) -> bool {
    rows.windows(2).fold(true, |rises, pair| rises & (pair[0] < pair[1]))
}
