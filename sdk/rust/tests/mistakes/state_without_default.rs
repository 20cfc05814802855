//! A mistake: a state without default.
//= the trait bound `Seen: Default` is not satisfied
//+
use wasmill::prelude::*;

#[derive(State)]
struct Seen { // <- here
    n: i64,
}

fn main() {}
