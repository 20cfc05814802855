//! Whole processes and what they cost: `wasmill` as users run it, and programs to compare it with.
//!
//! CPU time is what the kernel has charged a process for when it ends, all threads, user and system. The operator is
//! the one of `examples/currency`, built by `wasmill build`; components are compiled into a cache of the benchmark's
//! own.

use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

/// What a process took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Seconds of CPU time.
    pub(crate) cpu_s: f64,
    /// Seconds from start to end.
    pub(crate) wall_s: f64,
}

/// Runs a process to its end. `feed` gets its standard input and its number. Only one at a time: the kernel adds up
/// what all children took.
pub(crate) fn run(
    command: &mut Command,
    feed: impl FnOnce(ChildStdin, u32) -> anyhow::Result<()>,
) -> anyhow::Result<Cost> {
    let (before, began) = (cpu_s()?, Instant::now());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let stdin = child.stdin.take().context("the standard input was asked for")?;
    let fed = feed(stdin, child.id());
    let output = child.wait_with_output()?;
    let cost = Cost { cpu_s: cpu_s()? - before, wall_s: began.elapsed().as_secs_f64() };
    anyhow::ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    fed.map(|()| cost)
}

/// CPU time of all children that have ended.
fn cpu_s() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok((usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6)
}

/// `wasmill` with a cache of its own in `folder`.
pub(crate) fn wasmill(folder: &Path) -> anyhow::Result<Command> {
    let this = std::env::current_exe()?;
    let built = this.ancestors().nth(2).context("benchmarks lie in target/release/deps")?.join("wasmill");
    anyhow::ensure!(built.is_file(), "build it first: cargo build --release --workspace --bin wasmill");
    let mut command = Command::new(built);
    command.current_dir(folder).env("WASMILL_CACHE", folder.join("cache"));
    Ok(command)
}

/// Builds the example's operator if it is out of date, and writes a pipeline that has nothing but it between `source`
/// and a file; answers where the pipeline is.
pub(crate) fn pipeline(folder: &Path, source: &str, lanes: u32) -> anyhow::Result<PathBuf> {
    let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("examples").join("currency/plugin");
    run(wasmill(folder)?.arg("build").arg(&plugin), |_, _| Ok(()))?;
    let path = folder.join(format!("{lanes}-lanes.yaml"));
    let text = format!(
        "name: bench
lanes: {lanes}
sources:
  bids:
    {source}
    format:
      ndjson:
        columns:
          {{ auction: int64, bidder: int64, price: int64, channel: utf8, url: utf8, date_time: timestamp, extra: utf8 }}
stages:
  convert: {{ from: bids, plugin: {plugin:?} }}
sinks:
  euros: {{ from: convert, file: {{ path: out.ndjson, overwrite: true }} }}
dead_letters: {{ file: {{ path: dead/, overwrite: true }} }}
"
    );
    std::fs::write(&path, text)?;
    Ok(path)
}

/// Writes that many bids there, about 250 bytes each.
pub(crate) fn generate(folder: &Path, rows: u64, path: &Path) -> anyhow::Result<()> {
    let mut command = wasmill(folder)?;
    command.args(["generate", "bids", "--events"]).arg(rows.to_string());
    let status = command.stdout(std::fs::File::create(path)?).status()?;
    anyhow::ensure!(status.success(), "{command:?} failed");
    Ok(())
}
