//! A mistake: a row by reference.
//= the first parameter is the row, by value
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    value: i64,
}

#[transform]
fn keep(reading: &Reading) -> bool { // <- here
    reading.value > 0
}

fn main() {}
