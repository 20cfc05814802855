//! What differs between two outcomes of an operator, row by row.
//!
//! Rows that are the same on both sides are found first, in order; what is left between them is shown side by side,
//! with the columns that differ. Neighbours: [`crate::trial`] makes outcomes, the verbs `test` and `dev` show them.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cases::{Outcome, Refused};
use crate::row::{Item, Row};

/// A line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// So many rows are the same.
    Same(usize),
    /// Only on the first side: expected, or earlier.
    Gone(String),
    /// Only on the second side: found, or now.
    Come(String),
    /// What differs between the two rows above: column, first side, second side.
    Column(String, String, String),
}

/// What differs in one part of an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The name of a port, `rejects` or `state`.
    pub(crate) part: String,
    /// Row by row.
    pub(crate) lines: Vec<Line>,
}

/// Pairs of rows that are compared to find those that are the same, at most; past it rows are compared by position.
const PAIRS_MAX: usize = 4_000_000;

/// The parts in which two outcomes differ. A port that is not named has no rows; state is compared where both have it.
pub(crate) fn differences(first: &Outcome, second: &Outcome) -> Vec<Difference> {
    let rows = |outcome: &Outcome, port: &str| {
        let found = outcome.ports.iter().find(|(name, _)| name == port);
        found.map_or_else(Vec::new, |(_, rows)| rows.clone())
    };
    let mut ports: Vec<&String> = second.ports.iter().map(|(name, _)| name).collect();
    ports.extend(
        first.ports.iter().map(|(name, _)| name).filter(|name| !second.ports.iter().any(|(other, _)| other == *name)),
    );
    let mut found = Vec::new();
    let mut add = |part: &str, lines: Option<Vec<Line>>| {
        found.extend(lines.map(|lines| Difference { part: part.to_owned(), lines }));
    };
    for port in ports {
        add(port, compare(&rows(first, port), &rows(second, port), |a, b| a == b));
    }
    add(
        "rejects",
        compare(&first.rejects, &second.rejects, |a, b| {
            a.row == b.row && a.action == b.action && (a.reason.is_none() || a.reason == b.reason)
        }),
    );
    if let (Some(first), Some(second)) = (&first.state, &second.state) {
        let sorted = |keys: &[(String, Row)]| {
            let mut keys = keys.to_vec();
            keys.sort_by(|(a, _), (b, _)| a.cmp(b));
            keys
        };
        add("state", compare(&sorted(first), &sorted(second), |a, b| a == b));
    }
    found
}

/// Something that is shown on a line.
trait Shown {
    fn text(&self) -> String;
    /// What differs in it from another.
    fn columns(&self, _other: &Self) -> Vec<Line> {
        Vec::new()
    }
}

impl Shown for Row {
    fn text(&self) -> String {
        self.to_string()
    }

    fn columns(&self, other: &Self) -> Vec<Line> {
        let value =
            |value: Option<&Value>| value.map_or("nothing".to_owned(), |value| Item::Value(value.clone()).to_string());
        let column = |(path, a, b): (&str, _, _)| Line::Column(path.to_owned(), value(a), value(b));
        self.differences(other).into_iter().map(column).collect()
    }
}

impl Shown for (String, Row) {
    fn text(&self) -> String {
        format!("{}: {}", self.0, self.1)
    }

    fn columns(&self, other: &Self) -> Vec<Line> {
        if self.0 == other.0 { self.1.columns(&other.1) } else { Vec::new() }
    }
}

impl Shown for Refused {
    fn text(&self) -> String {
        crate::cases::reject(self)
    }
}

/// The lines that tell two lists apart; none where they are the same.
fn compare<T: Shown>(first: &[T], second: &[T], same: impl Fn(&T, &T) -> bool) -> Option<Vec<Line>> {
    let pairs = common(first, second, &same);
    if pairs.len() == first.len() && pairs.len() == second.len() {
        return None;
    }
    let (mut lines, mut a, mut b, mut run) = (Vec::new(), 0, 0, 0);
    for (next_a, next_b) in pairs.into_iter().chain([(first.len(), second.len())]) {
        if (a, b) != (next_a, next_b) {
            lines.extend((run > 0).then_some(Line::Same(run)));
            run = 0;
            between(&first[a..next_a], &second[b..next_b], &mut lines);
        }
        run += usize::from(next_a < first.len());
        (a, b) = (next_a + 1, next_b + 1);
    }
    lines.extend((run > 0).then_some(Line::Same(run)));
    Some(lines)
}

fn between<T: Shown>(gone: &[T], come: &[T], lines: &mut Vec<Line>) {
    for at in 0..gone.len().max(come.len()) {
        let (a, b) = (gone.get(at), come.get(at));
        lines.extend(a.map(|row| Line::Gone(row.text())));
        lines.extend(b.map(|row| Line::Come(row.text())));
        if let (Some(a), Some(b)) = (a, b) {
            lines.extend(a.columns(b));
        }
    }
}

/// Positions of a longest list of rows that are the same and in the same order on both sides.
fn common<T>(first: &[T], second: &[T], same: &impl Fn(&T, &T) -> bool) -> Vec<(usize, usize)> {
    let alike = |i: &usize| same(&first[*i], &second[*i]);
    let shorter = first.len().min(second.len());
    if first.len().saturating_mul(second.len()) > PAIRS_MAX {
        return (0..shorter).filter(alike).map(|i| (i, i)).collect();
    }
    let width = second.len() + 1;
    let mut longest = vec![0_u32; (first.len() + 1) * width];
    for i in (0..first.len()).rev() {
        for j in (0..second.len()).rev() {
            longest[i * width + j] = if same(&first[i], &second[j]) {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < first.len() && j < second.len() {
        if same(&first[i], &second[j]) {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

/// Differences as text, indented by so many characters. `words` name the two sides of a column.
pub(crate) fn render(differences: &[Difference], words: (&str, &str), indent: usize, colour: bool) -> String {
    let paint = |code: &str, text: String| if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text };
    let mut text = String::new();
    for difference in differences {
        // Writing to a string does not fail.
        writeln!(text, "{:indent$}{}:", "", difference.part).ok();
        for line in &difference.lines {
            let line = match line {
                Line::Same(rows) => paint("2", format!("  ({rows} the same)")),
                Line::Gone(row) => paint("31", format!("- {row}")),
                Line::Come(row) => paint("32", format!("+ {row}")),
                Line::Column(path, a, b) => format!("    {path}: {} {a}, {} {b}", words.0, words.1),
            };
            writeln!(text, "{:indent$}  {line}", "").ok();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outcome(rows: &[i64]) -> Outcome {
        let row = |n: &i64| Row(vec![("n".to_owned(), json!(n))]);
        Outcome { ports: vec![("main".to_owned(), rows.iter().map(row).collect())], ..Outcome::default() }
    }

    #[test]
    fn only_what_differs_is_shown_row_by_row() {
        assert_eq!(differences(&outcome(&[1, 2]), &outcome(&[1, 2])), []);
        let found = differences(&outcome(&[1, 2, 3, 4, 5]), &outcome(&[1, 2, 9, 4]));
        let expected = "  main:
      (2 the same)
    - { n: 3 }
    + { n: 9 }
        n: expected 3, is 9
      (1 the same)
    - { n: 5 }
";
        assert_eq!(render(&found, ("expected", "is"), 2, false), expected);
    }

    #[test]
    fn a_port_that_is_not_named_is_empty_and_state_is_compared_where_it_is_named() {
        let found = differences(&Outcome::default(), &outcome(&[1]));
        assert_eq!(found, [Difference { part: "main".to_owned(), lines: vec![Line::Come("{ n: 1 }".to_owned())] }]);
        let with = |state: Option<Vec<(String, Row)>>| Outcome { state, ..Outcome::default() };
        let (a, b) = (("a".to_owned(), Row::default()), ("b".to_owned(), Row::default()));
        assert_eq!(differences(&with(None), &with(Some(vec![a.clone()]))), []);
        assert_eq!(differences(&with(Some(vec![b.clone(), a.clone()])), &with(Some(vec![a, b]))), []);
        assert_eq!(differences(&with(Some(vec![])), &with(Some(vec![("a".to_owned(), Row::default())]))).len(), 1);
    }
}
