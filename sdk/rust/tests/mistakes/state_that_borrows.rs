//! A mistake: a state that borrows.
//= state outlives the call: it owns its fields and has no parameters
use wasmill::prelude::*;

#[derive(State, Default)]
struct Seen<'a> { // <- here
    name: &'a str,
}

fn main() {}
