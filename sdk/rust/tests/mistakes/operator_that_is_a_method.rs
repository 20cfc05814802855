//! A mistake: an operator that is a method.
//= an operator is a function, not a method
use wasmill::prelude::*;

#[transform]
fn keep(&self) -> bool { // <- here
    true
}

fn main() {}
