//! Keeps, drops and renames columns. No value crosses into it: the host carries columns by reference.

use std::collections::BTreeMap;

use serde::Deserialize;
use wasmill::config::{self, nearest};
use wasmill::effects::{Effects, Emit};
use wasmill::operator::{Call, Transform};
use wasmill::plan::{Carried, Field, Plan, Port, Refusal, name};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Config {
    keep: Option<Vec<String>>,
    drop: Vec<String>,
    rename: BTreeMap<String, String>,
}

/// The part of a column's name below `group`: nothing for the column of that name itself.
fn below<'n>(column: &'n str, group: &str) -> Option<&'n str> {
    column.strip_prefix(group).filter(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The columns that a name means: that of the name, or all of the group.
fn meant<'i>(wanted: &str, input: &'i [Field], key: &str) -> Result<Vec<&'i str>, Refusal> {
    let names = || input.iter().map(|field| &*field.name);
    let found: Vec<&str> = names().filter(|name| below(name, wanted).is_some()).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let end_of_path = |name: &&str| name.strip_suffix(wanted).is_some_and(|before| before.ends_with('.'));
    let hint = names().find(end_of_path).or_else(|| nearest(wanted, names()));
    let hint = hint.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
    Err(Refusal::new(format!("configuration key `{key}`: there is no column `{wanted}`{hint}")).key(key))
}

impl Config {
    /// The columns that stay, in the order in which they leave.
    fn kept<'i>(&self, input: &'i [Field]) -> Result<Vec<&'i str>, Refusal> {
        let mut kept: Vec<&str> = Vec::new();
        match &self.keep {
            None => kept.extend(input.iter().map(|field| &*field.name)),
            Some(_) if !self.drop.is_empty() => {
                return Err(Refusal::new("`keep` and `drop` exclude each other; leave one out").key("drop"));
            }
            Some(names) => {
                for (number, wanted) in names.iter().enumerate() {
                    let columns = meant(wanted, input, &format!("keep[{number}]"))?;
                    kept.extend(columns.into_iter().filter(|column| !kept.contains(column)).collect::<Vec<_>>());
                }
            }
        }
        for (number, wanted) in self.drop.iter().enumerate() {
            let columns = meant(wanted, input, &format!("drop[{number}]"))?;
            kept.retain(|column| !columns.contains(column));
        }
        if kept.is_empty() && !input.is_empty() {
            return Err(Refusal::new("no column is left; keep one"));
        }
        Ok(kept)
    }

    /// Every column that stays, with its name in the output.
    fn carried(&self, input: &[Field]) -> Result<Vec<Carried>, Refusal> {
        let kept = self.kept(input)?;
        for old in self.rename.keys() {
            let columns = meant(old, input, &format!("rename.{old}"))?;
            if !columns.iter().any(|column| kept.contains(column)) {
                return Err(Refusal::new(format!("`{old}` is renamed, but is not kept")).key(format!("rename.{old}")));
            }
        }
        let mut carried: Vec<Carried> = Vec::with_capacity(kept.len());
        for column in kept {
            // The longest name wins: `site.name` over `site`.
            let renamed = self.rename.iter().filter_map(|(old, new)| Some((old.len(), new, below(column, old)?)));
            let output = renamed.max_by_key(|(len, ..)| *len).map(|(_, new, rest)| format!("{new}{rest}"));
            let output = output.unwrap_or_else(|| column.to_owned());
            if let Some(other) = carried.iter().find(|other| other.output == output) {
                let message = format!("`{}` and `{column}` would both be called `{output}`", other.input);
                return Err(Refusal::new(message).key("rename"));
            }
            carried.push(Carried { input: column.to_owned().into(), output: output.into() });
        }
        Ok(carried)
    }
}

struct Select;

impl Transform for Select {
    fn open(config: &str, input: &[Field]) -> Result<(Self, Plan), Refusal> {
        let config: Config = config::parse(config)?;
        let carries = Some(config.carried(input)?);
        let ports = vec![Port { name: name("main"), carries, makes: Vec::new() }];
        Ok((Self, Plan { ports, ..Plan::default() }))
    }

    fn process<'a>(&self, _: Call<'a>) -> Effects<'a> {
        Effects { emits: vec![Emit { port: 0, origin: None, columns: Vec::new() }], ..Effects::default() }
    }
}

wasmill::export!(transform Select);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases() {
        wasmill_test::cases::<Select>("cases.yaml");
    }

    fn refused(config: &str) -> (String, Option<String>) {
        let fields = ["id", "site.name", "site.country"];
        let input = fields.map(|field| Field { name: name(field), kind: name("utf8"), nullable: false });
        let refusal = Select::open(config, &input).err().expect("it is refused");
        (refusal.message, refusal.config_path)
    }

    #[test]
    fn a_selection_that_cannot_be_is_refused() {
        for (config, words, key) in [
            (r#"{"keep": ["id", "nam"]}"#, "there is no column `nam`", "keep[1]"),
            (r#"{"drop": ["name"]}"#, "there is no column `name`; did you mean `site.name`?", "drop[0]"),
            (r#"{"rename": {"ide": "x"}}"#, "there is no column `ide`; did you mean `id`?", "rename.ide"),
            (r#"{"rename": {"site.name": "id"}}"#, "`id` and `site.name` would both be called `id`", "rename"),
            (r#"{"keep": ["id"], "rename": {"site": "x"}}"#, "`site` is renamed, but is not kept", "rename.site"),
            (r#"{"keep": ["id"], "drop": ["site"]}"#, "`keep` and `drop` exclude each other", "drop"),
        ] {
            let (message, path) = refused(config);
            assert!(message.contains(words), "{config}: {message}");
            assert_eq!(path.as_deref(), Some(key), "{config}");
        }
        assert_eq!(refused(r#"{"drop": ["id", "site"]}"#), ("no column is left; keep one".to_owned(), None));
    }
}
