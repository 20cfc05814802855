//! How large batches are: one row at a trickle, thousands under load, and small enough for every stage's latency
//! target.
//!
//! A source never waits for a batch to fill: it takes what is there. What bounds a batch is how long its slowest stage
//! needs for a row: each stage publishes how many rows it can do within its target, and the source reads no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::clock::Micros;
use crate::limits::{BATCH_ROWS_MAX, BATCH_ROWS_START, READ_BYTES_MAX, WARM_UP_BATCHES};

/// What a source's record is taken to be long before any was decoded, in bytes.
const BYTES_PER_ROW_START: u32 = 256;

/// The bounds that the stages behind one source set.
#[derive(Debug)]
pub struct Pace {
    /// One for each lane of those stages; 0 = it had no row yet.
    bounds: Vec<AtomicU32>,
    bytes_per_row: AtomicU32,
    /// Batches so far.
    batches: AtomicU32,
}

impl Pace {
    /// A pace for a source with so many stages (and lanes of stages) behind it.
    #[must_use]
    pub fn new(stages: usize) -> Arc<Self> {
        let bounds = (0..stages).map(|_| AtomicU32::new(0)).collect();
        Arc::new(Self { bounds, bytes_per_row: AtomicU32::new(BYTES_PER_ROW_START), batches: AtomicU32::new(0) })
    }

    /// Rows that the next batch may have.
    #[must_use]
    pub fn rows(&self) -> usize {
        let warm = self.batches.load(Ordering::Relaxed) >= WARM_UP_BATCHES;
        let bounds = self.bounds.iter().map(|bound| bound.load(Ordering::Relaxed) as usize);
        // A lane that still has no row will probably get none: it must not hold back the others for good.
        let known = bounds.filter_map(|rows| match rows {
            0 => (!warm).then_some(BATCH_ROWS_START),
            rows => Some(rows),
        });
        known.min().unwrap_or(BATCH_ROWS_START).clamp(1, BATCH_ROWS_MAX)
    }

    /// A batch is on its way to the stages.
    pub fn sent(&self) {
        if self.batches.load(Ordering::Relaxed) < WARM_UP_BATCHES {
            self.batches.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Bytes that the next chunk may have.
    #[must_use]
    pub fn bytes(&self) -> usize {
        (self.rows() * self.bytes_per_row.load(Ordering::Relaxed) as usize).clamp(1, READ_BYTES_MAX)
    }

    /// A decoder found so many records in so many bytes.
    pub fn decoded(&self, rows: usize, bytes: usize) {
        if let Some(each) = bytes.checked_div(rows).and_then(|each| u32::try_from(each).ok()) {
            let before = self.bytes_per_row.load(Ordering::Relaxed);
            let smooth = (before.saturating_mul(7).saturating_add(each) / 8).max(1);
            self.bytes_per_row.store(smooth, Ordering::Relaxed);
        }
    }
}

/// One stage lane's hand on the pace of the sources before it.
#[derive(Debug)]
pub struct Throttle {
    paces: Vec<(Arc<Pace>, usize)>,
    target: Micros,
    /// Time for 1,024 rows, smoothed.
    per_1024: f64,
}

impl Throttle {
    /// A throttle towards `target` microseconds a batch, on these paces at these positions.
    #[must_use]
    pub fn new(paces: Vec<(Arc<Pace>, usize)>, target: Micros) -> Self {
        Self { paces, target: target.max(1), per_1024: 0.0 }
    }

    /// A batch of so many rows took so many microseconds.
    pub fn took(&mut self, rows: usize, micros: Micros) {
        if rows == 0 {
            return;
        }
        let now = micros.max(0) as f64 * 1024.0 / rows as f64;
        self.per_1024 = if self.per_1024 == 0.0 { now } else { self.per_1024 * 0.75 + now * 0.25 };
        let fits = self.target as f64 * 1024.0 / self.per_1024.max(0.001);
        let bound = fits.clamp(1.0, BATCH_ROWS_MAX as f64) as u32;
        for (pace, position) in &self.paces {
            pace.bounds[*position].store(bound, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_stage_makes_batches_small_and_a_fast_one_large() {
        let pace = Pace::new(2);
        let mut slow = Throttle::new(vec![(pace.clone(), 0)], 10_000);
        let mut fast = Throttle::new(vec![(pace.clone(), 1)], 10_000);
        for _ in 0..50 {
            fast.took(1_024, 10);
            slow.took(100, 100_000);
        }
        assert_eq!(pace.rows(), 10, "10 ms at 1 ms a row");
        for _ in 0..50 {
            slow.took(10, 1);
        }
        assert_eq!(pace.rows(), BATCH_ROWS_MAX);
    }

    #[test]
    fn a_lane_that_never_has_a_row_holds_batches_small_at_the_beginning_only() {
        let pace = Pace::new(2);
        let mut fed = Throttle::new(vec![(pace.clone(), 0)], 10_000);
        fed.took(1_024, 10);
        assert_eq!(pace.rows(), BATCH_ROWS_START, "the other may be slow");
        (0..WARM_UP_BATCHES).for_each(|_| pace.sent());
        assert_eq!(pace.rows(), BATCH_ROWS_MAX);
    }

    #[test]
    fn bytes_follow_the_length_of_the_records() {
        let pace = Pace::new(0);
        for _ in 0..100 {
            pace.decoded(100, 5_000);
        }
        assert!((50..=64).contains(&(pace.bytes() / pace.rows())), "{} bytes", pace.bytes());
    }
}
