//! A mistake: a time to live without its unit.
//= a time is a number and a unit: `500ms`, `30s`, `10m`, `1h`, `7d`
use wasmill::prelude::*;

#[derive(State, Default)]
#[state(ttl = "3600")] // <- here
struct Seen {
    n: i64,
}

fn main() {}
