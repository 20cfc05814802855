//! What belongs to one instance on the host's side: how much memory it has, which limit it hit, and its way to the log.
//!
//! Memory is counted as the sum over all memories of an instance, because guests in some languages have several. The
//! log is the only thing that a guest can call. Neighbours: [`crate::instance`] reads the breach after a failed call.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use wasmill_engine::operator::CallError;
use wasmtime::component::{Linker, WasmStr};
use wasmtime::{ResourceLimiter, StoreContextMut};

pub use crate::contract::Level;
use crate::limits::Limits;
use crate::wit;

/// A line that an operator wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How important the operator finds it.
    pub level: Level,
    /// The text, cut to the limit, with spaces for control characters.
    pub message: String,
    /// Lines dropped before this one because there were too many.
    pub dropped: u64,
}

/// Where lines go. It must not block. The caller knows which stage it is for.
pub type LogSink = Arc<dyn Fn(LogLine) + Send + Sync>;

/// What the SDKs put before the message of a panic, which they write at level error right before they trap.
const PANIC: &str = "panic: ";

/// The way to the log, shared by all instances of a stage: limited, and open or closed.
pub(crate) struct Log {
    sink: Option<LogSink>,
    allowance: Mutex<Allowance>,
}

/// How many bytes may be logged now.
struct Allowance {
    bytes: u64,
    dropped: u64,
    counted: Instant,
}

impl Log {
    /// A log that ends there; without a sink lines go nowhere.
    pub(crate) fn new(sink: Option<LogSink>, limits: &Limits) -> Self {
        let allowance = Allowance { bytes: limits.log_bytes_per_s_max, dropped: 0, counted: Instant::now() };
        Self { sink, allowance: Mutex::new(allowance) }
    }

    fn write(&self, limits: &Limits, level: Level, message: &str) {
        let Some(sink) = &self.sink else { return };
        let message = cut(message, limits.log_line_bytes_max);
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let elapsed_us = u64::try_from(now.duration_since(allowance.counted).as_micros()).unwrap_or(u64::MAX);
        let earned = elapsed_us.saturating_mul(limits.log_bytes_per_s_max) / 1_000_000;
        if earned > 0 {
            allowance.bytes = allowance.bytes.saturating_add(earned).min(limits.log_bytes_per_s_max);
            allowance.counted = now;
        }
        // An empty line is not free either.
        let cost = message.len() as u64 + 1;
        if cost > allowance.bytes {
            allowance.dropped += 1;
            return;
        }
        allowance.bytes -= cost;
        let dropped = std::mem::take(&mut allowance.dropped);
        drop(allowance);
        // One line is one line: a guest must not forge others, nor move a terminal's cursor.
        let message = message.replace(char::is_control, " ");
        sink(LogLine { level, message, dropped });
    }
}

/// The longest beginning of a text that has at most so many bytes.
fn cut(text: &str, bytes_max: u64) -> &str {
    let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    &text[..text.floor_char_boundary(bytes_max.min(text.len()))]
}

/// A limit that an instance hit.
#[derive(Clone, Copy, Debug)]
struct Breach {
    limit: &'static str,
    unit: &'static str,
    allowed: u64,
    current: u64,
    requested: u64,
}

/// The host's side of an instance.
pub(crate) struct Guest {
    limits: Limits,
    log: Arc<Log>,
    memory_bytes: u64,
    table_elements: u64,
    /// What the last permitted growth of a memory added: it may still fail.
    growth: u64,
    breach: Option<Breach>,
    panic: Option<String>,
}

impl Guest {
    pub(crate) fn new(limits: Limits, log: Arc<Log>) -> Self {
        Self { limits, log, memory_bytes: 0, table_elements: 0, growth: 0, breach: None, panic: None }
    }

    /// Forgets what earlier calls left.
    pub(crate) fn begin(&mut self) {
        self.breach = None;
        self.panic = None;
    }

    /// The limit that was hit since the call began, as an error of a guest whose frames are these.
    pub(crate) fn breach(&self, backtrace: impl FnOnce() -> String) -> Option<CallError> {
        let Breach { limit, unit, allowed, current, requested } = self.breach?;
        Some(CallError::Limit { limit, unit, allowed, current, requested, backtrace: backtrace() })
    }

    /// The message of a panic that was logged since the call began.
    pub(crate) fn panic(&mut self) -> Option<String> {
        self.panic.take()
    }

    /// Bytes of all its memories.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    fn write(&mut self, level: Level, message: &str) {
        if let Some(panic) = message.strip_prefix(PANIC).filter(|_| level == Level::Error) {
            self.panic = Some(cut(panic, self.limits.log_line_bytes_max).to_string());
        }
        self.log.write(&self.limits, level, message);
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let requested = (desired - current) as u64;
        let allowed = self.limits.memory_bytes_max;
        if requested > allowed.saturating_sub(self.memory_bytes) {
            let current = self.memory_bytes;
            self.growth = 0;
            self.breach = Some(Breach { limit: "memory_bytes_max", unit: "B", allowed, current, requested });
            return Ok(false);
        }
        self.memory_bytes += requested;
        self.growth = requested;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_bytes -= std::mem::take(&mut self.growth);
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let requested = (desired - current) as u64;
        let allowed = self.limits.table_elements_max;
        if requested > allowed.saturating_sub(self.table_elements) {
            let current = self.table_elements;
            self.breach = Some(Breach { limit: "table_elements_max", unit: "elements", allowed, current, requested });
            return Ok(false);
        }
        self.table_elements += requested;
        Ok(true)
    }

    fn instances(&self) -> usize {
        usize::try_from(self.limits.core_instances_max).unwrap_or(usize::MAX)
    }
}

/// Gives guests all that they are ever given.
pub(crate) fn grant(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let write = |mut store: StoreContextMut<'_, Guest>, (level, message): (Level, WasmStr)| {
        let message = message.to_str(&store)?.into_owned();
        store.data_mut().write(level, &message);
        Ok(())
    };
    linker.instance(wit::LOG)?.func_wrap("write", write)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder() -> (Arc<Mutex<Vec<LogLine>>>, LogSink) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        (lines, Arc::new(move |line| kept.lock().unwrap().push(line)))
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
        assert_eq!(cut("", 0), "");
    }

    #[test]
    fn one_call_writes_one_line() {
        let (lines, sink) = recorder();
        let limits = Limits::default();
        Log::new(Some(sink), &limits).write(&limits, Level::Warn, "a\nERROR forged\x1b[2J");
        assert_eq!(lines.lock().unwrap()[0].message, "a ERROR forged [2J");
    }

    #[test]
    fn lines_over_the_allowance_are_dropped_and_counted() {
        let limits = Limits { log_bytes_per_s_max: 100, log_line_bytes_max: 9, ..Limits::default() };
        let (lines, sink) = recorder();
        let log = Log::new(Some(sink), &limits);
        for _ in 0..50 {
            log.write(&limits, Level::Info, "123456789 and more");
        }
        let kept = lines.lock().unwrap().len();
        assert!((10..50).contains(&kept), "{kept} lines of 10 bytes went through an allowance of 100 bytes a second");
        log.allowance.lock().unwrap().bytes = 100;
        log.write(&limits, Level::Info, "after");
        let lines = lines.lock().unwrap();
        let dropped: u64 = lines.iter().map(|line| line.dropped).sum();
        assert_eq!(lines.len() as u64 + dropped, 51, "every line is delivered or counted");
        assert!(lines.iter().take(10).all(|line| line.message == "123456789"));
    }

    #[test]
    fn memory_is_the_sum_of_all_memories_and_a_growth_that_failed_does_not_count() {
        let limits = Limits { memory_bytes_max: 10 << 16, ..Limits::default() };
        let mut guest = Guest::new(limits, Arc::new(Log::new(None, &limits)));
        assert!(guest.memory_growing(0, 4 << 16, None).unwrap());
        assert!(guest.memory_growing(0, 4 << 16, None).unwrap());
        guest.memory_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        assert!(guest.memory_growing(4 << 16, 10 << 16, None).unwrap());
        assert!(!guest.memory_growing(0, 1 << 16, None).unwrap());
        let breach = CallError::limit("memory_bytes_max", "B", 10 << 16, 10 << 16, 1 << 16);
        assert_eq!(guest.breach(String::new), Some(breach));
        guest.begin();
        assert_eq!(guest.breach(String::new), None);
    }
}
