//! A typed stage: the same operator as a guest and as native code, both in the engine.
//!
//! Cost model: a stage pays for each batch (two edges, the columns that are read, the layout of what comes out),
//! whoever computes. A guest pays on top for the boundary (see the boundary benchmark): a call, a copy of what it reads
//! and of what it makes, checks of both; and computes in sandboxed code that is a little slower than native. Texts are
//! searched by `memchr` with 128-bit vectors in the guest, by the standard library in the native operator, because that
//! is what one would write.
//!
//! Jobs: Nexmark q1 (price to euros: an integer in, one out), q2 (bids on some auctions: an integer in, row numbers
//! out), url to domain (a text in, a text out). The guests are those of `tests/guests/rust`.
//!
//! Not measured: decoding and encoding, other languages. CPU time of this thread, the best of the rounds, which take
//! turns. The numbers of all batches fit a CPU's second cache, as those of a batch that was just decoded do.
//!
//! Batches have 8,192 rows, the most that the engine makes under load: of records of up to 32 bytes, and of a source
//! that makes rows itself. A chunk that is read has 256 KiB, which is a thousand records of 250 bytes; what 1,024 rows
//! cost, where a call is more than the work of these operators, is told beside it.
//!
//! Exits with 1 where a guest takes more than 1.5x the native operator's CPU, or 1.0x for texts, at 8,192 rows.

#[path = "../parity/guests.rs"]
#[expect(dead_code, reason = "only guests in Rust are measured")]
mod guests;
mod lane;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, StringArray, UInt32Array};
use serde_json::{Value, json};
use wasmill_engine::batch::Batch;
use wasmill_engine::limits::BATCH_ROWS_MAX;
use wasmill_engine::operator::{
    Call, CallError, Effects, Emit, Factory, Operator, OperatorKind, OperatorPlan, Refusal,
};
use wasmill_engine::schema::{Field, Kind};

use lane::{Lane, cpu_ns, guest};

/// Rows of a batch: judged, and told beside it.
const ROWS: [usize; 2] = [BATCH_ROWS_MAX, lane::ROWS];
/// Rows of all different batches together, and passes over them a round.
const ROWS_ALL: usize = 64 << 10;
const PASSES: usize = 8;
/// How long rounds go on for each line of the table. They are short and many, so that some are undisturbed on a machine
/// that does other work.
const MEASURED: Duration = Duration::from_secs(4);

/// A job: the guest's name, its native operator, how much the guest may cost against it.
type Job = (&'static str, fn(&ArrayRef) -> Emit, f64);

const JOBS: [Job; 3] = [("convert", convert, 1.5), ("filter", filter, 1.5), ("domain", domain, 1.0)];

fn main() -> anyhow::Result<ExitCode> {
    println!("a stage, ns of CPU time a row (least of the rounds of {MEASURED:?})");
    println!("{:>10} {:>8} {:>8} {:>8} {:>8} {:>8}", "job", "rows", "native", "guest", "ratio", "target");
    let mut enough = true;
    for (name, work, target) in JOBS {
        for rows in ROWS {
            let (native_ns, guest_ns) = job(name, work, rows)?;
            let ratio = guest_ns / native_ns;
            print!("{name:>10} {rows:>8} {native_ns:>8.2} {guest_ns:>8.2} {ratio:>7.2}x");
            let judged = rows == BATCH_ROWS_MAX;
            match ratio <= target {
                _ if !judged => println!("        -"),
                true => println!(" {target:>7.1}x"),
                false => println!(" {target:>7.1}x  MISSED"),
            }
            enough &= !judged || ratio <= target;
        }
    }
    Ok(if enough { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Nanoseconds a row of both sides, with batches of so many rows.
fn job(name: &str, work: fn(&ArrayRef) -> Emit, rows: usize) -> anyhow::Result<(f64, f64)> {
    let fields = [
        Field::required("auction", Kind::Int64),
        Field::required("price", Kind::Int64),
        Field::required("url", Kind::Utf8),
    ];
    let component = guest(name)?;
    let plan = component.open(&json!({}), &fields)?.0;
    let mut guest = Lane::new(Arc::new(component), &fields, &[])?;
    let mut native = Lane::new(Arc::new(Native { plan, work }), &fields, &[])?;
    let batches =
        |lane: &Lane| -> Vec<Batch> { (0..ROWS_ALL / rows).map(|number| lane.batch(&columns(number, rows))).collect() };
    let (of_guest, of_native) = (batches(&guest), batches(&native));
    same(&guest.run(&of_guest[0])?, &native.run(&of_native[0])?);
    let (mut native_ns, mut guest_ns) = (f64::MAX, f64::MAX);
    let began = Instant::now();
    while began.elapsed() < MEASURED {
        native_ns = native_ns.min(measure(&mut native, &of_native)?);
        guest_ns = guest_ns.min(measure(&mut guest, &of_guest)?);
    }
    Ok((native_ns, guest_ns))
}

fn measure(lane: &mut Lane, batches: &[Batch]) -> anyhow::Result<f64> {
    let before = cpu_ns()?;
    for _ in 0..PASSES {
        for batch in batches {
            black_box(lane.run(batch)?);
        }
    }
    Ok((cpu_ns()? - before) / (PASSES * ROWS_ALL) as f64)
}

/// Both answer the same rows and values.
fn same(guest: &[Batch], native: &[Batch]) {
    assert_eq!(guest.len(), native.len());
    for (guest, native) in guest.iter().zip(native) {
        assert_eq!(guest.selection(), native.selection());
        let fields = 0..guest.layout().schema.fields().len();
        fields.for_each(|field| assert_eq!(&guest.column(field), &native.column(field)));
    }
}

/// Auctions, prices and urls as Nexmark has them.
fn columns(number: usize, rows: usize) -> [ArrayRef; 3] {
    let row = |row: usize| (number * rows + row) as u64;
    let random = |salt: u64, row: u64| (row ^ salt).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
    let integers = |salt: u64, most: u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values((0..rows).map(|at| (random(salt, row(at)) % most) as i64)))
    };
    let url = |at: usize| {
        let number = random(3, row(at));
        format!("https://www.nexmark{}.com/{number:x}/{number:x}/item.htm?query=1", number % 1_000)
    };
    let urls = StringArray::from_iter_values((0..rows).map(url));
    [integers(1, 100_000), integers(2, 100_000_000), Arc::new(urls)]
}

fn convert(prices: &ArrayRef) -> Emit {
    let prices = prices.as_primitive::<Int64Type>().unary::<_, Int64Type>(|price| price * 908 / 1_000);
    Emit { port: 0, origin: None, columns: vec![Arc::new(prices)] }
}

fn filter(auctions: &ArrayRef) -> Emit {
    let auctions = auctions.as_primitive::<Int64Type>().values();
    let rows = auctions.iter().zip(0..).filter(|(auction, _)| **auction % 123 == 0).map(|(_, row)| row);
    Emit { port: 0, origin: Some(UInt32Array::from_iter_values(rows)), columns: Vec::new() }
}

fn domain(urls: &ArrayRef) -> Emit {
    let domain = |url| {
        let rest = str::split_once(url, "://").map_or(url, |(_, rest)| rest);
        rest.split_once('/').map_or(rest, |(domain, _)| domain)
    };
    let domains = urls.as_string::<i32>().iter().map(|url| url.map_or("", domain));
    Emit { port: 0, origin: None, columns: vec![Arc::new(StringArray::from_iter_values(domains))] }
}

/// An operator in native code, with the guest's plan.
struct Native {
    plan: OperatorPlan,
    work: fn(&ArrayRef) -> Emit,
}

impl Factory for Native {
    fn kind(&self) -> OperatorKind {
        OperatorKind::Transform
    }

    fn digest(&self) -> &str {
        "native"
    }

    fn open(&self, _: &Value, _: &[Field]) -> Result<(OperatorPlan, Box<dyn Operator>), Refusal> {
        Ok((self.plan.clone(), Box::new(Work(self.work))))
    }
}

struct Work(fn(&ArrayRef) -> Emit);

impl Operator for Work {
    fn process(&mut self, call: &Call<'_>) -> Result<Effects, CallError> {
        Ok(Effects { emits: vec![(self.0)(&call.columns[0])], ..Effects::default() })
    }
}
