//! A mistake: a check of the configuration that answers something else.
//= the `check` of a configuration answers `Result<(), String>`, not `bool`
use serde::Deserialize;
use wasmill::prelude::*;

#[derive(Row)]
struct Reading {
    value: i64,
}

#[derive(Deserialize)]
struct Config {
    least: i64,
}

impl Config {
    fn check(&self) -> bool {
        self.least > 0
    }
}

#[transform]
fn keep(reading: Reading, config: &Config) -> bool { // <- here
    reading.value > config.least
}

fn main() {}
