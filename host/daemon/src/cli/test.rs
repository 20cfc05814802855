//! `wasmill test`: cases through the compiled operator, as a pipeline would call it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use io::IsTerminal as _;
use serde_json::{Value, json};
use wasmill_engine::graph::suggest::hint;
use wasmill_engine::operator::{CallError, SharedFactory};

use super::{Failed, Output, Setting, progress};
use crate::assemble::{self, World};
use crate::cases::{self, Case, Cases, Outcome, Refused, Step};
use crate::difference::{self, Difference};
use crate::row::{Item, Row};
use crate::trial::{self, Trial, TrialError};
use crate::{build, plugins};

const EXAMPLES: &str = "\
Examples:
  wasmill test                          the cases of the operator in this folder
  wasmill test plugins/filter plugins/route
  wasmill test cases.yaml --plugin ../in-go
  wasmill test --update                 write what comes out as what is expected
  wasmill test --output json

Exit codes: 0 all cases passed, 1 a case failed, 2 the cases could not be run (a bad file, a build that fails).";

/// Run an operator's cases: rows in, and what must come out. Builds the operator first where its source is there.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Case files, or folders with a cases.yaml
    #[arg(default_value = ".", value_name = "DIR|FILE")]
    paths: Vec<PathBuf>,
    /// Write what comes out as what is expected; names, order and input of the cases stay as they are
    #[arg(long)]
    update: bool,
    /// The component, or the folder of its source [default: the folder of the case file]
    #[arg(long, value_name = "PATH")]
    plugin: Option<PathBuf>,
}

/// The file that holds the cases of an operator, in its folder.
pub(super) const CASES: &str = "cases.yaml";

pub(super) fn run(args: &Args, setting: &Setting) -> Result<(), Failed> {
    let world = World::new(&setting.cache);
    let mut operators = Operators { world: &world, setting, loaded: HashMap::new() };
    let mut told = Told { setting, cases: Vec::new(), passed: 0, failed: 0, rewritten: 0 };
    let files: Vec<(PathBuf, PathBuf)> =
        args.paths.iter().map(|path| located(path, setting)).collect::<Result<_, _>>()?;
    let read = |(file, folder): &(PathBuf, PathBuf)| match cases::read(file) {
        Ok(cases) => Ok((cases, args.plugin.clone().unwrap_or_else(|| folder.clone()))),
        Err(wrong) => Err(super::wrong(&wrong, setting)),
    };
    // All files are read before the first operator is built.
    let files: Vec<(Cases, PathBuf)> = files.iter().map(read).collect::<Result<_, _>>()?;
    for (cases, plugin) in &files {
        let factory = operators.get(plugin)?;
        told.file(cases, &factory, args.update)?;
    }
    told.end()
}

/// There is nothing to test: told the way the user asked for.
fn unusable(what: &str, setting: &Setting) -> Failed {
    if setting.output == Output::Json {
        println!("{}", json!({ "error": what, "passed": 0, "failed": 0, "rewritten": 0, "cases": [] }));
    }
    Failed::Input(format!("error: {what}"))
}

/// The case file that a path means, and the folder that it is in.
fn located(path: &Path, setting: &Setting) -> Result<(PathBuf, PathBuf), Failed> {
    if path.is_dir() {
        let file = path.join(CASES);
        let file = file.strip_prefix(".").map(Path::to_owned).unwrap_or(file);
        if !path.join(CASES).is_file() {
            let what = format!("{} has no {CASES}; write one, or name a case file", path.display());
            return Err(unusable(&what, setting));
        }
        return Ok((file, path.to_owned()));
    }
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    Ok((path.to_owned(), folder.to_owned()))
}

/// Operators by where they are, each built and loaded once.
struct Operators<'a> {
    world: &'a World,
    setting: &'a Setting,
    loaded: HashMap<PathBuf, SharedFactory>,
}

impl Operators<'_> {
    fn get(&mut self, plugin: &Path) -> Result<SharedFactory, Failed> {
        if let Some(factory) = self.loaded.get(plugin) {
            return Ok(factory.clone());
        }
        let built = operator(self.world, plugin, self.setting);
        let factory = built.map_err(|message| unusable(&message, self.setting))?;
        self.loaded.insert(plugin.to_owned(), factory.clone());
        Ok(factory)
    }
}

/// The operator in a folder, built if its source is there, or a component.
///
/// # Errors
/// A sentence that says what is missing or wrong.
pub(super) fn operator(world: &World, plugin: &Path, setting: &Setting) -> Result<SharedFactory, String> {
    let path = if plugin.is_dir() && plugins::is_project(plugin) {
        progress::built(plugin, &build::Options::default(), setting).map_err(|error| error.to_string())?.path
    } else {
        plugins::built(plugin)?
    };
    let engine = world.engine()?;
    let what = format!("compiling {} for this machine", path.display());
    let component = progress::during(setting, &what, || plugins::load(&path, engine))?;
    let name = path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(Arc::new(component.logging_to(Arc::new(move |line| assemble::log(&name, &line)))))
}

/// What comes of each step of a case.
pub(super) fn tried(factory: &SharedFactory, cases: &Cases, case: &Case) -> Result<Vec<Outcome>, TrialError> {
    let Cases { columns, key, .. } = cases;
    let step = |step| {
        let &Step { now, watermark, ref input, .. } = step;
        trial::Step { now, watermark, rows: input }
    };
    let steps: Vec<trial::Step<'_>> = case.steps.iter().map(step).collect();
    trial::run(factory, &Trial { config: &case.config, key, columns, steps: &steps })
}

/// Why a case came to nothing, with what a trap left behind.
pub(super) fn reason(error: &TrialError) -> String {
    match error {
        TrialError::Call(CallError::Trap { backtrace, .. }) => format!("{error}\n{}", backtrace.trim_end()),
        error => error.to_string(),
    }
}

/// What was found so far.
struct Told<'a> {
    setting: &'a Setting,
    /// For scripts.
    cases: Vec<Value>,
    passed: usize,
    failed: usize,
    rewritten: usize,
}

impl Told<'_> {
    fn file(&mut self, cases: &Cases, factory: &SharedFactory, update: bool) -> Result<(), Failed> {
        cases.check_key(factory.kind()).map_err(|wrong| super::wrong(&wrong, self.setting))?;
        if self.setting.output == Output::Text {
            println!("{}", cases.file);
        }
        let mut rewritten = Vec::new();
        for (position, case) in cases.cases.iter().enumerate() {
            let result = tried(factory, cases, case);
            let mut others = Vec::new();
            for (at, outcome) in result.iter().flatten().enumerate() {
                let step = &case.steps[at];
                // A port that is gone is among what an update puts right.
                let gone = match check_ports(cases, step, outcome) {
                    Err(wrong) if !update => return Err(super::wrong(&wrong, self.setting)),
                    ports => ports.is_err(),
                };
                if update && (gone || !difference::differences(&step.expected, outcome).is_empty()) {
                    let mut outcome = outcome.clone();
                    outcome.state = outcome.state.filter(|_| step.expected.state.is_some());
                    others.push(((position, at), outcome));
                }
            }
            if others.is_empty() {
                self.case(cases, case, result.as_deref());
            }
            rewritten.extend(others);
        }
        if !rewritten.is_empty() {
            let text = cases::updated(cases, &rewritten).map_err(|wrong| super::wrong(&wrong, self.setting))?;
            fs::write(&cases.file, text).map_err(|error| anyhow::anyhow!("cannot write {}: {error}", cases.file))?;
            let mut positions: Vec<usize> = rewritten.iter().map(|((position, _), _)| *position).collect();
            positions.dedup();
            positions.into_iter().for_each(|position| self.rewritten(cases, &cases.cases[position]));
        }
        Ok(())
    }

    fn case(&mut self, cases: &Cases, case: &Case, result: Result<&[Outcome], &TrialError>) {
        let compare = |(step, outcome): (&Step, &Outcome)| difference::differences(&step.expected, outcome);
        let differences = result.map(|outcomes| case.steps.iter().zip(outcomes).map(compare).collect::<Vec<_>>());
        let passed = differences.as_ref().is_ok_and(|steps| steps.iter().all(Vec::is_empty));
        *(if passed { &mut self.passed } else { &mut self.failed }) += 1;
        let line = case.node.span.line;
        if self.setting.output == Output::Json {
            let mut facts = json!({ "file": cases.file, "line": line, "name": case.name, "passed": passed });
            match (result, differences) {
                (Ok(outcomes), Ok(differences)) => facts["differences"] = parts(case, outcomes, &differences),
                (Err(error), _) | (_, Err(error)) => facts["error"] = reason(error).into(),
            }
            self.cases.push(facts);
            return;
        }
        let (good, bad) = if colour() { ("\x1b[32mok\x1b[0m", "\x1b[31mFAILED\x1b[0m") } else { ("ok", "FAILED") };
        if passed {
            return println!("  {good}  {}", case.name);
        }
        println!("  {bad}  {}  ({}:{line})", case.name, cases.file);
        match differences {
            Err(error) => reason(error).lines().for_each(|line| println!("      {line}")),
            Ok(steps) => {
                for (at, differences) in steps.iter().enumerate().filter(|(_, differences)| !differences.is_empty()) {
                    let mut indent = 6;
                    if steps.len() > 1 {
                        println!("      step {}  ({}:{})", at + 1, cases.file, case.steps[at].node.span.line);
                        indent = 8;
                    }
                    print!("{}", difference::render(differences, ("expected", "is"), indent, colour()));
                }
            }
        }
    }

    fn rewritten(&mut self, cases: &Cases, case: &Case) {
        self.rewritten += 1;
        match self.setting.output {
            Output::Text => println!("  rewritten  {}", case.name),
            Output::Json => {
                let line = case.node.span.line;
                self.cases.push(json!({ "file": cases.file, "line": line, "name": case.name, "rewritten": true }));
            }
        }
    }

    fn end(self) -> Result<(), Failed> {
        let Self { passed, failed, rewritten, .. } = self;
        match self.setting.output {
            Output::Json => {
                let facts = json!({ "passed": passed, "failed": failed, "rewritten": rewritten, "cases": self.cases });
                println!("{}", serde_json::to_string_pretty(&facts)?);
            }
            Output::Text => {
                let more = if rewritten > 0 { format!(", {rewritten} rewritten") } else { String::new() };
                println!("{passed} passed, {failed} failed{more}");
            }
        }
        match failed {
            0 => Ok(()),
            1 => Err(anyhow::anyhow!("1 case failed").into()),
            failed => Err(anyhow::anyhow!("{failed} cases failed").into()),
        }
    }
}

/// Whether what goes to the standard output may have colour.
pub(super) fn colour() -> bool {
    io::stdout().is_terminal() && super::may_have_colour()
}

/// That a step names no port that the operator does not have.
fn check_ports(cases: &Cases, step: &Step, outcome: &Outcome) -> Result<(), crate::spec::Diagnostics> {
    let names: Vec<&str> = outcome.ports.iter().map(|(name, _)| name.as_str()).collect();
    let unknown = step.expected.ports.iter().find(|(name, _)| !names.contains(&name.as_str()));
    unknown.map_or(Ok(()), |(name, _)| {
        let hint = hint(name, names.into_iter().chain(["rejects", "state"]));
        Err(cases.wrong_port(step, name, &format!("`{name}` is no port of the operator{hint}")))
    })
}

/// For each part of a step that differs what was expected and what came out, as JSON.
fn parts(case: &Case, outcomes: &[Outcome], differences: &[Vec<Difference>]) -> Value {
    let side = |outcome: &Outcome, part: &str| -> Value {
        let json = |row: &Row| json!(Item::Object(row.object()));
        let keyed = |(key, row): &(String, Row)| (key.clone(), json(row));
        match part {
            "rejects" => {
                let reject = |refused: &Refused| {
                    let Refused { row, action, reason } = refused;
                    json!({ "row": row, "action": action, "reason": reason })
                };
                outcome.rejects.iter().map(reject).collect()
            }
            "state" => outcome.state.as_ref().map_or(Value::Null, |keys| keys.iter().map(keyed).collect()),
            port => {
                let rows = outcome.ports.iter().find(|(name, _)| name == port);
                rows.map_or_else(|| json!([]), |(_, rows)| rows.iter().map(json).collect())
            }
        }
    };
    let part = |at: usize, difference: &Difference| {
        let part = &difference.part;
        let (expected, actual) = (side(&case.steps[at].expected, part), side(&outcomes[at], part));
        json!({ "step": at + 1, "part": part, "expected": expected, "actual": actual })
    };
    let of_step = |(at, differences): (usize, &Vec<Difference>)| {
        differences.iter().map(|difference| part(at, difference)).collect::<Vec<_>>()
    };
    differences.iter().enumerate().flat_map(of_step).collect()
}
