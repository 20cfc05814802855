//! Text to a tree in which everything knows where it stands, so that every later error can point at it.
//!
//! All of YAML that serde-saphyr reads is allowed (anchors, merge keys, block text) within limits that no honest
//! pipeline file comes near. Duplicate keys are left in the tree: whoever reads a mapping reports them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, MessageFormatter, Spanned, UserMessageFormatter};

use super::diagnostic::{Diagnostic, Span};

/// Bytes of a pipeline file, at most.
pub(crate) const FILE_BYTES_MAX: usize = 1 << 20;

/// Mappings and lists within each other, at most.
const DEPTH_MAX: usize = 48;

/// Values in a file after its anchors are expanded, at most.
const NODES_MAX: usize = 100_000;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Where it stands.
    pub(crate) span: Span,
    /// What it is.
    pub(crate) value: Tree,
}

/// A key of a mapping and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// Where it stands.
    pub(crate) span: Span,
    /// Its text.
    pub(crate) name: String,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number.
    Number(Number),
    /// Text, quoted or not.
    Text(String),
    /// `[a, b]`
    List(Vec<Node>),
    /// `{ a: b }`, in the order of the file.
    Map(Vec<(Key, Node)>),
}

impl Tree {
    /// What it is, in an error: `a number`.
    pub(crate) const fn what(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl Node {
    /// As JSON, for the configuration of operators and connectors. Of duplicate keys the last counts.
    pub(crate) fn to_json(&self) -> Value {
        match &self.value {
            Tree::Null => Value::Null,
            Tree::Boolean(value) => Value::Bool(*value),
            Tree::Number(value) => Value::Number(value.clone()),
            Tree::Text(value) => Value::String(value.clone()),
            Tree::List(values) => values.iter().map(Self::to_json).collect(),
            Tree::Map(entries) => entries.iter().map(|(key, value)| (key.name.clone(), value.to_json())).collect(),
        }
    }

    /// Where the thing stands that has this path, `stages.score.config.min`; of a mapping its key. Of a path that leads
    /// to nothing as much as is there. Names may have dots in them.
    pub(crate) fn find(&self, path: &str) -> Span {
        let mut at = self.span;
        let (mut node, mut path) = (self, path);
        while !path.is_empty() {
            let step = match &node.value {
                Tree::Map(entries) => {
                    let leads = |(key, _): &&(Key, Self)| rest(path, &key.name).is_some();
                    let entry = entries.iter().filter(leads).max_by_key(|(key, _)| key.name.len());
                    entry.map(|(key, value)| (key.span, key.name.as_str(), value))
                }
                Tree::List(items) => {
                    let name = path.split('.').next().unwrap_or(path);
                    name.parse().ok().and_then(|i: usize| items.get(i)).map(|item| (item.span, name, item))
                }
                _ => None,
            };
            let Some((span, name, value)) = step else { break };
            at = if matches!(value.value, Tree::Map(_) | Tree::Null) { span } else { value.span };
            path = rest(path, name).unwrap_or_default();
            node = value;
        }
        at
    }
}

/// What of a path is left behind a name, if it begins with it.
fn rest<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(name)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('.') }
}

/// The tree of a file's text.
pub(crate) fn parse(text: &str) -> Result<Node, Box<Diagnostic>> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        with_snippet: false,
        // `no` is text in YAML 1.2: a country, say.
        strict_booleans: true,
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_documents: 2,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: NODES_MAX,
        },
    };
    let parsed: Result<Spanned<Bare>, _> = serde_saphyr::from_str_with_options(text, options);
    parsed.map(Node::from).map_err(|error| {
        let span = error.location().map(span).unwrap_or_default();
        Box::new(Diagnostic::error(span, &said(&error)))
    })
}

/// The error in our words where those of the library speak of its settings.
fn said(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error as E;
    match error {
        E::Budget { breach: BudgetBreach::Depth { .. }, .. } => {
            format!("mappings and lists stand more than {DEPTH_MAX} deep within each other, which no pipeline needs")
        }
        E::Budget { .. }
        | E::AliasReplayLimitExceeded { .. }
        | E::AliasExpansionLimitExceeded { .. }
        | E::AliasReplayStackDepthExceeded { .. } => {
            format!("with its anchors expanded the file has more than {NODES_MAX} values, which no pipeline needs")
        }
        E::AliasError { error, .. } => said(error),
        E::MultipleDocuments { .. } => {
            "a pipeline file is one YAML document; remove the `---` and what follows it".to_owned()
        }
        E::UnknownAnchor { .. } => "there is no anchor of that name; write `&name` where the value stands".to_owned(),
        error => {
            let message = UserMessageFormatter.format_message(error);
            let help = if message.starts_with("tabs ") { "; indent with spaces" } else { "" };
            format!("the file is not valid YAML: {message}{help}")
        }
    }
}

fn span(location: Location) -> Span {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Span {
        line: number(location.line()),
        column: number(location.column()),
        length: number(location.span().len()),
        offset: number(location.span().byte_offset().unwrap_or_default()),
    }
}

impl From<Spanned<Bare>> for Node {
    fn from(node: Spanned<Bare>) -> Self {
        let value = match node.value {
            Bare::Scalar(value) => value,
            Bare::List(items) => Tree::List(items.into_iter().map(Self::from).collect()),
            Bare::Map(entries) => {
                let key = |key: Spanned<String>| Key { span: span(key.referenced), name: key.value };
                Tree::Map(entries.into_iter().map(|(name, value)| (key(name), Self::from(value))).collect())
            }
        };
        Self { span: span(node.referenced), value }
    }
}

/// A value as the deserializer hands it over.
enum Bare {
    Scalar(Tree),
    List(Vec<Spanned<Bare>>),
    Map(Vec<(Spanned<String>, Spanned<Bare>)>),
}

impl<'de> Deserialize<'de> for Bare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Bare;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Bare, E> {
        Ok(Bare::Scalar(Tree::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Bare, E> {
        Ok(Bare::Scalar(Tree::Boolean(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Bare, E> {
        Ok(Bare::Scalar(Tree::Number(value.into())))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Bare, E> {
        Ok(Bare::Scalar(Tree::Number(value.into())))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Bare, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number must be finite"))?;
        Ok(Bare::Scalar(Tree::Number(number)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Bare, E> {
        Ok(Bare::Scalar(Tree::Text(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Bare, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Bare::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Bare, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Bare::Map(map))
    }
}
