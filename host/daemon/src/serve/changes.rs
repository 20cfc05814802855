//! What can be done to a pipeline: apply, plan, pause, resume, drain, delete. Swaps have a file of their own.
//!
//! Always true: each waits for its turn, then checks that the pipeline is still what the asker has seen; so of two
//! that come at once one is told that it came second. What shall be is written aside before anything is done, and gets
//! its name before anybody is told; so a disk that is full changes nothing, and nothing on it is to be taken back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use wasmill_engine::graph::Graph;
use wasmill_engine::plan::{Action, Plan};
use wasmill_engine::runtime::Controls;
use wasmill_engine::runtime::change::Change;

use super::beside::Beside;
use super::disk::{Aside, Desired, DiskError, Goal};
use super::planned::{Planned, Switched};
use super::problem::Problem;
use super::registry::{Pipeline, Server, shorten};
use super::running::{End, Running};
use super::shelf::Found;
use super::step::{Step, reach};
use super::successor;
use super::swap::{install, short};
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

fn checked(name: &str) -> Result<(), Problem> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 100 || !name.chars().all(good) {
        let detail = format!("`{name}` cannot be a pipeline's name on a server; use letters, digits, `-` and `_`");
        return Err(Problem::malformed(detail));
    }
    Ok(())
}

/// A pipeline file that was read, beside what runs.
struct Wanted<'a> {
    spec: Spec,
    graph: Graph,
    /// What runs, as it was when the two were compared.
    running: Option<Graph>,
    found: Found<'a>,
    /// What the pipeline shall be.
    desired: Desired,
    planned: Planned,
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
        checked(name)?;
        let done = self.in_turn(name, true, expected, |pipeline| self.apply_in_turn(pipeline, applied, dry));
        if dry { done } else { self.tell_refused(name, "an apply", done) }
    }

    fn apply_in_turn(&self, pipeline: &Pipeline, applied: Applied, dry: bool) -> Result<Planned, Problem> {
        let (name, replace) = (&pipeline.name, applied.replace);
        let alive = pipeline.view().alive();
        let wanted = self.wanted(pipeline, alive.as_ref(), applied)?;
        let Wanted { spec, graph, running, found, desired, mut planned } = wanted;
        let ready = match (&alive, &running, planned.way) {
            (Some(alive), Some(running), "swap") => {
                self.prepare(alive, running, &graph, false).map(|(change, _)| Some(change))
            }
            (Some(alive), _, "restart") => successor::free(name, (&spec, &graph), &alive.places).map(|()| None),
            _ => Ok(None),
        };
        let change = match ready {
            Ok(change) => change,
            Err(problem) if dry => return Ok(planned.refused(&problem)),
            Err(problem) => return Err(problem),
        };
        change.iter().for_each(|change| planned.carries(change));
        if dry {
            return Ok(planned);
        }
        if planned.way == "restart" && !replace {
            return Err(needs_restart(name, &planned.changes));
        }
        // First on disk, so that a disk that is full changes nothing.
        let aside = found.bring(&self.compiled).and_then(|()| self.disk.keep_aside(&desired)).map_err(|error| {
            Problem::from(error).after(&format!("pipeline {name} was not applied, and nothing was changed"))
        })?;
        planned.revision = desired.revision;
        let (way, revision) = (planned.way, planned.revision);
        let applied = || {
            found.all().for_each(|digest| self.pins.claim(digest));
            self.event(name, "applied", format!("pipeline {name} was applied: {way}"), json!({"revision": revision}));
        };
        match (&alive, change) {
            (Some(alive), Some(change)) => {
                let swapped = self.swap_all(pipeline, alive, change);
                found.all().filter(|digest| alive.has(digest)).for_each(|digest| self.pins.claim(digest));
                planned.swapped = swapped.inspect_err(|_| {
                    // Some may have switched: what shall be is what is. If it cannot be written now, it is later.
                    drop(self.write_down(pipeline));
                })?;
                aside.keep().map_err(|error| not_written(error, &format!("pipeline {name} has the new code now")))?;
                pipeline.view().desired = Some(desired);
                applied();
            }
            (Some(_), None) if way == "nothing" => {
                aside.keep()?;
                pipeline.view().desired = Some(desired);
                applied();
            }
            _ => self.restart(pipeline, alive.as_ref(), (&spec, graph), (desired, aside), applied)?,
        }
        reach(Step::Done);
        Ok(planned)
    }

    /// Reads a file, and says what would be done.
    fn wanted<'a>(
        &'a self,
        pipeline: &'a Pipeline,
        alive: Option<&Arc<Running>>,
        applied: Applied,
    ) -> Result<Wanted<'a>, Problem> {
        let name = &pipeline.name;
        let Applied { file, base, text, .. } = applied;
        let shelf = self.shelf(pipeline, BTreeMap::new());
        let (spec, graph) = spec::parse(&file, &base, &text, &shelf).map_err(|wrong| Problem::diagnosed(&wrong))?;
        let found = shelf.found.take();
        if *graph.name != **name {
            let detail = format!("the file is of pipeline `{}`, and was sent for `{name}`; use one name", graph.name);
            return Err(Problem::wrong("other-name", detail));
        }
        let before = pipeline.view().desired.clone();
        let running = alive.map(|running| running.ask(|controls| controls.graph().clone()));
        let changes = Plan::between(running.as_ref(), &graph);
        let old = before.as_ref().filter(|_| alive.is_some());
        let beside = old.map_or_else(Beside::default, |old| self.beside(pipeline, old, &spec, &graph));
        let swaps = changes.changes().iter().all(|change| matches!(change.action, Action::Swap { .. }));
        let way = match alive {
            None => "start",
            Some(_) if beside != Beside::default() || !swaps => "restart",
            Some(_) if changes.changes().is_empty() => "nothing",
            Some(_) => "swap",
        };
        let revision = before.as_ref().map_or(0, |before| before.revision);
        let counts = running.as_ref().zip(alive.map(|alive| &alive.status[..]));
        let planned = self.planned((name, revision), counts, (&graph, &spec.limits), (way, false));
        let warnings = serde_json::to_value(&spec.warnings.diagnostics).unwrap_or_default();
        let planned = Planned { warnings, changes: beside.with(changes.changes()), ..planned };
        let last = before.as_ref().map_or_else(|| self.revisions.load(Ordering::SeqCst), |before| before.revision);
        let plugins = digests(before.as_ref(), &found.digests);
        let goal =
            before.as_ref().filter(|_| way == "swap" || way == "nothing").map_or(Goal::Run, |before| before.goal);
        let desired = Desired { name: name.clone(), revision: last + 1, file, base, text, plugins, goal };
        Ok(Wanted { spec, graph, running, found, desired, planned })
    }

    /// Hands a change over, and waits until every stage of it has switched.
    fn swap_all(&self, pipeline: &Pipeline, alive: &Running, change: Change) -> Result<Vec<Switched>, Problem> {
        let installed = install(alive, change)?;
        reach(Step::Installed);
        let switched = |(stage, version): (String, u64)| {
            let (waited_us, keys, _) = self.switched(alive, &stage, version)?;
            let live = alive.ask(|controls| controls.stages().live(&stage));
            let to = live.map_or_else(String::new, |(live, _)| live.digest().to_owned());
            let facts = json!({"stage": stage, "to": to, "waited_us": waited_us, "keys": keys});
            let waited = format!("rows waited {:.1} ms", waited_us as f64 / 1e3);
            let name = &pipeline.name;
            let message = format!("stage {stage} of {name} was swapped to {}: {waited}", short(&to));
            self.event(name, "swapped", message, facts);
            Ok(Switched { stage, to, waited_us, keys })
        };
        let switched = installed.into_iter().map(switched).collect::<Result<_, Problem>>()?;
        reach(Step::Switched);
        Ok(switched)
    }

    /// What a file says otherwise than the one before, beside rows and code, which the plan knows.
    fn beside(&self, pipeline: &Pipeline, before: &Desired, spec: &Spec, graph: &Graph) -> Beside {
        match self.read(pipeline, before) {
            Ok((old, of_old)) => Beside::between((&old, &of_old), (spec, graph)),
            Err(_) => Beside { ends: Vec::new(), more: vec!["replace a file that cannot be read any more".to_owned()] },
        }
    }

    /// Has a pipeline run from its beginning, in place of what runs; if that is not possible, that is started again.
    fn restart(
        &self,
        pipeline: &Pipeline,
        alive: Option<&Arc<Running>>,
        (spec, graph): (&Spec, Graph),
        (desired, aside): (Desired, Aside),
        applied: impl FnOnce(),
    ) -> Result<(), Problem> {
        let name = &pipeline.name;
        if let Some(running) = alive {
            successor::openable(name, spec, &graph)?;
            running.with(Controls::stop);
            if running.wait(DRAIN_WITHIN, |_, end| end.cloned()).is_none() {
                let detail =
                    format!("pipeline {name} is still draining; nothing was applied yet; apply it again later");
                return Err(Problem::conflict("draining", detail));
            }
        }
        let opened = self
            .open(spec, graph)
            .map_err(|error| Problem::wrong("not-started", format!("pipeline {name} cannot be started: {error:#}")));
        let kept = opened.and_then(|opened| aside.keep().map(|()| opened).map_err(Problem::from));
        match (kept, alive) {
            (Ok(opened), _) => {
                applied();
                self.run(pipeline, opened, desired);
                Ok(())
            }
            (Err(problem), None) => Err(problem),
            (Err(problem), Some(_)) => Err(self.as_before(pipeline, problem)),
        }
    }

    /// Starts again what was drained for something that cannot be.
    fn as_before(&self, pipeline: &Pipeline, problem: Problem) -> Problem {
        let name = &pipeline.name;
        let before = pipeline.view().desired.clone();
        let Some(before) = before.filter(|before| matches!(before.goal, Goal::Run | Goal::Pause)) else {
            return problem
                .after(&format!("pipeline {name} was not applied; what ran before is drained, as it was to be"));
        };
        match self.start(pipeline, before) {
            Ok(()) => problem.after(&format!(
                "pipeline {name} was not applied; what ran before was drained and runs again, with empty state and \
                 from the beginning of its sources"
            )),
            Err(why) => {
                let told = format!("pipeline {name} was not applied; what ran before was drained and cannot run again");
                let problem = problem.after(&format!("{told} ({why})"));
                pipeline.view().broken = Some(why);
                problem
            }
        }
    }

    /// Lets a pipeline rest, or go on.
    ///
    /// # Errors
    /// It does not run, or somebody else was first.
    pub(crate) fn rest(&self, name: &str, rest: bool, expected: Option<u64>) -> Result<u64, Problem> {
        self.in_turn(name, false, expected, |pipeline| {
            let Some(running) = pipeline.view().alive() else {
                let detail = format!("pipeline {name} does not run; apply it to start it anew");
                return Err(Problem::conflict("not-running", detail));
            };
            let (goal, kind) = if rest { (Goal::Pause, "paused") } else { (Goal::Run, "resumed") };
            let revision = self.aim(pipeline, goal)?;
            running.with(|controls| if rest { controls.pause() } else { controls.resume() });
            self.event(name, kind, format!("pipeline {name} was {kind}"), json!({}));
            Ok(revision)
        })
    }

    /// Ends a pipeline in order: its sources read no more, what was read is finished and committed. That it is over is
    /// written down when it is.
    ///
    /// # Errors
    /// It is not done in time, and goes on with it; or it failed; or somebody else was first.
    pub(crate) fn drain(&self, name: &str, expected: Option<u64>) -> Result<u64, Problem> {
        self.in_turn(name, false, expected, |pipeline| {
            let Some(running) = pipeline.view().alive() else { return self.aim(pipeline, Goal::End) };
            self.aim(pipeline, Goal::Drain)?;
            running.with(Controls::stop);
            reach(Step::Draining);
            match running.wait(DRAIN_WITHIN, |_, end| end.cloned()) {
                Some(End::Done | End::Abandoned) => self.aim(pipeline, Goal::End),
                Some(End::Failed(failure)) => {
                    Err(Problem::conflict("failed", format!("pipeline {name} failed while it drained: {failure}")))
                }
                None => {
                    let detail =
                        format!("pipeline {name} is still draining; ask for its status, or delete it with `abandon`");
                    Err(Problem::conflict("draining", detail))
                }
            }
        })
    }

    /// Removes a pipeline, drained first, or ended at once where `abandon`.
    ///
    /// # Errors
    /// It does not drain in time; or somebody else was first.
    pub(crate) fn delete(&self, name: &str, abandon: bool, expected: Option<u64>) -> Result<(), Problem> {
        self.in_turn(name, false, expected, |pipeline| {
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
            let revision = pipeline.view().desired.as_ref().map_or(0, |desired| desired.revision);
            if self.revisions.fetch_max(revision, Ordering::SeqCst) < revision
                && let Err(error) = self.disk.keep_revisions(revision)
            {
                // A disk that is full must not keep anybody from making space on it; this process knows it anyway.
                tracing::warn!("the revision of pipeline {name}, {revision}, cannot be written down: {error}");
            }
            self.disk.forget(name)?;
            pipeline.view().desired = None;
            self.event(name, "deleted", format!("pipeline {name} was deleted"), json!({}));
            Ok(())
        })
    }

    fn aim(&self, pipeline: &Pipeline, goal: Goal) -> Result<u64, Problem> {
        let Some(mut desired) = pipeline.view().desired.clone() else {
            return Err(Problem::failed("a pipeline lost what it shall be"));
        };
        (desired.goal, desired.revision) = (goal, desired.revision + 1);
        self.disk.keep(&desired).map_err(|error| {
            let so_far = if goal == Goal::End { "has ended" } else { "runs as before" };
            not_written(error, &format!("pipeline {} {so_far}", pipeline.name))
        })?;
        let revision = desired.revision;
        pipeline.view().desired = Some(desired);
        Ok(revision)
    }
}

/// What was done and cannot be written down.
fn not_written(error: DiskError, done: &str) -> Problem {
    Problem::from(error).after(&format!("{done}, but what it shall be cannot be written down, and is what it was"))
}

fn needs_restart(name: &str, changes: &[String]) -> Problem {
    let detail = format!(
        "pipeline {name} runs, and this changes more than the code of stages ({}); apply it with `replace` to drain it \
         and start it anew, with empty state and from the beginning of its sources",
        changes.join(", ")
    );
    Problem::conflict("needs-restart", detail)
}

/// Digests of each stage, the old ones before.
fn digests(before: Option<&Desired>, found: &BTreeMap<String, String>) -> BTreeMap<String, Vec<String>> {
    let add = |(stage, digest): (&String, &String)| {
        let old = before.and_then(|before| before.plugins.get(stage).cloned());
        let mut digests = old.unwrap_or_default();
        if digests.last() != Some(digest) {
            digests.push(digest.clone());
            shorten(&mut digests);
        }
        (stage.clone(), digests)
    };
    found.iter().map(add).collect()
}

#[cfg(test)]
mod tests {
    use wasmill_engine::limits::VERSIONS_MAX;

    use super::*;

    #[test]
    fn the_digests_of_a_stage_do_not_grow_for_ever() {
        let desired = |plugins| {
            let (name, file, base, text) = ("p".to_owned(), String::new(), "/".into(), String::new());
            Desired { name, revision: 1, file, base, text, plugins, goal: Goal::Run }
        };
        let mut plugins = BTreeMap::new();
        for number in 0..100 {
            plugins = digests(Some(&desired(plugins)), &[("s".to_owned(), number.to_string())].into());
        }
        assert_eq!((plugins["s"].len(), plugins["s"].last().unwrap().as_str()), (VERSIONS_MAX, "99"));
    }
}
