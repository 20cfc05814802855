//! What it costs to hand a batch to a guest and take its answer.
//!
//! Cost model: a call copies each column's bytes once into the guest's memory, the answer's once out of it, and has a
//! fixed price (the guest's allocator is called for each buffer, the answer is checked). The guest here looks at
//! nothing and answers `origin` for every row, so what is left is the boundary. Beside it: the host's own memcpy of
//! the same columns, and the same rows in calls of one row each. Not measured: what a guest does with the rows, and
//! the stage's own work.
//!
//! Target: a call of 1,024 rows of 16 B + 100 B takes at most 2x the memcpy + 200 ns. CPU time of the thread, the least
//! of many rounds; the process fails when the target is missed.

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BinaryArray, StringArray};
use arrow_buffer::Buffer;
use serde_json::Value;
use wasmill_engine::operator::{Call, Context, Factory, Operator, OperatorKind};
use wasmill_engine::schema::{Field, Kind};
use wasmill_tests::assembled::Image;
use wasmill_wasm::{Engine, Limits, encode};

const ROWS: usize = 1_024;
const ROUNDS: usize = 300;
const FACTOR: f64 = 2.0;
const FIXED_NS: f64 = 200.0;

fn main() -> anyhow::Result<ExitCode> {
    let columns = columns(ROWS);
    let single: Vec<[ArrayRef; 2]> =
        (0..ROWS).map(|row| columns.each_ref().map(|column| column.slice(row, 1))).collect();
    let mut batched = operator(ROWS)?;
    let mut one_by_one = operator(1)?;
    let (buffers, mut target) = (buffers(&columns), Vec::new());
    let (mut copy_ns, mut call_ns, mut row_ns) = (f64::MAX, f64::MAX, f64::MAX);
    // In turns, so that a slow moment of the machine meets all three.
    for _ in 0..ROUNDS {
        copy_ns = copy_ns.min(measure(64, || copy(&buffers, &mut target))?);
        call_ns = call_ns.min(measure(64, || call(&mut *batched, ROWS, &columns))?);
    }
    for _ in 0..ROUNDS / 5 {
        row_ns = row_ns.min(measure(1, || single.iter().for_each(|row| call(&mut *one_by_one, 1, row)))?);
    }
    let allowed_ns = FACTOR * copy_ns + FIXED_NS;
    let rows = ROWS as f64;
    println!(
        "boundary: {ROWS} rows of 16 B + 100 B, guest answers `origin` (ns of CPU time, least of {ROUNDS} rounds)"
    );
    println!("  {:<34}{:>10} {:>10}", "", "a call", "a row");
    println!("  {:<34}{copy_ns:>10.0} {:>10.2}", "memcpy by the host", copy_ns / rows);
    println!("  {:<34}{call_ns:>10.0} {:>10.2}", "one call", call_ns / rows);
    println!("  {:<34}{row_ns:>10.0} {:>10.2}", "a call for each row", row_ns / rows);
    let met = call_ns <= allowed_ns;
    println!("  {} {FACTOR} x memcpy + {FIXED_NS} ns = {allowed_ns:.0} ns", if met { "within" } else { "MISSED:" });
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// 16 bytes and 100 bytes a row, with values of differing length so that nothing can be guessed.
fn columns(rows: usize) -> [ArrayRef; 2] {
    let key = |row: usize| format!("{row:016}");
    let value = |row: usize| vec![u8::try_from(row % 251).unwrap_or(0); 100];
    let keys = StringArray::from_iter_values((0..rows).map(key));
    let values = BinaryArray::from_iter_values((0..rows).map(value));
    [Arc::new(keys), Arc::new(values)]
}

/// An operator that reads both columns and answers `origin` for that many rows.
fn operator(rows: usize) -> anyhow::Result<Box<dyn Operator>> {
    let mut image = Image::default();
    let reads = [image.read("key", "utf8"), image.read("value", "bytes")];
    let port = image.port("main", &[]);
    let plan = image.plan(&reads, &[port], &[]);
    let origin: Vec<u32> = (0..u32::try_from(rows)?).collect();
    let emit = image.emit(0, Some(&origin), &[]);
    let answer = image.effects(&[emit], &[], &[]);
    let core = image.guest(OperatorKind::Transform, plan, &format!("(i32.const {answer})"), "");
    let component = Engine::new(Limits::default(), None)?.load(&encode(&core, None)?)?;
    let input = [Field::required("key", Kind::Utf8), Field::required("value", Kind::Bytes)];
    Ok(component.open(&Value::Null, &input)?.1)
}

fn call(operator: &mut dyn Operator, rows: usize, columns: &[ArrayRef]) {
    let context = Context { batch: 0, attempt: 0, watermark: 0, now: 0, seed: 0 };
    let effects = operator.process(&Call { context, rows, columns, keys: None });
    let effects = effects.expect("the guest answers as it should");
    assert_eq!(effects.emits[0].origin.as_ref().map_or(0, Array::len), rows);
    black_box(effects);
}

/// The buffers that cross: values and offsets of both columns.
fn buffers(columns: &[ArrayRef]) -> Vec<Buffer> {
    columns.iter().flat_map(|column| column.to_data().buffers().to_vec()).collect()
}

/// What the host would pay for one copy of each buffer, into memory that is there.
fn copy(buffers: &[Buffer], target: &mut Vec<u8>) {
    target.clear();
    buffers.iter().for_each(|buffer| target.extend_from_slice(black_box(buffer)));
    black_box(target);
}

/// Nanoseconds of this thread's CPU time that one of `times` runs takes.
fn measure(times: u32, mut work: impl FnMut()) -> anyhow::Result<f64> {
    let start = cpu_ns()?;
    (0..times).for_each(|_| work());
    Ok((cpu_ns()? - start) / f64::from(times))
}

fn cpu_ns() -> anyhow::Result<f64> {
    // The kernel brings the figure up to date when a thread yields, else only at its next tick.
    std::thread::yield_now();
    let times = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let ns = times.split(' ').next().ok_or_else(|| anyhow::anyhow!("schedstat is empty"))?;
    Ok(ns.parse()?)
}
