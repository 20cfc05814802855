//! The same jobs as guests in Rust and in Go, both written a row at a time with their SDK, and in Rust with loops over
//! columns: what a call costs.
//!
//! Cost model: a call copies its columns into the guest and what it makes out of it, and has a fixed part (Go's is
//! several microseconds); in between, a Rust guest reads a row's values out of columns into registers, a Go guest
//! fills a slice of structs, calls the function for each, and makes columns of what it answers. Loops over columns are
//! what an author would write who does without rows: no refusals, no ports. Go compiles to WebAssembly without
//! optimising across calls of functions that it is given, and keeps its stack in linear memory; `wasmill build`, with
//! which the Go guests are built here, has the loop call the function by its name.
//!
//! Not measured: the engine around the call. CPU time of this thread, the best of the rounds, which take turns.
//!
//! Exits with 1 where rows take more than 1.3x the time of columns in Rust, and where the Go guest takes more than 6x
//! the time of the Rust guest for q1, or more than 3x for the keyed job.

#[path = "../parity/guests.rs"]
#[expect(dead_code, reason = "guests in C are not measured")]
mod guests;
#[expect(dead_code, reason = "there is no engine around the call")]
mod lane;
#[expect(dead_code, reason = "what is measured is not a process")]
mod process;

use std::fs;
use std::hint::black_box;
use std::path::Path;
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

/// A job, the guest in Rust that does it with loops over columns, and the most that Go may take in times of what Rust
/// takes.
type Job = (&'static str, Option<&'static str>, f64);

const JOBS: [Job; 4] = [
    ("convert", Some("convert_columns"), 6.0),
    ("filter", Some("filter_columns"), f64::MAX),
    ("domain", None, f64::MAX),
    ("keyed", Some("keyed_columns"), 3.0),
];
/// The most that rows may take, in times of what columns take.
const ROWS_TO_COLUMNS: f64 = 1.3;
/// Rows of a call, and of a round.
const ROWS: usize = 1024;
const ROUND: usize = 200 * ROWS;
const ROUNDS: usize = 8;
/// Keys of the keyed job.
const KEYS: u32 = 500;

fn main() -> anyhow::Result<ExitCode> {
    let mut enough = true;
    println!("ns of CPU time a row, {ROWS} rows a call (least of {ROUNDS} rounds)");
    println!("{:>8} {:>8} {:>7} {:>7} {:>7} {:>8}", "job", "columns", "rows", "ratio", "go", "ratio");
    for (job, columns, most) in JOBS {
        let mut rows = (Guest::open(Language::Rust, job)?, f64::MAX);
        let mut go = (Guest::open(Language::Go, job)?, f64::MAX);
        let columns = columns.map(|guest| Guest::open_as(Language::Rust, guest, job)).transpose()?;
        let mut columns = columns.map(|guest| (guest, f64::MAX));
        for _ in 0..ROUNDS {
            for (guest, least) in [Some(&mut rows), Some(&mut go), columns.as_mut()].into_iter().flatten() {
                *least = least.min(guest.round()?);
            }
        }
        let to_go = go.1 / rows.1;
        let to_columns = columns.as_ref().map(|columns| rows.1 / columns.1);
        let met = to_go <= most && to_columns.is_none_or(|ratio| ratio <= ROWS_TO_COLUMNS);
        enough &= met;
        let shown = |number: Option<f64>| number.map_or_else(String::new, |number| format!("{number:.1}"));
        let said = if met { "" } else { "  MISSED" };
        println!(
            "{job:>8} {:>8} {:>7.1} {:>7} {:>7.1} {to_go:>7.1}x{said}",
            shown(columns.map(|columns| columns.1)),
            rows.1,
            to_columns.map_or_else(String::new, |ratio| format!("{ratio:.2}x")),
            go.1,
        );
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
        Self::open_as(language, job, job)
    }

    /// A guest of that name for a job.
    fn open_as(language: Language, guest: &str, job: &str) -> anyhow::Result<Self> {
        let bytes = match language {
            Language::Go => built_by_wasmill(guest)?,
            other => component(other, guest).context("the language's compiler is missing")?,
        };
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

/// A guest in Go as its author gets it.
fn built_by_wasmill(guest: &str) -> anyhow::Result<Vec<u8>> {
    let (tests, folder) = (Path::new(env!("CARGO_MANIFEST_DIR")), tempfile::tempdir()?);
    let source = tests.join("guests/go").join(guest).join("main.go");
    fs::copy(&source, folder.path().join("main.go")).with_context(|| format!("cannot copy {source:?}"))?;
    let sdk = tests.with_file_name("sdk").join("go");
    let manifest =
        format!("module {guest}\n\ngo 1.24\n\nrequire wasmill v0.0.0\n\nreplace wasmill => {}\n", sdk.display());
    fs::write(folder.path().join("go.mod"), manifest)?;
    let component = folder.path().join("guest.wasm");
    let output = process::wasmill(folder.path())?.args(["build", ".", "--to"]).arg(&component).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(fs::read(component)?)
}
