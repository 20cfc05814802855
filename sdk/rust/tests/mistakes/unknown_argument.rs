//! A mistake: something that an operator's attribute does not have.
//= unknown: an operator has `ports(..)` and `carries(..)` here
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    value: i64,
}

#[transform(outputs(late))] // <- here
fn keep(reading: Reading) -> bool {
    reading.value > 0
}

fn main() {}
