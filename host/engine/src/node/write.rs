//! The write node: hands blocks to a sink in the order of the source, and ends epochs when told to.
//!
//! Rows of the next epoch are written while the last one waits for its commit. A block or an epoch that the sink could
//! not take yet is offered again before anything else.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use crate::clock::{Clock, Micros};
use crate::coordinator::{Order, Report};
use crate::counters::SharedCounters;
use crate::edge::{Delivery, Encoded, Inbox, Message};
use crate::node::{Node, Step, failed};
use crate::sink::{Block, Progress, SinkError, SinkWriter};

/// Writes to one sink.
pub struct WriteNode {
    name: Arc<str>,
    inbox: Inbox,
    writer: Box<dyn SinkWriter>,
    counters: SharedCounters,
    orders: Receiver<Order>,
    reports: Sender<Report>,
    number: usize,
    blocks: VecDeque<Encoded>,
    /// Epoch that is being prepared, rows of each prepared epoch, epoch that is being committed.
    preparing: Option<u64>,
    prepared: VecDeque<(u64, u64)>,
    committing: Option<u64>,
    /// Rows written since the last barrier.
    rows: u64,
    ended: bool,
}

/// What a write node is made of.
pub struct Parts {
    /// Name of the sink.
    pub name: Arc<str>,
    /// From the lanes that encode.
    pub inbox: Inbox,
    /// The sink.
    pub writer: Box<dyn SinkWriter>,
    /// What it counts.
    pub counters: SharedCounters,
    /// Commits.
    pub orders: Receiver<Order>,
    /// Where epochs are reported to.
    pub reports: Sender<Report>,
    /// Number of the sink in the runtime.
    pub number: usize,
}

impl WriteNode {
    /// A node over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { name, inbox, writer, counters, orders, reports, number } = parts;
        let (blocks, prepared) = (VecDeque::new(), VecDeque::new());
        let (preparing, committing, rows, ended) = (None, None, 0, false);
        Self {
            name,
            inbox,
            writer,
            counters,
            orders,
            reports,
            number,
            blocks,
            preparing,
            prepared,
            committing,
            rows,
            ended,
        }
    }

    fn try_step(&mut self, now: Micros) -> Result<Step, SinkError> {
        if self.committing.is_none()
            && let Ok(Order::Commit(epoch)) = self.orders.try_recv()
        {
            self.committing = Some(epoch);
        }
        if let Some(epoch) = self.committing {
            return self.commit(epoch);
        }
        if let Some(epoch) = self.preparing {
            return self.prepare(epoch);
        }
        if let Some(block) = self.blocks.front() {
            let Encoded { batch, bytes, ends } = block;
            let progress = self.writer.write(now, &Block { batch, bytes, ends })?;
            return Ok(match progress {
                Progress::Pending { until } => Step::Idle { until },
                Progress::Done => {
                    let rows = block.batch.rows() as u64;
                    if let Some(read_at) = block.batch.read_at() {
                        self.counters.age.record(now - read_at);
                    }
                    self.counters.rows_in.add(rows);
                    self.counters.rows_out.add(rows);
                    self.counters.bytes.add(block.bytes.len() as u64);
                    self.rows += rows;
                    self.blocks.pop_front();
                    Step::Progressed
                }
            });
        }
        if self.ended {
            return Ok(if self.prepared.is_empty() { Step::Finished } else { Step::Idle { until: None } });
        }
        match self.inbox.take() {
            Delivery::Message(_, Message::Encoded(blocks)) => {
                self.blocks.extend(blocks.into_iter().filter(|block| block.batch.rows() > 0));
            }
            Delivery::Message(_, other) => panic!("encoded rows come to a writer, not {other:?}"),
            Delivery::Barrier(epoch) => self.preparing = Some(epoch),
            Delivery::End => self.ended = true,
            Delivery::Nothing => return Ok(Step::Idle { until: None }),
        }
        Ok(Step::Progressed)
    }

    fn prepare(&mut self, epoch: u64) -> Result<Step, SinkError> {
        if let Progress::Pending { until } = self.writer.prepare(epoch)? {
            return Ok(Step::Idle { until });
        }
        self.prepared.push_back((epoch, std::mem::take(&mut self.rows)));
        self.preparing = None;
        self.report(Report::Prepared { sink: self.number, epoch });
        Ok(Step::Progressed)
    }

    fn commit(&mut self, epoch: u64) -> Result<Step, SinkError> {
        if let Progress::Pending { until } = self.writer.commit(epoch)? {
            return Ok(Step::Idle { until });
        }
        let (of, rows) = self.prepared.pop_front().expect("only prepared epochs are committed");
        assert_eq!(of, epoch, "epochs are committed in order");
        self.counters.committed.add(rows);
        self.committing = None;
        self.report(Report::Committed { sink: self.number, epoch });
        Ok(Step::Progressed)
    }

    fn report(&self, report: Report) {
        // A coordinator that is gone has stopped the pipeline; nobody wants the report.
        drop(self.reports.send(report));
    }
}

impl Node for WriteNode {
    fn step(&mut self, clock: &dyn Clock) -> Step {
        match self.try_step(clock.now()) {
            Ok(step) => step,
            Err(error) => failed(&self.name, error.message),
        }
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn turn(&self) -> Option<u32> {
        if self.blocks.is_empty() { self.inbox.turn() } else { None }
    }
}
