//! Names of a draft made positions: who reads from whom, and in which order the stages can be opened.
//!
//! Ports are not looked up here: what ports a stage has is known only when its operator was opened.

use super::suggest::hint;
use super::{Draft, GraphError};

/// What an entry of a `from` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// A source, by its position in the draft.
    Source(usize),
    /// A stage, by its position in the draft, and the name of the port; none = its first.
    Stage(usize, Option<String>),
}

/// Who reads from whom.
pub(super) struct Links {
    /// For each stage of the draft what it reads from; none = that could not be found out, and was reported.
    pub(super) stages: Vec<Option<Vec<Link>>>,
    /// The same for each sink.
    pub(super) sinks: Vec<Option<Vec<Link>>>,
    /// Positions of the stages, each after those that it reads from; stages in a loop are missing.
    pub(super) order: Vec<usize>,
}

impl Links {
    /// Whether every name was found, so that what nobody reads is really meant to be read by nobody.
    pub(super) fn complete(&self) -> bool {
        self.stages.iter().chain(&self.sinks).all(Option::is_some)
    }
}

/// Resolves every `from` of the draft and orders its stages.
pub(super) fn resolve(draft: &Draft, errors: &mut Vec<GraphError>) -> Links {
    check_names(draft, errors);
    let mut all = |section: &str, reader: &str, name: &str, from: &[String]| {
        let path = format!("{section}.{name}.from");
        links(draft, &format!("{reader} `{name}`"), &path, from, errors)
    };
    let stages: Vec<_> = draft.stages.iter().map(|stage| all("stages", "stage", &stage.name, &stage.from)).collect();
    let sinks = draft.sinks.iter().map(|sink| all("sinks", "sink", &sink.name, &sink.from)).collect();
    let order = order(draft, &stages, errors);
    Links { stages, sinks, order }
}

/// The path of one entry of a `from`: numbered only where there are several.
pub(super) fn entry_path(path: &str, entry: usize, entries: usize) -> String {
    if entries > 1 { format!("{path}.{entry}") } else { path.to_owned() }
}

/// Names are unique over all sections, and without a dot, which separates a stage from its port.
fn check_names(draft: &Draft, errors: &mut Vec<GraphError>) {
    let sources = draft.sources.iter().map(|source| ("source", &source.name));
    let stages = draft.stages.iter().map(|stage| ("stage", &stage.name));
    let sinks = draft.sinks.iter().map(|sink| ("sink", &sink.name));
    let mut seen: Vec<(&str, &String)> = Vec::new();
    for (what, name) in sources.chain(stages).chain(sinks) {
        let path = format!("{what}s.{name}");
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_') {
            let message = format!("`{name}` cannot be the name of a {what}: use letters, digits, `-` and `_`");
            errors.push(GraphError { path: path.clone(), message });
        }
        if let Some((earlier, _)) = seen.iter().find(|(_, other)| *other == name) {
            let message =
                format!("the {what} `{name}` has the name of a {earlier}; a name can be used once in a pipeline");
            errors.push(GraphError { path, message });
        }
        seen.push((what, name));
    }
}

/// What the entries of one `from` mean; none when one of them means nothing.
fn links(draft: &Draft, who: &str, path: &str, from: &[String], errors: &mut Vec<GraphError>) -> Option<Vec<Link>> {
    if from.is_empty() {
        let message = format!("{who} reads from nothing; name a source or a stage in `from`");
        errors.push(GraphError { path: path.to_owned(), message });
        return None;
    }
    let mut found = Vec::with_capacity(from.len());
    for (i, name) in from.iter().enumerate() {
        match link(draft, name) {
            Ok(link) => found.push(link),
            Err(why) => errors.push(GraphError {
                path: entry_path(path, i, from.len()),
                message: format!("{who} reads from `{name}`, {why}"),
            }),
        }
    }
    (found.len() == from.len()).then_some(found)
}

fn link(draft: &Draft, name: &str) -> Result<Link, String> {
    let source = |name: &str| draft.sources.iter().position(|source| source.name == name);
    let stage = |name: &str| draft.stages.iter().position(|stage| stage.name == name);
    if let Some(position) = source(name) {
        return Ok(Link::Source(position));
    }
    if let Some(position) = stage(name) {
        return Ok(Link::Stage(position, None));
    }
    if let Some((before, port)) = name.split_once('.') {
        if let Some(position) = stage(before) {
            return Ok(Link::Stage(position, Some(port.to_owned())));
        }
        if source(before).is_some() {
            return Err(format!("but a source has no ports; write `{before}`"));
        }
    }
    if draft.sinks.iter().any(|sink| sink.name == name) {
        return Err("which is a sink; only sources and stages can be read from".to_owned());
    }
    let names = draft.sources.iter().map(|source| source.name.as_str());
    let names = names.chain(draft.stages.iter().map(|stage| stage.name.as_str()));
    let wanted = name.split_once('.').map_or(name, |(stage, _)| stage);
    Err(format!("which is neither a source nor a stage{}", hint(wanted, names)))
}

/// Stages in the draft's order as far as each comes after those that it reads from. Every loop is reported once.
fn order(draft: &Draft, links: &[Option<Vec<Link>>], errors: &mut Vec<GraphError>) -> Vec<usize> {
    let upstream = |stage: usize| {
        links[stage].iter().flatten().filter_map(|link| match link {
            Link::Stage(position, _) => Some(*position),
            Link::Source(_) => None,
        })
    };
    let mut order = Vec::with_capacity(links.len());
    let mut done = vec![false; links.len()];
    while let Some(first_left) = done.iter().position(|done| !done) {
        if let Some(next) = (first_left..links.len()).find(|stage| !done[*stage] && upstream(*stage).all(|up| done[up]))
        {
            done[next] = true;
            order.push(next);
            continue;
        }
        // Every stage left reads from one that is left: going upstream must come round.
        let mut walk = vec![first_left];
        let looped = loop {
            let here = walk[walk.len() - 1];
            let up = upstream(here).find(|up| !done[*up]).expect("a stage that cannot be placed waits for another");
            if let Some(start) = walk.iter().position(|seen| *seen == up) {
                break walk.split_off(start);
            }
            walk.push(up);
        };
        errors.push(loop_error(draft, &looped));
        looped.iter().for_each(|stage| done[*stage] = true);
    }
    order
}

/// `looped` goes upstream; rows go the other way.
fn loop_error(draft: &Draft, looped: &[usize]) -> GraphError {
    let first = looped.iter().copied().min().expect("a loop has a stage");
    let start = looped.iter().position(|stage| *stage == first).expect("it was found there");
    let names = (0..=looped.len()).map(|i| looped[(start + looped.len() - i % looped.len()) % looped.len()]);
    let names: Vec<String> = names.map(|stage| format!("`{}`", draft.stages[stage].name)).collect();
    GraphError {
        path: format!("stages.{}.from", draft.stages[first].name),
        message: format!(
            "rows would go round in a loop: {}; a stage cannot read what comes of itself",
            names.join(" -> ")
        ),
    }
}
