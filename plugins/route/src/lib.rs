//! Sends each row to the port of the first rule that is true of it; a row of which none is goes to the main port.

use expression::{Condition, Scope, TRUE, parse};
use serde::Deserialize;
use wasmill::config;
use wasmill::effects::{Effects, Emit};
use wasmill::operator::{Call, Transform};
use wasmill::plan::{Field, Plan, Port, Refusal};

/// The port of rows that no rule wants.
const REST: &str = "main";
/// As many as a byte a row can tell apart; the host allows fewer.
const PORTS_MAX: usize = u8::MAX as usize;

#[derive(Deserialize)]
struct Config {
    routes: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    to: String,
    #[serde(rename = "where")]
    condition: String,
}

struct Route {
    /// Each with the number of its port.
    rules: Vec<(Condition, u8)>,
    ports: u8,
}

impl Transform for Route {
    fn open(config: &str, input: &[Field]) -> Result<(Self, Plan), Refusal> {
        let config: Config = config::parse(config)?;
        let mut scope = Scope::new(input);
        let mut names = vec![REST.to_owned()];
        let mut rules = Vec::with_capacity(config.routes.len());
        for (number, rule) in config.routes.into_iter().enumerate() {
            let condition = parse(&rule.condition, &mut scope);
            let condition = condition.map_err(|wrong| wrong.refusal(&format!("routes[{number}].where")))?;
            let port = names.iter().position(|name| *name == rule.to).unwrap_or_else(|| {
                names.push(rule.to);
                names.len() - 1
            });
            let Some(port) = u8::try_from(port).ok().filter(|port| usize::from(*port) < PORTS_MAX) else {
                return Err(Refusal::new(format!("there are more than {PORTS_MAX} ports")).key("routes"));
            };
            rules.push((condition, port));
        }
        let ports = u8::try_from(names.len()).expect("each port had a number of a byte");
        let port = |name: String| Port { name: name.into(), carries: None, makes: Vec::new() };
        let plan = Plan { reads: scope.into_reads(), ports: names.into_iter().map(port).collect(), ..Plan::default() };
        Ok((Self { rules, ports }, plan))
    }

    fn process<'a>(&self, call: Call<'a>) -> Effects<'a> {
        let rows = call.rows.count as usize;
        let mut went = vec![0; rows];
        // The last rule first: what an earlier one says goes over it.
        for (condition, port) in self.rules.iter().rev() {
            let truths = condition.truths(rows, call.rows.columns.get());
            for (went, truth) in went.iter_mut().zip(&truths) {
                *went = if *truth == TRUE { *port } else { *went };
            }
        }
        let room = || (call.buffers.numbers(rows), 0);
        let mut origins: Vec<(&'a mut [u32], usize)> = (0..self.ports).map(|_| room()).collect();
        for (row, port) in (0..).zip(&went) {
            let (origin, len) = &mut origins[usize::from(*port)];
            origin[*len] = row;
            *len += 1;
        }
        let emit = |(port, (origin, len)): (u32, (&'a mut [u32], usize))| {
            (len > 0).then(|| Emit { port, origin: Some(&origin[..len]), columns: Vec::new() })
        };
        Effects { emits: (0..).zip(origins).filter_map(emit).collect(), ..Effects::default() }
    }
}

wasmill::export!(transform Route);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases() {
        wasmill_test::cases::<Route>("cases.yaml");
    }

    #[test]
    fn ports_are_those_that_rules_name_and_a_wrong_rule_is_refused() {
        let input = [Field { name: "value".into(), kind: "float64".into(), nullable: false }];
        let rule = |to: &str, condition: &str| format!(r#"{{"to": "{to}", "where": "{condition}"}}"#);
        let routes = |rules: &[String]| Route::open(&format!(r#"{{"routes": [{}]}}"#, rules.join(", ")), &input);
        let (_, plan) = routes(&[rule("a", "value > 1"), rule("b", "value < 0"), rule("a", "value == 0")])
            .unwrap_or_else(|refusal| panic!("{}", refusal.message));
        assert_eq!(plan.ports.iter().map(|port| &*port.name).collect::<Vec<_>>(), ["main", "a", "b"]);
        let refusal = routes(&[rule("a", "value > 1"), rule("b", "valu < 0")]).err().expect("it is refused");
        assert_eq!(refusal.config_path.as_deref(), Some("routes[1].where"));
        let many: Vec<String> = (0..300).map(|port| rule(&format!("p{port}"), "value > 1")).collect();
        assert_eq!(routes(&many).err().expect("it is refused").message, "there are more than 255 ports");
    }
}
