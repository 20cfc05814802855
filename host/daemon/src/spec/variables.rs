//! `${NAME}` in a pipeline file: the value of a variable of the environment.
//!
//! `${NAME:-default}` is `default` where the variable is not set, `$${` is the text `${`. Only values are replaced,
//! never keys. A bare value that is nothing but one variable is typed like any bare value: `lanes: ${LANES}` is a
//! number.

use serde_json::Number;

use super::diagnostic::Diagnostic;
use super::yaml::{Node, Tree};

/// The value of a variable, if it is set.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces every variable in the tree. Of `text` the tree was made.
pub(crate) fn replace(node: &mut Node, text: &str, lookup: Lookup<'_>, errors: &mut Vec<Diagnostic>) {
    match &mut node.value {
        Tree::List(items) => items.iter_mut().for_each(|item| replace(item, text, lookup, errors)),
        Tree::Map(entries) => entries.iter_mut().for_each(|(_, value)| replace(value, text, lookup, errors)),
        Tree::Text(value) if value.contains("${") => match expand(value, lookup) {
            Ok(expanded) => {
                let bare = text.get(node.span.offset..).is_some_and(|source| source.starts_with("${"));
                let whole = bare && value.find('}') == Some(value.len() - 1);
                node.value = if whole { typed(expanded) } else { Tree::Text(expanded) };
            }
            Err(message) => errors.push(Diagnostic::error(node.span, &message)),
        },
        _ => {}
    }
}

fn expand(value: &str, lookup: Lookup<'_>) -> Result<String, String> {
    let mut expanded = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        if let Some(kept) = before.strip_suffix('$') {
            expanded.push_str(kept);
            expanded.push_str("${");
            rest = &from[2..];
            continue;
        }
        expanded.push_str(before);
        let Some((inside, after)) = from[2..].split_once('}') else {
            return Err("a `${` without a `}`; write `$${` for the text `${`".to_owned());
        };
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !valid {
            return Err(format!(
                "`{name}` cannot be the name of a variable; write `${{NAME}}` or `${{NAME:-default}}`"
            ));
        }
        match lookup(name).or_else(|| default.map(str::to_owned)) {
            Some(value) => expanded.push_str(&value),
            None => {
                return Err(format!("the variable `{name}` is not set; set it or write `${{{name}:-default}}`"));
            }
        }
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// A bare value as YAML types it.
fn typed(value: String) -> Tree {
    match value.as_str() {
        "" | "~" | "null" => Tree::Null,
        "true" => Tree::Boolean(true),
        "false" => Tree::Boolean(false),
        number => {
            let float = || {
                number
                    .parse()
                    .ok()
                    .filter(|_| number.starts_with(['-', '.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']))
            };
            let parsed = number.parse::<i64>().ok().map(Number::from);
            parsed.or_else(|| float().and_then(Number::from_f64)).map_or(Tree::Text(value), Tree::Number)
        }
    }
}
