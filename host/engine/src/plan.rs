//! Plans: what has to change to get from one graph to another. Starting is the plan from nothing.
//!
//! The runtime applies plans and does nothing else, so start, change and swap are one path: a plan that only adds
//! starts a pipeline, one that only swaps code changes it while it runs. Others are refused by name.

use std::fmt;
use std::sync::Arc;

use crate::graph::{Graph, Sink, Source, Stage};

/// What kind of thing changes, in the order of a record's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A source.
    Source,
    /// A stage.
    Stage,
    /// A sink.
    Sink,
    /// The sink of dead letters.
    DeadLetters,
}

/// How it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is new.
    Add,
    /// It goes.
    Remove,
    /// The operator's code changes, from one digest to another, and nothing else about it.
    Swap {
        /// Digest of the code that runs.
        from: String,
        /// Digest of the code that shall run.
        to: String,
    },
    /// Something else about it changes.
    Replace,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What changes.
    pub part: Part,
    /// Its name.
    pub name: Arc<str>,
    /// How.
    pub action: Action,
}

/// All that has to change, sources first, in the order of a record's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan(Vec<Change>);

impl Plan {
    /// The changes that lead from `old` (none = nothing runs) to `new`.
    #[must_use]
    pub fn between(old: Option<&Graph>, new: &Graph) -> Self {
        let mut changes = Vec::new();
        let none = (&[][..], &[][..], &[][..]);
        let (sources, stages, sinks) = old.map_or(none, |old| (&old.sources[..], &old.stages[..], &old.sinks[..]));
        compare(Part::Source, sources, &new.sources, |source| &source.name, source, &mut changes);
        compare(Part::Stage, stages, &new.stages, |stage| &stage.name, stage, &mut changes);
        compare(Part::Sink, sinks, &new.sinks, |sink| &sink.name, sink, &mut changes);
        let (before, after) = (old.and_then(|old| old.dead_letters.as_slice().first()), &new.dead_letters);
        let slice = |sink: Option<&Sink>| sink.cloned().into_iter().collect::<Vec<_>>();
        let (before, after) = (slice(before), slice(after.as_ref()));
        compare(Part::DeadLetters, &before, &after, |sink| &sink.name, sink, &mut changes);
        Self(changes)
    }

    /// The changes, in order.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.0
    }

    /// Whether it only adds: it starts a pipeline.
    #[must_use]
    pub fn only_adds(&self) -> bool {
        self.0.iter().all(|change| change.action == Action::Add)
    }
}

fn compare<T>(
    part: Part,
    old: &[T],
    new: &[T],
    name: impl Fn(&T) -> &Arc<str>,
    difference: impl Fn(&T, &T) -> Option<Action>,
    changes: &mut Vec<Change>,
) {
    let find = |list: &[T], wanted: &T| list.iter().position(|other| name(other) == name(wanted));
    for item in old.iter().filter(|item| find(new, item).is_none()) {
        changes.push(Change { part, name: name(item).clone(), action: Action::Remove });
    }
    for item in new {
        let action = find(old, item).map_or(Some(Action::Add), |before| difference(&old[before], item));
        changes.extend(action.map(|action| Change { part, name: name(item).clone(), action }));
    }
}

fn source(old: &Source, new: &Source) -> Option<Action> {
    let declared = |source: &Source| source.decode.as_ref().map(|plan| (plan.format.clone(), plan.schema.clone()));
    let same = declared(old) == declared(new)
        && old.layout.schema == new.layout.schema
        && old.event_time == new.event_time
        && old.lanes == new.lanes;
    (!same).then_some(Action::Replace)
}

fn stage(old: &Stage, new: &Stage) -> Option<Action> {
    let around = old.inputs == new.inputs
        && old.schema == new.schema
        && old.config == new.config
        && old.key == new.key
        && old.lanes == new.lanes
        && old.on_error == new.on_error
        && old.latency == new.latency;
    let (from, to) = (old.factory.digest().to_owned(), new.factory.digest().to_owned());
    match (around, from == to) {
        (true, true) => None,
        (true, false) => Some(Action::Swap { from, to }),
        (false, _) => Some(Action::Replace),
    }
}

fn sink(old: &Sink, new: &Sink) -> Option<Action> {
    let same = old.inputs == new.inputs && old.schema == new.schema && old.format == new.format;
    (!same).then_some(Action::Replace)
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match self.part {
            Part::Source => "source",
            Part::Stage => "stage",
            Part::Sink => "sink",
            Part::DeadLetters => "dead letters",
        };
        match &self.action {
            Action::Add => write!(f, "add {part} {}", self.name),
            Action::Remove => write!(f, "remove {part} {}", self.name),
            Action::Swap { from, to } => write!(f, "swap the code of {part} {} from {from} to {to}", self.name),
            Action::Replace => write!(f, "replace {part} {}", self.name),
        }
    }
}
