//! The command line: one file a verb.
//!
//! Results go to stdout, everything else to stderr. For scripts a verb prints one JSON object, its result or what is
//! wrong with the file that it was given, and both in the same place: stdout; or stderr for `run`, which leaves stdout
//! to the rows, and says nothing else there. Exit codes: 0 done, 1 the work failed, 2 the command or a file that it
//! names is wrong, 130 ended at once by a second interrupt.

mod apply;
mod build;
mod completion;
mod dev;
mod generate;
mod graph;
mod inspect;
mod man;
mod new;
mod planned;
mod progress;
mod remote;
mod run;
mod serve;
mod swap;
mod test;
mod top;
mod validate;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;
use wasmill_engine::graph::Graph;

use crate::assemble::{self, World};
use crate::client::ClientError;
use crate::spec::{Diagnostics, Spec};

const EXAMPLES: &str = "\
Examples:
  wasmill new plugin to-fahrenheit                start an operator
  wasmill test to-fahrenheit                      run its cases
  wasmill build examples/currency/plugin          compile an operator to a component
  wasmill validate examples/currency/pipeline.yaml   check a pipeline without running it
  wasmill run examples/currency/pipeline.yaml     run it until its input ends
  wasmill graph examples/currency/pipeline.yaml   draw it";

/// A stream processor whose operators are WebAssembly components.
#[derive(Parser)]
#[command(name = "wasmill", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// Where compiled components are kept [default: $XDG_CACHE_HOME/wasmill or ~/.cache/wasmill]
    #[arg(long, global = true, value_name = "DIR", env = "WASMILL_CACHE")]
    cache: Option<PathBuf>,
    /// How results are printed; json: one object on stdout, the result or the `diagnostics` of a wrong file (`run`: on
    /// stderr)
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

#[derive(Subcommand)]
enum Verb {
    /// Start a new operator or pipeline
    New(new::Args),
    /// Compile an operator to a component
    Build(build::Args),
    /// Run an operator's cases: rows in, and what must come out
    Test(test::Args),
    /// Build and run an operator again on each save, and show what changed in the output
    Dev(dev::Args),
    /// Run a pipeline in this process until its input ends
    Run(run::Args),
    /// Check a pipeline without running it
    Validate(validate::Args),
    /// Draw a pipeline as text or SVG
    Graph(graph::Args),
    /// Look at compiled operators
    #[command(after_help = inspect::EXAMPLES)]
    Plugin {
        #[command(subcommand)]
        verb: PluginVerb,
    },
    /// Write made-up events as NDJSON to stdout
    Generate(generate::Args),
    /// Run many pipelines in one process, and change them while they run
    Serve(serve::Args),
    /// Make a server run a pipeline, or change it
    Apply(apply::Args),
    /// Show the pipelines of a server, or all about one
    Status(remote::Status),
    /// Put other code into a stage while rows flow
    Swap(swap::Args),
    /// Let the sources of a pipeline read nothing for now
    Pause(remote::Named),
    /// Let them read again
    Resume(remote::Named),
    /// End a pipeline in order: what was read is finished and committed
    Drain(remote::Named),
    /// Remove a pipeline from a server, drained first
    Delete(remote::Delete),
    /// Show a sample of the rows that leave a stage, as they do
    Tap(remote::Tap),
    /// Show what the operators of a pipeline have logged
    Logs(remote::Last),
    /// Show the last dead letters of a pipeline
    DeadLetters(remote::Last),
    /// Watch the pipelines of a server in the terminal
    Top(top::Args),
    /// Show what happened on a server
    Events(remote::Events),
    /// Print a script that completes commands in a shell
    Completion(completion::Args),
    /// Write manual pages
    Man(man::Args),
}

#[derive(Subcommand)]
enum PluginVerb {
    /// Show what a component is: kind, imports, size, digest; with --fields also its columns, ports and state
    Inspect(inspect::Args),
}

/// What a verb works with.
#[derive(Clone, Debug)]
struct Setting {
    output: Output,
    cache: PathBuf,
    /// Whether stderr may have moving lines.
    terminal: bool,
    /// Whether stderr may have colour.
    colour: bool,
}

/// Why a verb failed.
enum Failed {
    /// The command or a file that it names is wrong; the text has been made for people or scripts already.
    Input(String),
    /// The work failed.
    Work(anyhow::Error),
}

impl Failed {
    /// Tells it on the standard error stream.
    fn tell(&self) {
        match self {
            Self::Input(text) => tell(text.trim_end()),
            Self::Work(error) => tell(&format!("error: {error:#}")),
        }
    }

    /// The same where scripts read that stream.
    fn tell_scripts(&self) {
        match self {
            Self::Input(_) => self.tell(),
            Self::Work(error) => tell(&serde_json::json!({ "error": format!("{error:#}") }).to_string()),
        }
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::from(if matches!(self, Self::Input(_)) { 2 } else { 1 })
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        let error = error.into();
        match error.downcast_ref::<ClientError>().and_then(ClientError::rendered) {
            Some(diagnostics) => Self::Input(diagnostics.to_owned()),
            None => Self::Work(error),
        }
    }
}

/// Reads and checks a pipeline file; all that is wrong with it is told the way the user asked for.
fn load(path: &Path, setting: &Setting) -> Result<(Spec, Graph), Failed> {
    assemble::load(path, &World::new(&setting.cache)).map_err(|told| wrong(&told, setting))
}

/// What is wrong with a file, told the way the user asked for.
fn wrong(told: &Diagnostics, setting: &Setting) -> Failed {
    match setting.output {
        Output::Text => Failed::Input(told.render(setting.colour)),
        Output::Json => {
            println!("{}", told.to_json());
            let (count, end) = (told.errors(), if told.errors() == 1 { "" } else { "s" });
            Failed::Input(format!("{} is not valid: {count} error{end}", told.file))
        }
    }
}

/// Says a line on the standard error stream. Where nobody can hear it, work goes on.
fn tell(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// Says what is allowed in a pipeline file and probably not meant.
fn tell_warnings(warnings: &Diagnostics, setting: &Setting) {
    let text = warnings.render(setting.colour);
    if !text.is_empty() {
        tell(text.trim_end_matches('\n'));
    }
}

/// Ends the process without a word where whoever reads its output has gone away (`wasmill test | head -1`), with the
/// code that a shell gives to what a broken pipe ended; with one where the output cannot be written for another reason.
fn end_with_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let Some(reason) = info.payload_as_str().and_then(|text| text.strip_prefix("failed printing to stdout: "))
        else {
            return usual(info);
        };
        // The standard library's message is all that there is to go by.
        if reason.contains("(os error 32)") {
            std::process::exit(141);
        }
        tell(&format!("error: stdout cannot be written: {reason}"));
        std::process::exit(1);
    }));
}

/// Reads the command line, does what it says, and answers the exit code.
pub(crate) fn main() -> ExitCode {
    end_with_reader();
    let cli = Cli::parse();
    // Where scripts read the standard error stream, nobody logs to it unasked.
    let scripts_read_stderr = matches!(cli.verb, Verb::Run(_)) && cli.output == Output::Json;
    let usual = if scripts_read_stderr { "off" } else { "info" };
    let filter = EnvFilter::try_from_env("WASMILL_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let terminal = std::io::stderr().is_terminal();
    let colour = terminal && may_have_colour();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .log_internal_errors(false)
        .init();
    let setting = Setting { output: cli.output, cache: cli.cache.unwrap_or_else(cache_dir), terminal, colour };
    let result = match cli.verb {
        Verb::New(args) => new::run(&args, &setting),
        Verb::Build(args) => build::run(&args, &setting),
        Verb::Test(args) => test::run(&args, &setting),
        Verb::Dev(args) => dev::run(&args, &setting),
        Verb::Run(args) => run::run(&args, &setting),
        Verb::Validate(args) => validate::run(&args, &setting),
        Verb::Graph(args) => graph::run(&args, &setting),
        Verb::Plugin { verb: PluginVerb::Inspect(args) } => inspect::run(&args, &setting),
        Verb::Generate(args) => generate::run(&args, &setting),
        Verb::Completion(args) => completion::run(&args),
        Verb::Man(args) => man::run(&args),
        Verb::Serve(args) => serve::run(&args, &setting),
        Verb::Apply(args) => apply::run(&args, &setting),
        Verb::Status(args) => remote::status(&args, &setting),
        Verb::Swap(args) => swap::run(&args, &setting),
        Verb::Pause(args) => remote::verb(&args, "pause", &setting),
        Verb::Resume(args) => remote::verb(&args, "resume", &setting),
        Verb::Drain(args) => remote::verb(&args, "drain", &setting),
        Verb::Delete(args) => remote::delete(&args, &setting),
        Verb::Tap(args) => remote::tap(&args, &setting),
        Verb::Logs(args) => remote::logs(&args, &setting),
        Verb::DeadLetters(args) => remote::dead_letters(&args, &setting),
        Verb::Top(args) => top::run(&args, &setting),
        Verb::Events(args) => remote::events(&args, &setting),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            if scripts_read_stderr {
                failed.tell_scripts()
            } else {
                failed.tell()
            }
            failed.exit_code()
        }
    }
}

/// Whether whoever sits at the terminal has not said that there shall be no colour.
fn may_have_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn cache_dir() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("wasmill")
}
