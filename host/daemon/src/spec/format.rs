//! `format:` of sources and sinks: `ndjson`, `{ csv: { separator: ";", columns: { .. } } }`, `raw`.

use wasmill_engine::codec::Format;
use wasmill_engine::graph::suggest::{hint, listed};
use wasmill_engine::schema::{Field, Kind, Schema};

use super::diagnostic::Diagnostic;
use super::section::{Problems, Section, entries, shown};
use super::yaml::{Node, Tree};

/// Names of the formats.
const FORMATS: [&str; 3] = ["csv", "ndjson", "raw"];

/// What other systems call the kinds.
const OTHER_NAMES: [(&str, Kind); 14] = [
    ("string", Kind::Utf8),
    ("str", Kind::Utf8),
    ("text", Kind::Utf8),
    ("varchar", Kind::Utf8),
    ("int", Kind::Int64),
    ("integer", Kind::Int64),
    ("long", Kind::Int64),
    ("bigint", Kind::Int64),
    ("float", Kind::Float64),
    ("double", Kind::Float64),
    ("number", Kind::Float64),
    ("bool", Kind::Boolean),
    ("object", Kind::Json),
    ("binary", Kind::Bytes),
];

/// The format of a source and its columns; none = it could not be read.
pub(crate) fn of_source(what: &str, node: &Node, problems: &mut Problems) -> Option<(Format, Schema)> {
    let (format, columns) = format(what, node, &["columns"], problems)?;
    let schema = match (columns, &format) {
        (Some(columns), _) => columns,
        (None, Format::Raw) => Schema::new(vec![Field::required("line", Kind::Utf8)]),
        (None, Format::Ndjson) => Schema::new(Vec::new()),
        (None, Format::Csv { .. }) => {
            let message = format!("{what} is CSV without columns; write `{{ csv: {{ columns: {{ name: utf8 }} }} }}`");
            problems.push(Diagnostic::error(node.span, &message));
            return None;
        }
    };
    Some((format, schema))
}

/// The format of a sink; none = it could not be read.
pub(crate) fn of_sink(what: &str, node: &Node, problems: &mut Problems) -> Option<Format> {
    format(what, node, &[], problems).map(|(format, _)| format)
}

/// A format and its columns, where they are declared. `more` are the keys that every format has here.
fn format(what: &str, node: &Node, more: &[&str], problems: &mut Problems) -> Option<(Format, Option<Schema>)> {
    let nothing = Node { span: node.span, value: Tree::Null };
    let (name, span, options) = match &node.value {
        Tree::Text(name) => (name, node.span, &nothing),
        Tree::Map(entries) if entries.len() == 1 => (&entries[0].0.name, entries[0].0.span, &entries[0].1),
        other => {
            let message = format!("`format` of {what} is one of {}, not {}", listed(&FORMATS), shown(other));
            problems.push(Diagnostic::error(node.span, &message));
            return None;
        }
    };
    let own: &[&str] = match name.as_str() {
        "csv" => &["separator", "header"],
        "ndjson" | "raw" => &[],
        _ => {
            let hint = hint(name, FORMATS);
            problems.push(Diagnostic::error(span, &format!("there is no format `{name}`{hint}")));
            return None;
        }
    };
    // Who knows the key from elsewhere hears more than that there is none; nobody else hears of it.
    if let Tree::Map(entries) = &options.value
        && let Some((_, infer)) = entries.iter().find(|(key, _)| key.name == "infer" && more.contains(&"columns"))
    {
        let message =
            "columns are not inferred when a pipeline runs; declare them, `columns: { name: utf8, n: int64? }`";
        problems.push(Diagnostic::error(infer.span, message));
        return None;
    }
    let known: Vec<&str> = own.iter().chain(more).copied().collect();
    let section = Section::new(&format!("the format of {what}"), span, options, &known, problems)?;
    let columns = match section.get("columns").filter(|_| more.contains(&"columns")) {
        Some(node) => Some(columns(what, node, problems)?),
        None => None,
    };
    let format = match name.as_str() {
        "csv" => csv(what, &section, problems)?,
        "ndjson" => Format::Ndjson,
        _ => Format::Raw,
    };
    Some((format, columns))
}

fn csv(what: &str, section: &Section<'_>, problems: &mut Problems) -> Option<Format> {
    let separator = match section.get("separator") {
        None => b',',
        Some(node) => match section.text("separator", problems)?.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => *byte,
            _ => {
                let message = format!(
                    "`separator` of {what} is one ASCII character that is no quote or line end, \
                     not {}",
                    shown(&node.value)
                );
                problems.push(Diagnostic::error(node.span, &message));
                return None;
            }
        },
    };
    let header = match section.get("header") {
        None => true,
        Some(_) => section.boolean("header", problems)?,
    };
    Some(Format::Csv { separator, header })
}

/// `{ sensor: utf8, value: float64? }`, in the order of the file.
pub(crate) fn columns(what: &str, node: &Node, problems: &mut Problems) -> Option<Schema> {
    let entries = entries(&format!("`columns` of {what}"), node, problems)?;
    let mut fields = Vec::with_capacity(entries.len());
    for (key, value) in &entries {
        match field(&key.name, &value.value) {
            Ok(field) => fields.push(field),
            Err(message) => problems.push(Diagnostic::error(value.span, &message)),
        }
    }
    (fields.len() == entries.len()).then(|| Schema::new(fields))
}

fn field(name: &str, value: &Tree) -> Result<Field, String> {
    let kinds = Kind::ALL.map(Kind::name);
    let Tree::Text(text) = value else {
        return Err(format!("the kind of `{name}` is one of {}, not {}", listed(&kinds), shown(value)));
    };
    let (kind, nullable) = text.strip_suffix('?').map_or((text.as_str(), false), |kind| (kind, true));
    let lower = kind.to_lowercase();
    match Kind::parse(kind) {
        Some(kind) => Ok(Field { name: name.into(), kind, nullable }),
        None => {
            let known = OTHER_NAMES.iter().find(|(other, _)| *other == lower);
            let hint = known.map_or_else(|| hint(kind, kinds), |(_, kind)| format!("; it is called `{kind}` here"));
            Err(format!("there is no kind `{kind}`{hint}"))
        }
    }
}
