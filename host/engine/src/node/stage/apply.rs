//! What becomes of a call: all that it wanted is done, or rows of it are tried again, or given up.
//!
//! Always true: a row that is tried again is done before anything behind it. A call that failed, or that wants a row to
//! be tried again, has had no effect.

use arrow_array::UInt32Array;

use super::{StageNode, Task};
use crate::batch::{Batch, Layout};
use crate::clock::Micros;
use crate::codec::{self, Format};
use crate::dead_letter::DeadLetter;
use crate::graph::OnError;
use crate::limits::{REASON_BYTES_MAX, RETRY_BACKOFF_MAX_MS, RETRY_BACKOFF_MS};
use crate::node::{Step, failed};
use crate::operator::{Action, CallError, Effects, Emit};

impl StageNode {
    /// Does all that a call wants done, but for its state, which has changed already.
    pub(super) fn apply(&mut self, task: &Task, effects: Effects, now: Micros) -> Step {
        let (version, counters) = (self.parts.code.version.clone(), &self.parts.counters);
        let stage = &version.stage;
        version.metrics.add(&effects.metrics);
        let rows = task.batch.rows();
        self.owed -= rows as i64;
        version.counters.rows_in.add(rows as u64);
        for counters in [counters, &version.counters] {
            counters.batches.add(1);
        }
        let emitted = origins(&effects, rows);
        let Some(shape) = stage.shape(&task.batch) else {
            return failed(&stage.name, "rows came in a layout that the plan does not know; this is a mistake of ours");
        };
        for emit in effects.emits {
            let port = &shape.ports[emit.port];
            let batch = task.batch.derive(emit.origin.as_ref(), emit.columns, &port.keeps, &port.layout);
            counters.rows_out.add(batch.rows() as u64);
            version.counters.rows_out.add(batch.rows() as u64);
            if batch.rows() > 0 {
                self.out[emit.port].push(batch);
            }
        }
        let filtered = rows - emitted - effects.rejects.len();
        counters.filtered.add(filtered as u64);
        for reject in effects.rejects {
            let reason = match reject.action {
                Action::DeadLetter => reject.reason,
                Action::Retry(_) => format!("{} (still after {} tries)", reject.reason, task.attempt + 1),
                Action::Stop => return self.stop(&task.batch, reject.row, &reject.reason),
            };
            if let Some(step) = self.give_up(&task.batch, reject.row, reason, None, now) {
                return step;
            }
        }
        Step::Progressed
    }

    /// Rows shall be tried again, so the call has had no effect. They wait, each stretch of them for its longest wait,
    /// and what stands behind waits for them: so the rows of a key stay in order.
    pub(super) fn postpone(&mut self, task: &Task, effects: &Effects, now: Micros) {
        let mut due = vec![None; task.batch.rows()];
        for (row, wait_ms) in effects.retries() {
            due[row as usize] = Some(now.saturating_add(i64::from(wait_ms) * 1_000));
            self.parts.counters.retries.add(1);
        }
        self.work.wait(task, &due);
    }

    /// A call failed as a whole: finds the row to blame, then does with it what the stage's policy says.
    pub(super) fn recover(&mut self, task: Task, error: &CallError, now: Micros) -> Step {
        self.parts.counters.failures.add(1);
        self.parts.code.version.counters.failures.add(1);
        let rows = task.batch.rows();
        if rows > 1 {
            match error {
                CallError::Fault { row: Some(row), .. } if (*row as usize) < rows => {
                    self.work.cut(&task, *row as usize, *row as usize + 1);
                }
                _ => self.work.cut(&task, 0, rows / 2),
            }
            return Step::Progressed;
        }
        let backtrace = error.backtrace().map(str::to_owned);
        match self.stage().on_error {
            OnError::Retry(most) if task.attempt < most => {
                let wait = (RETRY_BACKOFF_MS << task.attempt.min(16)).min(RETRY_BACKOFF_MAX_MS);
                self.parts.counters.retries.add(1);
                self.work.wait(&task, &[Some(now.saturating_add(wait as Micros * 1_000))]);
                Step::Progressed
            }
            OnError::DeadLetter | OnError::Retry(_) => {
                self.owed -= 1;
                self.give_up(&task.batch, 0, error.to_string(), backtrace, now).unwrap_or(Step::Progressed)
            }
            OnError::Stop => self.stop(&task.batch, 0, &error.to_string()),
        }
    }

    /// Sends a row to the dead letters; a step where the pipeline has none, and so stops.
    fn give_up(
        &mut self,
        batch: &Batch,
        row: u32,
        reason: String,
        backtrace: Option<String>,
        now: Micros,
    ) -> Option<Step> {
        if !self.parts.outbox.takes_dead_letters() {
            return Some(self.stop(batch, row, &reason));
        }
        let stage = self.parts.code.version.stage.clone();
        let records = batch.records();
        let record = batch.record(row as usize);
        let digest = stage.factory.digest();
        self.letters.push(DeadLetter {
            at: now,
            source: records.source.clone(),
            partition: records.partition.clone(),
            offset: records.offset(record),
            line: records.line(record),
            stage: stage.name.clone(),
            component: Some(digest.into()),
            reason: cut(reason),
            backtrace: backtrace.map(cut),
            record: original(batch, row),
        });
        self.parts.counters.dead.add(1);
        None
    }

    fn stop(&self, batch: &Batch, row: u32, reason: &str) -> Step {
        let records = batch.records();
        let record = batch.record(row as usize);
        let line = records.line(record).map_or_else(String::new, |line| format!(" line {line},"));
        let place = format!("{}:{line} offset {}", records.partition, records.offset(record));
        failed(&self.stage().name, format!("stopped before the record at {place}: {reason}"))
    }
}

/// How many rows are the origin of some emitted row.
fn origins(effects: &Effects, rows: usize) -> usize {
    match &effects.emits[..] {
        [] => 0,
        emits if emits.iter().any(|emit| emit.origin.is_none()) => rows,
        // What a filter answers: each row once at most.
        [Emit { origin: Some(origin), .. }] if origin.values().is_sorted_by(|one, next| one < next) => origin.len(),
        emits => {
            let mut seen = vec![false; rows];
            for row in emits.iter().flat_map(|emit| &emit.origin).flat_map(|origin| origin.values()) {
                seen[*row as usize] = true;
            }
            seen.into_iter().filter(|seen| *seen).count()
        }
    }
}

/// The beginning of a text that the guest gave, as much of it as a dead letter takes.
fn cut(mut text: String) -> String {
    if text.len() > REASON_BYTES_MAX {
        text.truncate(text.floor_char_boundary(REASON_BYTES_MAX));
        text.push_str("...");
    }
    text
}

/// The record that a row is from as its source had it; as NDJSON where the source has no bytes.
fn original(batch: &Batch, row: u32) -> Vec<u8> {
    let record = batch.record(row as usize);
    if let Some(bytes) = batch.records().bytes(record) {
        return bytes.to_vec();
    }
    let layout = Layout::of_source(&batch.layout().source);
    let whole = Batch::new(batch.records().clone(), layout.into());
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    let one = whole.pick(&UInt32Array::from(vec![record as u32]));
    codec::encoder(&Format::Ndjson).encode(&one, &mut bytes, &mut ends);
    bytes.truncate(bytes.trim_ascii_end().len());
    bytes
}
