//! What every source and every sink must do, as functions that take one; and the clock and waker that tests own.
//!
//! No test sleeps: the clock is the `now` that the kit passes, and what waits for a thread is parked until its waker
//! calls.

pub(crate) mod sinks;
pub(crate) mod sources;

use std::path::Path;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::Thread;

use wasmill_connectors::{SinkContext, SourceContext};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A waker that ends `std::thread::park` of the thread that made it.
pub(crate) fn waker() -> Waker {
    Arc::new(Unpark(std::thread::current())).into()
}

/// A context whose relative paths begin at `base`.
pub(crate) fn source_context(base: &Path) -> SourceContext {
    SourceContext { base: base.to_owned(), waker: waker(), pipeline: "test".into(), name: "in".into() }
}

/// A context of a sink that writes NDJSON below `base`.
pub(crate) fn sink_context(base: &Path) -> SinkContext {
    SinkContext {
        base: base.to_owned(),
        waker: waker(),
        pipeline: "test".into(),
        name: "out".into(),
        extension: "ndjson".into(),
        header: Arc::new([]),
    }
}

/// Numbers that differ, the same in each run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// A number from 1 to `limit`.
    pub(crate) fn next(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        1 + (self.0 >> 33) as usize % limit
    }
}
