//! A mistake: a fraction for a whole number.
//= the default of this field is a whole number of 64 bits
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    #[row(default = 1.)] // <- here
    value: i64,
}

fn main() {}
