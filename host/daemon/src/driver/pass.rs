//! One walk over the nodes of a lane, in the order of a record's way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use wasmill_engine::clock::{Clock, Micros};
use wasmill_engine::node::{Failure, Node, Step};

/// One walk over the nodes of a thread.
#[derive(Default)]
pub(crate) struct Pass {
    /// Whether any node did something.
    pub(crate) progressed: bool,
    until: Option<Micros>,
}

impl Pass {
    /// Steps a node as long as it has something of this pass to do; true = it has finished.
    ///
    /// The first node that progresses does one step, those behind it go on until they wait: so one chunk at a time goes
    /// all the way while it is warm.
    pub(crate) fn step(&mut self, node: &mut dyn Node, clock: &dyn Clock) -> Result<bool, Failure> {
        let first = !self.progressed;
        loop {
            // A panic in the engine is a mistake of ours; it ends this pipeline with an error and no other.
            let step = catch_unwind(AssertUnwindSafe(|| node.step(clock))).unwrap_or_else(|panic| {
                let message = panic_message(&*panic);
                Step::Failed(Failure { node: node.name().to_owned(), message })
            });
            match step {
                Step::Progressed => {
                    self.progressed = true;
                    if first {
                        return Ok(false);
                    }
                }
                Step::Idle { until } => {
                    self.until = [self.until, until].into_iter().flatten().min();
                    return Ok(false);
                }
                Step::Blocked => return Ok(false),
                Step::Finished => return Ok(true),
                Step::Failed(failure) => return Err(failure),
            }
        }
    }

    /// How long the nodes have nothing to do, if nothing comes; none = until something comes.
    pub(crate) fn sleep(&self, now: Micros) -> Option<Duration> {
        self.until.map(|until| Duration::from_micros(until.saturating_sub(now).max(0).unsigned_abs()))
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("internal error, please report it: {}", text.unwrap_or("a panic without a message"))
}
