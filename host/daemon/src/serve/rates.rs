//! How fast rows flow: counts of two looks, and what lies between.

use wasmill_engine::runtime::Status;

/// What one source, stage or sink had counted at a look.
pub(crate) struct Counts {
    /// Rows in and out.
    rows: [u64; 2],
    /// Rows that each of its inputs has brought.
    inputs: Vec<u64>,
}

/// The same a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rate {
    /// Rows in and out.
    pub(crate) rows: [f64; 2],
    /// Rows of each of its inputs.
    pub(crate) inputs: Vec<f64>,
}

impl Counts {
    /// Those of now.
    pub(crate) fn of(status: &Status) -> Self {
        // A sink's rows pass two edges: what it is offered counts.
        let passed = status.inputs.iter().map(|edges| edges.first().map_or(0, |edge| edge.passed()));
        Self { rows: [status.counters.rows_in.get(), status.counters.rows_out.get()], inputs: passed.collect() }
    }

    /// What came since `before`, so many seconds ago, a second.
    pub(crate) fn since(&self, before: &Self, seconds: f64) -> Rate {
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        let inputs = self.inputs.iter().zip(&before.inputs).map(|(now, then)| rate(*now, *then));
        Rate {
            rows: [rate(self.rows[0], before.rows[0]), rate(self.rows[1], before.rows[1])],
            inputs: inputs.collect(),
        }
    }
}
