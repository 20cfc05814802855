//! A mistake: a default that is no literal.
//= a default is a number, a text, `true` or `false`
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    #[row(default = [1])] // <- here
    value: i64,
}

fn main() {}
