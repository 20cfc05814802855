//! How long something took, over many times: buckets whose width grows with the time, so that a percentile is right to
//! an eighth from a microsecond to an hour in two kilobytes.
//!
//! Added to once a batch, by any number of lanes, without a lock. The buckets are made when the first time comes: a
//! pipeline that waits has none. Neighbour: [`crate::counters`] has one for each thing that is timed.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Micros;

/// Buckets of each power of two, and the bits that tell them apart.
const EACH: usize = 1 << BITS;
const BITS: u32 = 3;

/// Times are told apart up to 2^32 microseconds, over an hour; longer ones are in the last bucket.
const POWERS: u32 = 32;

const BUCKETS: usize = (POWERS - BITS + 1) as usize * EACH;

/// Times, counted.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: OnceLock<Box<[AtomicU64; BUCKETS]>>,
    sum: AtomicU64,
    longest: AtomicU64,
}

impl Histogram {
    /// Adds a time. A clock that went back counts as no time.
    pub fn record(&self, took: Micros) {
        let took = u64::try_from(took).unwrap_or(0);
        let buckets = self.buckets.get_or_init(|| Box::new([const { AtomicU64::new(0) }; BUCKETS]));
        buckets[bucket(took)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(took, Ordering::Relaxed);
        self.longest.fetch_max(took, Ordering::Relaxed);
    }

    /// The times as they are now.
    #[must_use]
    pub fn spread(&self) -> Spread {
        let counts = self.buckets.get().map(|buckets| buckets.each_ref().map(|count| count.load(Ordering::Relaxed)));
        let (sum, longest) = (self.sum.load(Ordering::Relaxed), self.longest.load(Ordering::Relaxed));
        Spread { counts: counts.map_or_else(Vec::new, Vec::from), sum, longest }
    }
}

/// The bucket of a time: the first for up to one microsecond, and so on; a bucket's upper end is in it.
fn bucket(took: u64) -> usize {
    let below = took.saturating_sub(1).min((1 << POWERS) - 1);
    if below < EACH as u64 {
        return below as usize;
    }
    let power = below.ilog2();
    let within = (below >> (power - BITS)) as usize % EACH;
    (power - BITS + 1) as usize * EACH + within
}

/// The longest time that is in a bucket.
fn end(bucket: usize) -> u64 {
    match bucket / EACH {
        0 => bucket as u64 + 1,
        octave => ((EACH + bucket % EACH + 1) as u64) << (octave - 1),
    }
}

/// What a histogram had at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Empty = nothing was counted yet.
    counts: Vec<u64>,
    sum: u64,
    longest: u64,
}

impl Spread {
    /// How many times were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum, in microseconds.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The longest, in microseconds.
    #[must_use]
    pub fn longest(&self) -> u64 {
        self.longest
    }

    /// The time in microseconds that this part of all, from 0 to 1, does not exceed: at most an eighth too long. 0
    /// where there are none.
    #[must_use]
    pub fn quantile(&self, part: f64) -> u64 {
        let wanted = ((self.count() as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        let reaches = |count: &u64| {
            seen += count;
            seen >= wanted
        };
        self.counts.iter().position(reaches).map_or(0, |bucket| end(bucket).min(self.longest))
    }

    /// How many did not exceed that power of two, in microseconds.
    #[must_use]
    pub fn within(&self, power: u32) -> u64 {
        let counted = self.counts.iter().enumerate().take_while(|(bucket, _)| end(*bucket) <= 1 << power);
        counted.map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_the_bucket_that_ends_at_or_after_it_and_none_before() {
        let times = (0..5_000).chain((0..POWERS).flat_map(|power| {
            let middle = 1_u64 << power;
            [middle - 1, middle, middle + 1, middle + middle / 3]
        }));
        for took in times {
            let of = bucket(took);
            assert!(end(of) >= took && (of == 0 || end(of - 1) < took), "{took} in bucket {of}");
            assert!(took < 8 || (end(of) - took) * 8 <= took, "{took} is told as {}", end(of));
        }
        assert_eq!((bucket(u64::MAX), end(BUCKETS - 1)), (BUCKETS - 1, 1 << POWERS));
    }

    #[test]
    fn percentiles_are_those_of_the_times_to_an_eighth() {
        let histogram = Histogram::default();
        assert_eq!((histogram.spread().quantile(0.5), histogram.spread().count()), (0, 0));
        (1..=10_000).for_each(|took| histogram.record(took));
        histogram.record(-5);
        let spread = histogram.spread();
        for (part, exact) in [(0.5, 5_000), (0.95, 9_500), (0.99, 9_900), (1.0, 10_000)] {
            let told = spread.quantile(part);
            assert!((exact..=exact + exact / 8).contains(&told), "{part}: {told} for {exact}");
        }
        assert_eq!((spread.count(), spread.sum(), spread.longest()), (10_001, 50_005_000, 10_000));
        assert_eq!((spread.quantile(1.0), spread.quantile(0.0)), (10_000, 1), "no longer than the longest");
    }

    #[test]
    fn what_is_within_a_power_of_two_is_counted_exactly() {
        let histogram = Histogram::default();
        (1..=100).for_each(|took| histogram.record(took));
        let spread = histogram.spread();
        let within = [0, 2, 4, 5, 6, 20].map(|power| spread.within(power));
        assert_eq!(within, [1, 4, 16, 32, 64, 100]);
    }
}
