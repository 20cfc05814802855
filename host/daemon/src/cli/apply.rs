//! `wasmill apply`: a pipeline file to a server, or what that would change.

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::remote::{Server, print};
use super::{Failed, Output, Setting};
use crate::client::{Answer, ClientError, escaped};
use crate::spec;

const EXAMPLES: &str = "\
Examples:
  wasmill apply pipeline.yaml
  wasmill apply pipeline.yaml --plan        say what would change
  wasmill apply pipeline.yaml --replace     drain what runs and start anew";

/// Make a server run a pipeline. One that runs already changes the code of its stages while rows flow; anything else
/// has to be drained and started anew.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The pipeline file
    pipeline: PathBuf,
    /// Say what would change, and change nothing
    #[arg(long)]
    plan: bool,
    /// Drain and start anew what cannot be changed while it runs
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(args: &Args, setting: &Setting) -> Result<(), Failed> {
    let file = args.pipeline.display().to_string();
    let (name, text) = spec::name(&args.pipeline).map_err(|told| super::wrong(&told, setting))?;
    let path = std::path::absolute(&args.pipeline).context("the current folder is gone")?;
    let base = path.parent().unwrap_or(&path).display().to_string();
    let (client, path) = (args.server.client(), format!("/api/v1/pipelines/{}", escaped(&name)));
    let replace = args.replace;
    let query = format!("file={}&base={}&replace={replace}", escaped(&file), escaped(&base));
    let revision = match client.get(&path) {
        Ok(found) => found.revision,
        Err(ClientError::Refused { status: 404, .. }) => Some(0),
        Err(error) => return Err(error.into()),
    };
    let planned = if args.plan {
        client.ask("POST", &format!("{path}/plan?{query}"), text.as_bytes(), revision)
    } else {
        client.ask("PUT", &format!("{path}?{query}"), text.as_bytes(), revision)
    };
    let planned = answered(&file, planned, setting)?;
    if setting.output == Output::Json {
        return print(&planned);
    }
    warnings(&file, &planned);
    if args.plan {
        print!("{}", super::planned::text(&planned));
    } else {
        changes(&planned);
    }
    if let Some(why) = planned["refused"].as_str() {
        return Err(anyhow::anyhow!("pipeline {name}: this would be refused: {why}").into());
    }
    for swapped in planned["swapped"].as_array().into_iter().flatten() {
        let waited = swapped["waited_us"].as_f64().unwrap_or(0.0) / 1e3;
        println!("stage {}: rows waited {waited:.1} ms", swapped["stage"].as_str().unwrap_or_default());
    }
    let (way, revision) = (planned["way"].as_str().unwrap_or_default(), &planned["revision"]);
    if args.plan {
        println!("pipeline {name}: this would be a {way}; nothing was changed");
    } else {
        println!("pipeline {name}: {way}, revision {revision}");
    }
    Ok(())
}

/// What the server says; what is wrong with the file is told as `validate` tells it.
fn answered(file: &str, answer: Result<Answer, ClientError>, setting: &Setting) -> Result<Value, Failed> {
    match answer {
        Ok(answer) => Ok(answer.body),
        Err(ClientError::Refused { detail, problem, .. })
            if setting.output == Output::Json && problem["diagnostics"].is_array() =>
        {
            println!("{}", json!({ "file": file, "diagnostics": problem["diagnostics"] }));
            Err(Failed::Input(detail))
        }
        Err(error) => Err(error.into()),
    }
}

/// What is allowed and probably not meant.
fn warnings(file: &str, planned: &Value) {
    for warning in planned["warnings"].as_array().into_iter().flatten() {
        let text = |key: &str| warning[key].as_str().unwrap_or_default();
        let help = text("help");
        let help = if help.is_empty() { String::new() } else { format!("; {help}") };
        eprintln!("{file}:{}:{}: warning: {}{help}", warning["line"], warning["column"], text("message"));
    }
}

/// What was done, in lines.
fn changes(planned: &Value) {
    for change in planned["changes"].as_array().into_iter().flatten() {
        println!("{}", change.as_str().unwrap_or_default());
    }
    for (stage, state) in planned["state"].as_object().into_iter().flatten() {
        println!("stage {stage}: {}", state.as_str().unwrap_or_default());
    }
}
