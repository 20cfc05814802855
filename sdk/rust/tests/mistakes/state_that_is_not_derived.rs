//! A mistake: a state that is not derived.
//= `Seen` is not the state of a key
//= put `#[derive(State, Default)]` on a struct with named fields
//+
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    value: i64,
}

#[derive(Default)]
struct Seen {
    n: i64,
}

#[keyed]
fn count(reading: Reading, seen: &mut Seen) -> bool { // <- here
    seen.n += reading.value;
    true
}

fn main() {}
