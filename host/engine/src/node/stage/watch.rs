//! How a lane changes its code: between two messages, with its state, and back if the new code is worse.
//!
//! New code is watched for its first batches. If a call of it fails, the old code is called with the same batch: a
//! failed call has had no effect, so nothing is lost or doubled. Where the old code can do what the new one could not,
//! it works on, and the new one is gone; where it cannot either, the rows are to blame and not the code. (State that is
//! in another shape than the old code's cannot be shown to it for a try: then it goes back at once.) State that would
//! not fit into its old shape keeps a lane with the new code; if the others go back meanwhile, the lane fails.

use crate::batch::Batch;
use crate::clock::{Clock, Micros};
use crate::node::code::Code;
use crate::node::order::{News, Side, StageOrder, StageReport, Tap, Tapped};
use crate::node::{Step, failed};
use crate::operator::{CallError, Context, Effects};
use crate::state::StateFull;

use super::StageNode;
use super::Task;

/// The code before, ready to work again.
pub(super) struct Watch {
    before: Code,
    /// Batches that the new code still has to do well.
    left: u32,
    /// Whether the state is in another shape than the code before has it.
    reshaped: bool,
}

/// A switch whose cost to the rows is not known yet: none has come since.
pub(super) struct Unseen {
    version: u64,
    /// When the switch began.
    since: Micros,
    keys: u64,
}

impl StageNode {
    /// Does what the lane is told.
    pub(super) fn obey(&mut self, order: StageOrder, clock: &dyn Clock) -> Step {
        match order {
            StageOrder::Install { code, watch } => self.install(*code, watch, clock),
            StageOrder::Back { version } if version == self.parts.code.version.number => {
                if let Err(full) = self.go_back(None, clock.now(), clock) {
                    // The other lanes work with the code before: this one cannot stay, and cannot follow.
                    return failed(&self.stage().name, format!("cannot go back to the code before: {full}"));
                }
            }
            StageOrder::Settle { version } if version == self.parts.code.version.number => {
                if let Some(watch) = self.watch.as_mut().filter(|watch| watch.left > 0) {
                    watch.left = 0;
                    self.tell(version, News::Passed);
                }
            }
            StageOrder::Forget { version } if version == self.parts.code.version.number => self.watch = None,
            StageOrder::Tap(tap) => self.taps.push(tap),
            // About a version that this lane has left already.
            StageOrder::Back { .. } | StageOrder::Settle { .. } | StageOrder::Forget { .. } => {}
        }
        Step::Progressed
    }

    /// Takes the next order; none = there is none, and who looks no more is forgotten.
    pub(super) fn ordered(&mut self) -> Option<StageOrder> {
        let order = self.parts.orders.try_recv().ok();
        if order.is_none() && !self.taps.is_empty() {
            self.taps.retain(|tap| tap.reader.strong_count() > 0);
        }
        order
    }

    fn install(&mut self, code: Code, watch: u32, clock: &dyn Clock) {
        let began = clock.now();
        let version = code.version.number;
        let reshaped = match self.reshape(&code, began) {
            Ok(reshaped) => reshaped,
            Err(full) => {
                let waited = clock.now() - began;
                return self.tell(version, News::Back { why: Some(full.to_string()), waited });
            }
        };
        let before = std::mem::replace(&mut self.parts.code, code);
        self.watch = Some(Watch { before, left: watch, reshaped });
        let keys = self.parts.state.as_ref().map_or(0, |state| state.len() as u64);
        self.unseen = Some(Unseen { version, since: began, keys });
    }

    /// Rows come to the code that works, or there are none: tells what its switch has cost them.
    pub(super) fn seen(&mut self, now: Micros) {
        if let Some(Unseen { version, since, keys }) = self.unseen.take() {
            self.tell(version, News::Installed { waited: now - since, keys });
        }
    }

    /// There is nothing to do.
    pub(super) fn rest(&mut self, clock: &dyn Clock) {
        if self.unseen.is_some() {
            self.seen(clock.now());
        }
    }

    /// Puts the state into the shape that `code` has it in; whether that is another one.
    fn reshape(&mut self, code: &Code, now: Micros) -> Result<bool, StateFull> {
        let (from, to) = (&self.parts.code.version.stage, &code.version.stage);
        match &mut self.parts.state {
            Some(state) if from.plan.tables != to.plan.tables => {
                *state = state.carried(&to.key_kinds(), &from.plan.tables, &to.plan.tables, now)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// A batch went well.
    pub(super) fn passed(&mut self) {
        if let Some(watch) = self.watch.as_mut().filter(|watch| watch.left > 0) {
            watch.left -= 1;
            if watch.left == 0 {
                self.tell(self.parts.code.version.number, News::Passed);
            }
        }
    }

    /// A call failed: whether the code before can do better, if the one that works is still watched.
    pub(super) fn judge(
        &mut self,
        task: &Task,
        context: Context,
        error: CallError,
        clock: &dyn Clock,
    ) -> Result<Effects, CallError> {
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.left > 0) else { return Err(error) };
        if watch.reshaped {
            if self.go_back(Some(&error), context.now, clock).is_err() {
                return Err(error);
            }
            return self.parts.code.call(self.parts.state.as_mut(), &task.batch, context, &mut self.room);
        }
        match watch.before.call(self.parts.state.as_mut(), &task.batch, context, &mut self.room) {
            Ok(effects) => {
                self.go_back(Some(&error), context.now, clock).expect("state that is in the same shape fits");
                Ok(effects)
            }
            Err(_) => Err(error),
        }
    }

    /// Works with the code before again, if there is one; `since` is when rows began to wait for it.
    ///
    /// # Errors
    /// The state in its shape would not fit: all is as it was, and still watched.
    fn go_back(&mut self, why: Option<&CallError>, since: Micros, clock: &dyn Clock) -> Result<(), StateFull> {
        let Some(watch) = self.watch.take() else { return Ok(()) };
        if let Err(full) = self.reshape(&watch.before, since) {
            self.watch = Some(watch);
            return Err(full);
        }
        let before = watch.before;
        self.unseen = None;
        if why.is_some() {
            self.parts.counters.failures.add(1);
            self.parts.code.version.counters.failures.add(1);
        }
        let left = std::mem::replace(&mut self.parts.code, before);
        let news = News::Back { why: why.map(ToString::to_string), waited: clock.now() - since };
        self.tell(left.version.number, news);
        Ok(())
    }

    pub(super) fn tell(&self, version: u64, news: News) {
        let (stage, lane) = (self.parts.number, self.parts.lane);
        // Nobody listens once the pipeline is over.
        drop(self.parts.reports.send(StageReport { stage, lane, version, news }));
    }
}

/// Shows rows to those who look.
pub(super) fn show(taps: &mut Vec<Tap>, side: Side, port: usize, batch: &Batch) {
    taps.retain(|tap| {
        let shown = tap.side == side && batch.rows() > 0;
        let sent = if shown { tap.to.try_send(Tapped { port, batch: batch.clone() }) } else { Ok(()) };
        !matches!(sent, Err(std::sync::mpsc::TrySendError::Disconnected(_)))
    });
}
