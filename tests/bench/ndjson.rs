//! NDJSON in and out, beside what one would write in Rust without us, in one run.
//!
//! Cost model: a row costs one pass over its bytes, sixteen at a time, that finds where texts may end and whether all
//! is ASCII (else another for UTF-8, simdutf8), and one from value to value; a key of a layout that was seen before one
//! or two comparisons of words; a column that is filled a write of a word, for texts a copy besides. A spliced row
//! costs a copy of its bytes, a made value its formatting. A record of a layout that was not seen before is read key by
//! key, at about twice the cost. The loop by hand gets the same chunks from the same file: serde_json into a struct
//! that borrows its texts, price * 908 / 1000, serde_json into the output. arrow-json's reader gets all columns, dates
//! as integers, and both it and the decoder beside it the bytes in memory.
//!
//! Lines: Nexmark bids of about 243 bytes in four layouts: compact; with white space after colons and commas; with keys
//! in a second order on every second line; with keys shuffled anew on every second line.
//!
//! Not measured: the engine's edges and step loop, guests, the disk (files lie in the page cache). CPU time of this
//! thread, in the kernel too; the best of the rounds, which take turns.
//!
//! Exits with 1 where a ratio is below its target.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array};
use wasmill_engine::batch::{Batch, Layout, PADDING, Place};
use wasmill_engine::codec::{Chunk, DecodePlan, Format, Needs, decoder, encoder, framing};
use wasmill_engine::schema::{Field, Kind, Schema};

/// Lines of a file.
const ROWS: usize = 50_000;
/// Many short ones: on a machine that does other work too, some of them are undisturbed.
const ROUNDS: usize = 16;
/// Bytes that are read at once: about a thousand lines.
const READ_BYTES: usize = 256 << 10;

/// How lines are written.
const LAYOUTS: [(&str, f64); 4] =
    [("compact", 3.0), ("white space", 2.0), ("two orders, in turn", 2.0), ("every second line shuffled", 2.0)];

fn main() -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let (input, output) = (folder.path().join("in.ndjson"), folder.path().join("out.ndjson"));
    let mut enough = true;
    println!("M rows a CPU-second, best of {ROUNDS} rounds of {ROWS} rows");
    println!("{:52} {:>10} {:>8} {:>7} {:>8}", "work", "by hand", "wasmill", "ratio", "target");
    for (number, (name, target)) in LAYOUTS.into_iter().enumerate() {
        let lines = lines(number);
        std::fs::write(&input, &lines)?;
        anyhow::ensure!(same_results(&input, &output)?, "{name}: the two outputs differ in meaning");
        let work = format!("file to file, q1, {name} ({} B)", lines.len() / ROWS);
        let hand = || by_hand(&input, &output);
        enough &= row(&work, target, hand, || spliced(&input, &output))?;
        let work = format!("all columns against arrow-json, {name}");
        let target = if number == 0 { 3.0 } else { 0.0 };
        let chunks = in_memory(&input)?;
        enough &= row(&work, target, || arrow_json(&lines), || Ok(columns(&chunks, true)))?;
        if number == 0 {
            let work = "one column against serde_json of one field, compact";
            enough &= row(work, 0.0, || one_field(&lines), || Ok(columns(&chunks, false)))?;
        }
    }
    println!("all targets met: {}", if enough { "yes" } else { "NO" });
    Ok(if enough { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures both sides in turn and prints a line; answers whether the target is met (0 = there is none).
fn row(
    work: &str,
    target: f64,
    mut hand: impl FnMut() -> anyhow::Result<usize>,
    mut ours: impl FnMut() -> anyhow::Result<usize>,
) -> anyhow::Result<bool> {
    let (mut by_hand, mut by_us) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        by_hand = by_hand.min(measure(&mut hand)?);
        by_us = by_us.min(measure(&mut ours)?);
    }
    let ratio = by_hand / by_us;
    let aim = if target > 0.0 { format!("{target:.1}x") } else { "-".to_owned() };
    println!("{work:52} {:>10.2} {:>8.2} {ratio:>6.2}x {aim:>8}", 1e3 / by_hand, 1e3 / by_us);
    Ok(ratio >= target)
}

/// CPU nanoseconds a row.
fn measure(run: &mut impl FnMut() -> anyhow::Result<usize>) -> anyhow::Result<f64> {
    let before = cpu_nanos()?;
    let rows = run()?;
    let nanos = cpu_nanos()? - before;
    anyhow::ensure!(rows == ROWS, "{rows} rows of {ROWS}");
    Ok(nanos as f64 / ROWS as f64)
}

fn cpu_nanos() -> anyhow::Result<u64> {
    // The kernel brings the figure up to date when a thread is switched, else only at its ticks, milliseconds apart.
    std::thread::yield_now();
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(stat.split(' ').next().unwrap_or_default().parse()?)
}

/// Bids in one of the layouts, from a fixed seed.
fn lines(layout: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as usize % below
    };
    let mut text = Vec::new();
    for row in 0..ROWS {
        let mut word = |len: usize| (0..len).map(|_| char::from(b'a' + random(26) as u8)).collect::<String>();
        let url = format!("\"https://www.nexmark.com/{}/{}/{}/item.htm?query=1\"", word(5), word(5), word(5));
        let (channel, extra) = (format!("\"channel-{}\"", word(4)), word(66));
        let mut entries = [
            ("auction", (1_000 + random(100_000)).to_string()),
            ("bidder", (1_000 + random(1_000_000)).to_string()),
            ("price", (100 + random(10_000_000)).to_string()),
            ("channel", channel),
            ("url", url),
            ("dateTime", (1_795_272_616_000 + row).to_string()),
            ("extra", format!("\"{extra}\"")),
        ];
        match layout {
            2 if row % 2 == 1 => entries.reverse(),
            3 if row % 2 == 1 => (1..entries.len()).rev().for_each(|last| entries.swap(last, random(last + 1))),
            _ => {}
        }
        let (colon, comma) = if layout == 1 { (": ", ", ") } else { (":", ",") };
        let entries: Vec<_> = entries.iter().map(|(key, value)| format!("\"{key}\"{colon}{value}")).collect();
        text.extend_from_slice(format!("{{{}}}\n", entries.join(comma)).as_bytes());
    }
    text
}

/// Reads a file in chunks of whole lines, each with room behind it.
fn chunks(input: &Path, mut each: impl FnMut(Vec<u8>, usize, u64) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let (mut file, mut framing) = (File::open(input)?, framing(&Format::Ndjson));
    let (mut rest, mut offset) = (Vec::new(), 0);
    loop {
        let mut bytes = Vec::with_capacity(READ_BYTES + 1_024);
        bytes.append(&mut rest);
        let read = (&mut file).take((READ_BYTES - bytes.len()) as u64).read_to_end(&mut bytes)?;
        let len = if read == 0 { bytes.len() } else { framing.boundary(&bytes).unwrap_or_default() };
        if len > 0 {
            rest.extend_from_slice(&bytes[len..]);
            bytes.truncate(len);
            each(bytes, len, offset)?;
            offset += len as u64;
        }
        if read == 0 {
            return Ok(());
        }
    }
}

fn schema() -> Schema {
    Schema::new(vec![
        Field::required("auction", Kind::Int64),
        Field::required("bidder", Kind::Int64),
        Field::required("price", Kind::Int64),
        Field::required("channel", Kind::Utf8),
        Field::required("url", Kind::Utf8),
        Field::required("dateTime", Kind::Timestamp),
        Field::required("extra", Kind::Utf8),
    ])
}

const PRICE: usize = 2;

fn plan(all: bool) -> DecodePlan {
    let price: Vec<bool> = (0..7).map(|field| field == PRICE).collect();
    let needs = Needs { fill: price.iter().map(|price| *price || all).collect(), locate: price };
    DecodePlan { format: Format::Ndjson, schema: schema(), needs, event_time: None }
}

fn chunk(mut bytes: Vec<u8>, len: usize, offset: u64) -> Chunk {
    bytes.resize(len + PADDING, 0);
    let (source, partition) = ("bids".into(), "in.ndjson".into());
    Chunk { source, partition, data: bytes.into(), len, offset, line: 1, header: None, broken: None }
}

/// q1 by the engine's codec: one column filled and located, spliced.
fn spliced(input: &Path, output: &Path) -> anyhow::Result<usize> {
    let (mut decoder, mut encoder, mut file) = (decoder(plan(false)), encoder(&Format::Ndjson), File::create(output)?);
    let fresh = Arc::new(Layout::of_source(&schema()));
    let mut places = fresh.places.clone();
    places[PRICE] = Place::Made(0);
    let layout = Arc::new(Layout { source: schema(), schema: schema(), places, whole: true });
    let (mut rows, mut bytes, mut ends) = (0, Vec::new(), Vec::new());
    chunks(input, |data, len, offset| {
        let batch = Batch::new(Arc::new(decoder.decode(&chunk(data, len, offset)).records), fresh.clone());
        let prices = batch.column(PRICE);
        let prices = prices.as_primitive::<Int64Type>().values().iter().map(|price| price * 908 / 1_000);
        let made: ArrayRef = Arc::new(Int64Array::from_iter_values(prices));
        encoder.encode(&batch.derive(None, vec![made], &[], &layout), &mut bytes, &mut ends);
        rows += ends.len();
        file.write_all(&bytes)?;
        bytes.clear();
        ends.clear();
        Ok(())
    })?;
    Ok(rows)
}

#[derive(serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Bid<'a> {
    auction: i64,
    bidder: i64,
    price: i64,
    channel: &'a str,
    url: &'a str,
    date_time: i64,
    extra: &'a str,
}

/// q1 as one would write it.
fn by_hand(input: &Path, output: &Path) -> anyhow::Result<usize> {
    let (mut file, mut rows, mut bytes) = (File::create(output)?, 0, Vec::new());
    chunks(input, |data, _, _| {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &data) {
            let mut bid: Bid<'_> = serde_json::from_slice(&data[start..end])?;
            bid.price = bid.price * 908 / 1_000;
            serde_json::to_writer(&mut bytes, &bid)?;
            bytes.push(b'\n');
            start = end + 1;
            rows += 1;
        }
        file.write_all(&bytes)?;
        bytes.clear();
        Ok(())
    })?;
    Ok(rows)
}

/// Whether both ways give the same rows.
fn same_results(input: &Path, output: &Path) -> anyhow::Result<bool> {
    let read = |path: &Path| -> anyhow::Result<Vec<serde_json::Value>> {
        let bytes = std::fs::read(path)?;
        let values = serde_json::Deserializer::from_slice(&bytes).into_iter();
        Ok(values.collect::<Result<_, _>>()?)
    };
    by_hand(input, output)?;
    let by_hand = read(output)?;
    spliced(input, output)?;
    Ok(by_hand.len() == ROWS && read(output)? == by_hand)
}

/// A file's chunks.
fn in_memory(input: &Path) -> anyhow::Result<Vec<Chunk>> {
    let mut all = Vec::new();
    chunks(input, |data, len, offset| {
        all.push(chunk(data, len, offset));
        Ok(())
    })?;
    Ok(all)
}

/// The engine's decoder alone.
fn columns(chunks: &[Chunk], all: bool) -> usize {
    let mut decoder = decoder(plan(all));
    chunks.iter().map(|chunk| black_box(decoder.decode(chunk)).records.rows).sum()
}

/// arrow-json, all columns.
fn arrow_json(lines: &[u8]) -> anyhow::Result<usize> {
    use arrow_schema::{DataType, Field, Schema};
    let integer = |name| Field::new(name, DataType::Int64, false);
    let text = |name| Field::new(name, DataType::Utf8, false);
    let fields = vec![
        integer("auction"),
        integer("bidder"),
        integer("price"),
        text("channel"),
        text("url"),
        integer("dateTime"),
        text("extra"),
    ];
    let reader = arrow_json::ReaderBuilder::new(Arc::new(Schema::new(fields))).with_batch_size(1_024).build(lines)?;
    let mut rows = 0;
    for batch in reader {
        rows += black_box(batch?).num_rows();
    }
    Ok(rows)
}

/// serde_json, one field; it does not check the texts of the others.
fn one_field(lines: &[u8]) -> anyhow::Result<usize> {
    #[derive(serde::Deserialize)]
    struct Price {
        price: i64,
    }
    let (mut rows, mut sum) = (0, 0);
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        sum += serde_json::from_slice::<Price>(line)?.price;
        rows += 1;
    }
    black_box(sum);
    Ok(rows)
}
