//! Case files: rows that go into an operator, and what must come out.
//!
//! The format is one for all drivers: the operator compiled and called as a pipeline calls it (`wasmill test`), and
//! natively in its own language. Always true: what is wrong with a file is told with line and column, before anything
//! runs. Neighbours: [`crate::spec`] has the reader of YAML with places, [`crate::trial`] runs a case, `update` writes
//! what came out as what is expected.

mod update;

use std::path::Path;

use serde_json::{Value, json};
use wasmill_engine::clock::Micros;
use wasmill_engine::codec::timestamp;
use wasmill_engine::graph::suggest::hint;
use wasmill_engine::operator::OperatorKind;
use wasmill_engine::schema::Field;

use crate::row::{Item, Row};
use crate::spec::diagnostic::{Diagnostic, Span};
use crate::spec::section::{Problems, Section, entries, shown};
use crate::spec::yaml::{self, Node, Tree};
use crate::spec::{Diagnostics, format};

pub(crate) use update::{reject, updated};

/// What may be done with a refused row, as files call it.
pub(crate) const ACTIONS: [&str; 3] = ["dead_letter", "retry", "stop"];

/// A row that an operator refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Its number, counted from 0.
    pub(crate) row: u32,
    /// One of [`ACTIONS`].
    pub(crate) action: &'static str,
    /// What is wrong with it; none = a file does not say.
    pub(crate) reason: Option<String>,
}

/// What comes of a case, or shall come of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// The rows of each port that has some, or is named.
    pub(crate) ports: Vec<(String, Vec<Row>)>,
    /// The refused rows, by their numbers.
    pub(crate) rejects: Vec<Refused>,
    /// The state of each key, in the order in which they came; none = it is not looked at, or there is none.
    pub(crate) state: Option<Vec<(String, Row)>>,
}

/// A case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Its name.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) node: Node,
    /// The operator's configuration.
    pub(crate) config: Value,
    /// What happens, one after the other: at least one step. State is kept from each to the next.
    pub(crate) steps: Vec<Step>,
}

/// What happens at one moment of a case.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Where it stands: the case itself where that has no steps.
    pub(crate) node: Node,
    /// What the operator takes for the present.
    pub(crate) now: Micros,
    /// Event time up to which the input is complete; none = unknown.
    pub(crate) watermark: Option<Micros>,
    /// What goes in.
    pub(crate) input: Vec<Row>,
    /// What must come out.
    pub(crate) expected: Outcome,
}

/// A case file.
#[derive(Clone, Debug)]
pub(crate) struct Cases {
    /// The file as it was named.
    pub(crate) file: String,
    /// Its text.
    pub(crate) text: String,
    /// The columns that it names.
    pub(crate) columns: Vec<Field>,
    /// The columns of the key; empty for a transform.
    pub(crate) key: Vec<String>,
    /// The cases, in order.
    pub(crate) cases: Vec<Case>,
}

impl Cases {
    /// That the key suits an operator of that kind.
    ///
    /// # Errors
    /// It does not.
    pub(crate) fn check_key(&self, kind: OperatorKind) -> Result<(), Diagnostics> {
        let sentence = match (kind, self.key.is_empty()) {
            (OperatorKind::Keyed, true) => {
                "the operator has state for each key; name the column or columns, `key: sensor`"
            }
            (OperatorKind::Transform, false) => "the operator has no state, and so no key; remove `key`",
            _ => return Ok(()),
        };
        Err(self.wrong(Span { line: 1, column: 1, length: 1, offset: 0 }, sentence))
    }

    /// Something that turned out to be wrong with what a step of a case expects of a port.
    pub(crate) fn wrong_port(&self, step: &Step, port: &str, sentence: &str) -> Diagnostics {
        self.wrong(step.key(&["expect", port]), sentence)
    }

    fn wrong(&self, span: Span, sentence: &str) -> Diagnostics {
        Diagnostics::new(self.file.clone(), self.text.clone(), vec![Diagnostic::error(span, sentence)])
    }
}

impl Step {
    /// Where the last of these keys stands, each within the one before it; of a path that leads to nothing as much as
    /// is there.
    fn key(&self, path: &[&str]) -> Span {
        let (mut at, mut node) = (self.node.span, &self.node);
        for name in path {
            let Tree::Map(entries) = &node.value else { break };
            let Some((key, value)) = entries.iter().find(|(key, _)| key.name == *name) else { break };
            (at, node) = (key.span, value);
        }
        at
    }
}

/// Reads a case file.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn read(path: &Path) -> Result<Cases, Diagnostics> {
    let file = path.display().to_string();
    let unreadable = |error| {
        let whole = Diagnostic::error(Span::default(), &format!("the case file cannot be read: {error}"));
        Diagnostics::new(file.clone(), String::new(), vec![whole])
    };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    parse(file, text)
}

fn parse(file: String, text: String) -> Result<Cases, Diagnostics> {
    let mut problems = Vec::new();
    let read = yaml::parse(&text).map_err(|problem| vec![*problem]).and_then(|root| {
        let cases = whole(&root, &mut problems);
        cases.filter(|_| problems.is_empty()).ok_or(problems)
    });
    match read {
        Ok((columns, key, cases)) => Ok(Cases { file, text, columns, key, cases }),
        Err(problems) => Err(Diagnostics::new(file, text, problems)),
    }
}

fn whole(root: &Node, problems: &mut Problems) -> Option<(Vec<Field>, Vec<String>, Vec<Case>)> {
    let start = Span { line: 1, column: 1, ..Span::default() };
    let file = Section::new("a case file", start, root, &["columns", "key", "cases"], problems)?;
    let columns = file.get("columns").map(|node| format::columns("the cases", node, problems));
    let key = file.texts("key", problems).unwrap_or_default();
    let purpose = "write `cases:` and below it `- name: what happens`, `input:` and `expect:`";
    let node = file.need("cases", purpose, problems)?;
    let nodes = list("`cases`", node, problems)?;
    let cases: Vec<Option<Case>> = (1..).zip(nodes).map(|(number, node)| case(number, node, problems)).collect();
    let cases = cases.into_iter().collect::<Option<Vec<Case>>>()?;
    for (i, case) in cases.iter().enumerate() {
        if cases[..i].iter().any(|other| other.name == case.name) {
            let message = format!("two cases are called `{}`; give each a name of its own", case.name);
            problems.push(Diagnostic::error(case.node.find("name"), &message));
        }
    }
    Some((columns.map_or(Some(Vec::new()), |schema| schema.map(|schema| schema.fields().to_vec()))?, key, cases))
}

fn list<'a>(what: &str, node: &'a Node, problems: &mut Problems) -> Option<&'a [Node]> {
    match &node.value {
        Tree::List(items) => Some(items),
        Tree::Null => Some(&[]),
        other => {
            let message = format!("{what} is a list, not {}; write `- ` in front of each", shown(other));
            problems.push(Diagnostic::error(node.span, &message));
            None
        }
    }
}

fn case(number: usize, node: &Node, problems: &mut Problems) -> Option<Case> {
    let called = match &node.value {
        Tree::Map(entries) => entries.iter().find_map(|(key, value)| match &value.value {
            Tree::Text(name) if key.name == "name" => Some(format!("case `{name}`")),
            _ => None,
        }),
        _ => None,
    };
    let what = called.unwrap_or_else(|| format!("case {number}"));
    let section = Section::new(&what, node.span, node, &[&["name", "config", "steps"], &STEP[..]].concat(), problems)?;
    section.need("name", "say what happens in it, `name: a hot reading raises an alert`", problems);
    let name = section.text("name", problems);
    let config = match section.get("config") {
        Some(node) => entries(&format!("`config` of {what}"), node, problems).map(|_| node.to_json()),
        None => Some(json!({})),
    };
    let steps = steps(&what, &section, node, problems);
    Some(Case { name: name?.to_owned(), node: node.clone(), config: config?, steps: steps? })
}

/// The keys of what happens at one moment.
const STEP: [&str; 4] = ["now", "watermark", "input", "expect"];

/// The steps of a case; one that has none is its only step itself.
fn steps(what: &str, case: &Section<'_>, node: &Node, problems: &mut Problems) -> Option<Vec<Step>> {
    let nodes = match case.get("steps") {
        Some(node) => list(&format!("`steps` of {what}"), node, problems)?,
        None => &[],
    };
    if nodes.is_empty() {
        return step(what, case, node, None, problems).map(|only| vec![only]);
    }
    for (name, beside) in STEP.iter().filter_map(|name| case.get(name).map(|node| (name, node))) {
        let message = format!("`{name}` of {what} stands beside its steps; move it into one of them");
        problems.push(Diagnostic::error(beside.span, &message));
    }
    let mut steps: Vec<Step> = Vec::new();
    for (number, node) in (1..).zip(nodes) {
        let what = format!("step {number} of {what}");
        let section = Section::new(&what, node.span, node, &STEP, problems)?;
        let read = step(&what, &section, node, steps.last(), problems)?;
        steps.push(read);
    }
    Some(steps)
}

/// What happens at one moment, after the step before it.
fn step(
    what: &str,
    section: &Section<'_>,
    node: &Node,
    before: Option<&Step>,
    problems: &mut Problems,
) -> Option<Step> {
    let now = moment(what, ("now", before.map(|before| before.now)), section, problems);
    let watermark = moment(what, ("watermark", before.and_then(|before| before.watermark)), section, problems);
    let input = match section.get("input") {
        Some(node) => rows(&format!("`input` of {what}"), node, problems),
        None => Some(Vec::new()),
    };
    let expected = match section.get("expect") {
        Some(node) => outcome(what, node, problems),
        None => Some(Outcome::default()),
    };
    let (now, watermark) = (now?.unwrap_or(0), watermark?);
    Some(Step { node: node.clone(), now, watermark, input: input?, expected: expected? })
}

/// The moment under a key, or that of the step before, which it is not before.
fn moment(
    what: &str,
    (key, before): (&str, Option<Micros>),
    section: &Section<'_>,
    problems: &mut Problems,
) -> Option<Option<Micros>> {
    let Some(node) = section.get(key) else { return Some(before) };
    let read = match &node.value {
        Tree::Text(text) => timestamp::parse(text.as_bytes()),
        _ => None,
    };
    let message = match read {
        Some(at) if before.is_none_or(|before| before <= at) => return Some(Some(at)),
        Some(_) => format!("`{key}` of {what} is before that of the step before; time does not go back"),
        None => format!("`{key}` of {what} is a moment, `2026-01-01T00:00:00Z`, not {}", shown(&node.value)),
    };
    problems.push(Diagnostic::error(node.span, &message));
    None
}

fn rows(what: &str, node: &Node, problems: &mut Problems) -> Option<Vec<Row>> {
    let nodes = list(what, node, problems)?;
    let rows: Vec<Option<Row>> = nodes.iter().map(|node| row(&format!("a row in {what}"), node, problems)).collect();
    rows.into_iter().collect()
}

fn row(what: &str, node: &Node, problems: &mut Problems) -> Option<Row> {
    object(what, node, problems).map(Row::of)
}

fn object(what: &str, node: &Node, problems: &mut Problems) -> Option<Vec<(String, Item)>> {
    let entries = entries(what, node, problems)?;
    let item = |node: &Node, problems: &mut Problems| match node.value {
        Tree::Map(_) => object(what, node, problems).map(Item::Object),
        _ => Some(Item::Value(node.to_json())),
    };
    entries.into_iter().map(|(key, node)| Some((key.name.clone(), item(node, problems)?))).collect()
}

fn outcome(what: &str, node: &Node, problems: &mut Problems) -> Option<Outcome> {
    let what = format!("`expect` of {what}");
    let mut outcome = Outcome::default();
    for (key, node) in entries(&what, node, problems)? {
        let part = format!("`{}` in {what}", key.name);
        match key.name.as_str() {
            "rejects" => {
                let nodes = list(&part, node, problems)?;
                let rejects: Vec<Option<Refused>> = nodes.iter().map(|node| refused(&part, node, problems)).collect();
                outcome.rejects = rejects.into_iter().collect::<Option<Vec<Refused>>>()?;
                outcome.rejects.sort_by_key(|refused| refused.row);
            }
            "state" => {
                let keys = entries(&part, node, problems)?;
                let of_key = |(key, node): (&yaml::Key, &Node)| Some((key.name.clone(), row(&part, node, problems)?));
                outcome.state = Some(keys.into_iter().map(of_key).collect::<Option<Vec<_>>>()?);
            }
            port => outcome.ports.push((port.to_owned(), rows(&part, node, problems)?)),
        }
    }
    Some(outcome)
}

fn refused(what: &str, node: &Node, problems: &mut Problems) -> Option<Refused> {
    let what = format!("an entry of {what}");
    let section = Section::new(&what, node.span, node, &["row", "reason", "action"], problems)?;
    section.need("row", "give the number of the input row, counted from 0", problems);
    let row = section.whole("row", problems);
    let reason = section.text("reason", problems).map(str::to_owned);
    let action = match section.get("action") {
        None => Some(ACTIONS[0]),
        Some(node) => {
            let name = section.text("action", problems)?;
            let known = ACTIONS.into_iter().find(|action| *action == name);
            if known.is_none() {
                let message = format!("`{name}` is no action for a refused row{}", hint(name, ACTIONS));
                problems.push(Diagnostic::error(node.span, &message));
            }
            known
        }
    };
    Some(Refused { row: row?, action: action?, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        parse("cases.yaml".to_owned(), text.to_owned()).expect_err("it is wrong").render(false)
    }

    #[test]
    fn a_case_file_says_what_goes_in_and_what_comes_out() {
        let text = "\
columns: { at: timestamp, value: float64? }
key: [sensor, site.name]
cases:
  - name: all of it
    config: { sigma: 3 }
    now: 2026-01-01T00:00:00Z
    input:
      - { sensor: 1, site: { name: x } }
    expect:
      main: [ { sensor: 1, site.name: x } ]
      rejects: [ { row: 1, action: retry }, { row: 0, reason: why } ]
      state: { \"1,x\": { n: 1 } }
  - name: nothing
";
        let read = parse("cases.yaml".to_owned(), text.to_owned()).map_err(|told| told.render(false)).unwrap();
        assert_eq!((read.columns.len(), read.key.len(), read.cases.len()), (2, 2, 2));
        let (case, step) = (&read.cases[0], &read.cases[0].steps[0]);
        assert_eq!((step.now, step.watermark, &case.config), (1_767_225_600_000_000, None, &json!({"sigma": 3})));
        assert_eq!(step.input, step.expected.ports[0].1, "nested or by its path");
        let rejects: Vec<_> = step.expected.rejects.iter().map(|refused| (refused.row, refused.action)).collect();
        assert_eq!(rejects, [(0, "dead_letter"), (1, "retry")]);
        assert_eq!(step.expected.state.as_ref().unwrap()[0].0, "1,x");
        assert!(read.cases[1].steps[0].expected.state.is_none());
    }

    #[test]
    fn a_step_has_the_moments_of_the_one_before_where_it_does_not_say() {
        let text = "\
cases:
  - name: time passes
    steps:
      - { watermark: 1970-01-01T00:00:02Z }
      - { now: 1970-01-01T00:00:01Z, input: [ { n: 1 } ] }
      - { watermark: 1970-01-01T00:00:03Z }
";
        let read = parse("cases.yaml".to_owned(), text.to_owned()).map_err(|told| told.render(false)).unwrap();
        let moments: Vec<_> = read.cases[0].steps.iter().map(|step| (step.now, step.watermark)).collect();
        assert_eq!(
            moments,
            [(0, 2_000_000), (1_000_000, 2_000_000), (1_000_000, 3_000_000)].map(|(a, b)| (a, Some(b)))
        );
    }

    #[test]
    fn what_is_wrong_with_a_case_file_is_told_with_line_column_and_what_was_meant() {
        for (text, words) in [
            ("casse: []", &["cases.yaml:1:1: error: `casse` is no key of a case file", "did you mean `cases`?"][..]),
            ("{}", &["a case file has no `cases`"]),
            ("cases: 3", &["cases.yaml:1:8: error: `cases` is a list, not `3`"]),
            ("cases:\n  - nmae: a\n", &["cases.yaml:2:5: error: `nmae` is no key of case 1", "did you mean `name`?"]),
            (
                "cases:\n  - name: a\n    inputs: []\n",
                &["cases.yaml:3:5: error: `inputs` is no key of case `a`", "`input`?"],
            ),
            ("cases:\n  - name: 3\n", &["cases.yaml:2:11: error: `name` of case 1 is text, not `3`"]),
            ("cases:\n  - name: a\n    now: soon\n", &["cases.yaml:3:10: error: `now` of case `a` is a moment"]),
            ("cases:\n  - name: a\n    input: { b: 1 }\n", &["cases.yaml:3:12: error: `input` of case `a` is a list"]),
            (
                "cases:\n  - name: a\n    input: [ 3 ]\n",
                &["cases.yaml:3:14: error: a row in `input` of case `a` is a mapping"],
            ),
            ("cases:\n  - name: a\n    input: [ { b: 1, b: 2 } ]\n", &["cases.yaml:3:22: error: `b` stands twice"]),
            (
                "cases:\n  - name: a\n    expect: { rejects: [ { rwo: 0 } ] }\n",
                &["cases.yaml:3:28: error: `rwo` is no key of an entry of `rejects`", "did you mean `row`?"],
            ),
            (
                "cases:\n  - name: a\n    expect: { rejects: [ { row: 0, action: retyr } ] }\n",
                &["cases.yaml:3:44: error: `retyr` is no action for a refused row", "did you mean `retry`?"],
            ),
            (
                "cases:\n  - name: a\n    steps: [ { inptu: [] } ]\n",
                &["cases.yaml:3:16: error: `inptu` is no key of step 1 of case `a`", "`input`?"],
            ),
            (
                "cases:\n  - name: a\n    now: 2026-01-01T00:00:00Z\n    steps: [ {} ]\n",
                &["cases.yaml:3:10: error: `now` of case `a` stands beside its steps"],
            ),
            ("cases:\n  - name: a\n  - name: a\n", &["cases.yaml:3:11: error: two cases are called `a`"]),
            (
                "columns: { a: flaot64 }\ncases: []",
                &["cases.yaml:1:15: error: there is no kind `flaot64`", "`float64`?"],
            ),
        ] {
            let told = told(text);
            assert!(words.iter().all(|word| told.contains(word)), "{text}\n{told}");
        }
    }
}
