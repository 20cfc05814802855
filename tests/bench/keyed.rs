//! A keyed guest through the engine: a running count, sum and average per key, every row answered, beside the loop that
//! one would write by hand.
//!
//! Cost model: a row costs a hash and a search of its key, which is a cache miss where the keys are more than the cache
//! holds; a distinct key of a batch a copy of its fields out and back; on top come the boundary (two columns and the
//! slots in, three columns and the state out, all checked) and the guest's own loop over the rows. The loop by hand
//! (`hashbrown::HashMap`, the same keys, batches and answers) has no columns, no sandbox, no rollback, no limit.
//!
//! Where it goes is told by running the parts one after the other: keys alone, with the search, with the state's
//! columns out, with them back, and the whole stage, whose rest is the call and the stage's own work.
//!
//! Not measured: text keys, time to live, growth (all keys are there before the first round), decoding and encoding.
//! CPU time of this thread, the best of the rounds, which take turns.
//!
//! Exits with 1 where the guest has less than 0.3x the speed of the loop by hand.

#[path = "../parity/guests.rs"]
#[expect(dead_code, reason = "only guests in Rust are measured")]
mod guests;
#[expect(dead_code, reason = "batches are larger here")]
mod lane;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array};
use serde_json::json;
use wasmill_engine::batch::Batch;
use wasmill_engine::key::Keys;
use wasmill_engine::operator::{Factory as _, Table, TableChanges};
use wasmill_engine::schema::{Field, Kind};
use wasmill_engine::state::KeyedState;
use wasmill_wasm::Component;

use lane::{Lane, cpu_ns, guest};

/// Rows of a batch: what a source reads at once (256 KiB) of records of 64 B, as keyed events often are. The more rows,
/// the more of them share a key, whose state goes out and back once a batch.
const ROWS: usize = 4_096;
/// Different batches of a round, and rounds.
const BATCHES: usize = 125;
const ROUNDS: usize = 10;
/// At least so much of the speed of the loop by hand.
const RATIO_MIN: f64 = 0.3;
/// What is measured: the loop by hand, the host's parts one after the other, the whole.
const PARTS: [&str; 6] = ["by hand", "keys", "+ search", "+ out", "+ back", "stage"];

fn main() -> anyhow::Result<ExitCode> {
    let component = guest("keyed")?;
    println!(
        "count, sum, average per key, {ROWS} random keys a batch, ns of CPU time a row (least of {ROUNDS} rounds)"
    );
    println!("{:>10} {} {:>8}", "keys", PARTS.map(|part| format!("{part:>9}")).join(" "), "ratio");
    let mut enough = true;
    for keys in [10_000, 1_000_000] {
        let ns = measure(&component, keys)?;
        let ratio = ns[0] / ns[5];
        enough &= ratio >= RATIO_MIN;
        println!("{keys:>10} {} {ratio:>7.2}x", ns.map(|ns| format!("{ns:>9.1}")).join(" "));
    }
    println!("at least {RATIO_MIN}x: {}", if enough { "yes" } else { "NO" });
    Ok(if enough { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Nanoseconds a row of each part.
fn measure(component: &Component, keys: u64) -> anyhow::Result<[f64; 6]> {
    let fields = [Field::required("auction", Kind::Int64), Field::required("price", Kind::Int64)];
    let table = component.open(&json!({}), &fields)?.0.tables[0].clone();
    let mut lane = Lane::new(Arc::new(component.clone()), &fields, &["auction"])?;
    let mut native = Native::default();
    let mut state = Parts::new(&table);
    for start in (0..keys).step_by(ROWS) {
        let columns = [
            integers((start..keys.min(start + ROWS as u64)).map(number)),
            integers(start..keys.min(start + ROWS as u64)),
        ];
        native.batch(&columns);
        state.run(&columns, 4)?;
        lane.run(&lane.batch(&columns))?;
    }
    let batches: Vec<Batch> = batches(keys).iter().map(|columns| lane.batch(columns)).collect();
    let columns: Vec<[ArrayRef; 2]> = batches.iter().map(|batch| [batch.column(0), batch.column(1)]).collect();
    let mut least = [f64::MAX; 6];
    for _ in 0..ROUNDS {
        for (part, least) in least.iter_mut().enumerate() {
            let before = cpu_ns()?;
            match part {
                0 => columns.iter().for_each(|columns| native.batch(columns)),
                5 => batches.iter().try_for_each(|batch| lane.run(batch).map(|out| drop(black_box(out))))?,
                _ => columns.iter().try_for_each(|columns| state.run(columns, part))?,
            }
            *least = least.min((cpu_ns()? - before) / (BATCHES * ROWS) as f64);
        }
    }
    Ok(least)
}

fn integers<T: TryInto<i64, Error: std::fmt::Debug>>(values: impl Iterator<Item = T>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values.map(|value| value.try_into().expect("a small number"))))
}

/// Keys and prices, from a fixed seed.
fn batches(keys: u64) -> Vec<[ArrayRef; 2]> {
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        number(random % keys)
    };
    (0..BATCHES).map(|_| [integers((0..ROWS).map(|_| next())), integers(0..ROWS)]).collect()
}

/// A key as a user has it: large and without order.
fn number(i: u64) -> i64 {
    i.wrapping_mul(0x9E37_79B9_7F4A_7C15).cast_signed()
}

/// The loop by hand.
#[derive(Default)]
struct Native {
    totals: hashbrown::HashMap<i64, (i64, i64)>,
    answers: (Vec<i64>, Vec<i64>, Vec<f64>),
}

impl Native {
    fn batch(&mut self, columns: &[ArrayRef; 2]) {
        let (counts, sums, averages) = &mut self.answers;
        counts.clear();
        sums.clear();
        averages.clear();
        let [keys, prices] = columns.each_ref().map(|column| column.as_primitive::<Int64Type>().values());
        for (key, price) in keys.iter().zip(prices) {
            let (count, sum) = self.totals.entry(*key).or_default();
            *count += 1;
            *sum += price;
            counts.push(*count);
            sums.push(*sum);
            averages.push(*sum as f64 / *count as f64);
        }
        black_box(&self.answers);
    }
}

/// The host's part of a keyed stage.
struct Parts(KeyedState);

impl Parts {
    fn new(table: &Table) -> Self {
        Self(KeyedState::new(&[Kind::Int64], std::slice::from_ref(table), u64::MAX))
    }

    /// The first `parts` of: encode the keys, search them, state out, state back as it was.
    fn run(&mut self, columns: &[ArrayRef; 2], parts: usize) -> anyhow::Result<()> {
        let keys = Keys::encode(std::slice::from_ref(&columns[0]));
        if parts == 1 {
            black_box(keys);
            return Ok(());
        }
        let turn = self.0.resolve(&keys, 0)?;
        if parts == 2 {
            black_box(turn.slots());
            return Ok(());
        }
        let columns = turn.gather().remove(0).columns;
        if parts == 3 {
            black_box(columns);
            return Ok(());
        }
        Ok(turn.apply(&[TableChanges { forget: Vec::new(), columns }])?)
    }
}
