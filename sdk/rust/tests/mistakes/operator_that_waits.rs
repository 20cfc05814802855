//! A mistake: an operator that waits.
//= an operator is a plain function: it cannot wait
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    value: i64,
}

#[transform]
async fn keep(reading: Reading) -> bool { // <- here
    reading.value > 0
}

fn main() {}
