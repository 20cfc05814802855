//! A mistake: keyed without state.
//= a keyed operator takes its key's state: `state: &mut MyState`
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    value: i64,
}

#[keyed]
fn keep(reading: Reading) -> bool { // <- here
    reading.value > 0
}

fn main() {}
