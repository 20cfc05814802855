//! What can be done to a pipeline: apply, plan, pause, resume, drain, delete. Swaps have a file of their own.
//!
//! Each waits for its turn, then checks that the pipeline is still what the asker has seen; so of two that come at once
//! one is told that it came second.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use wasmill_engine::graph::Graph;
use wasmill_engine::plan::{Action, Plan};
use wasmill_engine::runtime::Controls;

use super::disk::{Desired, Goal};
use super::problem::Problem;
use super::registry::{Pipeline, Server};
use super::running::{End, Running};
use super::swap::install;
use crate::spec::{self, Spec};

/// How long a drain is waited for before it is told that it goes on.
const DRAIN_WITHIN: Duration = Duration::from_secs(30);

/// A pipeline file that shall be applied.
pub(crate) struct Applied {
    /// Its name, for messages.
    pub(crate) file: String,
    /// Where relative paths in it start.
    pub(crate) base: PathBuf,
    /// Its text.
    pub(crate) text: String,
    /// Whether a pipeline that cannot be changed while it runs is drained and started anew.
    pub(crate) replace: bool,
}

/// What an apply would do, or did.
#[derive(Debug, Serialize)]
pub(crate) struct Planned {
    /// The pipeline.
    pub(crate) pipeline: String,
    /// Its revision.
    pub(crate) revision: u64,
    /// How it gets there: `start`, `swap`, `restart` or `nothing`.
    pub(crate) way: &'static str,
    /// The changes, in the order of a record's way.
    pub(crate) changes: Vec<String>,
    /// For each stage whose code changes what becomes of its state.
    pub(crate) state: BTreeMap<String, String>,
    /// What is allowed and probably not meant.
    pub(crate) warnings: Value,
}

fn checked(name: &str) -> Result<(), Problem> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 100 || !name.chars().all(good) {
        let detail = format!("`{name}` cannot be a pipeline's name on a server; use letters, digits, `-` and `_`");
        return Err(Problem::malformed(detail));
    }
    Ok(())
}

impl Server {
    /// Makes a pipeline what a file says, or says what would be done if `dry`.
    ///
    /// # Errors
    /// The file is wrong, somebody else was first, or what runs cannot become that.
    pub(crate) fn apply(
        &self,
        name: &str,
        applied: Applied,
        expected: Option<u64>,
        dry: bool,
    ) -> Result<Planned, Problem> {
        self.open_for_changes()?;
        checked(name)?;
        let pipeline = self.find_or_add(name)?;
        let _turn = pipeline.turn();
        let planned = pipeline.unchanged(expected).and_then(|()| self.apply_in_turn(&pipeline, applied, dry));
        if pipeline.view().desired.is_none() {
            self.tidy(name);
        }
        planned
    }

    fn apply_in_turn(&self, pipeline: &Pipeline, applied: Applied, dry: bool) -> Result<Planned, Problem> {
        let name = &pipeline.name;
        let Applied { file, base, text, replace } = applied;
        let shelf = self.shelf(pipeline, BTreeMap::new());
        let (spec, graph) = spec::parse(&file, &base, &text, &shelf).map_err(|wrong| Problem::diagnosed(&wrong))?;
        let found = shelf.found.take();
        if *graph.name != **name {
            let detail = format!("the file is of pipeline `{}`, and was sent for `{name}`; use one name", graph.name);
            return Err(Problem::wrong("other-name", detail));
        }
        let (before, alive) = {
            let view = pipeline.view();
            (view.desired.clone(), view.alive())
        };
        let running = alive.as_ref().map(|running| running.ask(|controls| controls.graph().clone()));
        let changes = Plan::between(running.as_ref(), &graph);
        let same_ends = before.as_ref().is_some_and(|before| self.same_ends(pipeline, before, &spec));
        let swaps = changes.changes().iter().all(|change| matches!(change.action, Action::Swap { .. }));
        let way = match &alive {
            None => "start",
            Some(_) if !same_ends || !swaps => "restart",
            Some(_) if changes.changes().is_empty() => "nothing",
            Some(_) => "swap",
        };
        let mut planned = Planned {
            pipeline: name.clone(),
            revision: before.as_ref().map_or(0, |before| before.revision),
            way,
            changes: changes.changes().iter().map(ToString::to_string).collect(),
            state: BTreeMap::new(),
            warnings: serde_json::to_value(&spec.warnings.diagnostics).unwrap_or_default(),
        };
        if let (Some(alive), "swap") = (&alive, way) {
            let (change, _) = self.prepare(alive, |_| Ok(graph.clone()), false)?;
            planned.state = change.carries().iter().map(|(of, carry)| (of.to_string(), carry.to_string())).collect();
            if !dry {
                let installed = install(alive, change)?;
                let wait = |(stage, version): &(String, u64)| self.switched(alive, stage, *version).map(drop);
                if let Err(problem) = installed.iter().try_for_each(wait) {
                    // Others may have switched: what shall be is what is.
                    installed.iter().for_each(|(stage, _)| self.follow(pipeline, alive, stage));
                    return Err(problem);
                }
            }
        }
        if dry {
            return Ok(planned);
        }
        let revision = planned.revision + 1;
        let plugins = digests(before.as_ref(), found);
        let goal =
            before.as_ref().filter(|_| way == "swap" || way == "nothing").map_or(Goal::Run, |before| before.goal);
        let desired = Desired { name: name.clone(), revision, file, base, text, plugins, goal };
        if way == "restart" && !replace {
            return Err(needs_restart(name));
        }
        let again = way == "start" || way == "restart";
        self.put(pipeline, &desired, before.as_ref(), || {
            if again { self.restart(pipeline, alive.as_ref(), &desired, (&spec, graph)) } else { Ok(()) }
        })?;
        pipeline.view().desired = Some(desired);
        planned.revision = revision;
        self.event(name, "applied", format!("pipeline {name} was applied: {way}"), json!({"revision": revision}));
        Ok(planned)
    }

    /// Writes down what a pipeline shall be, makes it so, and takes back what was written where that fails: first on
    /// disk, so that a disk that is full changes nothing.
    fn put(
        &self,
        pipeline: &Pipeline,
        desired: &Desired,
        before: Option<&Desired>,
        make: impl FnOnce() -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.disk.keep(desired)?;
        let made = make();
        if made.is_err() {
            match before {
                Some(before) => self.disk.keep(before)?,
                None => self.disk.forget(&pipeline.name)?,
            }
        }
        made
    }

    /// Whether sources and sinks are configured as before: the plan knows their rows only.
    fn same_ends(&self, pipeline: &Pipeline, before: &Desired, spec: &Spec) -> bool {
        self.read(pipeline, before).is_ok_and(|(old, _)| {
            (&old.sources, &old.sinks, &old.dead_letters, &old.base)
                == (&spec.sources, &spec.sinks, &spec.dead_letters, &spec.base)
        })
    }

    fn restart(
        &self,
        pipeline: &Pipeline,
        alive: Option<&Arc<Running>>,
        desired: &Desired,
        (spec, graph): (&Spec, Graph),
    ) -> Result<(), Problem> {
        let name = &pipeline.name;
        if let Some(running) = alive {
            running.with(Controls::stop);
            if running.wait(DRAIN_WITHIN, |_, end| end.cloned()).is_none() {
                let detail =
                    format!("pipeline {name} is still draining; nothing was applied yet; apply it again later");
                return Err(Problem::conflict("draining", detail));
            }
        }
        let started = self.start(pipeline, spec, graph, desired.goal);
        started.map_err(|error| {
            let why = format!("pipeline {name} cannot be started: {error:#}");
            // What ran before was drained.
            pipeline.view().broken = alive.map(|_| why.clone());
            Problem::wrong("not-started", why)
        })
    }

    /// Lets a pipeline rest, or go on.
    ///
    /// # Errors
    /// It does not run, or somebody else was first.
    pub(crate) fn rest(&self, name: &str, rest: bool, expected: Option<u64>) -> Result<u64, Problem> {
        self.open_for_changes()?;
        let pipeline = self.find(name)?;
        let _turn = pipeline.turn();
        pipeline.unchanged(expected)?;
        let Some(running) = pipeline.view().alive() else {
            let detail = format!("pipeline {name} does not run; apply it to start it anew");
            return Err(Problem::conflict("not-running", detail));
        };
        let (goal, kind) = if rest { (Goal::Pause, "paused") } else { (Goal::Run, "resumed") };
        let revision = self.aim(&pipeline, goal)?;
        running.with(|controls| if rest { controls.pause() } else { controls.resume() });
        self.event(name, kind, format!("pipeline {name} was {kind}"), json!({}));
        Ok(revision)
    }

    /// Ends a pipeline in order: its sources read no more, what was read is finished and committed.
    ///
    /// # Errors
    /// It is not done in time, and goes on with it; or it failed; or somebody else was first.
    pub(crate) fn drain(&self, name: &str, expected: Option<u64>) -> Result<u64, Problem> {
        self.open_for_changes()?;
        let pipeline = self.find(name)?;
        let _turn = pipeline.turn();
        pipeline.unchanged(expected)?;
        let running = pipeline.view().alive();
        let revision = self.aim(&pipeline, Goal::End)?;
        let Some(running) = running else { return Ok(revision) };
        running.with(Controls::stop);
        match running.wait(DRAIN_WITHIN, |_, end| end.cloned()) {
            Some(End::Done | End::Abandoned) => Ok(revision),
            Some(End::Failed(failure)) => {
                Err(Problem::conflict("failed", format!("pipeline {name} failed while it drained: {failure}")))
            }
            None => {
                let detail =
                    format!("pipeline {name} is still draining; ask for its status, or delete it with `abandon`");
                Err(Problem::conflict("draining", detail))
            }
        }
    }

    /// Removes a pipeline, drained first, or ended at once where `abandon`.
    ///
    /// # Errors
    /// It does not drain in time; or somebody else was first.
    pub(crate) fn delete(&self, name: &str, abandon: bool, expected: Option<u64>) -> Result<(), Problem> {
        self.open_for_changes()?;
        let pipeline = self.find(name)?;
        let _turn = pipeline.turn();
        pipeline.unchanged(expected)?;
        if let Some(running) = pipeline.view().alive() {
            if abandon {
                running.abandon();
            } else {
                running.with(Controls::stop);
            }
            if running.wait(DRAIN_WITHIN, |_, end| end.cloned()).is_none() {
                let detail = format!("pipeline {name} is still draining; try again, or delete it with `abandon`");
                return Err(Problem::conflict("draining", detail));
            }
        }
        self.disk.forget(name)?;
        pipeline.view().desired = None;
        self.tidy(name);
        self.event(name, "deleted", format!("pipeline {name} was deleted"), json!({}));
        Ok(())
    }

    fn aim(&self, pipeline: &Pipeline, goal: Goal) -> Result<u64, Problem> {
        let Some(mut desired) = pipeline.view().desired.clone() else {
            return Err(Problem::failed("a pipeline lost what it shall be"));
        };
        (desired.goal, desired.revision) = (goal, desired.revision + 1);
        self.disk.keep(&desired)?;
        let revision = desired.revision;
        pipeline.view().desired = Some(desired);
        Ok(revision)
    }
}

fn needs_restart(name: &str) -> Problem {
    let detail = format!(
        "pipeline {name} runs, and this changes more than the code of stages; apply it with `replace` to drain it and \
         start it anew, with empty state and from the beginning of its sources"
    );
    Problem::conflict("needs-restart", detail)
}

/// Digests of each stage, the old ones before.
fn digests(before: Option<&Desired>, found: BTreeMap<String, String>) -> BTreeMap<String, Vec<String>> {
    let add = |(stage, digest): (String, String)| {
        let old = before.and_then(|before| before.plugins.get(&stage).cloned());
        let mut digests = old.unwrap_or_default();
        if digests.last() != Some(&digest) {
            digests.push(digest);
        }
        (stage, digests)
    };
    found.into_iter().map(add).collect()
}
