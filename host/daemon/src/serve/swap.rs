//! Other code into a stage while rows flow: made ready, handed over, waited for.
//!
//! Neighbours: [`super::changes`] does the same for a whole file; the engine's `runtime::change` says what fits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use wasmill_engine::batch::Batch;
use wasmill_engine::clock::Clock as _;
use wasmill_engine::graph::Graph;
use wasmill_engine::node::order::Side;
use wasmill_engine::operator::Factory as _;
use wasmill_engine::plan::Part;
use wasmill_engine::runtime::Status;
use wasmill_engine::runtime::change::{Change, ChangeError, Trial};
use wasmill_engine::runtime::stages::StageEvent;
use wasmill_wasm::Component;

use super::disk::{Aside, Desired};
use super::planned::Planned;
use super::problem::Problem;
use super::registry::{Pipeline, Server, shorten};
use super::running::Running;
use super::step::{Step, reach};
use crate::assemble;
use crate::driver::MachineClock;

/// How long a swap waits for rows to try new code on. A stage that is idle has none.
const SAMPLES_WITHIN: Duration = Duration::from_millis(200);

/// Batches that new code is tried on.
const SAMPLES: usize = 4;

/// How often a swap looks whether the one before it is done.
const BUSY_LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long a swap waits for every lane to switch: as long as the longest batch in flight.
const SWITCH_WITHIN: Duration = Duration::from_secs(30);

/// How long the answer to a swap waits for the first batches to go well.
const WATCH_WITHIN: Duration = Duration::from_secs(2);

/// What a swap came to.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Swapped {
    pub(crate) pipeline: String,
    pub(crate) stage: String,
    /// The pipeline's revision.
    pub(crate) revision: u64,
    /// The version that runs, counted since the pipeline started.
    pub(crate) version: u64,
    pub(crate) from: String,
    pub(crate) to: String,
    /// The longest that rows of a lane waited.
    pub(crate) waited_us: i64,
    /// Rows that came into the stage since the swap was asked for, and left it in no way: each lane counts at the end
    /// of each message what came in and what went out, was filtered out or given up.
    pub(crate) lost: u64,
    /// What became of the state.
    pub(crate) state: String,
    /// Keys whose state was carried over.
    pub(crate) keys: u64,
    /// Whether its first batches are still watched.
    pub(crate) watched: bool,
}

fn refused(error: &ChangeError) -> Problem {
    let kind = match error {
        ChangeError::NotWhileRunning { .. } => return Problem::conflict("not-while-running", error.to_string()),
        ChangeError::Busy { .. } | ChangeError::Stale { .. } => return Problem::conflict("busy", error.to_string()),
        ChangeError::Ended { stage } => return ended(stage),
        ChangeError::Kind { .. } => "other-kind",
        ChangeError::Ports { .. } => "other-ports",
        ChangeError::State { .. } => "other-state",
        ChangeError::Reads { .. } => "not-decoded",
        ChangeError::Open { .. } => "not-opened",
        ChangeError::Trial { .. } => "failed-trial",
    };
    Problem::wrong(kind, error.to_string())
}

impl Server {
    /// Puts other code into a stage of a running pipeline.
    ///
    /// # Errors
    /// There is no such stage or code, it does not fit, fails on the rows at hand, or somebody else was first.
    pub(crate) fn swap(
        &self,
        name: &str,
        stage: &str,
        digest: &str,
        expected: Option<u64>,
    ) -> Result<Swapped, Problem> {
        let done = self.in_turn(name, false, expected, |pipeline| self.swap_in_turn(pipeline, stage, digest, false));
        self.tell_refused(name, &format!("a swap of stage {stage}"), done)
    }

    /// What it would come to to put other code into a stage; nothing is changed or kept. Without code it is about the
    /// way back to the code before.
    ///
    /// # Errors
    /// There is no such pipeline, stage or code, or somebody else was first. That the code does not fit is told.
    pub(crate) fn plan_swap(
        &self,
        name: &str,
        stage: &str,
        code: Option<&[u8]>,
        expected: Option<u64>,
    ) -> Result<Planned, Problem> {
        let pipeline = self.find(name)?;
        pipeline.unchanged(expected)?;
        let running = alive(&pipeline)?;
        let unusable = |why: String| Problem::wrong("unusable-plugin", why);
        let limits = pipeline.view().limits;
        let component = match code {
            Some(code) => {
                let engine = self.world.engine().map_err(Problem::failed)?;
                let component = engine.load(code).map_err(|error| unusable(error.to_string()))?;
                component.limited_to(assemble::of_guests(&limits))
            }
            None => {
                let before = before(&pipeline, stage)?;
                self.shelf(&pipeline, BTreeMap::new()).load(stage, &before, &limits).map_err(unusable)?
            }
        };
        let graph = running.ask(|controls| controls.graph().clone());
        let (number, back, runs) = (number(name, &graph, stage)?, code.is_none(), (&graph, &running.status[..]));
        let revision = pipeline.view().desired.as_ref().map_or(0, |desired| desired.revision);
        let wanted = match with_code(&graph, number, &component) {
            Ok(wanted) => wanted,
            Err(problem) => {
                let planned = self.planned((name, revision), Some(runs), (&graph, &limits), ("swap", back));
                return Ok(planned.refused(&problem));
            }
        };
        let mut planned = self.planned((name, revision), Some(runs), (&wanted, &limits), ("swap", back));
        if planned.changes.is_empty() {
            return Ok(Planned { way: "nothing", ..planned });
        }
        match self.prepare(&running, &graph, &wanted, back) {
            Ok((change, _)) => planned.carries(&change),
            Err(problem) => return Ok(planned.refused(&problem)),
        }
        Ok(planned)
    }

    /// Puts the code before back into a stage.
    ///
    /// # Errors
    /// As [`Self::swap`]; or there is no code before.
    pub(crate) fn back(&self, name: &str, stage: &str, expected: Option<u64>) -> Result<Swapped, Problem> {
        let done = self.in_turn(name, false, expected, |pipeline| {
            let before = before(pipeline, stage)?;
            self.swap_in_turn(pipeline, stage, &before, true)
        });
        self.tell_refused(name, &format!("a way back of stage {stage}"), done)
    }

    /// Notes what a change came to, where it was refused; that a stage went back by itself is told as that.
    pub(super) fn tell_refused<T>(&self, name: &str, what: &str, done: Result<T, Problem>) -> Result<T, Problem> {
        done.inspect_err(|problem| {
            if problem.kind() != "went-back" && self.find(name).is_ok() {
                let message = format!("{what} of {name} was refused: {}", problem.detail());
                self.event(name, "refused", message, json!({"type": problem.kind()}));
            }
        })
    }

    fn swap_in_turn(&self, pipeline: &Pipeline, stage: &str, digest: &str, back: bool) -> Result<Swapped, Problem> {
        let name = &pipeline.name;
        let running = alive(pipeline)?;
        // It must not be deleted before it is written down who uses it.
        let _pin = self.pins.pin(&self.disk, digest);
        if !self.disk.has_plugin(digest) {
            let detail = format!("there is no plugin of digest `{digest}` here; upload it first");
            return Err(Problem::unknown("unknown-plugin", detail));
        }
        let limits = pipeline.view().limits;
        let component = self.shelf(pipeline, BTreeMap::new()).load(stage, digest, &limits);
        let component = component.map_err(|why| Problem::wrong("unusable-plugin", why))?;
        let graph = running.ask(|controls| controls.graph().clone());
        let number = number(name, &graph, stage)?;
        let from = graph.stages[number].factory.digest().to_owned();
        if from == digest {
            return Err(same(name, stage, digest));
        }
        let (change, carried) = self.prepare(&running, &graph, &with_code(&graph, number, &component)?, back)?;
        // First on disk, so that a disk that is full changes nothing.
        let (desired, aside) = self.noted(pipeline, stage, digest, back)?;
        let lost_before = lost(&running, stage);
        let version = hand_over(name, &running, change, (stage, digest))?;
        reach(Step::Installed);
        let (waited_us, keys, watched) = self.switched(&running, stage, version)?;
        let lost = lost(&running, stage) - lost_before;
        reach(Step::Switched);
        aside.keep().map_err(|error| {
            Problem::from(error).after(&format!(
                "stage {stage} runs {} now, but that could not be written down, and the code before runs after a \
                 restart",
                short(digest)
            ))
        })?;
        let revision = desired.revision;
        pipeline.view().desired = Some(desired);
        let verb = if back { "went back" } else { "was swapped" };
        let message = format!(
            "stage {stage} of {name} {verb} to {}: rows waited {:.1} ms, {carried}",
            short(digest),
            waited_us as f64 / 1e3
        );
        let facts =
            json!({"stage": stage, "from": from, "to": digest, "waited_us": waited_us, "keys": keys, "lost": lost});
        self.event(name, "swapped", message, facts);
        reach(Step::Done);
        let (pipeline, stage, to) = (name.clone(), stage.to_owned(), digest.to_owned());
        Ok(Swapped { pipeline, stage, revision, version, from, to, waited_us, lost, state: carried, keys, watched })
    }

    /// Makes a change ready: opened, and tried on rows that are sampled now. `graph` is what ran when `wanted` was
    /// compared with it: if something else runs by now, the change is stale when it is handed over.
    pub(super) fn prepare(
        &self,
        running: &Running,
        graph: &Graph,
        wanted: &Graph,
        back: bool,
    ) -> Result<(Change, String), Problem> {
        let samples = |stage: &str| samples(running, stage);
        let trial = Trial { samples: &samples, may_drop: back, watch: self.watch, now: MachineClock::new().now() };
        let change = Change::prepare(graph, wanted, &trial).map_err(|error| refused(&error))?;
        let carried = change.carries().first().map_or_else(String::new, |(_, carry)| carry.to_string());
        Ok((change, carried))
    }

    /// Waits until a stage has switched, and a little for its first batches: how long rows waited, keys carried over,
    /// whether it is still watched.
    pub(super) fn switched(&self, running: &Running, stage: &str, version: u64) -> Result<(i64, u64, bool), Problem> {
        let back = |why: &str| {
            let detail =
                format!("the new code of stage {stage} failed, so the old one works on and nothing is lost: {why}");
            Problem::conflict("went-back", detail)
        };
        let is = |of: &Arc<str>, number: &u64| **of == *stage && *number == version;
        let switched = running.wait(SWITCH_WITHIN, |events, end| {
            let event = events.iter().rev().find_map(|event| match event {
                StageEvent::Switched { stage, version, waited, keys } if is(stage, version) => {
                    Some(Ok((*waited, *keys)))
                }
                StageEvent::WentBack { stage, version, why, .. } if is(stage, version) => Some(Err(back(why))),
                _ => None,
            });
            event.or_else(|| end.map(|_| Err(ended(stage))))
        });
        let (waited, keys) = switched.unwrap_or_else(|| {
            let seconds = SWITCH_WITHIN.as_secs();
            let detail = format!("stage {stage} has not switched within {seconds} s: a batch in flight takes longer");
            Err(Problem::conflict("busy", detail))
        })?;
        let settled = running.wait(WATCH_WITHIN, |events, end| {
            let event = events.iter().rev().find_map(|event| match event {
                StageEvent::Settled { stage, version } if is(stage, version) => Some(Ok(())),
                StageEvent::WentBack { stage, version, why, .. } if is(stage, version) => Some(Err(back(why))),
                _ => None,
            });
            event.or_else(|| end.map(|_| Ok(())))
        });
        let watched = settled.is_none();
        settled.unwrap_or(Ok(())).map(|()| (waited, keys, watched))
    }

    /// What a pipeline shall be with other code in a stage, written down aside.
    fn noted(&self, pipeline: &Pipeline, stage: &str, digest: &str, back: bool) -> Result<(Desired, Aside), Problem> {
        let Some(mut desired) = pipeline.view().desired.clone() else {
            return Err(Problem::failed("a pipeline lost what it shall be"));
        };
        desired.revision += 1;
        let digests = desired.plugins.entry(stage.to_owned()).or_default();
        if back {
            digests.pop();
        } else {
            digests.push(digest.to_owned());
            shorten(digests);
        }
        let aside = self.disk.keep_aside(&desired).map_err(|error| {
            let name = &pipeline.name;
            Problem::from(error).after(&format!("stage {stage} of {name} was not swapped, and nothing was changed"))
        })?;
        Ok((desired, aside))
    }
}

/// The start of a pipeline that runs.
fn alive(pipeline: &Pipeline) -> Result<Arc<Running>, Problem> {
    pipeline.view().alive().ok_or_else(|| {
        let detail = format!("pipeline {} does not run; apply it first", pipeline.name);
        Problem::conflict("not-running", detail)
    })
}

/// The digest of the code that a stage had before.
fn before(pipeline: &Pipeline, stage: &str) -> Result<String, Problem> {
    let digests = pipeline.view().desired.as_ref().and_then(|desired| desired.plugins.get(stage).cloned());
    digests.unwrap_or_default().into_iter().rev().nth(1).ok_or_else(|| {
        let detail = format!("stage {stage} of {} has no version before; swap it first", pipeline.name);
        Problem::conflict("no-version-before", detail)
    })
}

/// The number of a stage in the graph.
fn number(pipeline: &str, graph: &Graph, stage: &str) -> Result<usize, Problem> {
    graph.stages.iter().position(|of| *of.name == *stage).ok_or_else(|| {
        let hint = wasmill_engine::graph::suggest::hint(stage, graph.stages.iter().map(|of| &*of.name));
        Problem::unknown("unknown-stage", format!("pipeline {pipeline} has no stage `{stage}`{hint}"))
    })
}

/// The same with other code in that stage.
fn with_code(graph: &Graph, number: usize, component: &Component) -> Result<Graph, Problem> {
    let old = &graph.stages[number];
    if old.factory.kind() != component.kind() {
        let (running, wanted) = (old.factory.kind().to_string(), component.kind().to_string());
        return Err(refused(&ChangeError::Kind { stage: old.name.clone(), running, wanted }));
    }
    let with = old.with_code(Arc::new(component.clone()));
    let not_opened = |message| refused(&ChangeError::Open { stage: old.name.clone(), message });
    let mut wanted = graph.clone();
    wanted.stages[number] = with.map_err(not_opened)?.0;
    Ok(wanted)
}

/// The next few batches that come into a stage; none where none come.
fn samples(running: &Running, stage: &str) -> Vec<Batch> {
    let ((to, from), reader) = (sync_channel(SAMPLES), Arc::new(()));
    // A stage that cannot be looked at now has no samples.
    running.with(|controls| controls.stages().tap(stage, Side::In, &to, &reader)).ok();
    drop(to);
    let deadline = Instant::now() + SAMPLES_WITHIN;
    let next = || from.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok();
    std::iter::from_fn(next).take(SAMPLES).map(|tapped| tapped.batch).collect()
}

/// Rows that a stage has lost so far.
fn lost(running: &Running, stage: &str) -> u64 {
    let is = |status: &&Status| status.part == Part::Stage && *status.name == *stage;
    running.status.iter().find(is).map_or(0, |status| status.counters.lost.get())
}

fn ended(stage: &str) -> Problem {
    let detail = format!("the pipeline ended before stage {stage} had switched; apply it to start it anew");
    Problem::conflict("not-running", detail)
}

fn same(pipeline: &str, stage: &str, digest: &str) -> Problem {
    Problem::conflict("same-plugin", format!("stage {stage} of {pipeline} runs {digest} already"))
}

/// Hands other code of one stage over; its version. A stage that went back by itself since the change was made ready
/// may run that code already.
fn hand_over(pipeline: &str, running: &Running, change: Change, of: (&str, &str)) -> Result<u64, Problem> {
    let (stage, digest) = of;
    let runs = || running.ask(|controls| controls.stages().live(stage).map(|(live, _)| live.digest() == digest));
    match install(running, change) {
        Ok(versions) => versions.first().map(|(_, version)| *version).ok_or_else(|| same(pipeline, stage, digest)),
        Err(problem) if problem.kind() == "busy" && runs() == Some(true) => Err(same(pipeline, stage, digest)),
        Err(problem) => Err(problem),
    }
}

/// Hands a change over as soon as its stages are done with the last one; the new versions.
pub(super) fn install(running: &Running, change: Change) -> Result<Vec<(String, u64)>, Problem> {
    let deadline = Instant::now() + SWITCH_WITHIN;
    let stages: Vec<Arc<str>> = change.carries().iter().map(|(stage, _)| stage.clone()).collect();
    let mut change = Some(change);
    loop {
        let tried = running.with(|controls| {
            controls.pump();
            let ready = change.as_ref().map_or(Ok(()), |change| controls.check(change));
            ready.map(|()| {
                if let Some(change) = change.take() {
                    controls.apply(change);
                }
                let version = |stage: &Arc<str>| controls.stages().live(stage).map(|(live, _)| live.number);
                stages.iter().map(|stage| (stage.to_string(), version(stage).unwrap_or(0))).collect()
            })
        });
        match tried {
            Ok(versions) => return Ok(versions),
            Err(ChangeError::Busy { stage, .. }) if Instant::now() < deadline => {
                if running.wait(BUSY_LOOK_EVERY, |_, end| end.cloned()).is_some() {
                    return Err(ended(&stage));
                }
            }
            Err(error) => return Err(refused(&error)),
        }
    }
}

/// The beginning of a digest, as people are shown it.
pub(crate) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use wasmill_connectors::memory::{Ledger, MemorySink, MemorySource, Piece};
    use wasmill_engine::plan::Plan;
    use wasmill_engine::runtime::{Connectors, Runtime, Settings};
    use wasmill_engine::schema::{Field, Kind};
    use wasmill_engine::sink::Promise;

    use super::*;
    use crate::serve::disk::Disk;
    use crate::serve::planned::tests::{Keeping, graph};
    use crate::serve::running::{Notices, ringer};

    fn with(digest: &'static str) -> Graph {
        graph(Keeping { digest, imports: &[], columns: vec![Field::required("n", Kind::Int64)] }, 1)
    }

    /// A pipeline that runs and gets no rows.
    fn idle(server: &Server, graph: &Graph) -> Arc<Running> {
        let source = MemorySource::new(vec![("0", vec![Piece::Idle(i64::MAX / 2)])]);
        let sink = MemorySink::new(Promise::Recoverable, Arc::new(Mutex::new(Ledger::default())));
        let connectors =
            Connectors { sources: vec![Box::new(source)], sinks: vec![Box::new(sink)], dead_letters: None };
        let runtime = Runtime::apply(&Plan::between(None, graph), graph, connectors, &Settings::default()).unwrap();
        let notices = Notices { name: "kept".to_owned(), to: std::sync::mpsc::channel().0 };
        Running::start(&server.pool, runtime, Vec::new(), ringer().0, false, notices)
    }

    #[test]
    fn code_that_a_stage_went_back_to_by_itself_is_refused_as_the_same_and_other_code_as_too_late() {
        let folder = tempfile::tempdir().unwrap();
        let (server, _told) = Server::new(Disk::open(folder.path()).unwrap(), folder.path(), 1, 1).unwrap();
        let running = idle(&server, &with("old"));
        let swap = |seen: &'static str, wanted: &'static str| {
            let (change, _) = server.prepare(&running, &with(seen), &with(wanted), false).unwrap();
            hand_over("kept", &running, change, ("keep", wanted))
        };
        assert_eq!(swap("watched", "old").unwrap_err().kind(), "same-plugin");
        assert_eq!(swap("old", "old").unwrap_err().kind(), "same-plugin");
        assert_eq!(swap("watched", "new").unwrap_err().kind(), "busy");
        assert_eq!(swap("old", "new").unwrap(), 2);
        running.abandon();
    }
}
