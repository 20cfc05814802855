//! Start: from `wasmill run` to its first row.
//!
//! Cost model: a process is loaded; the pipeline file is read and checked; the component's bytes are hashed, its
//! compiled form is mapped from the cache; an instance is made and opened, once for the plan and once a lane; threads
//! are started. What is measured is the whole process over an input of one line, which is more than the way to the
//! first row: the output is flushed to the disk and renamed too. Beside it: `wasmill --version`, the price of a
//! process.
//!
//! Not measured: compiling the component (the first run has done it), larger components.
//!
//! CPU time of the process, all threads; the least of many rounds. Exits with 1 where it takes 50 ms or more.

mod process;

use std::io::Write as _;
use std::process::ExitCode;

use process::{generate, pipeline, run, wasmill};

const ROUNDS: usize = 20;
const START_MS: f64 = 50.0;

fn main() -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let path = folder.join("line.ndjson");
    generate(folder, 1, &path)?;
    let line = std::fs::read(&path)?;
    let pipeline = pipeline(folder, "stdin: {}", 1)?;
    let start = || run(wasmill(folder)?.arg("run").arg(&pipeline), |mut stdin, _| Ok(stdin.write_all(&line)?));
    let cold = start()?;
    let (mut nothing, mut warm, mut wall) = (f64::MAX, f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        nothing = nothing.min(run(wasmill(folder)?.arg("--version"), |_, _| Ok(()))?.cpu_s);
        let cost = start()?;
        (warm, wall) = (warm.min(cost.cpu_s), wall.min(cost.wall_s));
    }
    anyhow::ensure!(std::fs::read_to_string(folder.join("out.ndjson"))?.lines().count() == 1, "one row comes out");
    let met = warm * 1e3 < START_MS;
    println!("start: `wasmill run` of one line (ms, least of {ROUNDS} rounds)");
    println!("  {:<38}{:>8} {:>8}", "", "CPU", "wall");
    println!("  {:<38}{:>8.1}", "wasmill --version", nothing * 1e3);
    println!("  {:<38}{:>8.1} {:>8.1}", "run, component in the cache", warm * 1e3, wall * 1e3);
    println!("  {:<38}{:>8.1} {:>8.1}", "run, component compiled (once)", cold.cpu_s * 1e3, cold.wall_s * 1e3);
    println!("  target less than {START_MS:.0} ms of CPU time{}", if met { "" } else { ": MISSED" });
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
