//! Rejects the rows that break a rule, and counts: how many rows broke each rule, how many have a value in each column.
//!
//! Every rule is a condition; a row breaks it where the condition is false. What a null makes unknown breaks nothing
//! but `required`. Modules: `config` reads the rules, `rule` holds them, here they are applied.

mod config;
mod rule;

use expression::{FALSE, TRUE};
use wasmill::column::Column;
use wasmill::effects::{Effects, Emit, Reject};
use wasmill::operator::{Call, Transform};
use wasmill::plan::{Field, Plan, Port, Refusal, name};

use rule::Rules;

struct Validate {
    rules: Rules,
}

impl Transform for Validate {
    fn open(text: &str, input: &[Field]) -> Result<(Self, Plan), Refusal> {
        let config: config::Config = wasmill::config::parse(text)?;
        let (rules, reads) = Rules::of(config, input)?;
        let ports = vec![Port { name: name("main"), carries: None, makes: Vec::new() }];
        let metrics = rules.metrics();
        Ok((Self { rules }, Plan { reads, ports, metrics, ..Plan::default() }))
    }

    fn process<'a>(&self, call: Call<'a>) -> Effects<'a> {
        let (rows, columns) = (call.rows.count as usize, call.rows.columns.get());
        let mut all = vec![TRUE; rows];
        let mut truths = Vec::with_capacity(self.rules.rules.len());
        let mut metrics = Vec::with_capacity(self.rules.rules.len() + self.rules.columns.len());
        for rule in &self.rules.rules {
            let its = rule.condition.truths(rows, columns);
            all.iter_mut().zip(&its).for_each(|(all, its)| *all = (*all).min(*its));
            metrics.push(its.iter().filter(|truth| **truth == FALSE).count() as f64);
            truths.push(its);
        }
        metrics.extend(self.rules.columns.iter().map(|column| complete(&columns[column.number], rows) as f64));
        let origin = call.buffers.numbers(rows);
        let (mut len, mut rejects) = (0, Vec::new());
        for (row, all) in (0..).zip(&all) {
            if *all == FALSE {
                rejects.push((row, self.reject(&truths, columns, row as usize)));
            } else {
                origin[len] = row;
                len += 1;
            }
        }
        let emit = Emit { port: 0, origin: (len < rows).then_some(&origin[..len]), columns: Vec::new() };
        Effects { emits: vec![emit], rejects, metrics }
    }
}

impl Validate {
    /// All rules that a row breaks, each with the values that do.
    fn reject(&self, truths: &[Vec<u8>], columns: &[Column<'_>], row: usize) -> Reject {
        let broken = self.rules.rules.iter().zip(truths).filter(|(_, truths)| truths[row] == FALSE);
        broken.map(|(rule, _)| rule.broken(columns, row)).collect::<Vec<_>>().join("; ").into()
    }
}

/// How many rows have a value.
fn complete(column: &Column<'_>, rows: usize) -> usize {
    let present = column.present.get();
    if present.is_empty() { rows } else { present.iter().filter(|present| **present != 0).count() }
}

wasmill::export!(transform Validate);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases() {
        wasmill_test::cases::<Validate>("cases.yaml");
    }

    #[test]
    fn rules_that_cannot_hold_are_refused() {
        let fields = [("id", "int64"), ("sensor", "utf8")];
        let input = fields.map(|(field, kind)| Field { name: name(field), kind: name(kind), nullable: true });
        for (config, words, key) in [
            (r#"{"sensr": {"required": true}}"#, "there is no column `sensr`; did you mean `sensor`?", "sensr"),
            (r#"{"id": {"kind": "utf8"}}"#, "`id` is int64, not utf8", "id.kind"),
            (r#"{"id": {"kind": "int46"}}"#, "`int46` is no kind; did you mean `int64`?", "id.kind"),
            (r#"{"id": {"min": "a"}}"#, "`id` is int64, 'a' is text; they cannot be compared", "id.min"),
            (r#"{"id": {"min": 9223372036854775808}}"#, "9223372036854775808 is past", "id.min"),
            (r#"{"id": {"maxx": 3}}"#, "unknown key; did you mean `max`?", "id.maxx"),
            (r#"{"id": {"min_length": 3}}"#, "only utf8 and bytes have a length", "id.min_length"),
            (r#"{"id": {"one_of": []}}"#, "the list is empty", "id.one_of"),
            (r#"{"id": 3}"#, "expected checks of a column, as in `{ required: true, min: 0 }`, or a rule", "id"),
            (r#"{"rule": "id > 3 and sensr == 'a'"}"#, "character 12: there is no column `sensr`", "rule"),
        ] {
            let refusal = Validate::open(config, &input).err().expect("it is refused");
            assert!(refusal.message.contains(words), "{config}: {}", refusal.message);
            assert_eq!(refusal.config_path.as_deref(), Some(key), "{config}: {}", refusal.message);
        }
    }
}
