//! What happens to pipelines unasked: they come back at a start, are looked at once a second, write down what they have
//! become by themselves, and are drained when the server stops.
//!
//! Always true: nobody here waits for a pipeline's turn, so a change that takes long holds no other pipeline up; what
//! could not be done for that is tried again. Neighbours: [`super::changes`] is what happens on request.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde_json::json;
use wasmill_engine::runtime::Controls;
use wasmill_engine::runtime::stages::StageEvent;

use super::disk::{Desired, DiskError, Goal};
use super::registry::{Pipeline, Server, shorten};
use super::running::{End, Notice, Running, Told};
use super::swap::short;

/// Time between two looks at the counters, from which rates are made.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Time until a pipeline is asked again that somebody else changes, or that could not be written down.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Pipelines that have something to write down, and whether it was told that this is not possible now.
type Behind = BTreeMap<String, bool>;

impl Server {
    /// Brings back what the data directory has.
    ///
    /// # Errors
    /// It cannot be listed. A pipeline that cannot be read or started is there, and says why.
    pub(crate) fn restore(&self) -> Result<(), DiskError> {
        for (name, found) in self.disk.pipelines()? {
            if self.stopping.load(Ordering::SeqCst) {
                return Ok(());
            }
            let (desired, damaged) = match found {
                Ok(desired) => (desired, None),
                Err(error) => (self.unreadable(&name), Some(error.to_string())),
            };
            let pipeline = Pipeline::new(&name, Some(desired.clone()));
            self.pipelines().insert(name, pipeline.clone());
            match damaged {
                Some(why) => self.is_broken(&pipeline, why),
                None if desired.goal == Goal::End => {}
                None => self.bring_back(&pipeline, desired),
            }
        }
        Ok(())
    }

    /// What takes the place of what a pipeline should be, where that cannot be read.
    fn unreadable(&self, name: &str) -> Desired {
        Desired {
            name: name.to_owned(),
            revision: self.revisions.load(Ordering::SeqCst),
            file: String::new(),
            base: "/".into(),
            text: String::new(),
            plugins: BTreeMap::new(),
            goal: Goal::Run,
        }
    }

    fn is_broken(&self, pipeline: &Pipeline, why: String) {
        let name = &pipeline.name;
        let message = format!("pipeline {name} cannot be started: {why}");
        pipeline.view().broken = Some(why);
        self.event(name, "failed", message, json!({}));
    }

    fn bring_back(&self, pipeline: &Pipeline, mut desired: Desired) {
        let name = &pipeline.name;
        let mut message = format!("pipeline {name} is back");
        if desired.goal == Goal::Drain {
            // What it had read and not committed is gone with the process: it is read again, and none is lost.
            (desired.goal, desired.revision) = (Goal::Run, desired.revision + 1);
            message += "; it was being drained, which is to be asked for again";
            if let Err(error) = self.disk.keep(&desired) {
                self.cannot_keep(name, &error);
            }
        }
        let last = |(stage, digests): (&String, &Vec<String>)| Some((stage.clone(), digests.last()?.clone()));
        let digests: BTreeMap<String, String> = desired.plugins.iter().filter_map(last).collect();
        digests.iter().for_each(|(stage, digest)| message += &format!("; stage {stage} runs {}", short(digest)));
        // A panic in a start is a mistake of ours; it keeps no other pipeline down.
        let started = catch_unwind(AssertUnwindSafe(|| self.start(pipeline, desired)));
        let panicked = "internal error, please report it: its start panicked, the log says where";
        match started.unwrap_or_else(|_| Err(panicked.to_owned())) {
            Ok(()) => self.event(name, "restored", message, json!({ "digests": digests })),
            Err(why) => self.is_broken(pipeline, why),
        }
    }

    /// Starts a pipeline as it is written down.
    ///
    /// # Errors
    /// Why that is not possible.
    pub(crate) fn start(&self, pipeline: &Pipeline, desired: Desired) -> Result<(), String> {
        let (spec, graph) = self.read(pipeline, &desired).map_err(|wrong| wrong.render(false))?;
        let opened = self.open(&spec, graph).map_err(|error| format!("{error:#}"))?;
        self.run(pipeline, opened, desired);
        Ok(())
    }

    /// Listens to what happens to pipelines, and looks at their counts, until the server is gone.
    pub(crate) fn keep_house(self: &Arc<Self>, received: Receiver<Told>) {
        let (listens, looks) = (Arc::downgrade(self), Arc::downgrade(self));
        // A thread of its own: it waits for no disk, so that the samples are a second apart.
        std::thread::spawn(move || {
            while let Some(server) = looks.upgrade() {
                let now = Instant::now();
                server.all().iter().for_each(|pipeline| pipeline.view().look(now));
                drop(server);
                std::thread::sleep(LOOK_EVERY);
            }
        });
        std::thread::spawn(move || {
            let mut behind = Behind::new();
            loop {
                let got = received.recv_timeout(if behind.is_empty() { LOOK_EVERY } else { AGAIN_AFTER });
                let Some(server) = listens.upgrade() else { return };
                match got {
                    Ok(told) => {
                        for (name, notice) in std::iter::once(told).chain(received.try_iter()) {
                            if server.notice(&name, &notice) {
                                behind.entry(name).or_default();
                            }
                        }
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {}
                }
                behind.retain(|name, told| !server.catch_up(name, told));
            }
        });
    }

    /// Tells what happened; whether there is something to write down.
    fn notice(&self, name: &str, notice: &Notice) -> bool {
        if !self.pipelines().contains_key(name) {
            return false;
        }
        match notice {
            Notice::Stage(StageEvent::Settled { .. }) => return false,
            Notice::Stage(StageEvent::Switched { .. }) => {}
            Notice::Stage(StageEvent::WentBack { stage, version, to, why, waited }) => {
                let message = format!("stage {stage} went back from version {version} to {to}: {why}");
                let facts = json!({"stage": &**stage, "version": version, "to": to, "waited_us": waited});
                self.event(name, "went-back", message, facts);
            }
            Notice::Ended(end) => {
                let message = match end {
                    End::Done => format!("pipeline {name} is done: all that it read is committed"),
                    End::Failed(failure) => format!("pipeline {name} failed: {failure}"),
                    End::Abandoned => format!("pipeline {name} was ended at once"),
                };
                let kind = if matches!(end, End::Failed(_)) { "failed" } else { "ended" };
                self.event(name, kind, message, json!({}));
            }
        }
        true
    }

    /// Writes down what a pipeline has become, unless somebody changes it. Whether there is nothing left to do.
    fn catch_up(&self, name: &str, told: &mut bool) -> bool {
        let Some(pipeline) = self.pipelines().get(name).cloned() else { return true };
        let Some(_turn) = pipeline.try_turn() else { return false };
        let Err(error) = self.write_down(&pipeline) else { return true };
        if !std::mem::replace(told, true) {
            self.cannot_keep(name, &error);
        }
        false
    }

    fn cannot_keep(&self, name: &str, error: &DiskError) {
        let message = format!("what pipeline {name} shall be cannot be written down: {error}");
        self.event(name, "failed", message, json!({}));
    }

    /// Writes down what a pipeline has become by itself: a stage that went back, or switched after its answer; an input
    /// that has ended. Whoever calls has the turn.
    ///
    /// # Errors
    /// It cannot be written; then it shall be what it was.
    pub(crate) fn write_down(&self, pipeline: &Pipeline) -> Result<(), DiskError> {
        let (desired, running) = {
            let view = pipeline.view();
            (view.desired.clone(), view.running.clone().filter(|_| view.broken.is_none()))
        };
        let (Some(mut desired), Some(running)) = (desired, running) else { return Ok(()) };
        let mut changed = false;
        for (stage, digests) in &mut desired.plugins {
            let Some((live, went_back)) = works(&running, stage) else { continue };
            changed |= follow(digests, live, went_back);
        }
        // What ends because the server does shall run again when it is back.
        let over = desired.goal == Goal::Drain || !self.stopping.load(Ordering::SeqCst);
        if over && desired.goal != Goal::End && running.end() == Some(End::Done) {
            (desired.goal, changed) = (Goal::End, true);
        }
        if changed {
            desired.revision += 1;
            self.disk.keep(&desired)?;
            pipeline.view().desired = Some(desired);
        }
        Ok(())
    }

    /// Drains all pipelines; whether all were done in time.
    pub(crate) fn stop(&self, deadline: Duration) -> bool {
        self.stopping.store(true, Ordering::SeqCst);
        let began = Instant::now();
        let all: Vec<_> = self.pipelines().values().cloned().collect();
        let running: Vec<_> = all.iter().filter_map(|pipeline| pipeline.view().alive()).collect();
        running.iter().for_each(|running| running.with(Controls::stop));
        let in_time = |running: &Arc<Running>| {
            running.wait(deadline.saturating_sub(began.elapsed()), |_, end| end.cloned()).is_some()
        };
        running.iter().filter(|running| !in_time(running)).count() == 0
    }
}

/// The digest that a stage works with, and whether it went back to it from a newer version, or is not there yet.
fn works(running: &Running, stage: &str) -> Option<(String, bool)> {
    running.ask(|controls| {
        let live = controls.stages().works(stage)?;
        let newest = controls.stages().versions(stage)?.last()?.number;
        Some((live.digest().to_owned(), live.number < newest))
    })
}

/// Makes the last of a stage's digests the one that it works with; whether that was another.
fn follow(digests: &mut Vec<String>, live: String, went_back: bool) -> bool {
    if digests.last() == Some(&live) {
        return false;
    }
    if went_back && digests.iter().rev().nth(1) == Some(&live) {
        digests.pop();
    } else {
        digests.push(live);
        shorten(digests);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::disk::Disk;

    #[test]
    fn a_pipeline_that_somebody_changes_keeps_nobody_else_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let (server, _) = Server::new(Disk::open(folder.path()).unwrap(), folder.path(), 1, 1).unwrap();
        let pipeline = Pipeline::new("p", None);
        server.pipelines().insert("p".into(), pipeline.clone());
        let turn = pipeline.try_turn().unwrap();
        assert!(!server.catch_up("p", &mut false), "it is to be tried again");
        drop(turn);
        assert!(server.catch_up("p", &mut false));
    }

    #[test]
    fn a_server_that_is_to_stop_brings_no_pipeline_back() {
        let folder = tempfile::tempdir().unwrap();
        let (server, _) = Server::new(Disk::open(folder.path()).unwrap(), folder.path(), 1, 1).unwrap();
        server.disk.keep(&server.unreadable("p")).unwrap();
        server.stopping.store(true, Ordering::SeqCst);
        server.restore().unwrap();
        assert!(server.all().is_empty());
        server.stopping.store(false, Ordering::SeqCst);
        server.restore().unwrap();
        assert_eq!(server.all().len(), 1);
    }

    #[test]
    fn what_is_opened_while_the_server_stops_is_not_started_and_what_was_before_is_drained() {
        let folder = tempfile::tempdir().unwrap();
        let (server, _) = Server::new(Disk::open(folder.path()).unwrap(), folder.path(), 1, 1).unwrap();
        let text = "name: p\nsources: { s: { generator: { kind: nexmark, only: bids, rate: 0.001 } } }\n\
                    sinks: { o: { from: s, file: { path: o/ } } }\n";
        let desired = Desired { text: text.to_owned(), base: folder.path().into(), ..server.unreadable("p") };
        let started = |name: &str| {
            let pipeline = Pipeline::new(name, None);
            server.pipelines().insert(name.to_owned(), pipeline.clone());
            // Each has a folder of its own: who opens one takes away what another has not finished there.
            let text = desired.text.replace("path: o/", &format!("path: {name}/"));
            server.start(&pipeline, Desired { text, ..desired.clone() }).unwrap();
            pipeline
        };
        let before = started("before");
        assert!(before.view().alive().is_some());
        server.stopping.store(true, Ordering::SeqCst);
        assert!(started("late").view().running.is_none());
        assert!(server.stop(Duration::MAX));
        assert_eq!(before.view().running.as_ref().and_then(|running| running.end()), Some(End::Done));
    }

    #[test]
    fn a_stage_that_went_back_loses_its_last_digest_and_one_that_switched_late_gets_one_more() {
        let followed = |digests: &str, live: char, went_back: bool| {
            let mut digests: Vec<String> = digests.chars().map(String::from).collect();
            let changed = follow(&mut digests, live.into(), went_back);
            (changed, digests.concat())
        };
        assert_eq!(followed("ab", 'b', false), (false, "ab".into()));
        assert_eq!(followed("ab", 'a', true), (true, "a".into()), "`b` failed while it was watched");
        assert_eq!(followed("ab", 'a', false), (true, "aba".into()), "a swap to `a` took longer than its answer");
        assert_eq!(followed("a", 'b', true), (true, "ab".into()), "a way back to `a` failed while it was watched");
    }
}
