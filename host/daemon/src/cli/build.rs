//! `wasmill build`: an operator's source to a component.

use std::path::PathBuf;

use serde_json::json;

use super::{Failed, Output, Setting, progress};
use crate::build::Options;

const EXAMPLES: &str = "\
Examples:
  wasmill build                        the operator in this folder
  wasmill build examples/currency/plugin
  wasmill build plugins/filter --to plugins/filter@1.wasm";

/// Compile an operator to a component. Needs the language's own compiler and nothing else.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The operator's folder
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// The component's file [default: target/wasmill/<name>.wasm in the operator's folder]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

pub(super) fn run(args: &Args, setting: &Setting) -> Result<(), Failed> {
    let options = Options { output: args.to.clone(), ..Options::default() };
    let built = progress::built(&args.folder, &options, setting)?;
    let bytes = std::fs::read(&built.path)?;
    let limits = wasmill_wasm::Limits {
        component_bytes_max: wasmill_wasm::COMPONENT_BYTES_WITH_RUNTIME,
        ..wasmill_wasm::Limits::default()
    };
    let info = wasmill_wasm::inspect(&bytes, &limits)?;
    match setting.output {
        Output::Json => {
            let facts = json!({
                "path": built.path, "kind": info.kind.to_string(), "size_bytes": info.size_bytes,
                "digest": info.digest, "imports": info.imports,
            });
            println!("{}", serde_json::to_string_pretty(&facts)?);
        }
        Output::Text => {
            let size = crate::report::count(info.size_bytes);
            println!("{}  {} operator, {size} bytes, digest {}", built.path.display(), info.kind, info.digest);
            println!("imports {}", info.imports.join(", "));
        }
    }
    Ok(())
}
