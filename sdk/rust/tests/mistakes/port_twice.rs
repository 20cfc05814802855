//! A mistake: a port that is named twice.
//= the port `late` stands twice
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    value: i64,
}

#[transform(ports(late, late))] // <- here
fn split(reading: Reading, out: &mut Out<Reading>) {
    out.to("late", reading);
}

fn main() {}
