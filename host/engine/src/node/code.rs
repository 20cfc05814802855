//! The code of a stage: a version of it, shared by the lanes, and one lane's operator.

use std::sync::Arc;

use crate::batch::Batch;
use crate::counters::{OperatorMetrics, SharedCounters};
use crate::graph::Stage;
use crate::key;
use crate::node::fill;
use crate::operator::{Call, CallError, Context, Effects, Keys, Operator};
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

/// What one lane calls.
pub struct Code {
    /// The version that it is of.
    pub version: Arc<Version>,
    /// Opened for this lane.
    pub operator: Box<dyn Operator>,
}

impl Code {
    /// Calls the operator with a batch. The state that it changed is changed when this is Ok, and else as it was.
    ///
    /// # Errors
    /// The call failed as a whole and had no effect.
    pub fn call(
        &mut self,
        state: Option<&mut KeyedState>,
        batch: &Batch,
        context: Context,
    ) -> Result<Effects, CallError> {
        let stage = &self.version.stage;
        let columns = fill::columns(batch, &stage.plan.reads, &stage.fills);
        let rows = batch.rows();
        let Some(state) = state else {
            return self.operator.process(&Call { context, rows, columns: &columns, keys: None });
        };
        let of_key: Vec<_> = stage.key.iter().map(|field| batch.column(*field)).collect();
        let turn = state.resolve(&key::Keys::encode(&of_key), context.now)?;
        let values = turn.gather();
        let keys = Keys { slots: turn.slots(), count: turn.count(), tables: &values };
        let effects = self.operator.process(&Call { context, rows, columns: &columns, keys: Some(keys) })?;
        turn.apply(&effects.tables)?;
        Ok(effects)
    }
}
