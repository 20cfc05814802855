//! A mistake: a state with a number that no column has.
//= `usize` cannot be a field of a state: use `i64`
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    value: i64,
}

#[derive(State, Default)]
struct Seen {
    n: usize, // <- here
    last: i64,
}

#[keyed]
fn count(reading: Reading, seen: &mut Seen) -> bool {
    seen.n += 1;
    seen.last = reading.value;
    seen.n > 1
}

fn main() {}
