//! A mistake: the name of a column without quotes.
//= `carries(none)`, or the names of columns in quotes
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    value: i64,
}

#[transform(carries(id))] // <- here
fn keep(reading: Reading) -> bool {
    reading.value > 0
}

fn main() {}
