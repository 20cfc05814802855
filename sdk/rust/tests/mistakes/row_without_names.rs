//! A mistake: a row without names.
//= `Row` needs named fields: they name the columns
use wasmill::prelude::*;

#[derive(Row)]
struct Reading(i64); // <- here

fn main() {}
