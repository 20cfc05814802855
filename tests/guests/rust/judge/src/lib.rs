//! The operator of `sdk/cases`, by which all drivers of cases show that they go by the same rules. The Go driver has
//! the same in `sdk/go/wasmilltest/agreement_test.go`.

use serde::Deserialize;
use wasmill::prelude::*;

#[derive(Row)]
pub(crate) struct Reading<'a> {
    id: i64,
    value: Option<f64>,
    at: Option<Timestamp>,
    #[row(name = "site.name", default = "nowhere")]
    site: &'a str,
}

#[derive(State, Default)]
#[state(ttl = "1h")]
pub(crate) struct Stats {
    n: Option<i64>,
    last: Option<String>,
}

#[derive(Row)]
pub(crate) struct Judged {
    #[row(name = "score.n")]
    n: i64,
    twice: i64,
    now: Timestamp,
    seen: Option<Timestamp>,
    watermark: Option<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Config {
    least: f64,
}

/// Counts rows, for an hour after the last; 0 forgets what was counted, a row without a value is refused, 99 is asked
/// for again, and what is below the least goes elsewhere.
#[keyed(ports(low))]
pub(crate) fn judge(
    reading: Reading<'_>,
    stats: &mut Stats,
    config: &Config,
    context: &Context,
    out: &mut Out<Judged>,
) -> Verdict {
    let Some(value) = reading.value else { return reject(format!("there is no value at {}", reading.site)) };
    if value == 99.0 {
        return retry(1_000, "not yet");
    }
    if value == 0.0 {
        *stats = Stats::default();
        return skip();
    }
    let n = stats.n.unwrap_or_default() + 1;
    *stats = Stats { n: Some(n), last: (reading.site != "nowhere").then(|| reading.site.to_owned()) };
    let watermark = (context.watermark != i64::MIN).then_some(Timestamp(context.watermark));
    let judged = Judged { n, twice: reading.id * 2, now: Timestamp(context.now), seen: reading.at, watermark };
    if value < config.least {
        out.to("low", judged);
        return skip();
    }
    emit(judged)
}
