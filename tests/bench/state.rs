//! Keyed state: what the host pays for a running count and sum per key, beside the loop that one would write by hand.
//!
//! Cost model: a row costs a hash, a search and a slot; a distinct key of a batch one cell, which is a cache miss when
//! the table is larger than the cache; a field two passes over the cells of the batch, out and back. The search takes
//! one step for all rows at once, so that the misses overlap. The loop by hand (`hashbrown::HashMap`, the same keys,
//! the same batches, the same answer a row) has no columns, no slots, no rollback, no limit. Both are given their keys
//! in the same Arrow column, made outside the measurement; both end with the average of its key for each row.
//!
//! Not measured: the call of a guest in between, time to live, text keys, growth (all keys are there before the first
//! round). CPU time of this thread, the best of the rounds, nanoseconds a row.
//!
//! Exits with 1 where the host's part is slower than 1/0.3 of the loop by hand.

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array};
use wasmill_engine::key::Keys;
use wasmill_engine::operator::{Table, TableChanges};
use wasmill_engine::schema::{Field, Kind};
use wasmill_engine::state::KeyedState;

/// Rows of a batch.
const ROWS: usize = 1_024;
/// Different batches, and how often a round has each: long enough that the kernel's tick of 4 ms does not count.
const BATCHES: usize = 1_000;
const PASSES: usize = 8;
const ROUNDS: usize = 5;
/// At least so much of the speed of the loop by hand.
const RATIO_MIN: f64 = 0.3;

fn main() -> anyhow::Result<ExitCode> {
    println!("count + sum per key, {ROWS} random keys a batch, ns a row (best of {ROUNDS} rounds)");
    println!("{:>10} {:>10} {:>10} {:>8}", "keys", "by hand", "state", "ratio");
    let mut enough = true;
    for keys in [10_000u64, 1_000_000] {
        let batches: Vec<ArrayRef> = batches(keys);
        let prices: Vec<i64> = (0..ROWS as i64).collect();
        let mut native = Native::default();
        let mut state = KeyedState::new(&[Kind::Int64], &[table()], u64::MAX);
        let everyone: Vec<ArrayRef> = all_keys(keys);
        for batch in &everyone {
            native.batch(batch, &prices);
            host(&mut state, batch, &prices)?;
        }
        let (mut by_hand, mut ours) = (f64::MAX, f64::MAX);
        for _ in 0..ROUNDS {
            let native_batch = |batch: &_| {
                native.batch(batch, &prices);
                Ok(())
            };
            by_hand = by_hand.min(measure(&batches, native_batch)?);
            ours = ours.min(measure(&batches, |batch| host(&mut state, batch, &prices))?);
        }
        let ratio = by_hand / ours;
        enough &= ratio >= RATIO_MIN;
        println!("{keys:>10} {by_hand:>10.1} {ours:>10.1} {ratio:>7.2}x");
    }
    println!("at least {RATIO_MIN}x: {}", if enough { "yes" } else { "NO" });
    Ok(if enough { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn table() -> Table {
    let columns = vec![Field::required("count", Kind::Int64), Field::required("sum", Kind::Int64)];
    Table { name: "totals".into(), version: 1, columns, ttl_ms: None }
}

/// The loop by hand.
#[derive(Default)]
struct Native {
    totals: hashbrown::HashMap<i64, (i64, i64)>,
    averages: Vec<f64>,
}

impl Native {
    fn batch(&mut self, keys: &ArrayRef, prices: &[i64]) {
        self.averages.clear();
        for (key, price) in keys.as_primitive::<Int64Type>().values().iter().zip(prices) {
            let (count, sum) = self.totals.entry(*key).or_default();
            *count += 1;
            *sum += price;
            self.averages.push(*sum as f64 / *count as f64);
        }
        black_box(&self.averages);
    }
}

/// The host's part, with the operator as a native loop over the columns.
fn host(state: &mut KeyedState, keys: &ArrayRef, prices: &[i64]) -> anyhow::Result<()> {
    let turn = state.resolve(&Keys::encode(std::slice::from_ref(keys)), 0)?;
    let tables = turn.gather();
    let column = |i: usize| tables[0].columns[i].as_primitive::<Int64Type>().values().to_vec();
    let (mut counts, mut sums) = (column(0), column(1));
    let mut averages = Vec::with_capacity(prices.len());
    for (slot, price) in turn.slots().iter().zip(prices) {
        let slot = *slot as usize;
        counts[slot] += 1;
        sums[slot] += price;
        averages.push(sums[slot] as f64 / counts[slot] as f64);
    }
    black_box(&averages);
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(counts)), Arc::new(Int64Array::from(sums))];
    turn.apply(&[TableChanges { forget: Vec::new(), columns }])?;
    Ok(())
}

fn batches(keys: u64) -> Vec<ArrayRef> {
    let mut random = 88_172_645_463_325_252u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        number(random % keys)
    };
    (0..BATCHES).map(|_| Arc::new(Int64Array::from_iter_values((0..ROWS).map(|_| next()))) as ArrayRef).collect()
}

fn all_keys(keys: u64) -> Vec<ArrayRef> {
    let column =
        |start: u64| Arc::new(Int64Array::from_iter_values((start..(start + ROWS as u64).min(keys)).map(number)));
    (0..keys).step_by(ROWS).map(|start| column(start) as ArrayRef).collect()
}

/// A key as a user has it: large and without order.
fn number(i: u64) -> i64 {
    i.wrapping_mul(0x9E37_79B9_7F4A_7C15) as i64
}

/// Nanoseconds a row.
fn measure(batches: &[ArrayRef], mut run: impl FnMut(&ArrayRef) -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let rows: usize = batches.iter().map(Array::len).sum::<usize>() * PASSES;
    let before = cpu_nanos()?;
    for _ in 0..PASSES {
        for batch in batches {
            run(batch)?;
        }
    }
    Ok((cpu_nanos()? - before) as f64 / rows as f64)
}

/// CPU time of this thread.
fn cpu_nanos() -> anyhow::Result<u64> {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(line.split_whitespace().next().ok_or_else(|| anyhow::anyhow!("schedstat is empty"))?.parse()?)
}
