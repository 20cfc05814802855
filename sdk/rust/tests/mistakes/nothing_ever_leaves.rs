//! A mistake: nothing ever leaves.
//= nothing would ever leave this operator: return a row, `bool` or a `Verdict`
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    value: i64,
}

#[transform]
fn swallow(reading: Reading) { // <- here
    drop(reading);
}

fn main() {}
