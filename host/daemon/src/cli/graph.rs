//! `wasmill graph`: a pipeline as a picture.

use std::path::PathBuf;

use super::{Failed, Output, Setting};
use crate::{draw, structure};

const EXAMPLES: &str = "\
Examples:
  wasmill graph pipeline.yaml
  wasmill graph pipeline.yaml --svg > pipeline.svg
  wasmill graph pipeline.yaml --output json";

/// Draw a pipeline: its sources, stages and sinks, and what flows between them. With --output json it is one JSON
/// object: `nodes` with their ports, key, lanes and columns, and the `edges` between them.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The pipeline file
    pipeline: PathBuf,
    /// As SVG in place of text
    #[arg(long)]
    svg: bool,
    /// Text of ASCII characters only
    #[arg(long, conflicts_with = "svg")]
    ascii: bool,
}

pub(super) fn run(args: &Args, setting: &Setting) -> Result<(), Failed> {
    if setting.output == Output::Json && (args.svg || args.ascii) {
        let drawing = if args.svg { "--svg" } else { "--ascii" };
        let message = format!("error: {drawing} is a drawing, and --output json is none; take one of them");
        return Err(Failed::Input(message));
    }
    let (spec, graph) = super::load(&args.pipeline, setting)?;
    if setting.output == Output::Json {
        println!("{}", serde_json::to_string_pretty(&structure::graph(&graph, &spec))?);
        return Ok(());
    }
    let drawing = if args.svg { draw::svg(&graph, &spec) } else { draw::text(&graph, &spec, args.ascii) };
    println!("{}", drawing.trim_end());
    Ok(())
}
