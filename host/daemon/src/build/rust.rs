//! Rust to a core module, by cargo.
//!
//! A guest is always built for speed, whatever its manifest's profile says, and with SIMD, which the SDK's text search
//! needs. The environment may name the tools: `WASMILL_CARGO`, and `WASMILL_GUEST_RUSTC` for a compiler that can make
//! WebAssembly where the default one cannot. Neighbour: [`super::build`] calls.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::{BuildError, Core, Options};

/// The file by which a Rust package is known.
pub(super) const MANIFEST: &str = "Cargo.toml";

const TARGET: &str = "wasm32-unknown-unknown";

/// How a guest is built: as its manifest's release profile would say it. Names stay in, for the backtrace of a trap.
const PROFILE: [(&str, &str); 5] =
    [("OPT_LEVEL", "3"), ("LTO", "fat"), ("CODEGEN_UNITS", "1"), ("PANIC", "abort"), ("STRIP", "debuginfo")];

const IMPORT_CAUSE: &str = "it comes from an `extern` block, or from a crate that was made for the browser or WASI; \
                            take time and seed from the call's context, and bring what is fetched as another stream";

/// Between the flags in cargo's variable of encoded flags.
const FLAG_SEPARATOR: &str = "\u{1f}";

/// The part of cargo's messages that matters here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

/// Compiles the package in `folder`.
pub(super) fn compile(folder: &Path, options: &Options) -> Result<Core, BuildError> {
    let compiler = env::var("WASMILL_GUEST_RUSTC").or_else(|_| env::var("RUSTC")).ok();
    check_target(compiler.as_deref().unwrap_or("rustc"))?;
    let tool = env::var("WASMILL_CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let manifest = folder.join(MANIFEST);
    let mut cargo = Command::new(&tool);
    cargo.current_dir(folder).args(["build", "--release", "--lib", "--target", TARGET]);
    cargo.arg("--message-format=json-render-diagnostics").arg("--manifest-path").arg(&manifest);
    cargo.args(options.offline.then_some("--offline"));
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags()).env_remove("RUSTFLAGS");
    cargo.envs(PROFILE.map(|(key, value)| (format!("CARGO_PROFILE_RELEASE_{key}"), value)));
    if let Some(compiler) = &compiler {
        cargo.env("RUSTC", compiler);
    }
    if let Some(shared) = env::var_os("CARGO_TARGET_DIR") {
        // Not the folder of the host's own build: two compilers that share one find each other's libraries.
        cargo.env("CARGO_TARGET_DIR", Path::new(&shared).join("guests"));
    }
    let output = cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(|reason| BuildError::NoTool {
        tool,
        reason,
        hint: "install Rust from https://rustup.rs",
    })?;
    if !output.status.success() {
        return Err(BuildError::Failed(folder.to_owned()));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut messages = messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
    messages.find_map(|message| module(message, &manifest)).ok_or_else(|| BuildError::NotAModule(folder.to_owned()))
}

/// The module that a message says was made of that package.
fn module(message: Message, manifest: &Path) -> Option<Core> {
    let target = message.target?;
    if message.reason != "compiler-artifact" || message.manifest_path != manifest {
        return None;
    }
    target.crate_types.iter().find(|kind| *kind == "cdylib")?;
    let path = message.filenames.into_iter().find(|path| path.extension().is_some_and(|end| end == "wasm"))?;
    Some(Core { name: target.name.replace('_', "-"), path, adapter: None, import_cause: IMPORT_CAUSE })
}

/// The flags that the environment asks for, and SIMD.
fn flags() -> String {
    let encoded = env::var("CARGO_ENCODED_RUSTFLAGS");
    let given = encoded.or_else(|_| {
        env::var("RUSTFLAGS").map(|flags| flags.split_whitespace().collect::<Vec<_>>().join(FLAG_SEPARATOR))
    });
    let simd = "-Ctarget-feature=+simd128".to_owned();
    match given {
        Ok(flags) if !flags.is_empty() => flags + FLAG_SEPARATOR + &simd,
        _ => simd,
    }
}

/// Asks the compiler where its standard library for the target would be, and looks.
fn check_target(compiler: &str) -> Result<(), BuildError> {
    let asked = Command::new(compiler).args(["--print", "target-libdir", "--target", TARGET]).output();
    let answer = asked.map_err(|reason| BuildError::NoTool {
        tool: compiler.to_owned(),
        reason,
        hint: "install Rust from https://rustup.rs",
    })?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim());
    if answer.status.success() && libraries.is_dir() {
        return Ok(());
    }
    Err(BuildError::NoTarget {
        compiler: compiler.to_owned(),
        target: TARGET,
        hint: "run `rustup target add wasm32-unknown-unknown`, or name a compiler that has it in WASMILL_GUEST_RUSTC",
    })
}
