//! `wasmill swap`: other code into a stage that runs.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::remote::{Server, print, stage};
use super::{Failed, Output, Setting};
use crate::build::{self, Options};
use crate::client::{Client, escaped};
use crate::plugins;
use crate::report::count;

const EXAMPLES: &str = "\
Examples:
  wasmill swap sensor-alerts/score ./my-anomaly       build the folder, and put it to work
  wasmill swap sensor-alerts/score my_anomaly.wasm
  wasmill swap sensor-alerts/score my_anomaly.wasm --plan   say what that would come to
  wasmill swap sensor-alerts/score --back             the version before";

/// Put other code into a stage of a running pipeline: no row is lost or doubled, and its state is carried over. Code
/// that does not fit is refused; if it fails in its first batches, the stage goes back by itself.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The stage: PIPELINE/STAGE
    stage: String,
    /// The new code: a component, or a folder that is built first
    #[arg(required_unless_present = "back")]
    plugin: Option<PathBuf>,
    /// Go back to the version before
    #[arg(long, conflicts_with = "plugin")]
    back: bool,
    /// Say what would change, and change nothing
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(args: &Args, setting: &Setting) -> Result<(), Failed> {
    if args.plan {
        return plan(args, setting);
    }
    let swapped = match &args.plugin {
        None => back(&args.stage, &args.server)?,
        Some(plugin) => into(&args.stage, plugin, &args.server)?,
    };
    if setting.output == Output::Json {
        return print(&swapped);
    }
    println!("{}", told(&args.stage, &swapped));
    Ok(())
}

/// Says what it would come to; without code, to go back.
fn plan(args: &Args, setting: &Setting) -> Result<(), Failed> {
    let (client, path, revision) = found(&args.stage, &args.server)?;
    let planned = match &args.plugin {
        Some(plugin) => client.ask("POST", &format!("{path}/plan"), &component(plugin)?, revision)?,
        None => client.ask("POST", &format!("{path}/plan?back=true"), b"", revision)?,
    };
    let planned = planned.body;
    if setting.output == Output::Json {
        return print(&planned);
    }
    print!("{}", super::planned::text(&planned));
    if let Some(why) = planned["refused"].as_str() {
        return Err(anyhow::anyhow!("{}: this would be refused: {why}", args.stage).into());
    }
    let way = planned["way"].as_str().unwrap_or_default();
    println!("{}: this would be a {way}; nothing was changed", args.stage);
    Ok(())
}

/// The bytes of a component, or of what a folder builds to.
fn component(plugin: &Path) -> Result<Vec<u8>, Failed> {
    let wrong = |message: String| Failed::Input(format!("error: {message}"));
    let path = if plugin.is_dir() {
        build::build(plugin, &Options::default())?.path
    } else {
        plugins::built(plugin).map_err(wrong)?
    };
    Ok(std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?)
}

fn back(place: &str, server: &Server) -> Result<Value, Failed> {
    let (client, path, revision) = found(place, server)?;
    Ok(client.ask("POST", &format!("{path}/back"), b"", revision)?.body)
}

/// Puts a component, or a folder that is built first, to work in a stage: what the server says of it.
pub(super) fn into(place: &str, plugin: &Path, server: &Server) -> Result<Value, Failed> {
    let (client, path, revision) = found(place, server)?;
    let uploaded = client.ask("POST", "/api/v1/plugins", &component(plugin)?, None)?;
    let body = json!({"digest": uploaded.body["digest"]}).to_string();
    Ok(client.ask("PUT", &format!("{path}/plugin"), body.as_bytes(), revision)?.body)
}

/// The way to a stage, and the revision of its pipeline.
fn found(place: &str, server: &Server) -> Result<(Client, String, Option<u64>), Failed> {
    let (pipeline, stage) = stage(place)?;
    let client = server.client();
    let path = format!("/api/v1/pipelines/{}", escaped(pipeline));
    let revision = client.get(&path)?.revision;
    Ok((client, format!("{path}/stages/{}", escaped(stage)), revision))
}

/// A swap in a line.
pub(super) fn told(place: &str, swapped: &Value) -> String {
    let waited = swapped["waited_us"].as_f64().unwrap_or(0.0) / 1_000.0;
    let keys = swapped["keys"].as_u64().filter(|keys| *keys > 0);
    let keys = keys.map_or_else(String::new, |keys| format!(" ({} keys)", count(keys)));
    let watched = if swapped["watched"] == true { "; its first batches are still watched" } else { "" };
    let digest = swapped["to"].as_str().and_then(|digest| digest.get(..12)).unwrap_or_default();
    let state = swapped["state"].as_str().unwrap_or_default();
    format!("{place} runs {digest}: rows waited {waited:.1} ms, {} lost, {state}{keys}{watched}", swapped["lost"])
}
