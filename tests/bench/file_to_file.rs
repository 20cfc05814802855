//! The main job, whole: `wasmill run` from a file of NDJSON through a guest to a file of NDJSON, beside the program
//! that one would write in Rust for it.
//!
//! Cost model: a row's bytes are copied from the page cache, passed over twice (line ends, ends of texts), copied
//! once into the output with the new price spliced in, and copied back to the page cache; its price crosses into the
//! guest and back. A batch of about a thousand rows pays for the call, for nine messages between nodes, and for its
//! buffers. The program by hand reads chunks of 256 KiB, takes each line apart into a struct that borrows its texts
//! (serde_json), converts, writes the struct with serde_json, and writes chunks. Both are processes of their own, whose
//! CPU time counts from start to end, the kernel's work included: so does `wasmill`'s start, and that it flushes what
//! it wrote to the disk, which the program by hand does not. Output of the run before is removed before each run: a
//! virtual machine may have given the memory of a file that lay there for seconds back to its host, and who writes
//! next would pay for getting it again.
//!
//! Two lanes against one: how much sooner two idle cores of their own would be done, as CPU time tells it: all CPU
//! time of one lane, against half of that of two lanes, or against the busier of their threads where that has more than
//! half. Each lane reads, works on and writes its own chunks. Time on the wall is shown beside it and not judged:
//! machines like this one share their cores with others, and a disk that flushes the output takes the same time for
//! both.
//!
//! Not measured: other formats, more columns than one, a disk that has to be waited for (the input is in the page
//! cache), how well two threads on two cores share caches and memory.
//!
//! Exits with 1 where a target is missed.

mod process;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::Context as _;
use process::{Cost, generate, pipeline, run, wasmill};

const ROWS: u64 = 1_000_000;
const ROUNDS: usize = 16;
/// Rows per CPU-second, against the program by hand.
const FACTOR: f64 = 3.0;
/// One lane against two.
const LANES_FACTOR: f64 = 1.6;
/// Bytes that the program by hand reads at once.
const CHUNK_BYTES: usize = 256 << 10;

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [verb, input, output] = &arguments[..]
        && verb == "by-hand"
    {
        by_hand(Path::new(input), Path::new(output))?;
        return Ok(ExitCode::SUCCESS);
    }
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let (input, by_hand, ours) = (folder.join("in.ndjson"), folder.join("by-hand.ndjson"), folder.join("out.ndjson"));
    generate(folder, ROWS, &input)?;
    let [one, two] = [1, 2].map(|lanes| pipeline(folder, "file: { path: in.ndjson }", lanes));
    let (one, two) = (one?, two?);
    let mut hand = Command::new(std::env::current_exe()?);
    hand.arg("by-hand").args([&input, &by_hand]);
    let mut hand_does = || {
        removed(&by_hand)?;
        run(&mut hand, |_, _| Ok(()))
    };
    let lanes = |pipeline: &Path, watch: &mut dyn FnMut(u32) -> anyhow::Result<()>| {
        removed(&ours)?;
        run(wasmill(folder)?.arg("run").arg(pipeline), |_, process| watch(process))
    };
    // Compiles the component, and fills the page cache.
    lanes(&one, &mut |_| Ok(()))?;
    hand_does()?;
    anyhow::ensure!(same(&by_hand, &ours)?, "the two outputs differ in meaning");
    let (mut of_hand, mut of_one, mut of_two, mut most) = (Cost::MOST, Cost::MOST, Cost::MOST, f64::MAX);
    // In turns, so that a slow moment of the machine meets all of them.
    for _ in 0..ROUNDS {
        of_hand = of_hand.least(hand_does()?);
        of_one = of_one.least(lanes(&one, &mut |_| Ok(()))?);
        let mut of_thread = 0.0;
        of_two = of_two.least(lanes(&two, &mut |process| {
            of_thread = busiest(process)?;
            Ok(())
        })?);
        most = most.min(of_thread);
    }
    let bytes = std::fs::metadata(&input)?.len() / ROWS;
    println!("file to file, q1, {ROWS} bids of {bytes} B (whole processes, best of {ROUNDS} rounds)");
    println!("  {:<28}{:>10} {:>18} {:>10}", "", "CPU s", "rows a CPU-second", "wall s");
    for (name, cost) in [("by hand, serde_json", of_hand), ("wasmill, 1 lane", of_one), ("wasmill, 2 lanes", of_two)] {
        println!("  {name:<28}{:>10.3} {:>18.0} {:>10.3}", cost.cpu_s, ROWS as f64 / cost.cpu_s, cost.wall_s);
    }
    let (factor, lanes) = (of_hand.cpu_s / of_one.cpu_s, of_one.cpu_s / most.max(of_two.cpu_s / 2.0));
    let wall = of_one.wall_s / of_two.wall_s;
    let (fast, wide) = (factor >= FACTOR, lanes >= LANES_FACTOR);
    println!("  1 lane against by hand: {factor:.2}x, target {FACTOR:.1}x{}", if fast { "" } else { ": MISSED" });
    println!(
        "  2 lanes against 1: {lanes:.2}x, target {LANES_FACTOR:.1}x{} (busiest thread {most:.3} s; wall {wall:.2}x)",
        if wide { "" } else { ": MISSED" }
    );
    Ok(if fast && wide { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Removes an output if there is one.
fn removed(output: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(output) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// CPU seconds of the thread that has most of a process, which it watches to its end: what is spent in the last
/// milliseconds may be missing.
fn busiest(process: u32) -> anyhow::Result<f64> {
    let mut most = 0_u64;
    let stat = format!("/proc/{process}/stat");
    // A process that has ended is a zombie (`Z`) until it is waited for.
    while std::fs::read_to_string(&stat)?.rsplit(')').next().is_some_and(|rest| !rest.starts_with(" Z")) {
        for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
            // A thread may end between the two.
            if let Ok(times) = std::fs::read_to_string(task?.path().join("schedstat")) {
                most = most.max(times.split(' ').next().context("schedstat is empty")?.parse().unwrap_or(0));
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(most as f64 / 1e9)
}

impl Cost {
    const MOST: Self = Self { cpu_s: f64::MAX, wall_s: f64::MAX };

    fn least(self, other: Self) -> Self {
        Self { cpu_s: self.cpu_s.min(other.cpu_s), wall_s: self.wall_s.min(other.wall_s) }
    }
}

#[derive(serde::Deserialize, serde::Serialize)]
struct Bid<'a> {
    id: i64,
    auction: i64,
    bidder: i64,
    price: i64,
    channel: &'a str,
    url: &'a str,
    date_time: &'a str,
    extra: &'a str,
}

/// q1 as one would write it.
fn by_hand(input: &Path, output: &Path) -> anyhow::Result<()> {
    let (mut input, mut output) = (File::open(input)?, File::create(output)?);
    let (mut bytes, mut made) = (Vec::with_capacity(2 * CHUNK_BYTES), Vec::with_capacity(2 * CHUNK_BYTES));
    while (&mut input).take(CHUNK_BYTES as u64).read_to_end(&mut bytes)? > 0 {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &bytes) {
            let mut bid: Bid<'_> = serde_json::from_slice(&bytes[start..end])?;
            bid.price = bid.price * 908 / 1_000;
            serde_json::to_writer(&mut made, &bid)?;
            made.push(b'\n');
            start = end + 1;
        }
        output.write_all(&made)?;
        made.clear();
        bytes.drain(..start);
    }
    Ok(())
}

/// Whether two files have the same rows.
fn same(one: &Path, other: &Path) -> anyhow::Result<bool> {
    let (one, other) = (std::fs::read(one)?, std::fs::read(other)?);
    let rows = |bytes| serde_json::Deserializer::from_slice(bytes).into_iter::<serde_json::Value>();
    let (mut ones, mut others) = (rows(&one), rows(&other));
    loop {
        match (ones.next().transpose()?, others.next().transpose()?) {
            (None, None) => return Ok(true),
            (one, other) if one != other => return Ok(false),
            _ => {}
        }
    }
}
