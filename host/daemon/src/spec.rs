//! A pipeline file: YAML text to a checked [`Graph`], or to all that is wrong with it, each with line, column and what
//! to do.
//!
//! Text becomes a tree with places, the tree becomes a draft, the engine makes the graph of it; what any of the three
//! finds wrong ends in one list. What is not in the file — connectors, plugins, the environment — is asked of
//! [`Outside`], so nothing here knows of Wasm or opens anything but the file. Neighbours: [`crate::draw`] shows the
//! graph, the reference of every key is `docs/pipelines.md`.

pub(crate) mod diagnostic;
pub(crate) mod format;
mod limits;
mod parts;
pub(crate) mod section;
#[cfg(test)]
pub(crate) mod tests;
mod variables;
pub(crate) mod yaml;

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wasmill_engine::codec::Format;
use wasmill_engine::graph::{Draft, Graph, GraphError, SourceDraft, Stage, check_lanes};
use wasmill_engine::operator::SharedFactory;
use wasmill_engine::schema::Schema;

use diagnostic::Span;
pub(crate) use diagnostic::{Diagnostic, Diagnostics};
pub(crate) use limits::Limits;
use parts::Whole;
use section::{Problems, Section, entries};
pub(crate) use yaml::FILE_BYTES_MAX;
use yaml::{Key, Node, Tree};

/// What is wrong with the configuration of a connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigError {
    /// Path of the key in it; empty = the configuration as a whole.
    pub(crate) path: String,
    /// What is wrong; what to do.
    pub(crate) message: String,
}

/// What a pipeline file refers to and does not hold.
pub(crate) trait Outside {
    /// Names of the connectors that can be sources.
    fn source_names(&self) -> Vec<&'static str>;

    /// Names of the connectors that can be sinks.
    fn sink_names(&self) -> Vec<&'static str>;

    /// Checks a source's configuration, as far as that goes without opening anything.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check_source(&self, connector: &str, config: &Value) -> Result<(), ConfigError>;

    /// Checks a sink's configuration, as far as that goes without opening anything.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check_sink(&self, connector: &str, config: &Value) -> Result<(), ConfigError>;

    /// The fields of a source that makes its rows itself; none = it brings bytes.
    fn source_schema(&self, connector: &str, config: &Value) -> Option<Schema>;

    /// The code of the stage of that name, which may use so much. Relative paths start from `base`.
    ///
    /// # Errors
    /// There is none, or it is unusable, in a sentence `what is wrong; what to do`.
    fn plugin(&self, stage: &str, plugin: &PluginRef, base: &Path, limits: &Limits) -> Result<SharedFactory, String>;

    /// What is probably not meant about code that is there, in such a sentence.
    fn warning(&self, plugin: &PluginRef, base: &Path) -> Option<String>;

    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;
}

/// A stage's code, as a pipeline file names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PluginRef {
    /// A folder or a `.wasm` file.
    Path(PathBuf),
    /// A plugin of that name and version.
    Named {
        /// Its name.
        name: String,
        /// Its version, or the beginning of one.
        version: String,
    },
}

impl PluginRef {
    fn parse(text: &str) -> Result<Self, String> {
        let is_module = Path::new(text).extension().is_some_and(|extension| extension == "wasm");
        if is_module || text.contains('/') || [".", ".."].contains(&text) {
            return Ok(Self::Path(text.into()));
        }
        match text.split_once('@') {
            Some((name, version)) if !name.is_empty() && !version.is_empty() => {
                Ok(Self::Named { name: name.to_owned(), version: version.to_owned() })
            }
            _ => Err(format!("`{text}` is no plugin; write `name@version`, or `./{text}` for a folder")),
        }
    }
}

impl fmt::Display for PluginRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Named { name, version } => write!(f, "{name}@{version}"),
        }
    }
}

/// A connector and its configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Connector {
    /// Its name.
    pub(crate) name: String,
    /// Its configuration, an object.
    pub(crate) config: Value,
}

/// What a pipeline file says beside the graph.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// Folder that relative paths start from.
    pub(crate) base: PathBuf,
    /// One entry for each of the graph's sources.
    pub(crate) sources: Vec<Connector>,
    /// One entry for each of the graph's sinks.
    pub(crate) sinks: Vec<Connector>,
    /// Where dead letters go.
    pub(crate) dead_letters: Option<Connector>,
    /// For each stage of the graph its code.
    pub(crate) plugins: Vec<PluginRef>,
    /// What the stages may use.
    pub(crate) limits: Limits,
    /// What is allowed and probably not meant.
    pub(crate) warnings: Diagnostics,
}

/// Reads a pipeline file.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn load(path: &Path, outside: &dyn Outside) -> Result<(Spec, Graph), Diagnostics> {
    let file = path.display().to_string();
    let text = read(path).map_err(|problem| Diagnostics::new(file.clone(), String::new(), vec![problem]))?;
    let base = path.parent().unwrap_or_else(|| Path::new(""));
    parse(&file, base, &text, outside)
}

/// The name that a pipeline file gives its pipeline, and its text; nothing else of it is looked at.
///
/// # Errors
/// It cannot be read, or has no name.
pub(crate) fn name(path: &Path) -> Result<(String, String), Diagnostics> {
    let file = path.display().to_string();
    let text = read(path).map_err(|problem| Diagnostics::new(file.clone(), String::new(), vec![problem]))?;
    let root = yaml::parse(&text).map_err(|problem| Diagnostics::new(file.clone(), text.clone(), vec![*problem]))?;
    let name = match &root.value {
        Tree::Map(entries) => entries.iter().find(|(key, _)| key.name == "name").map(|(_, node)| &node.value),
        _ => None,
    };
    match name {
        Some(Tree::Text(name)) => Ok((name.clone(), text)),
        _ => {
            let message = "the file gives its pipeline no name; write `name: my-pipeline`";
            Err(Diagnostics::new(file, text, vec![Diagnostic::error(Span::default(), message)]))
        }
    }
}

fn read(path: &Path) -> Result<String, Diagnostic> {
    let whole = |message: String| Diagnostic::error(Span::default(), &message);
    let unreadable = |error: std::io::Error| whole(format!("the pipeline file cannot be read: {error}"));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(whole(format!("the file has more than {FILE_BYTES_MAX} bytes, so it is no pipeline file")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let good = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        let line = good.matches('\n').count() + 1;
        let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let span = Span { line, column, length: 1, offset: valid };
        Diagnostic::error(span, &format!("byte {} of the file is not UTF-8; save the file as UTF-8", valid + 1))
    })
}

/// Reads the text of a pipeline file named `file`, whose relative paths start from `base`.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn parse(file: &str, base: &Path, text: &str, outside: &dyn Outside) -> Result<(Spec, Graph), Diagnostics> {
    let told = |problems: Problems| Diagnostics::new(file.to_owned(), text.to_owned(), problems);
    let mut problems = Vec::new();
    let mut root = yaml::parse(text).map_err(|problem| told(vec![*problem]))?;
    variables::replace(&mut root, text, &|name| outside.variable(name), &mut problems);
    let Some(Parts { draft, connectors, plugins, limits }) = parts(&root, base, outside, &mut problems) else {
        return Err(told(problems));
    };
    let placed = |make: fn(Span, &str) -> Diagnostic, errors: &[GraphError]| -> Problems {
        errors.iter().map(|error| make(root.find(&error.path), &error.message)).collect()
    };
    let names: Vec<String> = draft.stages.iter().map(|stage| stage.name.clone()).collect();
    let doubt = |(name, plugin): (&String, &PluginRef)| {
        let place = root.find(&format!("stages.{name}.plugin"));
        outside.warning(plugin, base).map(|sentence| Diagnostic::warning(place, &sentence))
    };
    let mut warnings: Problems = names.iter().zip(&plugins).filter_map(doubt).collect();
    let graph = Graph::build(draft).map_err(|errors| problems.extend(placed(Diagnostic::error, &errors)));
    let Ok(graph) = graph.and_then(|graph| if problems.is_empty() { Ok(graph) } else { Err(()) }) else {
        // Code that is not what its author thinks may be why it does not fit.
        problems.append(&mut warnings);
        return Err(told(problems));
    };
    let plugin = |stage: &Stage| {
        let position = names.iter().position(|name| **name == *stage.name);
        plugins[position.expect("each stage of the graph is one of the file's")].clone()
    };
    let plugins = graph.stages.iter().map(plugin).collect();
    warnings.extend(placed(Diagnostic::warning, &graph.warnings));
    let warnings = told(warnings);
    let Connectors { sources, sinks, dead_letters } = connectors;
    Ok((Spec { base: base.to_owned(), sources, sinks, dead_letters, plugins, limits, warnings }, graph))
}

/// What a file says, part by part.
struct Parts {
    draft: Draft,
    connectors: Connectors,
    /// One entry a stage, in the file's order.
    plugins: Vec<PluginRef>,
    limits: Limits,
}

struct Connectors {
    sources: Vec<Connector>,
    sinks: Vec<Connector>,
    dead_letters: Option<Connector>,
}

/// The draft of a tree; none where a part is so wrong that errors of the graph would only mislead.
fn parts(root: &Node, base: &Path, outside: &dyn Outside, problems: &mut Problems) -> Option<Parts> {
    if matches!(root.value, Tree::Null) {
        let message = "the file is empty; a pipeline has at least a `name`, `sources` and `sinks`";
        problems.push(Diagnostic::error(Span::default(), message));
        return None;
    }
    let start = Span { line: 1, column: 1, ..Span::default() };
    let keys = ["name", "lanes", "limits", "sources", "stages", "sinks", "dead_letters"];
    let file = Section::new("a pipeline file", start, root, &keys, problems)?;
    file.need("name", "give the pipeline a name, `name: my-pipeline`", problems);
    let name = file.text("name", problems);
    let dead = file.key("dead_letters");
    let lanes = file.whole("lanes", problems).filter(|lanes| {
        let checked = check_lanes(*lanes);
        if let (Err(message), Some(node)) = (&checked, file.get("lanes")) {
            problems.push(Diagnostic::error(node.span, message));
        }
        checked.is_ok()
    });
    let limits = file.key("limits").map(|(key, node)| limits::limits(key, node, problems));
    let limits = limits.unwrap_or(Some(Limits::default())).unwrap_or_default();
    let whole = Whole { outside, base, lanes, limits, dead_letters: dead.is_some() };

    let sources = every(&file, "sources", problems, |key, node, problems| parts::source(&whole, key, node, problems));
    only_one_stdin(&file, sources.as_deref().unwrap_or_default(), problems);
    let stages = every(&file, "stages", problems, |key, node, problems| parts::stage(&whole, key, node, problems));
    let format = match sources.as_deref() {
        Some([(only, _)]) => only.format.clone(),
        _ => None,
    };
    let format = format.unwrap_or(Format::Ndjson);
    let sinks =
        every(&file, "sinks", problems, |key, node, problems| parts::sink(&whole, (key, node), &format, problems));
    let dead = match dead {
        Some((key, node)) => Some(parts::dead_letters(&whole, key, node, problems)?),
        None => None,
    };
    if file.is_misspelled() {
        return None;
    }
    let (sources, source_connectors) = sources?.into_iter().unzip();
    let (stages, plugins) = stages?.into_iter().unzip();
    let (sinks, sink_connectors) = sinks?.into_iter().unzip();
    let (dead_letters, dead_connector) = dead.unzip();
    let connectors = Connectors { sources: source_connectors, sinks: sink_connectors, dead_letters: dead_connector };
    let draft = Draft { name: name?.to_owned(), sources, stages, sinks, dead_letters };
    Some(Parts { draft, connectors, plugins, limits })
}

/// A process has one standard input: a second source of it would find nothing.
fn only_one_stdin(file: &Section<'_>, sources: &[(SourceDraft, Connector)], problems: &mut Problems) {
    let mut stdins = sources.iter().filter(|(_, connector)| connector.name == "stdin");
    let (Some((first, _)), Some((second, _))) = (stdins.next(), stdins.next()) else { return };
    let (first, name) = (&first.name, &second.name);
    let place = file.get("sources").map_or_else(Span::default, |sources| sources.find(name));
    let message =
        format!("source `{name}` reads stdin, which source `{first}` reads already; let stages read `{first}`");
    problems.push(Diagnostic::error(place, &message));
}

/// Every entry of a section; none when one of them could not be read.
fn every<T>(
    file: &Section<'_>,
    name: &str,
    problems: &mut Problems,
    mut read: impl FnMut(&Key, &Node, &mut Problems) -> Option<T>,
) -> Option<Vec<T>> {
    let Some(node) = file.get(name) else { return Some(Vec::new()) };
    let entries = entries(&format!("`{name}`"), node, problems)?;
    let parts: Vec<Option<T>> = entries.into_iter().map(|(key, node)| read(key, node, problems)).collect();
    parts.into_iter().collect()
}
