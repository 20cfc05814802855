//! A mistake: a field of an unknown type.
//= `i32` cannot be a field of a row
//= fields are `bool`, `i64`, `f64`
//- the following other types implement trait
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
