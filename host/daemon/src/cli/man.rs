//! `wasmill man`: a manual page for each verb.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory as _;

use super::{Cli, Failed};

const EXAMPLES: &str = "\
Examples:
  wasmill man ~/.local/share/man/man1
  wasmill man target/man && man target/man/wasmill-run.1";

/// Write a manual page for each verb.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder to write them to; made if it is not there
    folder: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failed> {
    let folder = &args.folder;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    clap_mangen::generate_to(Cli::command(), folder)
        .with_context(|| format!("cannot write to {}", folder.display()))?;
    Ok(())
}
