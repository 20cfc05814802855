//! The parts of a pipeline file — sources, stages, sinks, dead letters — as parts of a draft.
//!
//! Each function reads as much as it can, adds what is wrong to the problems, and answers none only where the part
//! cannot stand in a draft at all.

use std::path::Path;

use serde_json::{Value, json};
use wasmill_engine::codec::Format;
use wasmill_engine::graph::{OnError, SinkDraft, SourceDraft, StageDraft};
use wasmill_engine::limits::RETRIES_MAX;
use wasmill_engine::schema::Schema;

use super::diagnostic::Diagnostic;
use super::section::{Problems, Section, shown};
use super::yaml::{Key, Node, Tree};
use super::{ConfigError, Connector, Limits, Outside, PluginRef, format};

/// What the parts have in common.
pub(crate) struct Whole<'a> {
    /// What is not in the file.
    pub(crate) outside: &'a dyn Outside,
    /// The file's folder.
    pub(crate) base: &'a Path,
    /// Lanes of the pipeline, where it says so.
    pub(crate) lanes: Option<u32>,
    /// What the stages may use.
    pub(crate) limits: Limits,
    /// Whether there is a sink for dead letters.
    pub(crate) dead_letters: bool,
}

/// A source.
pub(crate) fn source(
    whole: &Whole<'_>,
    key: &Key,
    node: &Node,
    problems: &mut Problems,
) -> Option<(SourceDraft, Connector)> {
    let what = format!("source `{}`", key.name);
    let names = whole.outside.source_names();
    let known = ["format", "event_time", "lanes"];
    let kinds = ("source", &known[..], &names[..]);
    let (section, connector) = Section::with_connector((&what, key.span), node, kinds, problems)?;
    let event_time = event_time(&what, &section, problems);
    let lanes = section.whole("lanes", problems).or(whole.lanes).unwrap_or(1);
    let check = |name: &str, config: &Value| whole.outside.check_source(name, config);
    let before = problems.len();
    let connector = connector_of(&what, connector?, &check, problems)?;
    if problems.len() > before && section.get("format").is_none() {
        // Whether it needs a format nobody can say.
        return None;
    }
    let own = whole.outside.source_schema(&connector.name, &connector.config);
    let (format, schema) = rows(&what, &section, own, problems)?;
    let draft = SourceDraft { name: key.name.clone(), schema, format, event_time, lanes };
    Some((draft, connector))
}

/// The format and columns of a source; a connector that makes rows itself brings its own columns.
fn rows(
    what: &str,
    section: &Section<'_>,
    own: Option<Schema>,
    problems: &mut Problems,
) -> Option<(Option<Format>, Schema)> {
    match (own, section.get("format")) {
        (Some(schema), None) => Some((None, schema)),
        (Some(_), Some(node)) => {
            let message = format!("{what} makes its rows itself; remove its `format`");
            problems.push(Diagnostic::error(node.span, &message));
            None
        }
        (None, _) => {
            let node = section.need("format", "name one of `csv`, `ndjson` and `raw`", problems)?;
            let (format, schema) = format::of_source(what, node, problems)?;
            Some((Some(format), schema))
        }
    }
}

fn event_time(what: &str, section: &Section<'_>, problems: &mut Problems) -> Option<(String, i64)> {
    let node = section.get("event_time")?;
    let what = format!("`event_time` of {what}");
    let section = Section::new(&what, node.span, node, &["column", "lateness"], problems)?;
    section.need("column", "name the column that is the time", problems)?;
    let column = section.text("column", problems)?;
    let lateness = section.duration("lateness", problems).unwrap_or(0);
    Some((column.to_owned(), lateness))
}

/// The connector under that key, with its configuration checked as far as that goes without opening it.
fn connector_of(
    what: &str,
    (key, node): (&Key, &Node),
    check: &dyn Fn(&str, &Value) -> Result<(), ConfigError>,
    problems: &mut Problems,
) -> Option<Connector> {
    let config = config(&format!("`{}` of {what}", key.name), node, problems)?;
    if let Err(ConfigError { path, message }) = check(&key.name, &config) {
        let span = if path.is_empty() { key.span } else { node.find(&path) };
        problems.push(Diagnostic::error(span, &message));
    }
    Some(Connector { name: key.name.clone(), config })
}

/// A mapping as JSON; nothing is an empty one.
fn config(what: &str, node: &Node, problems: &mut Problems) -> Option<Value> {
    check_keys(what, node, problems)?;
    Some(if matches!(node.value, Tree::Null) { json!({}) } else { node.to_json() })
}

/// That a mapping is one, and that no key stands twice in it or in what is within it.
fn check_keys(what: &str, node: &Node, problems: &mut Problems) -> Option<()> {
    for (key, value) in super::section::entries(what, node, problems)? {
        check_within(&format!("`{}` of {what}", key.name), value, problems);
    }
    Some(())
}

fn check_within(what: &str, node: &Node, problems: &mut Problems) {
    match &node.value {
        Tree::Map(_) => check_keys(what, node, problems).unwrap_or_default(),
        Tree::List(items) => items.iter().for_each(|item| check_within(what, item, problems)),
        _ => {}
    }
}

/// A stage.
pub(crate) fn stage(
    whole: &Whole<'_>,
    key: &Key,
    node: &Node,
    problems: &mut Problems,
) -> Option<(StageDraft, PluginRef)> {
    let what = format!("stage `{}`", key.name);
    let known = ["from", "plugin", "key", "lanes", "config", "on_error", "latency"];
    let section = Section::new(&what, key.span, node, &known, problems)?;
    let from = from(&section, problems);
    let keys = section.texts("key", problems).unwrap_or_default();
    let lanes = section.whole("lanes", problems).or(whole.lanes);
    let on_error = on_error(whole, &what, &section, problems);
    let latency = section.duration("latency", problems);
    let config = match section.get("config") {
        Some(node) => config(&format!("`config` of {what}"), node, problems),
        None => Some(json!({})),
    };
    let purpose = "name its code, `plugin: ./folder` or `plugin: name@version`";
    let node = section.need("plugin", purpose, problems)?;
    let reference = section.text("plugin", problems)?;
    let found = PluginRef::parse(reference).and_then(|plugin| {
        let factory = whole.outside.plugin(&key.name, &plugin, whole.base, &whole.limits)?;
        Ok((plugin, factory))
    });
    let (plugin, factory) = found.map_err(|message| problems.push(Diagnostic::error(node.span, &message))).ok()?;
    let name = key.name.clone();
    let draft = StageDraft { name, from: from?, factory, config: config?, key: keys, lanes, on_error, latency };
    Some((draft, plugin))
}

fn from(section: &Section<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    section.need("from", "name the source or stage that it reads from", problems)?;
    section.texts("from", problems)
}

/// Without a sink for dead letters a bad record stops the pipeline, because it must not be lost.
fn on_error(whole: &Whole<'_>, what: &str, section: &Section<'_>, problems: &mut Problems) -> OnError {
    let default = if whole.dead_letters { OnError::DeadLetter } else { OnError::Stop };
    let Some(node) = section.get("on_error") else { return default };
    let bad = |found: &str| {
        format!("`on_error` of {what} is `dead_letter`, `stop` or `{{ retry: {{ max: {RETRIES_MAX} }} }}`, not {found}")
    };
    match &node.value {
        Tree::Text(text) if text == "dead_letter" && !whole.dead_letters => {
            let message = format!(
                "`on_error` of {what} is `dead_letter`, but the pipeline has no `dead_letters`; \
                 add `dead_letters: {{ file: {{ path: dead/ }} }}`"
            );
            problems.push(Diagnostic::error(node.span, &message));
            default
        }
        Tree::Text(text) if text == "dead_letter" => OnError::DeadLetter,
        Tree::Text(text) if text == "stop" => OnError::Stop,
        Tree::Text(text) if text == "retry" => OnError::Retry(RETRIES_MAX),
        Tree::Map(entries) if entries.len() == 1 && entries[0].0.name == "retry" => {
            let (key, value) = &entries[0];
            let what = format!("`retry` of {what}");
            let section = Section::new(&what, key.span, value, &["max"], problems);
            let max = section.and_then(|section| section.whole("max", problems)).unwrap_or(RETRIES_MAX);
            OnError::Retry(max)
        }
        other => {
            problems.push(Diagnostic::error(node.span, &bad(&shown(other))));
            default
        }
    }
}

/// A sink. `format` is what it writes where it does not say.
pub(crate) fn sink(
    whole: &Whole<'_>,
    (key, node): (&Key, &Node),
    format: &Format,
    problems: &mut Problems,
) -> Option<(SinkDraft, Connector)> {
    let what = format!("sink `{}`", key.name);
    let (section, connector) = sink_section(whole, (&what, key, node), &["from", "format"], problems)?;
    let from = from(&section, problems);
    let format = sink_format(&what, &section, format, problems);
    Some((SinkDraft { name: key.name.clone(), from: from?, format: Some(format?) }, connector?))
}

/// The sink for dead letters, which reads from nobody.
pub(crate) fn dead_letters(
    whole: &Whole<'_>,
    key: &Key,
    node: &Node,
    problems: &mut Problems,
) -> Option<(SinkDraft, Connector)> {
    let what = "`dead_letters`";
    let (section, connector) = sink_section(whole, (what, key, node), &["format"], problems)?;
    let format = sink_format(what, &section, &Format::Ndjson, problems)?;
    if format == Format::Raw {
        let span = section.get("format").map_or(key.span, |node| node.span);
        let message = "dead letters have several columns, which raw lines cannot hold; use `ndjson` or `csv`";
        problems.push(Diagnostic::error(span, message));
        return None;
    }
    Some((SinkDraft { name: key.name.clone(), from: Vec::new(), format: Some(format) }, connector?))
}

fn sink_section<'a>(
    whole: &Whole<'_>,
    (what, key, node): (&str, &Key, &'a Node),
    known: &[&str],
    problems: &mut Problems,
) -> Option<(Section<'a>, Option<Connector>)> {
    let names = whole.outside.sink_names();
    let kinds = ("sink", known, &names[..]);
    let (section, connector) = Section::with_connector((what, key.span), node, kinds, problems)?;
    let check = |name: &str, config: &Value| whole.outside.check_sink(name, config);
    let connector = connector.and_then(|connector| connector_of(what, connector, &check, problems));
    Some((section, connector))
}

fn sink_format(what: &str, section: &Section<'_>, default: &Format, problems: &mut Problems) -> Option<Format> {
    match section.get("format") {
        Some(node) => format::of_sink(what, node, problems),
        None => Some(default.clone()),
    }
}
