//! Memory: a long input, piped, stays in little of it.
//!
//! Cost model: what is resident is the program and the compiled guest's memory (a constant), the pipe's chunks (2.5
//! MB), and what is on its way: each node holds one batch, each edge at most four, each batch its bytes. Nothing grows
//! with the input; what is written goes to the page cache, which is not the process's. The input is one block of
//! generated bids over and over, because what is measured is not the generator.
//!
//! The figure is the kernel's high-water mark of resident memory, read when the last byte has been written to the pipe.
//!
//! Not measured: keyed state, more lanes, and formats other than NDJSON. The output goes to a file that a folder of
//! temporary files must have room for; `cargo bench --bench memory -- --gigabytes 1` for less.
//!
//! Exits with 1 where more than 300 MB were resident.

mod process;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;

use process::{generate, pipeline, run, wasmill};

const GIGABYTES: u64 = 10;
/// Bids of the block that is repeated: 5 MB.
const BLOCK_ROWS: u64 = 20_000;
const RESIDENT_MB: f64 = 300.0;

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().collect();
    let given = arguments.iter().position(|argument| argument == "--gigabytes").and_then(|at| arguments.get(at + 1));
    let gigabytes: u64 = given.map_or(Ok(GIGABYTES), |number| number.parse())?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let path = folder.join("block.ndjson");
    generate(folder, BLOCK_ROWS, &path)?;
    let block = std::fs::read(&path)?;
    let times = (gigabytes * 1_000_000_000).div_ceil(block.len() as u64);
    let pipeline = pipeline(folder, "stdin: {}", 1)?;
    let mut resident = 0.0;
    let cost = run(wasmill(folder)?.arg("run").arg(&pipeline), |mut stdin, process| {
        for _ in 0..times {
            stdin.write_all(&block)?;
        }
        resident = high_water_mb(process)?;
        Ok(())
    })?;
    let (rows, met) = ((times * BLOCK_ROWS) as f64 / 1e6, resident < RESIDENT_MB);
    println!("memory: {gigabytes} GB piped through q1, 1 lane");
    println!("  {rows:.1} M rows, {:.1} CPU s, {:.1} s", cost.cpu_s, cost.wall_s);
    let said = if met { "" } else { ": MISSED" };
    println!("  resident at most {resident:.0} MB, target less than {RESIDENT_MB:.0} MB{said}");
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The most memory that a process has had resident so far.
fn high_water_mb(process: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the kernel says nothing of it")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1_024.0 / 1e6)
}
