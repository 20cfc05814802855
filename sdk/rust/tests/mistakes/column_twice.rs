//! A mistake: a column twice.
//= the column `value` stands twice
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    value: i64,
    #[row(name = "value")]
    other: i64, // <- here
}

fn main() {}
