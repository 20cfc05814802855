//! A mistake: a state of a transform.
//= `Seen` is not a set of metrics
//+
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    value: i64,
}

#[derive(State, Default)]
struct Seen {
    n: i64,
}

#[transform]
fn count(reading: Reading, seen: &mut Seen) -> bool { // <- here
    seen.n += reading.value;
    true
}

fn main() {}
