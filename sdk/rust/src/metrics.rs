//! Metrics of an operator: plain structs of counters and gauges, reported after each call.
//!
//! What a refused row counted stays counted: refusals are often what is counted. Neighbours: the derive `Metrics` puts
//! numbers together to structs, [`crate::operator`] reports them.

use crate::plan::Metric;

/// The metrics of an operator: `#[derive(Metrics, Default)]`.
///
/// ```
/// use wasmill::prelude::*;
///
/// #[derive(Metrics, Default)]
/// struct Counts {
///     /// Rows below zero.
///     negative_rows: Counter,
///     /// The last value.
///     last: Gauge,
/// }
///
/// #[derive(Row)]
/// struct Reading {
///     value: f64,
/// }
///
/// #[transform]
/// fn keep(reading: Reading, counts: &mut Counts) -> bool {
///     counts.last.set(reading.value);
///     if reading.value < 0.0 {
///         counts.negative_rows.increment();
///     }
///     reading.value >= 0.0
/// }
/// # fn main() { assert!(!keep(Reading { value: -1.0 }, &mut Counts::default())); }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a set of metrics",
    note = "put `#[derive(Metrics, Default)]` on a struct with fields of type `Counter` and `Gauge`"
)]
pub trait Metrics: Default {
    /// What they are.
    const METRICS: &'static [Metric];
    /// Adds to `report` what is to be reported after a call.
    fn report(&mut self, report: &mut Vec<f64>);
}

impl Metrics for () {
    const METRICS: &'static [Metric] = &[];
    fn report(&mut self, _: &mut Vec<f64>) {}
}

/// A number of a set of metrics.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a metric",
    note = "the fields of a set of metrics are of type `Counter` or `Gauge`"
)]
pub trait Number {
    /// The contract's name of the kind.
    const KIND: &'static str;
    /// What is to be reported after a call.
    fn report(&mut self) -> f64;
}

/// An amount that only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counter(f64);

impl Counter {
    /// Adds one.
    #[inline(always)]
    pub fn increment(&mut self) {
        self.0 += 1.0;
    }

    /// Adds an amount.
    ///
    /// # Panics
    /// When it is negative or not a finite number.
    #[inline(always)]
    pub fn add(&mut self, amount: f64) {
        assert!(amount >= 0.0 && amount.is_finite(), "a counter only grows: {amount} cannot be added");
        self.0 += amount;
    }
}

impl Number for Counter {
    const KIND: &'static str = "counter";
    fn report(&mut self) -> f64 {
        std::mem::take(&mut self.0)
    }
}

/// A value of which the last one counts; 0 until it is set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gauge(f64);

impl Gauge {
    /// Makes this the value.
    ///
    /// # Panics
    /// When it is not a finite number.
    #[inline(always)]
    pub fn set(&mut self, value: f64) {
        assert!(value.is_finite(), "a gauge shows numbers, not {value}");
        self.0 = value;
    }
}

impl Number for Gauge {
    const KIND: &'static str = "gauge";
    fn report(&mut self) -> f64 {
        self.0
    }
}
