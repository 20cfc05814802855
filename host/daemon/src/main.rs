//! The `wasmill` binary: pipelines of WebAssembly operators from the command line.
//!
//! Modules in the order in which a pipeline meets them: [`cli`] reads the command, [`spec`] the pipeline file,
//! [`assemble`] opens what it names, [`driver`] runs it, [`report`] says what came of it. [`serve`]
//! does this for many pipelines and answers over HTTP, [`client`] asks it,
//! [`dashboard`] shows what it says.
#![forbid(unsafe_code)]

mod cli;
mod spec;
mod plugins;
mod sdk;
mod build;
mod row;
mod infer;
mod sample;
mod scaffold;
mod cases;
mod trial;
mod difference;
mod draw;
mod structure;
mod assemble;
mod driver;
mod rehearsal;
mod watch;
mod report;
mod serve;
mod client;
mod dashboard;

use std::process::ExitCode;

fn main() -> ExitCode {
    // The host compiles strangers' components in a child, which is this program again.
    wasmill_wasm::compile_if_asked().unwrap_or_else(cli::main)
}
