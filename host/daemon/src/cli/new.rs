//! `wasmill new`: a project or a pipeline to start from.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::{Failed, Output, Setting};
use crate::scaffold::{self, Kind, Language, NewError};

const EXAMPLES: &str = "\
Examples:
  wasmill new plugin to-fahrenheit
  wasmill new pipeline readings --from readings.ndjson";

/// Start a new operator or pipeline. Nothing that exists is overwritten.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// A project with an operator, its cases and a README
    Plugin(Plugin),
    /// A pipeline file with comments
    Pipeline(Pipeline),
}

const PLUGIN_EXAMPLES: &str = "\
Examples:
  wasmill new plugin to-fahrenheit
  wasmill new plugin room-mean --kind keyed
  wasmill new plugin room-mean --kind keyed --lang go";

/// Start a new operator: a folder with a project that builds, and cases that pass.
#[derive(clap::Args)]
#[command(after_help = PLUGIN_EXAMPLES)]
struct Plugin {
    /// Its name, and that of the new folder
    name: String,
    /// The language to write it in
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    lang: Language,
    /// With or without state
    #[arg(long, value_enum, default_value_t = Kind::Transform)]
    kind: Kind,
}

const PIPELINE_EXAMPLES: &str = "\
Examples:
  wasmill new pipeline readings                          with made-up readings of sensors
  wasmill new pipeline readings --from readings.ndjson   with the columns of a file";

/// Start a new pipeline: a folder with a pipeline file that runs, and says what can be changed.
#[derive(clap::Args)]
#[command(after_help = PIPELINE_EXAMPLES)]
struct Pipeline {
    /// Its name, and that of the new folder
    name: String,
    /// A file of NDJSON or CSV (.ndjson, .jsonl, .json, .csv, .tsv) that it shall read; its first 1,000 records say
    /// which columns there are
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

pub(super) fn run(args: &Args, setting: &Setting) -> Result<(), Failed> {
    let here = Path::new("");
    let (name, next) = match &args.what {
        What::Plugin(Plugin { name, lang, kind }) => {
            scaffold::plugin(here, name, *lang, *kind).map_err(failed)?;
            (
                name,
                [
                    "wasmill test          build it and run its cases".to_owned(),
                    "wasmill dev           do so each time a file is saved".to_owned(),
                ],
            )
        }
        What::Pipeline(Pipeline { name, from }) => {
            scaffold::pipeline(here, name, from.as_deref()).map_err(failed)?;
            (name, ["wasmill validate pipeline.yaml".to_owned(), "wasmill run pipeline.yaml".to_owned()])
        }
    };
    match setting.output {
        Output::Json => println!("{}", json!({ "folder": name })),
        Output::Text => {
            println!("{name} is ready. Next:\n\n    cd {name}");
            next.iter().for_each(|command| println!("    {command}"));
        }
    }
    Ok(())
}

/// A name or a sample that is no good is the command's fault, a disk that is full is not.
fn failed(error: NewError) -> Failed {
    match error {
        NewError::File { .. } => error.into(),
        wrong => Failed::Input(format!("error: {wrong}")),
    }
}
