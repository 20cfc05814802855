//! A mistake: an answer that means nothing.
//= an operator cannot return `i64`
//= return a row (`#[derive(Row)]`), `bool`, `Verdict<Row>`
//+
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    value: i64,
}

#[transform]
fn double(reading: Reading) -> i64 {
    reading.value * 2
}

fn main() {}
