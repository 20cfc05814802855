//! A mistake: a row that is not derived.
//= `Reading` is not a row
//= put `#[derive(Row)]` on a struct with named fields
//+
use wasmill::prelude::*;

struct Reading {
    value: i64,
}

#[transform]
fn keep(reading: Reading) -> bool { // <- here
    reading.value > 0
}

fn main() {}
