//! `wasmill validate`: all that is wrong with a pipeline, without running it.

use std::path::PathBuf;

use serde_json::json;

use super::{Failed, Output, Setting};

const EXAMPLES: &str = "\
Examples:
  wasmill validate pipeline.yaml
  wasmill validate pipeline.yaml --output json";

/// Check a pipeline without running it: names, types, plugins, connectors. Prints every error with file, line and
/// column.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The pipeline file
    pipeline: PathBuf,
}

pub(super) fn run(args: &Args, setting: &Setting) -> Result<(), Failed> {
    let (spec, graph) = super::load(&args.pipeline, setting)?;
    let (sources, stages, sinks) = (graph.sources.len(), graph.stages.len(), graph.sinks.len());
    match setting.output {
        Output::Json => {
            let facts = json!({
                "pipeline": &*graph.name, "valid": true, "sources": sources, "stages": stages, "sinks": sinks,
                "warnings": spec.warnings.diagnostics,
            });
            println!("{}", serde_json::to_string_pretty(&facts)?);
        }
        Output::Text => {
            super::tell_warnings(&spec.warnings, setting);
            let counted = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
            let parts = [counted(sources, "source"), counted(stages, "stage"), counted(sinks, "sink")].join(", ");
            println!("{} is valid: {parts}", args.pipeline.display());
        }
    }
    Ok(())
}
