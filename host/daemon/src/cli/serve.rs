//! `wasmill serve`: a server of pipelines.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use wasmill_engine::limits::WATCH_BATCHES;

use super::{Failed, Setting};
use crate::serve::{self, Options};

const WATCH: NonZero<u32> = NonZero::new(WATCH_BATCHES).expect("a few");

const EXAMPLES: &str = "\
Examples:
  wasmill serve --data ./data
  wasmill serve --data ./data --listen 127.0.0.1:8080
  kill -TERM PID                  drains all pipelines, then ends";

/// Run many pipelines in one process, and change them while they run. Pipelines and their code are kept in the data
/// directory, and run again after a restart. Ask it with `apply`, `status`, `swap`, `tap` and others, or over HTTP.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Where pipelines and their code are kept
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Address to listen on; this machine's own only
    #[arg(long, value_name = "ADDRESS", default_value = super::remote::SERVER, value_parser = serve::address)]
    listen: SocketAddr,
    /// Threads that work on pipelines [default: one a core]
    #[arg(long, value_name = "COUNT")]
    workers: Option<NonZero<usize>>,
    /// Batches of each lane for which other code is watched after a swap
    #[arg(long, value_name = "COUNT", default_value_t = WATCH)]
    watch_batches: NonZero<u32>,
    /// How long pipelines may take to drain when the server is told to stop
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    drain: u64,
}

pub(super) fn run(args: &Args, setting: &Setting) -> Result<(), Failed> {
    let options = Options {
        data: args.data.clone(),
        listen: args.listen,
        cache: setting.cache.clone(),
        workers: args.workers.or(available_parallelism().ok()).map_or(1, NonZero::get),
        watch: args.watch_batches.get(),
        drain: Duration::from_secs(args.drain),
    };
    if serve::serve(&options)? {
        return Ok(());
    }
    let message = "some pipelines were not drained in time; what they had not committed is withdrawn";
    Err(Failed::Work(anyhow::anyhow!(message)))
}
