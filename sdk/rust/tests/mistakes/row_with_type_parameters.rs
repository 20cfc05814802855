//! A mistake: a row for values of any type.
//= a row has one lifetime at most and no type parameters
use wasmill::prelude::*;

#[derive(Row)]
struct Reading<T> { // <- here
    value: T,
}

fn main() {}
