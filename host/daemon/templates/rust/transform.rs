//! The operator NAME: the temperature of each reading in Fahrenheit, beside the one in Celsius.

use serde::Deserialize;
use wasmill::prelude::*;

/// The columns that the operator reads. All others pass by untouched.
#[derive(Row)]
struct Reading {
    temperature: f64,
}

/// The columns that it makes.
#[derive(Row)]
struct Converted {
    fahrenheit: f64,
}

/// What `config:` of a pipeline's stage may say.
#[derive(Deserialize)]
#[serde(default)]
struct Config {
    /// Readings below this are no readings, in Celsius.
    coldest: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { coldest: -90.0 }
    }
}

impl Config {
    /// Asked before the pipeline starts.
    fn check(&self) -> Result<(), String> {
        if self.coldest < -273.15 {
            return Err(format!("`coldest` is {}, below absolute zero", self.coldest));
        }
        Ok(())
    }
}

#[transform]
fn convert(reading: Reading, config: &Config) -> Verdict<Converted> {
    if reading.temperature < config.coldest {
        return reject(format!("{} degrees are too cold to be true", reading.temperature));
    }
    emit(Converted { fahrenheit: reading.temperature * 1.8 + 32.0 })
}

#[cfg(test)]
mod tests {
    /// The cases, natively: `cargo test`. `wasmill test` puts them through the compiled component.
    #[test]
    fn cases() {
        wasmill_test::cases::<super::convert>("cases.yaml");
    }
}
