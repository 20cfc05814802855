//! A mistake: a configuration that is not read.
//= `Config` is not a configuration
//= put `#[derive(serde::Deserialize)]` on it
//+
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    value: i64,
}

struct Config {
    least: i64,
}

#[transform]
fn keep(reading: Reading, config: &Config) -> bool { // <- here
    reading.value > config.least
}

fn main() {}
