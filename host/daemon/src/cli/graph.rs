//! `wasmill graph`: a pipeline as a picture.

use std::path::PathBuf;

use super::{Failed, Setting};
use crate::draw;

const EXAMPLES: &str = "\
Examples:
  wasmill graph pipeline.yaml
  wasmill graph pipeline.yaml --svg > pipeline.svg";

/// Draw a pipeline: its sources, stages and sinks, and what flows between them.
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
    let (spec, graph) = super::load(&args.pipeline, setting)?;
    let drawing = if args.svg { draw::svg(&graph, &spec) } else { draw::text(&graph, &spec, args.ascii) };
    println!("{}", drawing.trim_end());
    Ok(())
}
