//! `wasmill run`: a pipeline in this process, until its input ends or somebody interrupts.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::ProgressBar;
use serde::Serialize;
use wasmill_engine::plan::Part;
use wasmill_engine::runtime::Status;

use super::{Failed, Output, Setting, progress};
use crate::assemble::{self, World};
use crate::driver::{self, Bell, Wishes};
use crate::report::{Report, count};
use crate::spec::Diagnostic;

const EXAMPLES: &str = "\
Examples:
  wasmill run pipeline.yaml
  wasmill run pipeline.yaml --commit-every 10     make results visible while it runs
  cat bids.ndjson | wasmill run from-stdin.yaml --output json";

/// Run a pipeline in this process until its input ends. An interrupt (Ctrl-C) drains it: what was read is finished and
/// committed; a second one ends it at once. With --output json all that stderr gets is one JSON object: the report, the
/// `diagnostics` of a wrong file, or the `error` that the run stopped with; that an interrupt drains is not said then,
/// and nothing is logged unless WASMILL_LOG asks for it.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The pipeline file
    pipeline: PathBuf,
    /// Commit what was written every so many seconds; without it at the end, and each second where no end is known
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    commit_every: Option<u64>,
}

/// What a run came to, for scripts.
#[derive(Serialize)]
struct Facts<'a> {
    #[serde(flatten)]
    report: &'a Report,
    /// Whether it was asked to end before its input did.
    interrupted: bool,
    warnings: &'a [Diagnostic],
}

/// How often the results of an input without an end are committed.
const ENDLESS_COMMIT: Duration = Duration::from_secs(1);

pub(super) fn run(args: &Args, setting: &Setting) -> Result<(), Failed> {
    let bell = Arc::new(Bell::default());
    let stop = on_interrupt(bell.clone(), setting.output)?;
    let began = Instant::now();
    let (spec, graph) =
        assemble::load(&args.pipeline, &World::new(&setting.cache)).map_err(|told| match setting.output {
            Output::Text => super::wrong(&told, setting),
            // Not on stdout, which may be a sink.
            Output::Json => Failed::Input(told.to_json()),
        })?;
    if setting.output == Output::Text {
        super::tell_warnings(&spec.warnings, setting);
    }
    let assembled = assemble::open(&spec, graph, &Waker::from(bell.clone()), &|sink| sink)?;
    let commit_every = args.commit_every.map(Duration::from_secs).or(assembled.endless.then_some(ENDLESS_COMMIT));
    let bar = progress::spinner(setting);
    let wishes = Wishes { stop: stop.clone(), commit_every };
    let result = driver::run(assembled.runtime, bell, &wishes, |status| show(&bar, status));
    bar.finish_and_clear();
    let graph = &assembled.graph;
    let status = result.map_err(|failure| {
        anyhow::anyhow!("pipeline {} stopped: {failure}; what was not committed yet was withdrawn", graph.name)
    })?;
    let report = Report::new(graph, &status, &assembled.places, began.elapsed());
    let interrupted = stop.load(Ordering::SeqCst);
    match setting.output {
        Output::Json => {
            let facts = Facts { report: &report, interrupted, warnings: &spec.warnings.diagnostics };
            super::tell(&serde_json::to_string_pretty(&facts)?);
        }
        Output::Text => {
            if interrupted {
                super::tell("interrupted: there may be more in the input than was read");
            }
            super::tell(report.text().trim_end());
        }
    }
    Ok(())
}

/// The first interrupt asks for a drain, the second ends the process.
fn on_interrupt(bell: Arc<Bell>, output: Output) -> Result<Arc<AtomicBool>, Failed> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    let interrupted = move || {
        if asked.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        if output == Output::Text {
            super::tell("draining: what was read is finished and committed; interrupt again to end at once");
        }
        bell.ring();
    };
    ctrlc::set_handler(interrupted).context("cannot listen for interrupts")?;
    Ok(stop)
}

fn show(bar: &ProgressBar, status: &[Status]) {
    let of = |part: Part| status.iter().filter(move |status| status.part == part);
    let read: u64 = of(Part::Source).map(|source| source.counters.rows_in.get()).sum();
    let (done, all): (u64, u64) = of(Part::Source)
        .fold((0, 0), |(done, all), source| (done + source.counters.done.get(), all + source.counters.all.get()));
    let written: u64 = of(Part::Sink).map(|sink| sink.counters.rows_out.get()).sum();
    let dead: u64 = of(Part::DeadLetters).map(|sink| sink.counters.rows_out.get()).sum();
    let share = (done.min(all) * 100).checked_div(all).map_or_else(String::new, |share| format!("{share:3}% "));
    let rate = read as f64 / bar.elapsed().as_secs_f64().max(0.001);
    let (read, written, rate) = (count(read), count(written), count(rate as u64));
    bar.set_message(format!("{share}{read} in ({rate}/s), {written} out, {} dead-lettered", count(dead)));
    bar.tick();
}
