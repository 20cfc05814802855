//! What a pipeline file says beside its graph, and how two files differ in it: where rows come from and go to, where
//! relative paths start, limits.
//!
//! Nothing of it can change while rows flow. Neighbour: [`super::changes`]; rows and code are for the engine's plan.

use std::sync::Arc;

use wasmill_engine::graph::Graph;
use wasmill_engine::plan::{Action, Change, Part};

use crate::spec::{Connector, Spec};

/// How two files differ beside their graphs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Beside {
    /// Sources and sinks that are elsewhere.
    pub(crate) ends: Vec<Change>,
    /// All else, a sentence each.
    pub(crate) more: Vec<String>,
}

/// The ends of a pipeline, each with its name.
fn ends<'a>(spec: &'a Spec, graph: &'a Graph) -> impl Iterator<Item = (Part, &'a Arc<str>, &'a Connector)> {
    let sources = graph.sources.iter().zip(&spec.sources).map(|(of, connector)| (Part::Source, &of.name, connector));
    let sinks = graph.sinks.iter().zip(&spec.sinks).map(|(of, connector)| (Part::Sink, &of.name, connector));
    let dead = graph.dead_letters.iter().zip(&spec.dead_letters);
    sources.chain(sinks).chain(dead.map(|(of, connector)| (Part::DeadLetters, &of.name, connector)))
}

impl Beside {
    /// How the second differs from the first.
    pub(crate) fn between((old, of_old): (&Spec, &Graph), (new, of_new): (&Spec, &Graph)) -> Self {
        let elsewhere = |(part, name, connector): (Part, &Arc<str>, &Connector)| {
            let (_, _, before) = ends(old, of_old).find(|(of, named, _)| (*of, *named) == (part, name))?;
            (before != connector).then(|| Change { part, name: name.clone(), action: Action::Replace })
        };
        let moved = (old.base != new.base)
            .then(|| format!("begin relative paths at {} and not at {}", new.base.display(), old.base.display()));
        let more = moved.into_iter().chain(new.limits.changes(old.limits)).collect();
        Self { ends: ends(new, of_new).filter_map(elsewhere).collect(), more }
    }

    /// All changes, those of a plan among them, in the order of a record's way.
    pub(crate) fn with(self, plan: &[Change]) -> Vec<String> {
        let only_here = self.ends.into_iter().filter(|change| !plan.contains(change));
        let mut changes: Vec<Change> = plan.iter().cloned().chain(only_here).collect();
        changes.sort_by_key(|change| change.part);
        changes.iter().map(ToString::to_string).chain(self.more).collect()
    }
}
