//! The same jobs as guests in Rust and in Go, both written a row at a time with their SDK: what a call costs.
//!
//! Cost model: a call copies its columns into the guest and what it makes out of it, and has a fixed part (Go's is
//! several microseconds: each entry starts a goroutine); in between, a Rust guest reads a row's values out of columns
//! into registers, a Go guest fills a slice of structs, calls the function for each, and makes columns of what it
//! answers. Go compiles to WebAssembly without optimising across calls and keeps its stack in linear memory.
//!
//! Not measured: the engine around the call. CPU time of this thread, the best of the rounds, which take turns.
//!
//! Exits with 1 where the Go guest takes more than 6x the time of the Rust guest for q1, or more than 3x for the keyed
//! job.

#[path = "../parity/guests.rs"]
#[expect(dead_code, reason = "guests in C are not measured")]
mod guests;
#[expect(dead_code, reason = "there is no engine around the call")]
mod lane;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use arrow_array::{ArrayRef, Int64Array, StringArray};
use serde_json::json;
use wasmill_engine::operator::{Call, Context, Factory as _, Keys, Operator, TableRows};
use wasmill_engine::schema::{Field, Kind};
use wasmill_wasm::{Engine, Limits};

use guests::{Language, component};
use lane::cpu_ns;

/// The most that Go may take, in times of what Rust takes, for a job of the given name.
const JOBS: [(&str, f64); 4] = [("convert", 6.0), ("filter", f64::MAX), ("domain", f64::MAX), ("keyed", 3.0)];
/// Rows of a call, and of a round.
const ROWS: usize = 1024;
const ROUND: usize = 200 * ROWS;
const ROUNDS: usize = 8;
/// Keys of the keyed job.
const KEYS: u32 = 500;

fn main() -> anyhow::Result<ExitCode> {
    let mut enough = true;
    println!("ns of CPU time a row, {ROWS} rows a call (least of {ROUNDS} rounds)");
    println!("{:>8} {:>7} {:>7} {:>7} {:>7}", "job", "rust", "go", "ratio", "at most");
    for (job, most) in JOBS {
        let (mut rust, mut go) = (Guest::open(Language::Rust, job)?, Guest::open(Language::Go, job)?);
        let mut least = [f64::MAX; 2];
        for _ in 0..ROUNDS {
            least[0] = least[0].min(rust.round()?);
            least[1] = least[1].min(go.round()?);
        }
        let ratio = least[1] / least[0];
        enough &= ratio <= most;
        let target = if most < f64::MAX { format!("{most}x") } else { String::new() };
        println!("{job:>8} {:>7.1} {:>7.1} {ratio:>6.1}x {target:>7}", least[0], least[1]);
    }
    Ok(if enough { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Guest {
    operator: Box<dyn Operator>,
    column: ArrayRef,
    slots: Vec<u32>,
    tables: Vec<TableRows>,
}

impl Guest {
    fn open(language: Language, job: &str) -> anyhow::Result<Self> {
        let bytes = component(language, job).context("the language's compiler is missing")?;
        let fields = [
            Field::required("auction", Kind::Int64),
            Field::required("price", Kind::Int64),
            Field::required("url", Kind::Utf8),
        ];
        let (_, operator) = Engine::new(Limits::default(), None)?.load(&bytes)?.open(&json!({}), &fields)?;
        let count = u32::try_from(ROWS)?;
        let url = |row| format!("https://www.site{}.example.org/path/{row}/item.htm?query=1", row % 100);
        let integers = |numbers: Vec<i64>| Arc::new(Int64Array::from(numbers)) as ArrayRef;
        let column = match job {
            "domain" => Arc::new(StringArray::from_iter_values((0..count).map(url))) as ArrayRef,
            _ => integers((0..i64::from(count)).map(|row| row * 37).collect()),
        };
        let totals = integers(vec![1; KEYS as usize]);
        let tables = vec![TableRows { fresh: Vec::new(), columns: vec![totals.clone(), totals] }];
        let keyed = job == "keyed";
        let slots = if keyed { (0..count).map(|row| row * 7919 % KEYS).collect() } else { Vec::new() };
        Ok(Self { operator, column, slots, tables: if keyed { tables } else { Vec::new() } })
    }

    /// Nanoseconds a row.
    fn round(&mut self) -> anyhow::Result<f64> {
        let before = cpu_ns()?;
        for batch in (0_u64..).take(ROUND / ROWS) {
            let context = Context { batch, attempt: 0, watermark: 0, now: 0, seed: 0 };
            let keys = (!self.slots.is_empty()).then(|| Keys { slots: &self.slots, count: KEYS, tables: &self.tables });
            let columns = std::slice::from_ref(&self.column);
            black_box(self.operator.process(&Call { context, rows: ROWS, columns, keys })?);
        }
        Ok((cpu_ns()? - before) / ROUND as f64)
    }
}
