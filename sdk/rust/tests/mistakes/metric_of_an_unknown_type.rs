//! A mistake: a metric of an unknown type.
//= `i64` cannot be a metric
//= the fields of a set of metrics are of type `Counter` or `Gauge`
use wasmill::prelude::*;

#[derive(Metrics, Default)]
struct Counts {
    rows: i64, // <- here
}

fn main() {}
