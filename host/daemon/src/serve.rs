//! `wasmill serve`: many pipelines in one process, and an API to change them while they run.
//!
//! Modules in the order in which a pipeline meets them: [`disk`] has what shall run, [`pool`] the threads, [`running`]
//! a pipeline in them; [`registry`] brings the one to the other, [`changes`] are the verbs, [`house`] is what happens
//! unasked, [`api`] is how they are asked for, [`page`] is for people who look. What is promised of each is in the
//! header of its file.

mod step;
mod disk;
mod pins;
mod pool;
mod running;
mod problem;
mod journal;
mod shelf;
mod history;
mod rates;
mod registry;
mod beside;
mod planned;
mod swap;
mod successor;
mod changes;
mod house;
mod lag;
mod status;
mod metrics;
mod rows;
mod guard;
mod page;
mod api;
mod listen;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::driver;
use disk::Disk;
use listen::Patience;
use registry::Server;

pub(crate) use guard::address;

/// Threads that wait for disks, compilers and pipelines on behalf of requests. Changes and taps together take fewer.
const WAITING_THREADS_MAX: usize = 128;

/// How a server is started.
pub(crate) struct Options {
    /// The data directory.
    pub(crate) data: PathBuf,
    /// Where to listen; a loopback address.
    pub(crate) listen: SocketAddr,
    /// Where compiled components are kept.
    pub(crate) cache: PathBuf,
    /// Threads that step pipelines.
    pub(crate) workers: usize,
    /// Batches of each lane for which other code is watched after a swap.
    pub(crate) watch: u32,
    /// How long pipelines may take to drain when the server stops.
    pub(crate) drain: Duration,
}

/// Serves until it is told to stop by a signal; whether all pipelines were drained in time.
///
/// # Errors
/// The data directory or the address is in use, or cannot be used.
pub(crate) fn serve(options: &Options) -> anyhow::Result<bool> {
    driver::keep_memory();
    take_files();
    let disk = Disk::open(&options.data)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(WAITING_THREADS_MAX)
        .build()
        .context("cannot start the I/O loop")?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind(options.listen)).with_context(|| {
        format!("cannot listen on {}; stop what does, or name another port with --listen", options.listen)
    })?;
    let address = listener.local_addr()?;
    let (server, notices) =
        Server::new(disk, &options.cache, options.workers, options.watch).context("cannot start threads")?;
    // Before anything runs: a signal while pipelines come back is one to stop, too.
    let stop = on_signal(Arc::downgrade(&server))?;
    server.keep_house(notices);
    server.restore()?;
    tracing::info!("listening on http://{address}");
    let router = api::router(server.clone());
    let drained = runtime.block_on(async {
        let serving = tokio::spawn(listen::serve(listener, router, Patience::default()));
        stop.notified().await;
        let (server, deadline) = (server.clone(), options.drain);
        let (tell, told) = tokio::sync::oneshot::channel();
        // A thread of its own: those for requests may all wait for pipelines.
        std::thread::spawn(move || tell.send(server.stop(deadline)));
        let drained = told.await;
        serving.abort();
        drained.unwrap_or(false)
    });
    // Who still taps rows is not waited for.
    runtime.shutdown_background();
    Ok(drained)
}

/// Takes as many open files as the system grants this process: each file sink holds a lock, each followed file is open,
/// and what is usual, 1,024, suits programs that have a few.
fn take_files() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Where it is refused, whoever needs a file too many says so.
        setrlimit(Resource::RLIMIT_NOFILE, most, most).ok();
    }
}

/// Told at the first signal; the second ends the process.
fn on_signal(server: Weak<Server>) -> anyhow::Result<Arc<tokio::sync::Notify>> {
    let (stop, asked) = (Arc::new(tokio::sync::Notify::new()), AtomicBool::new(false));
    let told = stop.clone();
    let signalled = move || {
        if asked.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        tracing::info!("stopping: what was read is finished and committed; signal again to end at once");
        if let Some(server) = server.upgrade() {
            server.stopping.store(true, Ordering::SeqCst);
        }
        told.notify_one();
    };
    ctrlc::set_handler(signalled).context("cannot listen for signals")?;
    Ok(stop)
}
