//! A sink whose outside world is a ledger that outlives it, with faults where a script wants them.
//!
//! The two halves of a fault are separate: whether the effect happened, and that the caller heard an error.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmill_engine::clock::Micros;
use wasmill_engine::sink::{Block, Progress, Promise, SinkError, SinkWriter, Wants};

/// A call of a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `write`
    Write,
    /// `prepare`
    Prepare,
    /// `commit`
    Commit,
}

/// What a fault does beside the error that the caller hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Nothing happened.
    Before,
    /// All happened.
    After,
}

/// A fault: the call number `nth` of its kind (from 0) fails with `error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which kind of call.
    pub call: Call,
    /// Which of that kind, counted over the ledger's life.
    pub nth: u64,
    /// Whether the effect happened.
    pub when: When,
    /// What the caller hears.
    pub error: SinkError,
}

/// The outside world of a memory sink. Rows are the bytes that the sink was given for each.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Rows of the epoch that is being written.
    pub open: Vec<Vec<u8>>,
    /// Rows of epochs that are durable and not visible.
    pub prepared: BTreeMap<u64, Vec<Vec<u8>>>,
    /// Rows that are visible, by epoch.
    pub committed: BTreeMap<u64, Vec<Vec<u8>>>,
    /// What shall go wrong.
    pub faults: Vec<Fault>,
    /// Calls so far: write, prepare, commit.
    calls: [u64; 3],
}

impl Ledger {
    /// All visible rows in order.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<u8>> {
        self.committed.values().flatten().cloned().collect()
    }

    /// Counts a call, does its effect unless a fault comes before it, and answers what the caller hears.
    fn call(&mut self, call: Call, effect: impl FnOnce(&mut Self)) -> Result<Progress, SinkError> {
        let nth = self.calls[call as usize];
        self.calls[call as usize] += 1;
        let fault = self.faults.iter().find(|fault| fault.call == call && fault.nth == nth).cloned();
        if !fault.as_ref().is_some_and(|fault| fault.when == When::Before) {
            effect(self);
        }
        fault.map_or(Ok(Progress::Done), |fault| Err(fault.error))
    }
}

/// A sink in memory.
#[derive(Clone, Debug)]
pub struct MemorySink {
    promise: Promise,
    ledger: Arc<Mutex<Ledger>>,
}

impl MemorySink {
    /// A sink that writes to this ledger. A second one over the same ledger is the sink after a restart.
    #[must_use]
    pub fn new(promise: Promise, ledger: Arc<Mutex<Ledger>>) -> Self {
        Self { promise, ledger }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SinkWriter for MemorySink {
    fn wants(&self) -> Wants {
        Wants::Bytes
    }

    fn promise(&self) -> Promise {
        self.promise
    }

    fn recover(&mut self, committed: Option<u64>) -> Result<Option<u64>, SinkError> {
        let mut ledger = self.ledger();
        ledger.open.clear();
        let prepared = std::mem::take(&mut ledger.prepared);
        for (epoch, rows) in prepared.into_iter().filter(|(epoch, _)| Some(*epoch) <= committed) {
            ledger.committed.insert(epoch, rows);
        }
        Ok(ledger.committed.keys().next_back().copied())
    }

    fn write(&mut self, _: Micros, block: &Block<'_>) -> Result<Progress, SinkError> {
        let starts = std::iter::once(0).chain(block.ends.iter().copied());
        let spans = starts.zip(block.ends).map(|(start, end)| start as usize..*end as usize);
        self.ledger().call(Call::Write, |ledger| {
            let at_once = matches!(self.promise, Promise::AtLeastOnce);
            for span in spans {
                let row = block.bytes[span].to_vec();
                if at_once {
                    // The epoch is not known before `prepare`: rows that cannot be taken back are of epoch 0.
                    ledger.committed.entry(0).or_default().push(row);
                } else {
                    ledger.open.push(row);
                }
            }
        })
    }

    fn prepare(&mut self, epoch: u64) -> Result<Progress, SinkError> {
        self.ledger().call(Call::Prepare, |ledger| {
            let rows = std::mem::take(&mut ledger.open);
            if !rows.is_empty() {
                ledger.prepared.insert(epoch, rows);
            }
        })
    }

    fn commit(&mut self, epoch: u64) -> Result<Progress, SinkError> {
        self.ledger().call(Call::Commit, |ledger| {
            if let Some(rows) = ledger.prepared.remove(&epoch) {
                ledger.committed.insert(epoch, rows);
            }
        })
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}
