//! The `wasmill` binary: pipelines of WebAssembly operators from the command line.
//!
//! Modules in the order in which a pipeline meets them: [`cli`] reads the command, [`spec`] the pipeline file,
//! [`assemble`] opens what it names, [`driver`] runs it, [`report`] says what came of it. [`serve`]
//! does this for many pipelines and answers over HTTP, [`client`] asks it.
#![forbid(unsafe_code)]

mod cli;
mod spec;
mod plugins;
mod build;
mod draw;
mod assemble;
mod driver;
mod report;
mod serve;
mod client;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
