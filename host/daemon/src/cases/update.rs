//! `wasmill test --update`: what came out becomes what is expected, and all else in the file stays as it is.
//!
//! Only the bytes of an `expect:` are replaced, by what the file's own style allows. Always true: the new text was read
//! again and says the same cases with the same inputs.

use std::fmt::Write as _;

use super::{Case, Cases, Outcome, Refused, Step};
use crate::row::Plain;
use crate::spec::Diagnostics;
use crate::spec::yaml::{Key, Node, Tree};

/// Which step of which case, counted from 0.
pub(crate) type Place = (usize, usize);

/// The text of the file with these outcomes expected of the steps at these places, in rising order.
///
/// # Errors
/// A case is written in a way that cannot be changed without changing more of it.
pub(crate) fn updated(cases: &Cases, outcomes: &[(Place, Outcome)]) -> Result<String, Diagnostics> {
    let mut text = cases.text.clone();
    for ((case, step), outcome) in outcomes.iter().rev() {
        rewrite(&mut text, &cases.cases[*case].steps[*step].node, outcome);
    }
    let (case, step) = outcomes.first().map_or((0, 0), |(at, _)| *at);
    let refused = || {
        let sentence = "the expectations cannot be rewritten here; write `expect:` on a line of its own below `input:`";
        cases.wrong(cases.cases[case].steps[step].key(&["expect"]), sentence)
    };
    let again = super::parse(cases.file.clone(), text.clone()).map_err(|_| refused())?;
    let same_step = |(a, b): (&Step, &Step)| a.now == b.now && a.watermark == b.watermark && a.input == b.input;
    let same = |(a, b): (&Case, &Case)| {
        let steps = a.steps.len() == b.steps.len() && a.steps.iter().zip(&b.steps).all(same_step);
        a.name == b.name && a.config == b.config && steps
    };
    let kept = again.cases.len() == cases.cases.len() && cases.cases.iter().zip(&again.cases).all(same);
    let expects =
        |((case, step), outcome): &(Place, Outcome)| flow(&again.cases[*case].steps[*step].expected) == flow(outcome);
    if kept && outcomes.iter().all(expects) { Ok(text) } else { Err(refused()) }
}

fn rewrite(text: &mut String, step: &Node, outcome: &Outcome) {
    let Tree::Map(entries) = &step.value else { return };
    let expect = entries.iter().find(|(key, _)| key.name == "expect");
    let inline = text[step.span.offset..].starts_with('{');
    match (expect, inline) {
        (Some((_, value)), true) => {
            let start = value.span.offset;
            text.replace_range(start..close(text, start), &flow(outcome));
        }
        (None, true) => {
            let end = close(text, step.span.offset).saturating_sub(1);
            let end = text[..end].trim_end().len();
            text.insert_str(end, &format!(", expect: {}", flow(outcome)));
        }
        (Some((key, _)), false) => {
            let end = block_end(text, key, key.span.column);
            text.replace_range(key.span.offset..end, &block(outcome, key.span.column - 1));
        }
        (None, false) => {
            let Some((first, _)) = entries.first() else { return };
            let end = block_end(text, first, first.span.column - 1);
            let indent = first.span.column - 1;
            text.insert_str(end, &format!("\n{:indent$}{}", "", block(outcome, indent)));
        }
    }
}

/// One past the last byte of what stands at and below a key: the lines behind it that are indented by at least so many
/// characters. Blank lines and comments at the end are not part of it.
fn block_end(text: &str, key: &Key, indented: usize) -> usize {
    let mut at = key.span.offset;
    let mut end = at;
    for (number, line) in text[key.span.offset..].split_inclusive('\n').enumerate() {
        let content = line.trim();
        let counts = !content.is_empty() && !content.starts_with('#');
        let indent = line.chars().take_while(|c| *c == ' ').count();
        if number > 0 && counts && indent < indented {
            break;
        }
        if counts {
            end = at + line.trim_end().len();
        }
        at += line.len();
    }
    end
}

/// One past the bracket that closes the one at `start`; quotes are passed over.
fn close(text: &str, start: usize) -> usize {
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    for (at, c) in text[start..].char_indices() {
        match (quote, c) {
            (Some('"'), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(open), c) if c == open && !escaped => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        escaped = false;
        if depth == 0 && quote.is_none() {
            return start + at + c.len_utf8();
        }
    }
    text.len()
}

/// `expect:` over several lines, its first line without indentation and its last without an end.
fn block(outcome: &Outcome, indent: usize) -> String {
    let mut text = String::from("expect:");
    let mut line = |deeper: usize, content: String| {
        // Writing to a string does not fail.
        write!(text, "\n{:width$}{content}", "", width = indent + deeper).ok();
    };
    for (port, rows) in outcome.ports.iter().filter(|(_, rows)| !rows.is_empty()) {
        line(2, format!("{}:", Plain(port)));
        rows.iter().for_each(|row| line(4, format!("- {row}")));
    }
    if !outcome.rejects.is_empty() {
        line(2, "rejects:".to_owned());
        outcome.rejects.iter().for_each(|refused| line(4, format!("- {}", reject(refused))));
    }
    match &outcome.state {
        Some(keys) if keys.is_empty() => line(2, "state: {}".to_owned()),
        Some(keys) => {
            line(2, "state:".to_owned());
            keys.iter().for_each(|(key, row)| line(4, format!("{}: {row}", Plain(key))));
        }
        None => {}
    }
    if text == "expect:" { "expect: {}".to_owned() } else { text }
}

/// The value of `expect:` in one line.
fn flow(outcome: &Outcome) -> String {
    let list = |items: Vec<String>| format!("[{}]", items.join(", "));
    let filled = outcome.ports.iter().filter(|(_, rows)| !rows.is_empty());
    let rows = |rows: &[crate::row::Row]| list(rows.iter().map(ToString::to_string).collect());
    let mut parts: Vec<String> = filled.map(|(port, of)| format!("{}: {}", Plain(port), rows(of))).collect();
    if !outcome.rejects.is_empty() {
        parts.push(format!("rejects: {}", list(outcome.rejects.iter().map(reject).collect())));
    }
    if let Some(keys) = &outcome.state {
        let keys: Vec<String> = keys.iter().map(|(key, row)| format!("{}: {row}", Plain(key))).collect();
        parts.push(format!("state: {{{}}}", keys.join(", ")));
    }
    format!("{{ {} }}", parts.join(", "))
}

/// A refused row in one line.
pub(crate) fn reject(refused: &Refused) -> String {
    let reason = refused.reason.as_ref().map_or_else(String::new, |reason| format!(", reason: {}", Plain(reason)));
    let action =
        if refused.action == super::ACTIONS[0] { String::new() } else { format!(", action: {}", refused.action) };
    format!("{{ row: {}{reason}{action} }}", refused.row)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::row::Row;

    fn updated_text(text: &str) -> String {
        let cases =
            crate::cases::parse("cases.yaml".to_owned(), text.to_owned()).map_err(|told| told.render(false)).unwrap();
        let row = Row(vec![("n".to_owned(), json!(2)), ("site.name".to_owned(), json!("a: b"))]);
        let refused = Refused { row: 1, action: "retry", reason: Some("later".to_owned()) };
        let last = cases.cases[0].steps.len() - 1;
        let state = cases.cases[0].steps[last].expected.state.is_some().then(|| vec![("a".to_owned(), Row(vec![]))]);
        let outcome = Outcome {
            ports: vec![("main".to_owned(), vec![row]), ("late".to_owned(), vec![])],
            rejects: vec![refused],
            state,
        };
        updated(&cases, &[((0, last), outcome)]).map_err(|told| told.render(false)).unwrap()
    }

    const ROW: &str = r#"{ n: 2, site: { name: "a: b" } }"#;

    #[test]
    fn an_expectation_is_rewritten_and_nothing_else() {
        let new = format!(
            "    expect:\n      main:\n        - {ROW}\n      rejects:\n\
             \x20       - {{ row: 1, reason: later, action: retry }}\n"
        );
        let (before, after) =
            ("# a\ncases:\n  - name: x   # b\n    input: [ { n: 1 } ]  # c\n", "\n  # d\n  - name: y # e\n");
        for old in [
            "    expect: { main: [ { n: 1 } ] } # gone\n",
            "    expect:\n      main:\n        - { n: 1 }\n        # gone\n        - n: 2\n          m: \"\\\"}\"\n",
            "    expect:\n",
            "",
        ] {
            assert_eq!(updated_text(&format!("{before}{old}{after}")), format!("{before}{new}{after}"), "{old}");
        }
        let first = "cases:\n- expect:\n    main: []\n  name: x\n";
        let shallow = new.trim_start().replace("\n      ", "\n    ");
        assert_eq!(updated_text(first), format!("cases:\n- {shallow}  name: x\n"));
    }

    #[test]
    fn of_a_case_with_steps_the_expectation_of_the_step_is_rewritten() {
        let new = format!(
            "        expect:\n          main:\n            - {ROW}\n          rejects:\n\
             \x20           - {{ row: 1, reason: later, action: retry }}\n"
        );
        let before = "cases:\n  - name: x\n    steps:\n      - expect: {}\n      - now: 1970-01-01T00:00:01Z\n";
        for old in ["        expect: { main: [] }\n", ""] {
            assert_eq!(updated_text(&format!("{before}{old}  - name: y\n")), format!("{before}{new}  - name: y\n"));
        }
    }

    #[test]
    fn a_case_in_one_line_stays_in_one_line() {
        let flow = format!("{{ main: [{ROW}], rejects: [{{ row: 1, reason: later, action: retry }}] }}");
        let text = "cases: [ { name: \"}\", expect: { main: [] }, input: [] }, { name: y } ] # z\n";
        assert_eq!(updated_text(text), text.replace("{ main: [] }", &flow));
        let text = "cases: [ { name: x } ]\n";
        assert_eq!(updated_text(text), format!("cases: [ {{ name: x, expect: {flow} }} ]\n"));
    }

    #[test]
    fn state_is_written_only_where_it_was_looked_at() {
        assert!(
            updated_text("cases:\n  - name: x\n    expect:\n      state: {}\n")
                .contains("      state:\n        a: {}\n")
        );
    }
}
