//! Rules: each a condition, a name, and the words for a row that breaks it.

use expression::{Condition, Literal, Operand, Order, Scope, Used, compare, one_of, parse};
use wasmill::column::{Column, Kind};
use wasmill::config::nearest;
use wasmill::plan::{Field, Metric, Read, Refusal, name};

use crate::config::{Checks, Config, Entry};

/// Something that must not be false of a row.
pub(crate) struct Rule {
    /// `value.max`, or the name that the configuration gives.
    name: String,
    /// What must be, in words.
    must: String,
    /// The same.
    pub(crate) condition: Condition,
}

/// The rules of a configuration.
pub(crate) struct Rules {
    /// By name.
    pub(crate) rules: Vec<Rule>,
    /// The columns of which is counted how many rows have a value.
    pub(crate) columns: Vec<Used>,
}

impl Rule {
    /// Why a row is rejected that breaks it: the rule, the columns, their values.
    pub(crate) fn broken(&self, columns: &[Column<'_>], row: usize) -> String {
        let values = self.condition.columns().iter();
        let values: Vec<String> =
            values.map(|used| format!("`{}` is {}", used.name, used.show(columns, row))).collect();
        format!("rule `{}`: {}, must {}", self.name, values.join(", "), self.must)
    }
}

impl Rules {
    /// The rules that a configuration means for an input, and the columns that they read.
    pub(crate) fn of(config: Config, input: &[Field]) -> Result<(Self, Vec<Read>), Refusal> {
        let mut scope = Scope::new(input);
        let mut this = Self { rules: Vec::new(), columns: Vec::new() };
        for (key, entry) in config.0 {
            match entry {
                Entry::Checks(checks) => {
                    let column = scope.column(&key).map_err(|what| refused(&key, what))?;
                    this.check(&key, &column, *checks)?;
                    this.columns.push(column);
                }
                Entry::Rule(text) => {
                    let condition = parse(&text, &mut scope).map_err(|wrong| wrong.refusal(&key))?;
                    this.rules.push(Rule { name: key, must: format!("be {text}"), condition });
                }
            }
        }
        Ok((this, scope.into_reads()))
    }

    fn check(&mut self, key: &str, column: &Used, checks: Checks) -> Result<(), Refusal> {
        let Checks { kind, required, min, max, min_length, max_length, one_of: values } = checks;
        if let Some(kind) = kind {
            of_kind(&format!("{key}.kind"), column, &kind)?;
        }
        let mut add = |check: &str, must: String, condition: Result<Condition, String>| {
            let name = format!("{key}.{check}");
            let condition = condition.map_err(|what| refused(&name, what))?;
            self.rules.push(Rule { name, must, condition });
            Ok(())
        };
        if required {
            add("required", "have a value".to_owned(), Ok(Condition::present(column.clone())))?;
        }
        let value = || Operand::Column(column.clone());
        if let Some(min) = min {
            add("min", format!("be at least {min}"), compare(value(), Order::AtLeast, Operand::Literal(min)))?;
        }
        if let Some(max) = max {
            add("max", format!("be at most {max}"), compare(value(), Order::AtMost, Operand::Literal(max)))?;
        }
        let length = |order, length: u32| {
            compare(Operand::Length(column.clone()), order, Operand::Literal(Literal::Int(length.into())))
        };
        let unit = if column.kind == Kind::Bytes { "bytes" } else { "characters" };
        if let Some(min) = min_length {
            add("min_length", format!("have at least {min} {unit}"), length(Order::AtLeast, min))?;
        }
        if let Some(max) = max_length {
            add("max_length", format!("have at most {max} {unit}"), length(Order::AtMost, max))?;
        }
        if let Some(values) = values {
            let listed: Vec<String> = values.iter().map(ToString::to_string).collect();
            let condition =
                if values.is_empty() { Err("the list is empty".to_owned()) } else { one_of(column, values) };
            add("one_of", format!("be one of {}", listed.join(", ")), condition)?;
        }
        Ok(())
    }

    /// A counter a rule, then a counter a column.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let of_rules = self.rules.iter().map(|rule| ("broke", &*rule.name, "Rows that broke the rule"));
        let of_columns =
            self.columns.iter().map(|column| ("has", &*column.name, "Rows that have a value in the column"));
        let mut metrics: Vec<Metric> = Vec::new();
        for (what, of, help) in of_rules.chain(of_columns) {
            let name_of = |number: usize| match number {
                1 => format!("{what}_{}_rows", word(of)),
                _ => format!("{what}_{}_{number}_rows", word(of)),
            };
            let is_free = |name: &String| metrics.iter().all(|metric| metric.name != *name);
            let free = (1..).map(name_of).find(is_free).expect("there are more numbers than metrics");
            metrics.push(Metric { name: free.into(), kind: name("counter"), help: format!("{help} `{of}`.").into() });
        }
        metrics
    }
}

/// A name as metrics are written: letters and digits, `_` for everything else.
fn word(text: &str) -> String {
    let plain = text.to_ascii_lowercase();
    let words = plain.split(|next: char| !next.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}

fn of_kind(key: &str, column: &Used, wanted: &str) -> Result<(), Refusal> {
    let (name, kind) = (&column.name, column.kind.name());
    if Kind::of(wanted).is_none() {
        let hint = nearest(wanted, Kind::ALL.map(Kind::name));
        let hint = hint.map_or_else(
            || format!("; there is {}", Kind::ALL.map(Kind::name).join(", ")),
            |hint| format!("; did you mean `{hint}`?"),
        );
        return Err(refused(key, format!("`{wanted}` is no kind{hint}")));
    }
    if wanted == kind {
        Ok(())
    } else {
        Err(refused(key, format!("`{name}` is {kind}, not {wanted}")).column(name.to_string()))
    }
}

fn refused(key: &str, what: String) -> Refusal {
    Refusal::new(format!("configuration key `{key}`: {what}")).key(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_names_of_their_own() {
        let condition = || Condition::all(Vec::new());
        let rule = |name: &str| Rule { name: name.to_owned(), must: String::new(), condition: condition() };
        let rules = Rules { rules: ["site.name", "Site-Name", "ünï"].map(rule).into(), columns: Vec::new() };
        let names: Vec<String> = rules.metrics().into_iter().map(|metric| metric.name.into_owned()).collect();
        assert_eq!(names, ["broke_site_name_rows", "broke_site_name_2_rows", "broke_n_rows"]);
    }
}
