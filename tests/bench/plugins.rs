//! The plugins that ship, each as a stage, beside the same work in a plain loop over the same columns.
//!
//! Cost model: a stage pays for each batch (two edges, the columns that are read, the layout of what comes out, a call)
//! and for each column that is read a copy into the guest. A condition is a byte a row for each comparison and each
//! `and`; a plain loop does all comparisons of a row at once and knows them when it is compiled. Keyed plugins pay for
//! finding the key and for carrying its state out and back (see the benchmark `keyed`); the loop by hand has a hash map
//! and no limit, rollback or time to live.
//!
//! Rows: two integers and a text; half of the rows pass where rows are chosen. Keys are random, 10,000, all there
//! before the first round, so that for `dedupe` every row is a duplicate. Not measured: nulls, rejected rows (each has
//! a sentence written for it), decoding and encoding. CPU time of this thread, the best of the rounds, which take
//! turns.
//!
//! Exits with 1 where a stage takes more than its target, times the loop's CPU, and more than 4 ns a row above it.

#[path = "../parity/guests.rs"]
#[expect(dead_code, reason = "the plugins that ship are measured, not the guests of tests")]
mod guests;
#[expect(dead_code, reason = "each of these stages has a configuration")]
mod lane;

use std::fs;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, StringArray};
use hashbrown::HashMap;
use serde_json::{Value, json};
use wasmill_engine::batch::Batch;
use wasmill_engine::schema::{Field, Kind};
use wasmill_tests::process::{binary, kept, repository};
use wasmill_wasm::{Component, Engine, Limits};

use lane::{Lane, ROWS, cpu_ns};

/// Different batches of a round, and rounds.
const BATCHES: usize = 64;
const ROUNDS: usize = 40;
const KEYS: u64 = 10_000;
/// A stage is near enough to a loop that does next to nothing when it is so many nanoseconds a row above it.
const ABOVE_MAX_NS: f64 = 4.0;

/// The columns of a batch, and what a loop keeps from batch to batch.
struct Rows<'a> {
    keys: &'a [i64],
    prices: &'a [i64],
    names: &'a StringArray,
}

#[derive(Default)]
struct Kept {
    seen: HashMap<i64, i64>,
    stats: HashMap<i64, (i64, f64, f64)>,
}

/// A plugin, its job, its configuration, its key, the loop, and how many times the loop's CPU it may take.
type Job = (&'static str, &'static str, Value, &'static [&'static str], fn(&Rows<'_>, &mut Kept), f64);

fn jobs() -> Vec<Job> {
    let between = "price >= 2500 and price < 7500";
    let rules = json!({
        "price": {"required": true, "min": 0, "max": 10_000}, "name": {"max_length": 40}, "order": "key != price",
    });
    let routes = json!({"routes": [{"to": "low", "where": "price < 2500"}, {"to": "high", "where": "price >= 7500"}]});
    vec![
        ("filter", "two comparisons", json!({"where": between}), &[], filter, 2.0),
        ("filter", "a text", json!({"where": "name contains 'even'"}), &[], search, 3.0),
        ("select", "two of three", json!({"keep": ["name", "key"]}), &[], |_, _| (), 2.0),
        ("validate", "five rules", rules, &[], validate, 3.0),
        ("route", "three ports", routes, &[], route, 5.0),
        ("dedupe", "all duplicates", json!({"ttl": "1h"}), &["key"], dedupe, 8.0),
        ("anomaly", "", json!({"column": "price"}), &["key"], anomaly, 5.0),
    ]
}

fn main() -> anyhow::Result<ExitCode> {
    println!("plugins as stages, {ROWS} rows a batch, ns of CPU time a row (least of {ROUNDS} rounds)");
    println!("{:>10} {:>16} {:>8} {:>8} {:>8} {:>7}", "plugin", "", "by hand", "stage", "ratio", "target");
    let mut enough = true;
    for (plugin, what, config, key, by_hand, target) in jobs() {
        let [hand, stage] = measure(&component(plugin)?, config, key, by_hand)?;
        let met = stage <= target * hand || stage - hand <= ABOVE_MAX_NS;
        enough &= met;
        let said = if met { "" } else { "  MISSED" };
        println!("{plugin:>10} {what:>16} {hand:>8.2} {stage:>8.2} {:>7.2}x {target:>6.1}x{said}", stage / hand);
    }
    let said = if enough { "yes" } else { "NO" };
    println!("within the target or {ABOVE_MAX_NS} ns above the loop: {said}");
    Ok(if enough { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The plugin's component, as `wasmill build` makes it.
fn component(plugin: &str) -> anyhow::Result<Component> {
    let path = kept("plugins").join(format!("{plugin}.wasm"));
    let mut build = Command::new(binary());
    build.arg("build").arg(repository().join("plugins").join(plugin)).arg("--to").arg(&path);
    build.env("CARGO_TARGET_DIR", kept("built"));
    let output = build.output()?;
    ensure!(output.status.success(), "{build:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(Engine::new(Limits::default(), None)?.load(&fs::read(&path)?)?)
}

/// Nanoseconds a row of the loop and of the stage.
fn measure(
    component: &Component,
    config: Value,
    key: &[&str],
    by_hand: fn(&Rows<'_>, &mut Kept),
) -> anyhow::Result<[f64; 2]> {
    let fields = [
        Field::required("key", Kind::Int64),
        Field::required("price", Kind::Int64),
        Field::required("name", Kind::Utf8),
    ];
    let mut lane = Lane::configured(Arc::new(component.clone()), config, &fields, key)?;
    let batches: Vec<Batch> = batches().iter().map(|columns| lane.batch(columns)).collect();
    let (mut kept, mut least) = (Kept::default(), [f64::MAX; 2]);
    for round in 0..=ROUNDS {
        for (part, least) in least.iter_mut().enumerate() {
            let before = cpu_ns()?;
            for batch in &batches {
                if part == 0 {
                    loop_over(batch, by_hand, &mut kept);
                } else {
                    black_box(lane.run(batch).context("the stage")?);
                }
            }
            // The first round brings the keys.
            if round > 0 {
                *least = least.min((cpu_ns()? - before) / (BATCHES * ROWS) as f64);
            }
        }
    }
    Ok(least)
}

fn loop_over(batch: &Batch, by_hand: fn(&Rows<'_>, &mut Kept), kept: &mut Kept) {
    let [keys, prices, names]: [ArrayRef; 3] = [0, 1, 2].map(|column| batch.column(column));
    let ints = |column: &ArrayRef| column.as_primitive::<Int64Type>().values().clone();
    let rows = Rows { keys: &ints(&keys), prices: &ints(&prices), names: names.as_string::<i32>() };
    by_hand(&rows, kept);
}

/// Keys without order, prices up to 10,000, names of some 20 characters, from a fixed seed.
fn batches() -> Vec<[ArrayRef; 3]> {
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut batch = || -> [ArrayRef; 3] {
        let mut ints = |below, scale: u64| {
            let number = |_| (next(below)).wrapping_mul(scale).cast_signed();
            Arc::new(Int64Array::from_iter_values((0..ROWS).map(number))) as ArrayRef
        };
        let (keys, prices) = (ints(KEYS, 0x9E37_79B9_7F4A_7C15), ints(10_000, 1));
        let name = |price: &i64| format!("the price {price} is {}", if price % 2 == 0 { "even" } else { "odd" });
        let names = prices.as_primitive::<Int64Type>().values().iter().map(name);
        let names = Arc::new(StringArray::from_iter_values(names));
        [keys, prices, names]
    };
    (0..BATCHES).map(|_| batch()).collect()
}

fn filter(rows: &Rows<'_>, _: &mut Kept) {
    let passes = |price: &i64| (2_500..7_500).contains(price);
    let chosen = (0_u32..).zip(rows.prices).filter(|(_, price)| passes(price)).map(|(row, _)| row);
    black_box(chosen.collect::<Vec<u32>>());
}

fn search(rows: &Rows<'_>, _: &mut Kept) {
    let named = (0_u32..).zip(rows.names.iter().flatten());
    black_box(named.filter(|(_, name)| name.contains("even")).map(|(row, _)| row).collect::<Vec<u32>>());
}

fn validate(rows: &Rows<'_>, _: &mut Kept) {
    let mut good = Vec::with_capacity(rows.prices.len());
    let mut counts = [0_u64; 3];
    for (row, ((key, price), name)) in (0_u32..).zip(rows.keys.iter().zip(rows.prices).zip(rows.names.iter().flatten()))
    {
        let holds = [(0..=10_000).contains(price), name.chars().count() <= 40, key != price];
        counts.iter_mut().zip(holds).for_each(|(count, holds)| *count += u64::from(!holds));
        if holds == [true; 3] {
            good.push(row);
        }
    }
    black_box((good, counts));
}

fn route(rows: &Rows<'_>, _: &mut Kept) {
    let mut ports = [const { Vec::<u32>::new() }; 3];
    for (row, price) in (0..).zip(rows.prices) {
        let port = if *price < 2_500 { 1 } else { 2 * usize::from(*price >= 7_500) };
        ports[port].push(row);
    }
    black_box(ports);
}

fn dedupe(rows: &Rows<'_>, kept: &mut Kept) {
    let mut first = Vec::<u32>::new();
    for (row, key) in (0..).zip(rows.keys) {
        kept.seen.entry(*key).or_insert_with(|| {
            first.push(row);
            0
        });
    }
    black_box(first);
}

fn anomaly(rows: &Rows<'_>, kept: &mut Kept) {
    let (mut scores, mut alerts) = (Vec::with_capacity(rows.keys.len()), Vec::<u32>::new());
    for (row, (key, price)) in (0..).zip(rows.keys.iter().zip(rows.prices)) {
        let (n, mean, m2) = kept.stats.entry(*key).or_default();
        let (value, deviation) = (*price as f64, (*m2 / (*n - 1) as f64).sqrt().max(1e-9));
        let score = if *n < 2 { 0.0 } else { (value - *mean) / deviation };
        if *n >= 30 && score.abs() > 3.0 {
            alerts.push(row);
        }
        *n += 1;
        let distance = value - *mean;
        *mean += distance / *n as f64;
        *m2 += distance * (value - *mean);
        scores.push(score);
    }
    black_box((scores, alerts));
}
