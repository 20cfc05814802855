//! A mistake: text that is borrowed as nothing has it.
//= `&'a String` cannot be a field of a row: use `&str`
use wasmill::prelude::*;

#[derive(Row)]
struct Reading<'a> {
    sensor: &'a String, // <- here
}

#[transform]
fn keep(reading: Reading) -> bool {
    !reading.sensor.is_empty()
}

fn main() {}
