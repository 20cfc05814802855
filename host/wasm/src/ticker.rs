//! The clock that ends calls: a thread that moves the runtime's epoch on, which calls compare with their deadline.
//!
//! It runs as long as the engine or any of its components exists, and stops with the last of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::ComponentError;
use crate::limits::TICK_MS;

/// The thread.
pub(crate) struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts it.
    pub(crate) fn start(engine: wasmtime::Engine) -> Result<Self, ComponentError> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let tick = move || {
            while !stopped.load(Ordering::Relaxed) {
                thread::park_timeout(Duration::from_millis(TICK_MS));
                engine.increment_epoch();
            }
        };
        let thread = thread::Builder::new().name("wasm-ticks".into()).spawn(tick);
        let thread = thread.map_err(|reason| ComponentError::Host(format!("no thread for its clock: {reason}")))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            thread.join().expect("the ticker does nothing that can panic");
        }
    }
}
