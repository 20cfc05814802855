//! A mistake: a default of another kind than its field.
//= the default of this field is a whole number of 64 bits
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    #[row(default = "x")] // <- here
    value: i64,
}

fn main() {}
