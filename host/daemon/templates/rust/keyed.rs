//! The operator NAME: the running mean of each key's temperatures; readings far from it also go to the port `alerts`.

use serde::Deserialize;
use wasmill::prelude::*;

/// The columns that the operator reads. All others pass by untouched.
#[derive(Row)]
struct Reading {
    temperature: f64,
}

/// What is kept for each key.
#[derive(State, Default)]
struct Stats {
    n: i64,
    mean: f64,
}

/// The columns that it makes.
#[derive(Row)]
struct Scored {
    mean: f64,
}

/// What `config:` of a pipeline's stage may say.
#[derive(Deserialize)]
#[serde(default)]
struct Config {
    /// How far from the mean a reading may be.
    distance: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { distance: 10.0 }
    }
}

impl Config {
    /// Asked before the pipeline starts.
    fn check(&self) -> Result<(), String> {
        if self.distance <= 0.0 {
            return Err(format!("`distance` is {}, not above 0", self.distance));
        }
        Ok(())
    }
}

#[keyed(ports(alerts))]
fn score(reading: Reading, stats: &mut Stats, config: &Config, out: &mut Out<Scored>) -> Verdict {
    if reading.temperature < -90.0 {
        return reject(format!("{} degrees are too cold to be true", reading.temperature));
    }
    stats.n += 1;
    stats.mean += (reading.temperature - stats.mean) / stats.n as f64;
    if (reading.temperature - stats.mean).abs() > config.distance {
        out.to("alerts", Scored { mean: stats.mean });
    }
    emit(Scored { mean: stats.mean })
}

#[cfg(test)]
mod tests {
    /// The cases, natively: `cargo test`. `wasmill test` puts them through the compiled component.
    #[test]
    fn cases() {
        wasmill_test::cases::<super::score>("cases.yaml");
    }
}
