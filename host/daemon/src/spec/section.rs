//! Mappings with known keys, and values of known types: what is unknown, missing, there twice or of another type
//! becomes an error, and the rest is read on.

use wasmill_engine::clock::Micros;
use wasmill_engine::graph::suggest::{hint, listed, nearest};

use super::diagnostic::{Diagnostic, Span};
use super::yaml::{Key, Node, Tree};

/// Errors and warnings so far.
pub(crate) type Problems = Vec<Diagnostic>;

/// A mapping whose keys were checked.
pub(crate) struct Section<'a> {
    /// What it is, in errors: ``stage `clean` ``.
    what: String,
    span: Span,
    entries: Vec<(&'a Key, &'a Node)>,
    /// Keys that unknown ones were probably meant to be: that they are missing is not a second mistake.
    meant: Vec<String>,
}

impl<'a> Section<'a> {
    /// The mapping at `node`, which has these keys and no others; none when it is no mapping. Nothing at all is an
    /// empty mapping.
    pub(crate) fn new(what: &str, at: Span, node: &'a Node, known: &[&str], problems: &mut Problems) -> Option<Self> {
        let mut section =
            Self { what: what.to_owned(), span: at, entries: entries(what, node, problems)?, meant: vec![] };
        for (key, _) in section.entries.iter().filter(|(key, _)| !known.contains(&&*key.name)) {
            let hint = hint(&key.name, known.iter().copied());
            section.meant.extend(nearest(&key.name, known.iter().copied()).map(str::to_owned));
            problems.push(Diagnostic::error(key.span, &format!("`{}` is no key of {what}{hint}", key.name)));
        }
        Some(section)
    }

    /// The same for a source or sink, which has the name of exactly one connector beside `known`: answers that too,
    /// where there is one.
    pub(crate) fn with_connector(
        (what, at): (&str, Span),
        node: &'a Node,
        (role, known, connectors): (&str, &[&str], &[&str]),
        problems: &mut Problems,
    ) -> Option<(Self, Option<(&'a Key, &'a Node)>)> {
        let entries = entries(what, node, problems)?;
        let others: Vec<_> = entries.iter().filter(|(key, _)| !known.contains(&&*key.name)).copied().collect();
        let found: Vec<_> = others.iter().filter(|(key, _)| connectors.contains(&&*key.name)).copied().collect();
        let mut meant = Vec::new();
        for (key, _) in others.iter().filter(|(key, _)| !connectors.contains(&&*key.name)) {
            let name = &key.name;
            let near = nearest(name, known.iter().copied());
            meant.extend(near.map(str::to_owned));
            let message = match near {
                Some(near) => format!("`{name}` is no key of {what}; did you mean `{near}`?"),
                None if found.is_empty() => {
                    format!("there is no {role} connector `{name}`{}", hint(name, connectors.iter().copied()))
                }
                None => format!("`{name}` is no key of {what}{}", hint(name, known.iter().chain(connectors).copied())),
            };
            problems.push(Diagnostic::error(key.span, &message));
        }
        if others.is_empty() {
            let message = format!("{what} has no connector; add one of {}", listed(connectors));
            problems.push(Diagnostic::error(at, &message));
        }
        if let [(first, _), (second, _), ..] = found[..] {
            let (first, name) = (&first.name, &second.name);
            let message = format!("{what} has two connectors, `{first}` and `{name}`; keep one");
            problems.push(Diagnostic::error(second.span, &message));
        }
        Some((Self { what: what.to_owned(), span: at, entries, meant }, found.first().copied()))
    }

    /// The value of a key; none where it is missing or nothing.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        let value = self.entries.iter().find(|(other, _)| other.name == key).map(|(_, value)| *value);
        value.filter(|value| !matches!(value.value, Tree::Null))
    }

    /// Whether it has keys that are probably misspelled, so that what is missing is there in truth.
    pub(crate) fn is_misspelled(&self) -> bool {
        !self.meant.is_empty()
    }

    /// A key and its value; none where it is missing.
    pub(crate) fn key(&self, key: &str) -> Option<(&'a Key, &'a Node)> {
        self.entries.iter().find(|(other, _)| other.name == key).copied()
    }

    /// The value of a key that must be there, with what it is for.
    pub(crate) fn need(&self, key: &str, purpose: &str, problems: &mut Problems) -> Option<&'a Node> {
        let value = self.get(key);
        if value.is_none() && !self.meant.iter().any(|meant| meant == key) {
            problems.push(Diagnostic::error(self.span, &format!("{} has no `{key}`; {purpose}", self.what)));
        }
        value
    }

    /// Text under a key.
    pub(crate) fn text(&self, key: &str, problems: &mut Problems) -> Option<&'a str> {
        self.typed(key, "text", problems, |tree| match tree {
            Tree::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// `true` or `false` under a key.
    pub(crate) fn boolean(&self, key: &str, problems: &mut Problems) -> Option<bool> {
        self.typed(key, "`true` or `false`", problems, |tree| match tree {
            Tree::Boolean(value) => Some(*value),
            // Within `{ .. }` a variable can only stand in quotes.
            Tree::Text(text) => text.parse().ok(),
            _ => None,
        })
    }

    /// A whole number under a key.
    pub(crate) fn whole(&self, key: &str, problems: &mut Problems) -> Option<u32> {
        self.typed(key, "a whole number, 0 or more", problems, |tree| match tree {
            Tree::Number(value) => value.as_u64().and_then(|value| u32::try_from(value).ok()),
            Tree::Text(text) => text.parse().ok(),
            _ => None,
        })
    }

    /// A duration under a key.
    pub(crate) fn duration(&self, key: &str, problems: &mut Problems) -> Option<Micros> {
        self.typed(key, "a duration with its unit, like `250ms`, `5s` or `1m`", problems, |tree| match tree {
            Tree::Text(text) => duration(text),
            _ => None,
        })
    }

    /// A text or a list of texts under a key.
    pub(crate) fn texts(&self, key: &str, problems: &mut Problems) -> Option<Vec<String>> {
        let node = self.get(key)?;
        let items = match &node.value {
            Tree::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match &item.value {
                Tree::Text(text) => texts.push(text.clone()),
                other => {
                    let message =
                        format!("`{key}` of {} is a name or a list of names, not {}", self.what, shown(other));
                    problems.push(Diagnostic::error(item.span, &message));
                }
            }
        }
        (texts.len() == items.len()).then_some(texts)
    }

    fn typed<T>(
        &self,
        key: &str,
        expected: &str,
        problems: &mut Problems,
        read: impl Fn(&'a Tree) -> Option<T>,
    ) -> Option<T> {
        let node = self.get(key)?;
        let value = read(&node.value);
        if value.is_none() {
            let found = shown(&node.value);
            let message = format!("`{key}` of {} is {expected}, not {found}", self.what);
            problems.push(Diagnostic::error(node.span, &message));
        }
        value
    }
}

/// The entries of a mapping whatever their keys, each key once.
pub(crate) fn entries<'a>(what: &str, node: &'a Node, problems: &mut Problems) -> Option<Vec<(&'a Key, &'a Node)>> {
    let entries = match &node.value {
        Tree::Map(entries) => entries,
        Tree::Null => return Some(Vec::new()),
        other => {
            let message = format!("{what} is a mapping, `{{ key: value }}`, not {}", shown(other));
            problems.push(Diagnostic::error(node.span, &message));
            return None;
        }
    };
    let mut once: Vec<(&Key, &Node)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        if let Some((first, _)) = once.iter().find(|(other, _)| other.name == key.name) {
            let message = format!("`{}` stands twice in {what}; it is also on line {}", key.name, first.span.line);
            problems.push(Diagnostic::error(key.span, &message));
            continue;
        }
        once.push((key, value));
    }
    Some(once)
}

/// A value in an error.
pub(crate) fn shown(tree: &Tree) -> String {
    match tree {
        Tree::Boolean(value) => format!("`{value}`"),
        Tree::Number(value) => format!("`{value}`"),
        Tree::Text(text) if text.chars().count() <= 40 => format!("`{text}`"),
        other => other.what().to_owned(),
    }
}

/// Microseconds of `250ms`; whole numbers with a unit only.
pub(crate) fn duration(text: &str) -> Option<Micros> {
    const UNITS: [(&str, Micros); 6] =
        [("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000), ("d", 86_400_000_000)];
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, micros) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<Micros>().ok()?.checked_mul(*micros)
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_are_whole_numbers_with_a_unit() {
        use super::duration;
        assert_eq!(duration("10us"), Some(10));
        assert_eq!(duration("250ms"), Some(250_000));
        assert_eq!(duration("5s"), Some(5_000_000));
        assert_eq!(duration("1d"), Some(86_400_000_000));
        for bad in ["", "5", "s", "-5s", "1.5s", "5 s", "5S", "9223372036854775807s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
