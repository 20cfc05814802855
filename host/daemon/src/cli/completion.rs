//! `wasmill completion`: what a shell needs to complete commands.

use clap::{CommandFactory as _, ValueEnum};
use clap_complete::Shell;

use super::{Cli, Failed};

const EXAMPLES: &str = "\
Examples:
  wasmill completion bash > ~/.local/share/bash-completion/completions/wasmill
  wasmill completion zsh > \"${fpath[1]}/_wasmill\"
  wasmill completion fish > ~/.config/fish/completions/wasmill.fish";

/// Print a script that completes wasmill's commands in a shell.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// For which shell
    #[arg(value_enum)]
    shell: Name,
}

/// Shells.
#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
}

pub(super) fn run(args: &Args) -> Result<(), Failed> {
    let shell = match args.shell {
        Name::Bash => Shell::Bash,
        Name::Zsh => Shell::Zsh,
        Name::Fish => Shell::Fish,
    };
    // By way of memory: it panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "wasmill", &mut script);
    print!("{}", String::from_utf8_lossy(&script));
    Ok(())
}
