//! `wasmill dev`: build and run again on each save, and show what changed in the output.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use serde_json::{Value, json};
use wasmill_engine::operator::SharedFactory;

use super::remote::Server;
use super::swap;
use super::test::{CASES, colour, operator, reason, tried};
use super::{Failed, Output, Setting, progress};
use crate::assemble::World;
use crate::cases::{self, Outcome};
use crate::difference::{self, Difference};
use crate::row::Row;
use crate::spec::Diagnostics;
use crate::trial::{self, Trial};
use crate::{build, plugins, rehearsal, sample, watch};

const EXAMPLES: &str = "\
Examples:
  wasmill dev                                the cases of the operator in this folder
  wasmill dev --sample readings.ndjson --key sensor --config '{\"distance\": 4}'
  wasmill dev plugins/score --pipeline pipeline.yaml
  wasmill dev --swap sensor-alerts/score     and put it to work in a running pipeline, state kept
  wasmill dev --once                         build and run once, for scripts";

/// Build an operator and run it on rows, again each time a file of it is saved; show what changed in the output since
/// the run before. Ends with Ctrl-C.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The operator's folder
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Rows to run it on, NDJSON or CSV: the first 1,000 [default: the inputs of its cases.yaml]
    #[arg(long, value_name = "FILE")]
    sample: Option<PathBuf>,
    /// Configuration for the sample, a JSON object
    #[arg(long, value_name = "JSON", requires = "sample")]
    config: Option<String>,
    /// Columns of the sample that make the key, with commas between
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', requires = "sample")]
    key: Vec<String>,
    /// A pipeline to run with it from end to end; what its sinks would get is shown, and not written
    #[arg(long, value_name = "FILE", conflicts_with = "sample")]
    pipeline: Option<PathBuf>,
    /// Where it ran and no case failed, put it to work in this stage of a server: rows go on, state is kept
    #[arg(long, value_name = "PIPELINE/STAGE")]
    swap: Option<String>,
    #[command(flatten)]
    server: Server,
    /// Run once and end: 0 it ran, 1 it did not
    #[arg(long)]
    once: bool,
}

/// The exit code of a command that was interrupted, as shells have it.
const INTERRUPTED: i32 = 130;

/// Rows of a port that are shown of a first run, at most.
const ROWS_SHOWN: usize = 20;

pub(super) fn run(args: &Args, setting: &Setting) -> Result<(), Failed> {
    if !plugins::is_project(&args.folder) {
        let what = format!("error: nothing to build in {}; name the folder of an operator", args.folder.display());
        return Err(Failed::Input(what));
    }
    if args.sample.is_none() && args.pipeline.is_none() && !args.folder.join(CASES).is_file() {
        let what = format!(
            "error: {} has no {CASES}, so there are no rows to run it on; write one, or name rows with --sample or \
             --pipeline",
            args.folder.display()
        );
        return Err(Failed::Input(what));
    }
    // To be interrupted is how it ends, but where it should end by itself nothing has come of it.
    let interrupted = if args.once { INTERRUPTED } else { 0 };
    ctrlc::set_handler(move || std::process::exit(interrupted)).context("cannot listen for interrupts")?;
    let named: Vec<PathBuf> = args.sample.iter().chain(&args.pipeline).cloned().collect();
    let mut before: Vec<(String, Outcome)> = Vec::new();
    for number in 1_u64.. {
        let more = [&named[..], &watch::beside(&args.folder)].concat();
        let seen = watch::look(&args.folder, &more);
        let began = Instant::now();
        let round = round(args, setting);
        let good = round.as_ref().is_ok_and(|runs| runs.iter().all(|run| run.outcome.is_ok()));
        tell(setting, number, &round, &before);
        if setting.output == Output::Text {
            let built = if round.is_ok() { "built and ran" } else { "not built" };
            let next = if args.once { "" } else { "; waiting for a file to be saved, Ctrl-C ends" };
            println!("run {number}: {built} in {:.1} s{next}", began.elapsed().as_secs_f64());
        }
        let good = good && swapped(args, setting, round.as_ref().is_ok_and(|runs| passed(runs)));
        // Whoever reads along, a person or an editor, sees it at once; if nobody does any more, the next line fails.
        drop(std::io::stdout().flush());
        if args.once {
            return if good { Ok(()) } else { Err(anyhow::anyhow!("not all of it ran").into()) };
        }
        for run in round.into_iter().flatten() {
            if let Ok(outcome) = run.outcome {
                before.retain(|(name, _)| *name != run.name);
                before.push((run.name, outcome));
            }
        }
        let changed = seen.wait(&args.folder, &more);
        if setting.output == Output::Text {
            let names: Vec<String> = changed.iter().take(3).map(|path| path.display().to_string()).collect();
            println!("changed: {}{}", names.join(", "), if changed.len() > 3 { ", .." } else { "" });
        }
    }
    Ok(())
}

fn passed(runs: &[Run]) -> bool {
    runs.iter().all(|run| run.outcome.is_ok() && run.passed != Some(false))
}

/// Puts the operator to work where that is wished and it is `fit`; whether nothing went wrong.
fn swapped(args: &Args, setting: &Setting, fit: bool) -> bool {
    let Some(stage) = &args.swap else { return true };
    if !fit {
        super::tell(&format!("{stage} is left as it is"));
        return false;
    }
    match swap::into(stage, &args.folder, &args.server) {
        Ok(swapped) if setting.output == Output::Json => println!("{}", json!({ "swapped": swapped })),
        Ok(swapped) => println!("{}", swap::told(stage, &swapped)),
        Err(error) => {
            error.tell();
            return false;
        }
    }
    true
}

/// What one set of rows came to.
struct Run {
    name: String,
    /// What came out, or why nothing did.
    outcome: Result<Outcome, String>,
    /// For a case: whether it passed.
    passed: Option<bool>,
}

/// Builds, and runs all that there is to run.
fn round(args: &Args, setting: &Setting) -> Result<Vec<Run>, String> {
    let world = World::new(&setting.cache);
    if let Some(pipeline) = &args.pipeline {
        progress::built(&args.folder, &build::Options::default(), setting).map_err(|error| error.to_string())?;
        let outcome = rehearsal::run(pipeline, &world).map_err(|told| told.render(setting.colour))?;
        return Ok(vec![Run { name: pipeline.display().to_string(), outcome, passed: None }]);
    }
    let factory = operator(&world, &args.folder, setting)?;
    match &args.sample {
        Some(file) => sampled(args, file, &factory).map(|run| vec![run]),
        None => {
            let told = |told: Diagnostics| told.render(setting.colour);
            let cases = cases::read(&args.folder.join(CASES)).map_err(told)?;
            cases.check_key(factory.kind()).map_err(told)?;
            Ok(cases.cases.iter().flat_map(|case| of_case(&factory, &cases, case)).collect())
        }
    }
}

/// A run for each step of a case.
fn of_case(factory: &SharedFactory, cases: &cases::Cases, case: &cases::Case) -> Vec<Run> {
    let outcomes = match tried(factory, cases, case) {
        Ok(outcomes) => outcomes,
        Err(error) => return vec![Run { name: case.name.clone(), outcome: Err(reason(&error)), passed: Some(false) }],
    };
    let run = |(at, (step, outcome)): (usize, (&cases::Step, Outcome))| {
        let name = match case.steps.len() {
            1 => case.name.clone(),
            _ => format!("{}, step {}", case.name, at + 1),
        };
        let passed = Some(difference::differences(&step.expected, &outcome).is_empty());
        Run { name, outcome: Ok(outcome), passed }
    };
    case.steps.iter().zip(outcomes).enumerate().map(run).collect()
}

fn sampled(args: &Args, file: &Path, factory: &SharedFactory) -> Result<Run, String> {
    let sample = sample::read(file, sample::RECORDS).map_err(|reason| format!("{}: {reason}", file.display()))?;
    let rows: Vec<Row> = sample.rows.into_iter().map(Row::of).collect();
    let config: Value = match &args.config {
        Some(text) => serde_json::from_str(text).map_err(|error| format!("--config is not JSON: {error}"))?,
        None => json!({}),
    };
    let step = trial::Step { now: 0, watermark: None, rows: &rows };
    let trial = Trial { config: &config, key: &args.key, columns: &[], steps: &[step] };
    let outcome = trial::run(factory, &trial).map_err(|error| reason(&error));
    let outcome = outcome.map(|steps| steps.into_iter().next().expect("each step has an outcome"));
    Ok(Run { name: file.display().to_string(), outcome, passed: None })
}

/// Says what a round came to: a block of text, or one line of JSON.
fn tell(setting: &Setting, number: u64, round: &Result<Vec<Run>, String>, before: &[(String, Outcome)]) {
    let earlier = |run: &Run| before.iter().find(|(name, _)| *name == run.name).map(|(_, outcome)| outcome);
    match (setting.output, round) {
        (Output::Json, Ok(runs)) => {
            let runs: Vec<Value> = runs.iter().map(|run| facts(run, earlier(run))).collect();
            println!("{}", json!({ "run": number, "error": null, "results": runs }));
        }
        (Output::Json, Err(error)) => println!("{}", json!({ "run": number, "error": error, "results": [] })),
        (Output::Text, Ok(runs)) => runs.iter().for_each(|run| show(run, earlier(run))),
        (Output::Text, Err(error)) => super::tell(&format!("error: {}", error.trim_end())),
    }
}

/// What changed since the run before, or all of it.
fn changes(run: &Run, before: Option<&Outcome>) -> Result<Vec<Difference>, String> {
    let nothing = Outcome { state: Some(Vec::new()), ..Outcome::default() };
    run.outcome.as_ref().map(|now| difference::differences(before.unwrap_or(&nothing), now)).map_err(Clone::clone)
}

fn facts(run: &Run, before: Option<&Outcome>) -> Value {
    let mut facts = json!({ "name": run.name, "passed": run.passed, "first": before.is_none() });
    match changes(run, before) {
        Ok(changes) => {
            let text = |line: &difference::Line| match line {
                difference::Line::Gone(row) => Some(json!({ "gone": row })),
                difference::Line::Come(row) => Some(json!({ "come": row })),
                _ => None,
            };
            let part = |change: &Difference| {
                let lines: Vec<Value> = change.lines.iter().filter_map(text).collect();
                (change.part.clone(), Value::from(lines))
            };
            facts["changes"] = changes.iter().map(part).collect();
        }
        Err(error) => facts["error"] = error.into(),
    }
    facts
}

fn show(run: &Run, before: Option<&Outcome>) {
    let passed = match run.passed {
        Some(true) => "  (as expected)",
        Some(false) => "  (not as expected; `wasmill test` shows how)",
        None => "",
    };
    println!("{}{passed}", run.name);
    match changes(run, before) {
        Err(error) => error.lines().for_each(|line| println!("  {line}")),
        Ok(changes) if changes.is_empty() => println!("  nothing changed"),
        Ok(mut changes) => {
            let hidden = if before.is_none() { cut(&mut changes) } else { 0 };
            print!("{}", difference::render(&changes, ("was", "is"), 2, colour()));
            if hidden > 0 {
                println!("  .. and {} more rows", crate::report::count(hidden as u64));
            }
        }
    }
}

/// Leaves the first rows of each part; answers how many were cut.
fn cut(changes: &mut [Difference]) -> usize {
    let mut hidden = 0;
    for change in changes {
        hidden += change.lines.len().saturating_sub(ROWS_SHOWN);
        change.lines.truncate(ROWS_SHOWN);
    }
    hidden
}
