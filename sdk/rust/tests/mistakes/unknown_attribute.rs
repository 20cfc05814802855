//! A mistake: an unknown attribute.
//= unknown: a field has `name` and `default` here
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    #[row(nam = "value")] // <- here
    value: i64,
}

fn main() {}
