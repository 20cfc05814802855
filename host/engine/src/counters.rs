//! What nodes count, read by whoever shows it. Added to once a batch, never waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::clock::Micros;
use crate::histogram::Histogram;
use crate::operator::{Metric, MetricKind};

/// A number, mostly one that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// Sets, where the number is not a sum.
    pub fn set(&self, to: u64) {
        self.0.store(to, Ordering::Relaxed);
    }

    /// Has one lane's part of a number that lanes have together go from one to another.
    pub fn shift(&self, from: u64, to: u64) {
        self.add(to.wrapping_sub(from));
    }

    /// The number now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A time that may not have come yet.
#[derive(Debug)]
pub struct Moment(AtomicI64);

impl Default for Moment {
    fn default() -> Self {
        Self(AtomicI64::new(Micros::MIN))
    }
}

impl Moment {
    /// It was then, or later if that is known already.
    pub fn reach(&self, at: Micros) {
        self.0.fetch_max(at, Ordering::Relaxed);
    }

    /// When it was; none = not yet.
    #[must_use]
    pub fn get(&self) -> Option<Micros> {
        Some(self.0.load(Ordering::Relaxed)).filter(|at| *at > Micros::MIN)
    }
}

/// What goes along an edge of the graph, over all lanes, counted by both its ends. What was sent and not taken waits.
#[derive(Debug, Default)]
pub struct Flow {
    sent: [Counter; 2],
    taken: [Counter; 2],
}

impl Flow {
    /// A message with so many rows is on its way.
    pub(crate) fn send(&self, rows: u64) {
        self.sent[0].add(1);
        self.sent[1].add(rows);
    }

    /// It was taken.
    pub(crate) fn take(&self, rows: u64) {
        self.taken[0].add(1);
        self.taken[1].add(rows);
    }

    /// Messages with rows that wait.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.waiting(0)
    }

    /// Rows that wait.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.waiting(1)
    }

    /// Rows that were taken so far.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.taken[1].get()
    }

    fn waiting(&self, of: usize) -> u64 {
        // What was taken first: lanes go on meanwhile, and no more can be taken than was sent.
        let taken = self.taken[of].get();
        self.sent[of].get().saturating_sub(taken)
    }
}

/// What one source, stage or sink has done, over all its lanes.
#[derive(Debug, Default)]
pub struct Counters {
    /// Rows that came in; for a source: records found, good or bad.
    pub rows_in: Counter,
    /// Rows that went out, over all ports; for a sink: rows written.
    pub rows_out: Counter,
    /// Rows that came in and went nowhere, by the operator's choice.
    pub filtered: Counter,
    /// Rows that went to the dead letters.
    pub dead: Counter,
    /// Bytes read or written.
    pub bytes: Counter,
    /// Batches, that is calls that took effect.
    pub batches: Counter,
    /// Time that each of those calls took.
    pub took: Histogram,
    /// Time from when the rows of a batch were read to when it left a stage, or was taken by a sink.
    pub age: Histogram,
    /// Rows that came into a stage and left it in no way that it knows of: a mistake of ours, so always 0.
    pub lost: Counter,
    /// Calls that failed as a whole: traps, limits, faults, invalid answers.
    pub failures: Counter,
    /// Rows that were tried again.
    pub retries: Counter,
    /// Keys of a stage's state.
    pub state_keys: Counter,
    /// Bytes of memory that it takes.
    pub state_bytes: Counter,
    /// Rows of committed epochs, for a sink.
    pub committed: Counter,
    /// Bytes of a record whose end had not come when the source was stopped, and which nothing was done with.
    pub unfinished: Counter,
    /// How far a source has come, in bytes or rows, where its end is known.
    pub done: Counter,
    /// How much it has in all, in the same unit; 0 = unknown.
    pub all: Counter,
    /// What a source has still to read of what is there, plus one, as of its last read: bytes, or rows where it makes
    /// rows; 0 = unknown.
    pub behind: Counter,
    /// When a source brought something last.
    pub brought: Moment,
    /// The latest event time of a source's rows, less the lateness that it allows.
    pub watermark: Moment,
}

/// Counters shared by the lanes of a node and whoever reads them.
pub type SharedCounters = Arc<Counters>;

/// The values of an operator's own metrics, over all lanes of its stage: f64 each, in the order of its plan.
#[derive(Debug)]
pub struct OperatorMetrics {
    kinds: Vec<MetricKind>,
    bits: Vec<AtomicU64>,
}

impl OperatorMetrics {
    /// Metrics of these kinds, all 0.
    #[must_use]
    pub fn new(metrics: &[Metric]) -> Arc<Self> {
        let kinds: Vec<_> = metrics.iter().map(|metric| metric.kind).collect();
        let bits = kinds.iter().map(|_| AtomicU64::new(0f64.to_bits())).collect();
        Arc::new(Self { kinds, bits })
    }

    /// What a call reported; empty = nothing.
    pub fn add(&self, values: &[f64]) {
        for ((value, kind), bits) in values.iter().zip(&self.kinds).zip(&self.bits) {
            match kind {
                MetricKind::Gauge => bits.store(value.to_bits(), Ordering::Relaxed),
                MetricKind::Counter => {
                    let add = |before: u64| Some((f64::from_bits(before) + value).to_bits());
                    bits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).expect("the closure never declines");
                }
            }
        }
    }

    /// The values, in the order of the plan.
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        self.bits.iter().map(|bits| f64::from_bits(bits.load(Ordering::Relaxed))).collect()
    }
}
