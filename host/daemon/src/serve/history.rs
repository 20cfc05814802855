//! What flowed through a pipeline in the last minutes: a sample at each look at its counters.

use std::collections::VecDeque;

use serde::Serialize;

/// Samples that are kept: some minutes, as looks are a second apart.
const SAMPLES_KEPT: usize = 300;

/// Rates over the time since the sample before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Sample {
    /// When it ended, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// Rows a second that sources gave.
    pub(crate) rows_in_per_s: f32,
    /// Rows a second that sinks wrote, dead letters left out.
    pub(crate) rows_out_per_s: f32,
}

/// The last samples of a pipeline.
#[derive(Debug, Default)]
pub(crate) struct History(VecDeque<Sample>);

impl History {
    /// Adds a sample, and forgets the oldest where there are too many.
    pub(crate) fn add(&mut self, sample: Sample) {
        if self.0.len() >= SAMPLES_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    /// The newest sample.
    pub(crate) fn last(&self) -> Option<Sample> {
        self.0.back().copied()
    }

    /// Those that ended after that time, oldest first.
    pub(crate) fn after(&self, at_ms: u64) -> Vec<Sample> {
        self.0.iter().filter(|sample| sample.at_ms > at_ms).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_samples_are_kept_and_those_after_a_time_are_told() {
        let mut history = History::default();
        assert_eq!(history.last(), None);
        for at_ms in 1..=1_000 {
            history.add(Sample { at_ms, rows_in_per_s: 1.0, rows_out_per_s: 0.5 });
        }
        let times = |after| history.after(after).iter().map(|sample| sample.at_ms).collect::<Vec<_>>();
        assert_eq!((times(0).len(), times(0)[0]), (SAMPLES_KEPT, 701));
        assert_eq!(times(998), [999, 1_000]);
        assert_eq!(history.last().map(|sample| sample.at_ms), Some(1_000));
    }
}
