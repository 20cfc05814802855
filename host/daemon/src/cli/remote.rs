//! Verbs that ask a server: `status`, `pause`, `resume`, `drain`, `delete`, `logs`, `events`, `dead-letters`, `tap`.

use std::time::Duration;

use serde_json::Value;

use super::{Failed, Output, Setting};
use crate::client::{Client, escaped};
use crate::report::{count, span, took};

/// Where a server is by default.
pub(super) const SERVER: &str = "127.0.0.1:7070";

/// Where the server is.
#[derive(clap::Args)]
pub(super) struct Server {
    /// Address of the server
    #[arg(long, value_name = "ADDRESS", default_value = SERVER, env = "WASMILL_SERVER")]
    server: String,
    /// Wait so long for the server to be there
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

impl Server {
    /// A way to it.
    pub(super) fn client(&self) -> Client {
        Client::new(&self.server, Duration::from_secs(self.wait))
    }
}

/// From when on it is worth a word that a source brings nothing.
const IDLE_S: f64 = 2.0;

const STATUS_EXAMPLES: &str = "\
Examples:
  wasmill status
  wasmill status sensor-alerts
  wasmill status --wait 10          as soon as the server is there";

/// Show the pipelines of a server, or all about one.
#[derive(clap::Args)]
#[command(after_help = STATUS_EXAMPLES)]
pub(super) struct Status {
    /// A pipeline; without it all
    pipeline: Option<String>,
    #[command(flatten)]
    server: Server,
}

const NAMED_EXAMPLES: &str = "\
Examples:
  wasmill pause sensor-alerts
  wasmill resume sensor-alerts
  wasmill drain sensor-alerts";

/// A pipeline of a server.
#[derive(clap::Args)]
#[command(after_help = NAMED_EXAMPLES)]
pub(super) struct Named {
    /// The pipeline
    pipeline: String,
    #[command(flatten)]
    server: Server,
}

const DELETE_EXAMPLES: &str = "\
Examples:
  wasmill delete sensor-alerts
  wasmill delete sensor-alerts --abandon";

/// A pipeline of a server that shall go.
#[derive(clap::Args)]
#[command(after_help = DELETE_EXAMPLES)]
pub(super) struct Delete {
    #[command(flatten)]
    named: Named,
    /// End it at once in place of draining it: what is not committed is withdrawn
    #[arg(long)]
    abandon: bool,
}

const LAST_EXAMPLES: &str = "\
Examples:
  wasmill logs sensor-alerts
  wasmill dead-letters sensor-alerts --limit 10";

/// The last of what a pipeline has said.
#[derive(clap::Args)]
#[command(after_help = LAST_EXAMPLES)]
pub(super) struct Last {
    #[command(flatten)]
    named: Named,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

const EVENTS_EXAMPLES: &str = "\
Examples:
  wasmill events
  wasmill events sensor-alerts --output json";

/// The last events of a server.
#[derive(clap::Args)]
#[command(after_help = EVENTS_EXAMPLES)]
pub(super) struct Events {
    /// A pipeline; without it all
    pipeline: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    server: Server,
}

const TAP_EXAMPLES: &str = "\
Examples:
  wasmill tap sensor-alerts/score
  wasmill tap sensor-alerts/score --input --limit 10";

/// A sample of the rows that leave a stage.
#[derive(clap::Args)]
#[command(after_help = TAP_EXAMPLES)]
pub(super) struct Tap {
    /// The stage: PIPELINE/STAGE
    stage: String,
    /// Show what comes in, in place of what goes out
    #[arg(long)]
    input: bool,
    /// End after so many rows
    #[arg(long)]
    limit: Option<u64>,
    #[command(flatten)]
    server: Server,
}

/// A pipeline and its stage, as `PIPELINE/STAGE`.
pub(super) fn stage(text: &str) -> Result<(&str, &str), Failed> {
    text.split_once('/').filter(|(pipeline, stage)| !pipeline.is_empty() && !stage.is_empty()).ok_or_else(|| {
        Failed::Input(format!("error: `{text}` names no stage; write PIPELINE/STAGE, as in `sensor-alerts/score`"))
    })
}

/// Prints an answer as it came, for scripts.
pub(super) fn print(body: &Value) -> Result<(), Failed> {
    println!("{}", serde_json::to_string_pretty(body)?);
    Ok(())
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or("-")
}

fn items(of: &Value) -> impl Iterator<Item = &Value> {
    of.as_array().into_iter().flatten()
}

pub(super) fn status(args: &Status, setting: &Setting) -> Result<(), Failed> {
    let client = args.server.client();
    let Some(name) = &args.pipeline else {
        let all = client.get("/api/v1/pipelines")?.body;
        if setting.output == Output::Json {
            return print(&all);
        }
        for pipeline in items(&all) {
            let revision = &pipeline["revision"];
            let (name, state, lag) = (text(pipeline, "name"), text(pipeline, "state"), behind(&pipeline["lag"]));
            let lag = if lag.is_empty() { lag } else { format!("  {lag}") };
            println!("{name:24} {state:10} revision {revision}{lag}");
        }
        if items(&all).next().is_none() {
            super::tell("no pipelines; apply one with `wasmill apply pipeline.yaml`");
        }
        return Ok(());
    };
    let whole = client.get(&format!("/api/v1/pipelines/{}", escaped(name)))?.body;
    if setting.output == Output::Json {
        return print(&whole);
    }
    println!("pipeline {}: {}, revision {}", text(&whole, "name"), text(&whole, "state"), whole["revision"]);
    if let Some(reason) = whole["reason"].as_str() {
        println!("  {reason}");
    }
    for node in items(&whole["nodes"]) {
        let number = |key: &str| count(node[key].as_u64().unwrap_or(0));
        let rate = count(node["rows_in_per_s"].as_f64().unwrap_or(0.0) as u64);
        let dead = node["dead_letters"].as_u64().filter(|dead| *dead > 0);
        let dead = dead.map_or_else(String::new, |dead| format!(", {} dead-lettered", count(dead)));
        let name = format!("{} {}", text(node, "part"), text(node, "name"));
        println!("  {name:24} {} in ({rate}/s), {} out{dead}", number("rows_in"), number("rows_out"));
        let lag = behind(&node["lag"]);
        if !lag.is_empty() {
            println!("    {lag}");
        }
        for input in items(&node["inputs"]).filter(|input| input["waiting_rows"].as_u64() > Some(0)) {
            let [rows, messages] = ["waiting_rows", "waiting_messages"].map(|key| input[key].as_u64().unwrap_or(0));
            println!("    {} rows from {} wait, in {messages} messages", count(rows), text(input, "from"));
        }
        for (times, what) in [("took", "a batch took"), ("age", "rows were there after")] {
            if node[times]["max_us"].as_u64() > Some(0) {
                println!("    {what} {}", percentiles(&node[times]));
            }
        }
        for version in items(&node["versions"]) {
            let live = if version["live"] == true { "live" } else { "    " };
            let digest = text(version, "digest").get(..12).unwrap_or_default();
            let batches = count(version["batches"].as_u64().unwrap_or(0));
            let failures = count(version["failures"].as_u64().unwrap_or(0));
            println!("    {live} version {} {digest}  {batches} batches, {failures} failed calls", version["version"]);
        }
    }
    Ok(())
}

/// `1,024 bytes behind, event time 97 min behind, idle for 12 s`; empty where a source keeps up.
pub(super) fn behind(lag: &Value) -> String {
    let mut words = Vec::new();
    for (key, unit) in [("behind_bytes", "bytes"), ("behind_rows", "rows")] {
        words.extend(lag[key].as_u64().filter(|behind| *behind > 0).map(|of| format!("{} {unit} behind", count(of))));
    }
    words.extend(lag["event_time_s"].as_f64().map(|seconds| format!("event time {} behind", span(seconds))));
    words.extend(lag["idle_s"].as_f64().filter(|idle| *idle >= IDLE_S).map(|idle| format!("idle for {}", span(idle))));
    words.join(", ")
}

/// `p50 1.2 ms, p95 2.0 ms, p99 2.4 ms, at most 3.1 ms`.
fn percentiles(times: &Value) -> String {
    let of = |key: &str| took(times[key].as_u64().unwrap_or(0));
    format!("p50 {}, p95 {}, p99 {}, at most {}", of("p50_us"), of("p95_us"), of("p99_us"), of("max_us"))
}

/// A verb that is one word to the server; the pipeline must still be what was seen.
pub(super) fn verb(args: &Named, verb: &str, setting: &Setting) -> Result<(), Failed> {
    let (client, path) = (args.server.client(), format!("/api/v1/pipelines/{}", escaped(&args.pipeline)));
    let revision = client.get(&path)?.revision;
    let answer = client.ask("POST", &format!("{path}/{verb}"), b"", revision)?;
    if setting.output == Output::Json {
        return print(&answer.body);
    }
    println!("pipeline {}: {verb}, revision {}", args.pipeline, answer.body["revision"]);
    Ok(())
}

pub(super) fn delete(args: &Delete, setting: &Setting) -> Result<(), Failed> {
    let Delete { named, abandon } = args;
    let (client, path) = (named.server.client(), format!("/api/v1/pipelines/{}", escaped(&named.pipeline)));
    let revision = client.get(&path)?.revision;
    client.ask("DELETE", &format!("{path}?abandon={abandon}"), &[], revision)?;
    if setting.output == Output::Json {
        return print(&serde_json::json!({"pipeline": named.pipeline, "deleted": true}));
    }
    println!("pipeline {}: deleted", named.pipeline);
    Ok(())
}

pub(super) fn logs(args: &Last, setting: &Setting) -> Result<(), Failed> {
    let path = format!("/api/v1/pipelines/{}/logs?limit={}", escaped(&args.named.pipeline), args.limit);
    let lines = args.named.server.client().get(&path)?.body;
    if setting.output == Output::Json {
        return print(&lines);
    }
    items(&lines)
        .for_each(|line| println!("{:5} {}: {}", text(line, "level"), text(line, "stage"), text(line, "message")));
    Ok(())
}

pub(super) fn dead_letters(args: &Last, setting: &Setting) -> Result<(), Failed> {
    let path = format!("/api/v1/pipelines/{}/dead-letters?limit={}", escaped(&args.named.pipeline), args.limit);
    let letters = args.named.server.client().get(&path)?.body;
    if setting.output == Output::Json {
        return print(&letters);
    }
    for letter in items(&letters).map(|numbered| &numbered["letter"]) {
        println!(
            "{} {}:{} {}",
            text(letter, "stage"),
            text(letter, "partition"),
            letter["offset"],
            text(letter, "reason")
        );
    }
    Ok(())
}

pub(super) fn events(args: &Events, setting: &Setting) -> Result<(), Failed> {
    let of = args.pipeline.as_ref().map_or_else(String::new, |name| format!("&pipeline={}", escaped(name)));
    let events = args.server.client().get(&format!("/api/v1/events?limit={}{of}", args.limit))?.body;
    if setting.output == Output::Json {
        return print(&events);
    }
    items(&events).for_each(|event| println!("{:9} {}", text(event, "kind"), text(event, "message")));
    Ok(())
}

pub(super) fn tap(args: &Tap, setting: &Setting) -> Result<(), Failed> {
    let (pipeline, stage) = stage(&args.stage)?;
    let limit = args.limit.map_or_else(String::new, |limit| format!("&limit={limit}"));
    let (pipeline, stage) = (escaped(pipeline), escaped(stage));
    let path = format!("/api/v1/pipelines/{pipeline}/stages/{stage}/tap?input={}{limit}", args.input);
    for row in args.server.client().events(&path)? {
        let shown = match (setting.output, serde_json::from_str::<Value>(&row)) {
            (Output::Text, Ok(row)) => row["row"].to_string(),
            _ => row,
        };
        use std::io::Write as _;
        // Who reads no more, as `head` does, has seen enough.
        if writeln!(std::io::stdout(), "{shown}").is_err() {
            return Ok(());
        }
    }
    Ok(())
}
