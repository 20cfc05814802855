//! Every maximum that holds for a component and its instances, with its unit and the reason for its default.
//!
//! A breach in a call becomes `CallError::Limit` under the field's name here. Neighbours: [`crate::inspect`] holds what
//! concerns the file, [`crate::store`] memory and log, [`crate::check`] the answer's size.

/// The maximums. `Limits::default()` suits operators in Rust, C and Go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a component. Languages whose runtime is inside need [`COMPONENT_BYTES_WITH_RUNTIME`].
    pub component_bytes_max: u64,
    /// Core modules in a component. Python's has 38.
    pub core_modules_max: u64,
    /// Core instances that instantiating a component makes. Python's makes 107.
    pub core_instances_max: u64,
    /// Milliseconds of a core, in started seconds, that compiling a component in a child may take; and by the clock
    /// `COMPILE_PATIENCE` times as many. One in Go, 3.4 MB, takes three seconds of a core.
    pub compile_ms_max: u64,
    /// Bytes of addresses that a child that compiles may map, itself and its threads included.
    pub compile_memory_bytes_max: u64,
    /// Bytes of all memories of an instance together: some guests have several.
    pub memory_bytes_max: u64,
    /// Elements of all tables of an instance together; each takes a pointer.
    pub table_elements_max: u64,
    /// Bytes of an instance's call stack. The calling thread needs this much and some more.
    pub stack_bytes_max: u64,
    /// Milliseconds that a call may take; counted in ticks of [`TICK_MS`].
    pub call_ms_max: u64,
    /// Output rows for each started [`INPUT_ROWS`] input rows.
    pub output_rows_max: u64,
    /// Output bytes for each input byte, to which [`Limits::output_bytes_extra`] come.
    pub output_bytes_factor: u64,
    /// Output bytes that are always allowed.
    pub output_bytes_extra: u64,
    /// Milliseconds that a row may ask to wait before it is tried again: what stands behind it in its lane waits too.
    pub retry_ms_max: u64,
    /// Output ports of an operator.
    pub ports_max: u64,
    /// Metrics of an operator.
    pub metrics_max: u64,
    /// Live handles to resources. The contract has none, a language's runtime may.
    pub handles_max: u64,
    /// Bytes of a log line; what is over is cut.
    pub log_line_bytes_max: u64,
    /// Bytes of log a second for all instances of a stage; lines over it are dropped and counted.
    pub log_bytes_per_s_max: u64,
}

/// For components that have their language's runtime inside (JavaScript, Python).
pub const COMPONENT_BYTES_WITH_RUNTIME: u64 = 64 << 20;

/// The input rows that [`Limits::output_rows_max`] is for: a batch of the usual size.
pub const INPUT_ROWS: u64 = 1_024;

/// Bytes of the name of a column: it may be written with every row.
pub(crate) const NAME_BYTES_MAX: usize = 256;

/// Milliseconds between two ticks of the clock that ends calls: short beside any sensible deadline, free beside work.
pub const TICK_MS: u64 = 5;

/// By the clock, a child may compile so many times as long as it may compute: a machine has other work.
pub(crate) const COMPILE_PATIENCE: u64 = 4;

/// Threads that a child compiles with: a component should not take every core from the rows that flow meanwhile.
pub(crate) const COMPILE_THREADS_MAX: usize = 4;

/// An instance whose memory is over `memory_bytes_max * 3 / 4` after a call is replaced before the next, because some
/// languages never give memory back and would fail in the middle of a batch.
pub(crate) const REPLACE_NUMERATOR: u64 = 3;
pub(crate) const REPLACE_DENOMINATOR: u64 = 4;

impl Default for Limits {
    fn default() -> Self {
        Self {
            component_bytes_max: 10 << 20,
            core_modules_max: 64,
            core_instances_max: 256,
            compile_ms_max: 30_000,
            compile_memory_bytes_max: 1 << 30,
            memory_bytes_max: 128 << 20,
            table_elements_max: 100_000,
            stack_bytes_max: 1 << 20,
            call_ms_max: 1_000,
            output_rows_max: 10_000,
            output_bytes_factor: 4,
            output_bytes_extra: 1 << 20,
            retry_ms_max: 60_000,
            ports_max: 8,
            metrics_max: 100,
            handles_max: 1_000,
            log_line_bytes_max: 1 << 10,
            log_bytes_per_s_max: 64 << 10,
        }
    }
}

impl Limits {
    /// Output rows that a call with so many input rows may return.
    #[must_use]
    pub fn output_rows(&self, input_rows: u64) -> u64 {
        input_rows.div_ceil(INPUT_ROWS).max(1).saturating_mul(self.output_rows_max)
    }

    /// Output bytes that a call with so many input bytes may return.
    #[must_use]
    pub fn output_bytes(&self, input_bytes: u64) -> u64 {
        input_bytes.saturating_mul(self.output_bytes_factor).saturating_add(self.output_bytes_extra)
    }
}

const _: () = assert!(TICK_MS >= 1 && TICK_MS <= 10, "finer costs wake-ups, coarser makes deadlines late");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_batches_may_answer_with_as_many_rows_as_a_batch_of_usual_size() {
        let limits = Limits::default();
        assert_eq!(limits.output_rows(0), 10_000);
        assert_eq!(limits.output_rows(1_024), 10_000);
        assert_eq!(limits.output_rows(1_025), 20_000);
    }

    #[test]
    fn no_configuration_overflows() {
        let limits = Limits { output_rows_max: u64::MAX, output_bytes_factor: u64::MAX, ..Limits::default() };
        assert_eq!(limits.output_rows(5_000), u64::MAX);
        assert_eq!(limits.output_bytes(5_000), u64::MAX);
    }
}
