//! A mistake: a field of an unknown type.
//= `Celsius` cannot be a field of a row
//= fields are `bool`, `i64`, `f64`
//- the following other types implement trait
//+
use wasmill::prelude::*;

struct Celsius(f64);

#[derive(Row)]
struct Reading {
    value: Celsius, // <- here
}

#[transform]
fn keep(reading: Reading) -> bool {
    reading.value.0 > 0.0
}

fn main() {}
