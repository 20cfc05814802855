//! A mistake: a number that no column has.
//= `i32` cannot be a field of a row: use `i64`
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    value: i32, // <- here
}

#[transform]
fn keep(reading: Reading) -> bool {
    reading.value > 0
}

fn main() {}
