//! Passes the first row of each key; the others are filtered out, for good or until a time to live is over.
//!
//! Always true: a key's time runs from the row that passed, and duplicates do not prolong it.

use serde::Deserialize;
use wasmill::column::{Column, Kind};
use wasmill::config;
use wasmill::effects::{Effects, Emit, Step};
use wasmill::operator::{Call, Keyed, Keys};
use wasmill::plan::{Field, Plan, Port, Refusal, Table, name};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Config {
    ttl: Option<String>,
}

/// Units of a duration, in milliseconds.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Milliseconds of a duration such as `10s`.
fn milliseconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|next: char| !next.is_ascii_digit())?);
    let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*ms).filter(|ms| *ms > 0)
}

struct Dedupe;

impl Keyed for Dedupe {
    fn open(config: &str, _: &[Field]) -> Result<(Self, Plan), Refusal> {
        let config: Config = config::parse(config)?;
        let ttl_ms = config.ttl.map(|ttl| {
            let what = || format!("configuration key `ttl`: `{ttl}` is no duration; write `10s`, `5m`, `24h`, `7d`");
            milliseconds(&ttl).ok_or_else(|| Refusal::new(what()).key("ttl"))
        });
        let passed = Field { name: name("passed"), kind: name(Kind::Timestamp.name()), nullable: false };
        let table = Table { name: name("keys"), version: 1, columns: vec![passed], ttl_ms: ttl_ms.transpose()? };
        let port = Port { name: name("main"), carries: None, makes: Vec::new() };
        Ok((Self, Plan { ports: vec![port], tables: vec![table], ..Plan::default() }))
    }

    fn process<'a>(&self, call: Call<'a>, keys: Keys<'a>) -> Step<'a> {
        let fresh = keys.table.fresh.get();
        if fresh.is_empty() {
            return Step::default();
        }
        let column = keys.table.into_columns().next().expect("the host passes the column of the plan's table");
        let passed: &mut [i64] = column.data.into_numbers();
        let mut is_new: Vec<bool> = fresh.iter().map(|fresh| *fresh != 0).collect();
        for (passed, is_new) in passed.iter_mut().zip(&is_new) {
            *passed = if *is_new { call.context.now } else { *passed };
        }
        let origin = call.buffers.numbers(keys.slots.len());
        let mut len = 0;
        for (row, slot) in (0..).zip(keys.slots) {
            origin[len] = row;
            len += usize::from(std::mem::take(&mut is_new[*slot as usize]));
        }
        let emit = Emit { port: 0, origin: Some(&origin[..len]), columns: Vec::new() };
        let effects = Effects { emits: vec![emit], ..Effects::default() };
        Step { effects, state: vec![Column::fixed(passed)], ..Step::default() }
    }
}

wasmill::export!(keyed Dedupe);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases() {
        wasmill_test::cases::<Dedupe>("cases.yaml");
    }

    #[test]
    fn a_time_to_live_becomes_the_table_s() {
        let ttl = |config| Dedupe::open(config, &[]).map(|(_, plan)| plan.tables[0].ttl_ms);
        assert_eq!((ttl("{}"), ttl(r#"{"ttl": "10s"}"#)), (Ok(None), Ok(Some(10_000))));
        let refusal = ttl(r#"{"ttl": "10"}"#).expect_err("it is refused");
        assert!(refusal.message.contains("`10` is no duration; write `10s`"), "{}", refusal.message);
    }

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        assert_eq!(
            ["1ms", "10s", "5m", "24h", "7d"].map(milliseconds),
            [1, 10_000, 300_000, 86_400_000, 604_800_000].map(Some)
        );
        for text in
            ["", "10", "s", "0s", "-1s", "1.5s", "1 s", "10 years", "99999999999999999999s", "9999999999999999d"]
        {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
