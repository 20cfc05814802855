//! Stories of the generator: the same events as columns and as lines, in the right proportions, at the right rate.

use std::path::Path;

use crate::kit::source_context;
use crate::kit::sources::{Reading, Step};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use serde_json::{Value, json};
use wasmill_connectors::generator::{Config, write_ndjson};
use wasmill_connectors::{source, source_schema};
use wasmill_engine::batch::Records;
use wasmill_engine::schema::Kind;
use wasmill_engine::source::{Read, SourceReader};

fn open(config: &Value) -> Box<dyn SourceReader> {
    source("generator", config, &source_context(Path::new(""))).unwrap()
}

fn records(config: &Value, rows: usize) -> Records {
    match open(config).read(0, 0, rows, &mut Vec::new()).unwrap() {
        Read::Records(records) => *records,
        other => panic!("records, not {other:?}"),
    }
}

fn column(config: &Value, records: &Records, name: &str) -> ArrayRef {
    let position = source_schema("generator", config).unwrap().position(name).unwrap();
    records.columns[position].clone().unwrap()
}

fn events(config: &Value, count: u64, malformed: f64) -> (Vec<u8>, u64) {
    let mut text = Vec::new();
    let spoilt = write_ndjson(&Config::parse(config).unwrap(), 0..count, malformed, &mut text);
    (text, spoilt)
}

/// A time as its text. All test times lie in the first minute of 2026.
fn at(micros: i64) -> Value {
    let (seconds, rest) = ((micros - 1_767_225_600_000_000) / 1_000_000, micros % 1_000_000);
    assert!((0..60).contains(&seconds), "a second of the first minute, not {seconds}");
    json!(format!("2026-01-01T00:00:{seconds:02}.{rest:06}Z"))
}

/// A cell as JSON, times as their text.
fn cell(column: &ArrayRef, kind: Kind, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match kind {
        Kind::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        Kind::Float64 => json!(column.as_primitive::<Float64Type>().value(row)),
        Kind::Timestamp => at(column.as_primitive::<TimestampMicrosecondType>().value(row)),
        _ => json!(column.as_string::<i32>().value(row)),
    }
}

#[test]
fn an_event_is_the_same_as_columns_and_as_a_line() {
    for config in [
        json!({ "kind": "nexmark", "error_share": 0.1 }),
        json!({ "kind": "nexmark", "only": "bids", "seed": 5 }),
        json!({ "kind": "nexmark", "only": "auctions" }),
        json!({ "kind": "nexmark", "only": "persons" }),
        json!({ "kind": "sensors", "anomaly_share": 0.1, "error_share": 0.2 }),
    ] {
        let schema = source_schema("generator", &config).unwrap();
        let records = records(&config, 400);
        let (text, _) = events(&config, 400, 0.0);
        for (row, line) in std::str::from_utf8(&text).unwrap().lines().enumerate() {
            let line: Value = serde_json::from_str(line).unwrap();
            let time = if config["kind"] == "sensors" { &line["at"] } else { &line["date_time"] };
            assert_eq!(*time, at(records.event_time.as_ref().unwrap()[row]), "the event time of {line}");
            for (field, column) in schema.fields().iter().zip(&records.columns) {
                let found = field.name.split('.').try_fold(&line, |value, key| value.get(key)).unwrap_or(&Value::Null);
                assert_eq!(*found, cell(column.as_ref().unwrap(), field.kind, row), "{} of {line}", field.name);
                assert!(field.nullable || !found.is_null());
            }
        }
    }
}

#[test]
fn of_fifty_events_one_is_a_person_three_are_auctions_and_the_rest_bids() {
    let config = json!({ "kind": "nexmark" });
    let records = records(&config, 5_000);
    let types = column(&config, &records, "event_type");
    let count = |kind: &str| types.as_string::<i32>().iter().filter(|value| *value == Some(kind)).count();
    assert_eq!((count("person"), count("auction"), count("bid")), (100, 300, 4_600));
    for name in ["id", "person.id", "auction.id", "bid.id"] {
        let ids = column(&config, &records, name);
        let ids = ids.as_primitive::<Int64Type>().iter().flatten();
        ids.enumerate().for_each(|(i, id)| assert_eq!(id, i as i64, "`{name}` rises without a gap"));
    }
}

#[test]
fn bids_alone_are_the_bids_of_the_mixed_stream() {
    let (mixed, alone) = (json!({ "kind": "nexmark" }), json!({ "kind": "nexmark", "only": "bids" }));
    let (many, few) = (records(&mixed, 500), records(&alone, 460));
    for name in ["auction", "bidder", "price"] {
        let mixed = column(&mixed, &many, &format!("bid.{name}"));
        let alone = column(&alone, &few, name);
        let mixed: Vec<_> = mixed.as_primitive::<Int64Type>().iter().flatten().collect();
        assert_eq!(mixed, alone.as_primitive::<Int64Type>().values().to_vec(), "{name}");
    }
}

#[test]
fn bids_have_keys_that_repeat_and_prices_that_spread() {
    let config = json!({ "kind": "nexmark", "only": "bids" });
    let records = records(&config, 46_000);
    let ints = |name: &str| column(&config, &records, name).as_primitive::<Int64Type>().values().to_vec();
    let prices = ints("price");
    assert!(prices.iter().all(|price| (100..=110_000_000).contains(price)));
    assert!(prices.iter().any(|price| *price < 200) && prices.iter().any(|price| *price > 50_000_000));
    let auctions = ints("auction");
    let hot = auctions.iter().filter(|auction| *auction % 100 == 0).count();
    assert!((20_000..27_000).contains(&hot), "about half of the bids are for hot auctions, not {hot}");
    assert!(auctions.iter().enumerate().all(|(i, auction)| *auction < (i as i64 / 46 + 1) * 3), "each auction exists");
    let (text, _) = events(&config, 10_000, 0.0);
    let length = text.len() / 10_000;
    assert!((238..=248).contains(&length), "a line has about 243 bytes, not {length}");
}

#[test]
fn spoilt_lines_are_counted_and_no_reader_of_json_takes_one() {
    for config in [json!({ "kind": "nexmark" }), json!({ "kind": "sensors" })] {
        let (text, spoilt) = events(&config, 20_000, 0.05);
        let lines: Vec<_> = text.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').collect();
        assert_eq!(lines.len(), 20_000);
        let bad = lines.iter().filter(|line| serde_json::from_slice::<Value>(line).is_err()).count() as u64;
        assert_eq!(bad, spoilt);
        assert!((850..1_150).contains(&spoilt), "about 5 in 100, not {spoilt}");
    }
}

#[test]
fn readings_stay_in_range_but_for_the_share_that_shall_not() {
    let bad = |error_share: f64, anomaly_share: f64| {
        let config = json!({ "kind": "sensors", "error_share": error_share, "anomaly_share": anomaly_share });
        let records = records(&config, 50_000);
        let good = |name: &str, low: f64, high: f64| -> Vec<bool> {
            let values = column(&config, &records, name);
            values.as_primitive::<Float64Type>().iter().map(|v| v.is_some_and(|v| (low..=high).contains(&v))).collect()
        };
        let (t, h, p) =
            (good("temperature", -50.0, 150.0), good("humidity", 0.0, 100.0), good("pressure", 850.0, 1_100.0));
        (0..50_000).filter(|row| !(t[*row] && h[*row] && p[*row])).count()
    };
    assert_eq!(bad(0.0, 0.1), 0, "a spike is within what is possible");
    let errors = bad(0.02, 0.1);
    assert!((850..1_150).contains(&errors), "about 2 in 100, not {errors}");
}

#[test]
fn a_sensor_drifts_slowly_around_its_level_is_noisy_and_spikes_in_the_share_that_shall() {
    const READINGS: usize = 8_192;
    let temperatures = |anomaly_share: f64| -> Vec<f64> {
        let config = json!({ "kind": "sensors", "sensors": 1, "error_share": 0.0, "anomaly_share": anomaly_share });
        let records = records(&config, READINGS);
        column(&config, &records, "temperature").as_primitive::<Float64Type>().values().to_vec()
    };
    let (calm, spiky) = (temperatures(0.0), temperatures(0.3));
    let steps: Vec<f64> = calm.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
    assert!(steps.iter().all(|step| *step < 2.0), "no spike");
    assert!(steps.iter().filter(|step| **step > 0.0).count() > READINGS / 2, "noise");
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let slices: Vec<f64> = calm.chunks(256).map(mean).collect();
    let (low, high) =
        (slices.iter().copied().fold(f64::MAX, f64::min), slices.iter().copied().fold(f64::MIN, f64::max));
    assert!(high - low > 4.0, "drift: from {low} to {high} in the mean");
    let spikes = spiky.iter().zip(&calm).filter(|(spiky, calm)| *spiky - *calm > 30.0).count();
    assert!((650..1_000).contains(&spikes), "a third of the spikes are its, about one in ten readings, not {spikes}");
}

#[test]
fn a_rate_is_kept_by_the_clock_that_is_given() {
    let mut reading = Reading::new(open(&json!({ "kind": "sensors", "rate": 1000.0 })));
    assert_eq!(reading.step(10), Ok(Step::Some(0)), "the first is due at once");
    assert_eq!(reading.step(10), Ok(Step::Idle(Some(1_001_000))));
    reading.now += 999;
    assert_eq!(reading.step(10), Ok(Step::Idle(Some(1_001_000))));
    reading.now += 1;
    assert_eq!(reading.step(10), Ok(Step::Some(0)));
    reading.now += 1_000_000;
    assert_eq!(reading.reader.behind(reading.now), Some(1_000), "it owes a second's events");
    while let Step::Some(_) = reading.step(300).unwrap() {}
    assert_eq!(reading.brought[&0].rows.len(), 1_002);
    assert_eq!((reading.reader.progress(), reading.reader.behind(reading.now)), (None, Some(0)));
    assert_eq!(open(&json!({ "kind": "sensors" })).behind(0), None, "there is always more");
}

#[test]
fn a_generator_refuses_a_position_past_its_end() {
    let mut reader = open(&json!({ "kind": "sensors", "events": 10 }));
    let mut position = reader.start(0);
    position.offset = 11;
    let error = reader.seek(&[position]).unwrap_err();
    assert!(error.message.starts_with("the generator makes 10 events, but was at event 11; set `events`"), "{error}");
}
