//! Scores each row by how many standard deviations it is from the mean of the rows of its key before it, and raises an
//! alert where these are too many.
//!
//! Mean and variance are running ones, after Welford: one pass, no sum of squares that loses digits. Always true: a row
//! is scored against the rows before it, and then counts for the rows after it; a refused row does not count.

use serde::Deserialize;
use wasmill::column::Column;
use wasmill::config;
use wasmill::effects::{Effects, Emit, Reject, Step};
use wasmill::operator::{Call, Keyed, Keys, untouched};
use wasmill::plan::{Field, Metric, Plan, Port, Read, Refusal, name};
use wasmill::prelude::State;
use wasmill::row::Value;
use wasmill::state::State as _;

const MAIN: u32 = 0;
const ALERTS: u32 = 1;

#[derive(Deserialize)]
#[serde(default)]
struct Config {
    column: String,
    score: String,
    sigma: f64,
    warm_up: i64,
    min_deviation: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { column: "value".into(), score: "z".into(), sigma: 3.0, warm_up: 30, min_deviation: 1e-9 }
    }
}

impl Config {
    fn check(&self) -> Result<(), Refusal> {
        let wrong = |key: &str, what: String| Err(Refusal::new(format!("configuration key `{key}`: {what}")).key(key));
        if !(self.sigma > 0.0 && self.sigma.is_finite()) {
            return wrong("sigma", format!("{} is not above 0", self.sigma));
        }
        if self.warm_up < 2 {
            return wrong("warm_up", format!("{} is not at least 2: fewer values have no deviation", self.warm_up));
        }
        if !(self.min_deviation > 0.0 && self.min_deviation.is_finite()) {
            return wrong("min_deviation", format!("{} is not above 0", self.min_deviation));
        }
        Ok(())
    }
}

/// What is known of a key.
#[derive(State, Default)]
struct Stats {
    /// How many values it had.
    n: i64,
    /// Their mean.
    mean: f64,
    /// The sum of the squares of their distances from the mean.
    m2: f64,
}

impl Stats {
    /// How many standard deviations a value is from the mean; 0 while fewer than two values are known.
    fn score(&self, value: f64, min_deviation: f64) -> f64 {
        if self.n < 2 {
            return 0.0;
        }
        let deviation = (self.m2 / (self.n - 1) as f64).sqrt().max(min_deviation);
        ((value - self.mean) / deviation).clamp(f64::MIN, f64::MAX)
    }

    /// Counts a value; not one that takes the numbers past what a float can hold.
    fn push(&mut self, value: f64, column: &str) -> Result<(), Reject> {
        let n = self.n + 1;
        let distance = value - self.mean;
        let mean = self.mean + distance / n as f64;
        let m2 = self.m2 + distance * (value - mean);
        if !(mean.is_finite() && m2.is_finite()) {
            return Err(format!("`{column}` is too far from the mean of its key to be counted").into());
        }
        *self = Self { n, mean, m2 };
        Ok(())
    }
}

struct Anomaly {
    config: Config,
    nullable: bool,
}

impl Anomaly {
    /// The score of a row, and whether it is an alert.
    fn row(&self, stats: &mut Stats, value: f64) -> Result<(f64, bool), Reject> {
        if !value.is_finite() {
            return Err(format!("`{}` is {value}", self.config.column).into());
        }
        let score = stats.score(value, self.config.min_deviation);
        let is_alert = stats.n >= self.config.warm_up && score.abs() > self.config.sigma;
        stats.push(value, &self.config.column)?;
        Ok((score, is_alert))
    }
}

/// The rows of a port, with room for all.
struct Scored<'a> {
    len: usize,
    origin: &'a mut [u32],
    scores: &'a mut [f64],
    /// Empty where every row has a score.
    present: &'a mut [u8],
}

impl<'a> Scored<'a> {
    fn with_room(call: &Call<'a>, nullable: bool) -> Self {
        let rows = call.rows.count as usize;
        let present = call.buffers.numbers(if nullable { rows } else { 0 });
        Self { len: 0, origin: call.buffers.numbers(rows), scores: call.buffers.numbers(rows), present }
    }

    fn push(&mut self, row: u32, score: Option<f64>) {
        self.origin[self.len] = row;
        self.scores[self.len] = score.unwrap_or_default();
        if let Some(present) = self.present.get_mut(self.len) {
            *present = u8::from(score.is_some());
        }
        self.len += 1;
    }

    fn emit(self, port: u32, rows: usize) -> Option<Emit<'a>> {
        let len = self.len;
        let origin = (len < rows || port != MAIN).then_some(&self.origin[..len]);
        let present = &self.present[..len.min(self.present.len())];
        let present = if present.contains(&0) { present.into() } else { Default::default() };
        let scores = Column { present, ..Column::fixed(&self.scores[..len]) };
        (len > 0).then(|| Emit { port, origin, columns: vec![scores] })
    }
}

impl Keyed for Anomaly {
    fn open(config: &str, input: &[Field]) -> Result<(Self, Plan), Refusal> {
        let config: Config = config::parse(config)?;
        config.check()?;
        let Some(field) = input.iter().find(|field| field.name == config.column) else {
            let wanted = &config.column;
            let hint = config::nearest(wanted, input.iter().map(|field| &*field.name));
            let hint = hint.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            let message = format!("configuration key `column`: there is no column `{wanted}`{hint}");
            return Err(Refusal::new(message).key("column"));
        };
        let nullable = field.nullable;
        let number = |name: &str| Field { name: name.to_owned().into(), kind: name_of::<f64>(), nullable };
        let port = |port| Port { name: name(port), carries: None, makes: vec![number(&config.score)] };
        let help = name("Rows that raised an alert.");
        let plan = Plan {
            reads: vec![Read { field: number(&config.column), fallback: None }],
            ports: vec![port("main"), port("alerts")],
            tables: vec![Stats::table()],
            metrics: vec![Metric { name: name("alert_rows"), kind: name("counter"), help }],
        };
        Ok((Self { config, nullable }, plan))
    }

    fn process<'a>(&self, call: Call<'a>, keys: Keys<'a>) -> Step<'a> {
        let values = <Option<f64>>::reader(&call.rows.columns.get()[0], call.rows.count as usize);
        let fresh = keys.table.fresh.get();
        let mut cells = Stats::cells(keys.table.into_columns(), keys.count);
        let (mut main, mut alerts) = (Scored::with_room(&call, self.nullable), Scored::with_room(&call, self.nullable));
        let (mut rejects, mut stats) = (Vec::new(), Stats::default());
        for (row, key) in (0..).zip(keys.slots.iter().map(|slot| *slot as usize)) {
            let Some(value) = <Option<f64>>::read(&values, row as usize) else {
                main.push(row, None);
                continue;
            };
            stats.load(&cells, key);
            match self.row(&mut stats, value) {
                Ok((score, is_alert)) => {
                    main.push(row, Some(score));
                    if is_alert {
                        alerts.push(row, Some(score));
                    }
                    stats.store(&mut cells, key);
                }
                Err(reject) => rejects.push((row, reject)),
            }
        }
        let forget = untouched(fresh, keys.slots, &rejects);
        let metrics = vec![alerts.len as f64];
        let rows = call.rows.count as usize;
        let emits = [main.emit(MAIN, rows), alerts.emit(ALERTS, rows)].into_iter().flatten().collect();
        let effects = Effects { emits, rejects, metrics };
        Step { effects, forget, state: Stats::changed(cells, call.buffers) }
    }
}

fn name_of<'a, T: Value<'a>>() -> wasmill::plan::Name {
    name(T::KIND)
}

wasmill::export!(keyed Anomaly);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases() {
        wasmill_test::cases::<Anomaly>("cases.yaml");
    }

    #[test]
    fn a_configuration_that_makes_no_sense_is_refused() {
        let input = [Field { name: name("value"), kind: name("int64"), nullable: false }];
        for (config, words) in [
            (r#"{"column": "valeu"}"#, "`column`: there is no column `valeu`; did you mean `value`?"),
            (r#"{"sigma": 0}"#, "`sigma`: 0 is not above 0"),
            (r#"{"warm_up": 1}"#, "`warm_up`: 1 is not at least 2"),
            (r#"{"min_deviation": 0}"#, "`min_deviation`: 0 is not above 0"),
        ] {
            let refusal = Anomaly::open(config, &input).err().expect("it is refused");
            assert!(refusal.message.contains(words), "{config}: {}", refusal.message);
        }
        let (_, plan) = Anomaly::open("{}", &input).unwrap_or_else(|refusal| panic!("{}", refusal.message));
        assert_eq!(plan.reads[0].field.kind, "float64", "whole numbers are widened by the host");
    }

    #[test]
    fn mean_and_deviation_are_those_of_two_passes_also_far_from_zero() {
        let values: Vec<f64> = (0..1_000).map(|i| 1e9 + f64::from(i * 37 % 101) / 10.0).collect();
        let mut stats = Stats::default();
        values.iter().for_each(|value| stats.push(*value, "x").expect("small enough"));
        let mean = values.iter().sum::<f64>() / 1e3;
        let m2 = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        assert!((stats.mean - mean).abs() < 1e-5 && (stats.m2 / m2 - 1.0).abs() < 1e-6, "{} {}", stats.mean, stats.m2);
    }

    #[test]
    fn a_value_that_would_spoil_the_numbers_is_not_counted() {
        let mut stats = Stats { n: 2, mean: 1.0, m2: 0.0 };
        assert!(stats.push(1e308, "x").is_err());
        assert_eq!((stats.n, stats.mean), (2, 1.0));
        assert!(stats.score(2.0, 1e-9) > 9e8, "a key that never moved, and then does");
        assert!(stats.score(1e308, 1e-9).is_finite());
    }
}
