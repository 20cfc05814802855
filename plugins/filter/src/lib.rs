//! Passes the rows of which a condition is true; the others are filtered out.

use expression::{Condition, Scope, parse, passing};
use serde::Deserialize;
use wasmill::config;
use wasmill::effects::{Effects, Emit};
use wasmill::operator::{Call, Transform};
use wasmill::plan::{Field, Plan, Port, Refusal, name};

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "where")]
    condition: String,
}

struct Filter {
    condition: Condition,
}

impl Transform for Filter {
    fn open(config: &str, input: &[Field]) -> Result<(Self, Plan), Refusal> {
        let config: Config = config::parse(config)?;
        let mut scope = Scope::new(input);
        let condition = parse(&config.condition, &mut scope).map_err(|wrong| wrong.refusal("where"))?;
        let ports = vec![Port { name: name("main"), carries: None, makes: Vec::new() }];
        Ok((Self { condition }, Plan { reads: scope.into_reads(), ports, ..Plan::default() }))
    }

    fn process<'a>(&self, call: Call<'a>) -> Effects<'a> {
        let rows = call.rows.count as usize;
        let truths = self.condition.truths(rows, call.rows.columns.get());
        let origin = passing(&truths, call.buffers.numbers(rows));
        Effects { emits: vec![Emit { port: 0, origin, columns: Vec::new() }], ..Effects::default() }
    }
}

wasmill::export!(transform Filter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases() {
        wasmill_test::cases::<Filter>("cases.yaml");
    }

    #[test]
    fn a_condition_that_is_wrong_is_refused_with_its_place() {
        let input = [Field { name: name("value"), kind: name("float64"), nullable: false }];
        let refused = |config: &str| Filter::open(config, &input).err().expect("it is refused");
        let refusal = refused(r#"{"where": "value > 1 and valeu < 3"}"#);
        let words = "configuration key `where`, character 15: there is no column `valeu`; did you mean `value`?";
        assert_eq!((refusal.message.as_str(), refusal.config_path.as_deref()), (words, Some("where")));
        assert!(refused(r#"{"wehre": "value > 1"}"#).message.ends_with("did you mean `where`?"));
        assert!(refused("{}").message.contains("missing field `where`"));
    }
}
