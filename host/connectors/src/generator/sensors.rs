//! Sensors: each has its own level, drifts slowly around it, is noisy, and now and then spikes or fails.
//!
//! All is counted in hundredths, so that a value is the same on every machine and as text.

use wasmill_engine::clock::Micros;
use wasmill_engine::schema::{Field, Kind, Schema};

use super::config::Config;
use super::fields::Fields;
use super::random::Random;

const SITES: [&str; 5] = ["hamburg", "lyon", "oslo", "porto", "turin"];

/// Readings after which a sensor's drift is where it was.
const DRIFT_PERIOD: u64 = 4_096;

/// Level, its spread among sensors, drift, noise and spike of a quantity.
struct Quantity {
    level: i64,
    spread: u64,
    drift: i64,
    noise: u64,
    spike: i64,
}

const TEMPERATURE: Quantity = Quantity { level: 1_800, spread: 800, drift: 300, noise: 40, spike: 3_500 };
const HUMIDITY: Quantity = Quantity { level: 4_000, spread: 1_500, drift: 500, noise: 150, spike: 3_000 };
const PRESSURE: Quantity = Quantity { level: 100_000, spread: 2500, drift: 600, noise: 30, spike: -9_000 };

/// What a reading is made of. Good readings lie within -50 to 150 degrees, 0 to 100 per cent, 850 to 1,100 hPa.
pub(super) fn schema() -> Schema {
    Schema::new(vec![
        Field::required("id", Kind::Int64),
        Field::required("sensor", Kind::Utf8),
        Field::required("site.name", Kind::Utf8),
        Field::required("at", Kind::Timestamp),
        Field::nullable("temperature", Kind::Float64),
        Field::nullable("humidity", Kind::Float64),
        Field::nullable("pressure", Kind::Float64),
    ])
}

/// Describes reading `number`.
pub(super) fn describe(config: &Config, (start, step): (Micros, Micros), number: u64, fields: &mut impl Fields) {
    let sensors = u64::from(config.sensors);
    let (sensor, reading) = (number % sensors, number / sensors);
    let mut random = Random::of(config.seed, number);
    let mut own = Random::of(config.seed, !sensor);
    // A triangle from -100 to 100 per cent and back.
    let phase = (reading + own.below(DRIFT_PERIOD)) % DRIFT_PERIOD;
    let drift = (phase as i64 * 400 / DRIFT_PERIOD as i64 - 200).abs() - 100;
    let mut values = [TEMPERATURE, HUMIDITY, PRESSURE].map(|quantity| {
        let level = quantity.level + own.below(quantity.spread) as i64;
        let noise = (random.below(quantity.noise + 1) + random.below(quantity.noise + 1)) as i64;
        Some(level + quantity.drift * drift / 100 + noise - quantity.noise as i64)
    });
    if random.in_share(config.anomaly_share) {
        let which = random.below(3) as usize;
        let spike = [TEMPERATURE, HUMIDITY, PRESSURE][which].spike;
        values[which] = values[which].map(|value| value + spike);
    }
    if random.in_share(config.error_share) {
        let which = random.below(3) as usize;
        values[which] = if random.below(2) == 0 { None } else { Some([99_999, -500, 0][which]) };
    }
    fields.int("id", number as i64);
    fields.text("sensor", |text| name(sensor, text));
    fields.open("site");
    fields.text("name", |text| text.extend_from_slice(SITES[sensor as usize % SITES.len()].as_bytes()));
    fields.close();
    fields.time("at", start + number as i64 * step);
    fields.hundredths("temperature", values[0]);
    fields.hundredths("humidity", values[1]);
    fields.hundredths("pressure", values[2]);
}

/// `s-0001`, and wider where that many sensors need it.
fn name(sensor: u64, text: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(sensor + 1).as_bytes();
    text.extend_from_slice(b"s-");
    text.extend_from_slice(&b"0000"[digits.len().min(4)..]);
    text.extend_from_slice(digits);
}
