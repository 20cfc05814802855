//! A mistake: an option within an option.
//= an `Option` within an `Option` cannot be a field of a row
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    value: Option<Option<i64>>,
}

#[transform]
fn keep(reading: Reading) -> bool {
    reading.value.is_some()
}

fn main() {}
