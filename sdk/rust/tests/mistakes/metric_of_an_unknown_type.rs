//! A mistake: a metric of an unknown type.
//= `i64` cannot be a metric: use `Counter`, or `Gauge` for what goes up and down
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    value: i64,
}

#[derive(Metrics, Default)]
struct Counts {
    rows: i64, // <- here
}

#[transform]
fn count(reading: Reading, counts: &mut Counts) -> bool {
    counts.rows += 1;
    reading.value > 0
}

fn main() {}
