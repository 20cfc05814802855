//! What the generator is told.

use serde::Deserialize;
use serde_json::Value;
use wasmill_engine::clock::Micros;

use crate::config;
use crate::error::ConnectorError;
use wasmill_engine::codec::timestamp;

/// Microseconds of event time between two events where no rate is given: 10,000 events a second.
const STEP: Micros = 100;

/// What kind of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An auction site: of 50 events one person, three auctions, 46 bids.
    Nexmark,
    /// Temperature, humidity and pressure of many sensors in turn.
    Sensors,
}

/// One kind of Nexmark's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// New persons.
    Persons,
    /// New auctions.
    Auctions,
    /// Bids.
    Bids,
}

/// The configuration of a generator.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What kind of events.
    pub kind: Kind,
    /// How many; none = without end.
    #[serde(default)]
    pub events: Option<u64>,
    /// Events a second, by the clock; none = as fast as they are taken. It is also how fast event time goes.
    #[serde(default)]
    pub rate: Option<f64>,
    /// Two generators with the same seed make the same events.
    #[serde(default)]
    pub seed: u64,
    /// Event time of the first event, RFC 3339.
    #[serde(default = "start")]
    pub start: String,
    /// One kind of Nexmark's events, as a flat row; none = all three, a nested group each.
    #[serde(default)]
    pub only: Option<Only>,
    /// How many sensors there are.
    #[serde(default = "sensors")]
    pub sensors: u32,
    /// Share of sensors' readings with a spike, 0 to 1.
    #[serde(default)]
    pub anomaly_share: f64,
    /// Share of events with a value that is missing or out of range, 0 to 1: a negative price, a humidity below 0.
    #[serde(default, alias = "errors")]
    pub error_share: f64,
}

fn start() -> String {
    "2026-01-01T00:00:00Z".to_owned()
}

fn sensors() -> u32 {
    100
}

impl Config {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// A key is unknown, missing, or has a value that makes no sense.
    pub fn parse(value: &Value) -> Result<Self, ConnectorError> {
        let this: Self = config::parse("generator", value)?;
        let wrong = |path: &str, problem: String| Err(ConnectorError::config("generator", path, problem));
        for (path, share) in [("anomaly_share", this.anomaly_share), ("error_share", this.error_share)] {
            if !(0.0..=1.0).contains(&share) {
                return wrong(path, format!("`{path}` is a share from 0 to 1, not {share}"));
            }
        }
        if let Some(rate) = this.rate.filter(|rate| !(*rate > 0.0 && *rate <= 1e9)) {
            return wrong(
                "rate",
                format!("`rate` is events a second, above 0 and up to 1e9, not {rate}; leave it out for full speed"),
            );
        }
        if this.kind == Kind::Sensors && this.only.is_some() {
            return wrong("only", "`only` is for `kind: nexmark`; leave it out".to_owned());
        }
        if !(1..=1_000_000).contains(&this.sensors) {
            return wrong("sensors", format!("`sensors` is a number from 1 to 1000000, not {}", this.sensors));
        }
        if timestamp::parse(this.start.as_bytes()).is_none() {
            let problem = format!("`start` is a time like 2026-01-01T00:00:00Z, not `{}`", this.start);
            return wrong("start", problem);
        }
        Ok(this)
    }

    /// Event time of event 0, and microseconds to each next.
    pub(super) fn times(&self) -> (Micros, Micros) {
        let step = self.rate.map_or(STEP, |rate| ((1e6 / rate) as Micros).max(1));
        (timestamp::parse(self.start.as_bytes()).expect("`parse` has read it"), step)
    }
}
