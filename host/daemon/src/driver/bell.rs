//! The bell: how threads that have nothing to do learn that somebody did something.
//!
//! Whoever makes progress rings; ringing costs one atomic addition unless somebody sleeps. A sleeper first notes the
//! count, then looks for work, then sleeps only while the count is what it noted: no ring is missed.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Wake;
use std::time::Duration;

/// A count of rings that can be waited for.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rings: AtomicU64,
    sleepers: AtomicUsize,
    lock: Mutex<()>,
    woken: Condvar,
}

impl Bell {
    /// The count to wait from.
    pub(crate) fn count(&self) -> u64 {
        self.rings.load(Ordering::SeqCst)
    }

    /// Wakes everybody who sleeps.
    pub(crate) fn ring(&self) {
        self.rings.fetch_add(1, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            // Taken so that a sleeper is either before its check of the count or already waiting.
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.woken.notify_all();
        }
    }

    /// Sleeps until somebody has rung since `seen`, or for so long.
    pub(crate) fn wait(&self, seen: u64, at_most: Duration) {
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let still = |(): &mut ()| self.rings.load(Ordering::SeqCst) == seen;
        drop(self.woken.wait_timeout_while(guard, at_most, still));
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_before_the_wait_is_not_missed() {
        let bell = Bell::default();
        let seen = bell.count();
        bell.ring();
        bell.wait(seen, Duration::from_secs(3_600));
    }

    #[test]
    fn a_sleeper_is_woken_from_another_thread() {
        let bell = Arc::new(Bell::default());
        let seen = bell.count();
        let other = bell.clone();
        let thread = std::thread::spawn(move || other.ring());
        bell.wait(seen, Duration::from_secs(3_600));
        thread.join().expect("ringing does not panic");
    }
}
