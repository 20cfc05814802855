//! A mistake: a default of an option.
//= with a default this is never null: drop the `Option`
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    #[row(default = 1)]
    value: Option<i64>, // <- here
}

fn main() {}
