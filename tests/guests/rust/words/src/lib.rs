//! Each word of the SDK once: a row says in `do` what shall become of it.

use serde::Deserialize;
use wasmill::prelude::*;

#[derive(Row)]
struct Line<'a> {
    r#do: &'a str,
    #[row(name = "site.name")]
    name: Option<&'a str>,
    count: Option<i64>,
    body: &'a [u8],
    at: Timestamp,
    tags: Option<Json<&'a str>>,
    #[row(default = 0.5)]
    ratio: f64,
}

#[derive(Row)]
struct Made<'a> {
    #[row(name = "site.label")]
    label: Option<String>,
    double: Option<i64>,
    body: &'a [u8],
    #[row(name = "seen.at")]
    seen: Timestamp,
    tags: Option<Json<&'a str>>,
    half: bool,
    now: Timestamp,
}

#[derive(Deserialize)]
#[serde(default)]
struct Config {
    factor: i64,
    label: Label,
}

#[derive(Deserialize)]
#[serde(default)]
struct Label {
    prefix: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { factor: 2, label: Label::default() }
    }
}

impl Default for Label {
    fn default() -> Self {
        Self { prefix: "> ".to_owned() }
    }
}

impl Config {
    fn check(&self) -> Result<(), String> {
        if self.factor == 0 { Err("factor is 0, which leaves nothing".to_owned()) } else { Ok(()) }
    }
}

#[derive(Metrics, Default)]
struct Counts {
    /// Rows that were kept.
    kept_rows: Counter,
    /// The ratio of the last row.
    last_ratio: Gauge,
}

#[transform(ports(late), carries("at", "site.name" as "place"))]
fn work<'a>(
    line: Line<'a>,
    counts: &mut Counts,
    config: &Config,
    context: &Context,
    out: &mut Out<'_, Made<'a>>,
) -> Result<Verdict<Made<'a>>, Reject> {
    counts.last_ratio.set(line.ratio);
    let made = || Made {
        label: line.name.map(|name| config.label.prefix.clone() + name),
        double: line.count.map(|count| count * config.factor),
        body: line.body,
        seen: line.at,
        tags: line.tags,
        half: line.ratio == 0.5,
        now: Timestamp(context.now),
    };
    match line.r#do {
        "drop" => return Ok(skip()),
        "reject" => {
            out.emit(made());
            out.to("late", made());
            return reject("refused as asked");
        }
        "error" => return Err(format!("wrapped: {}", "a plain error"))?,
        "retry" => return retry(250, "not yet"),
        "stop" => return stop("no further"),
        "panic" => {
            let none: Vec<i64> = Vec::new();
            info!("{}", none[line.r#do.len()]);
        }
        "context" => {
            let Context { batch, attempt, watermark, now, seed } = context;
            info!("batch {batch} attempt {attempt} watermark {watermark} seed {seed} now {now}");
        }
        "log" => {
            warn!("logged: größer");
            info!("printed");
            error!("complained");
            debug!("structured count={}", line.count.unwrap_or(0));
        }
        "late" => {
            out.to("late", made());
            return Ok(skip());
        }
        "twice" => out.emit(made()),
        _ => {}
    }
    counts.kept_rows.increment();
    Ok(emit(made()))
}
