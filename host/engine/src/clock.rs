//! The engine's only notion of time: a value that somebody hands in.
//!
//! The driver gives the machine's clock, tests and the simulator give one that they own.

use std::sync::atomic::{AtomicI64, Ordering};

/// Microseconds since 1970-01-01 UTC.
pub type Micros = i64;

/// Where the engine gets the time from.
pub trait Clock: Send + Sync {
    /// The time now. Never goes back within one process.
    fn now(&self) -> Micros;
}

/// A clock that stands still until it is told otherwise.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Moves the clock forward by so many microseconds.
    pub fn advance(&self, by: Micros) {
        assert!(by >= 0, "a clock does not go back");
        self.0.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Micros {
        self.0.load(Ordering::Relaxed)
    }
}
