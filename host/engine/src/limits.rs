//! Every maximum of the engine, with its unit and the reason for its default.

/// Key groups that keys hash to; a lane owns a range of them, so it is also the most lanes that a stage can have.
pub const KEY_GROUPS: u32 = 128;

/// Layouts of rows that can arrive at one stage, at most: one for each way from a source that ends with its columns in
/// other places. Ways that fork and join multiply.
pub const LAYOUTS_MAX: usize = 64;

/// Messages that an edge between two nodes holds. Few: a batch is large, and what waits is memory.
pub const EDGE_MESSAGES: usize = 4;

/// Rows that an operator is called with, at most.
pub const BATCH_ROWS_MAX: usize = 8_192;

/// Rows of a batch that a pipeline starts with, before it has measured anything.
pub const BATCH_ROWS_START: usize = 1_024;

/// Bytes that the rows which an operator answers to one message stand for: values that it made, records that rows are
/// from where it answers some more than once, reasons. An operator names a row of a megabyte in four bytes, and the
/// host would make all these megabytes when it writes them.
pub const EMITTED_BYTES_MAX: u64 = 64 << 20;

/// What an answered row counts for [`EMITTED_BYTES_MAX`] beside its values, in bytes.
pub const EMITTED_BYTES_PER_ROW: u64 = 16;

/// The most that a pipeline can set [`EMITTED_BYTES_MAX`] to.
pub const EMITTED_BYTES_HIGHEST: u64 = 256 << 20;

/// Bytes of a reason or a backtrace in a dead letter; what is over is cut.
pub const REASON_BYTES_MAX: usize = 8 << 10;

/// Bytes of keyed state of a pipeline.
pub const STATE_BYTES_MAX: u64 = 1 << 30;

/// How long a batch may take in a stage that says nothing itself, in microseconds.
pub const LATENCY_MICROS: i64 = 10_000;

/// Bytes that a source is asked for at once, at most. Spans are u32; a batch and what is made of it must stay in a
/// CPU's second cache.
pub const READ_BYTES_MAX: usize = 256 << 10;

/// Batches of a source after which a stage lane that had no row yet does not bound them any more.
pub const WARM_UP_BATCHES: u32 = 64;

/// Bytes of one record; a longer one goes to the dead letters, cut to this length.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// Keys of a lane that are looked at in a row for such as are past their time to live.
pub const SWEEP_KEYS: usize = 16_384;

/// Time between two such looks, in microseconds: a million keys are gone through in seconds.
pub const SWEEP_EVERY_MICROS: i64 = 100_000;

/// Times that a row is tried again before it goes to the dead letters.
pub const RETRIES_MAX: u32 = 5;

/// Wait before the first retry of a failed call under `on_error: retry`, in milliseconds; doubled each time.
pub const RETRY_BACKOFF_MS: u64 = 100;

/// The longest wait between two retries, in milliseconds.
pub const RETRY_BACKOFF_MAX_MS: u64 = 10_000;

/// Batches of each lane for which new code is watched after a swap, where nobody says otherwise: if it fails where the
/// old code does not, the stage goes back.
pub const WATCH_BATCHES: u32 = 16;

/// Looks at the rows of one stage at a time, those among them that are closed and that a lane has not noticed yet.
pub const STAGE_TAPS_MAX: usize = 64;

/// Versions of a stage that are remembered, the running one among them.
pub const VERSIONS_MAX: usize = 32;

const _: () = assert!(READ_BYTES_MAX + RECORD_BYTES_MAX < u32::MAX as usize, "spans within a chunk are u32");
const _: () = assert!(EMITTED_BYTES_HIGHEST * 6 < u32::MAX as u64, "a byte is written as six at most: `\\u0000`");
const _: () = assert!(BATCH_ROWS_START <= BATCH_ROWS_MAX, "the first batch is a legal one");
