//! wasmill.h - what an operator written in C needs, without a C library.
//!
//! The structs are the records of wit/data.wit and wit/keyed.wit (package wasmill:operator@0.1.0) exactly as they lie
//! in memory at the component boundary: nothing is converted, an array is a pointer and a count.
//!
//! An operator without state defines `wasmill_open` and `wasmill_process`; one with state for each key defines
//! `wasmill_open`, `wasmill_process_keyed` and `wasmill_on_timers`, and has `-DWASMILL_KEYED`. It is built with
//! wasmill.c beside it (with wasm-ld, because the clang driver runs whatever wasm-opt is on the path when it links):
//!
//!     clang --target=wasm32 -std=c17 -O3 -ffreestanding -mbulk-memory -msign-ext -mnontrapping-fptoint -c ...
//!     wasm-ld --no-entry --gc-sections -s -z stack-size=65536 -o core.wasm ...
//!
//! Memory: everything that a call gets, and everything that `wasmill_alloc` gave in it, is gone when the host has read
//! the result. There is nothing to free. What `open` wants to keep it copies into variables of its own.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---- words of the contract ----

/// Bytes. Buffers that the host sends are aligned to 8, so they may be cast to what they hold.
typedef struct { void *at; uint32_t length; } wasmill_bytes;
/// Text in UTF-8, without a zero at its end. `WASMILL_TEXT("...")` makes one of a literal.
typedef struct { const char *at; uint32_t length; } wasmill_text;
/// A text that may be missing.
typedef struct { bool some; wasmill_text text; } wasmill_optional_text;

/// A field. `kind` is one of the contract's names: "boolean", "int64", "float64", "utf8", "bytes", "timestamp", "json".
typedef struct { wasmill_text name, kind; bool nullable; } wasmill_field;
typedef struct { wasmill_field *at; uint32_t count; } wasmill_fields;

/// The values of one field for all rows.
typedef struct {
    wasmill_bytes data;    ///< 8 bytes a row (boolean: 1), or the texts back to back.
    wasmill_bytes offsets; ///< texts: rows + 1 u32, row i is data[offsets[i] .. offsets[i + 1]]; else empty.
    wasmill_bytes present; ///< a byte a row, 0 = null; empty = no row is null.
} wasmill_column;
typedef struct { wasmill_column *at; uint32_t count; } wasmill_columns;

/// A batch. `columns` has one entry for each of the plan's reads.
typedef struct { uint32_t count; wasmill_columns columns; } wasmill_rows;

/// What a call may depend on beside rows and state; times in microseconds.
typedef struct {
    uint64_t batch;    ///< number of the batch; the same at every try.
    uint32_t attempt;  ///< 0 at the first try.
    int64_t watermark; ///< event time up to which the input is complete; INT64_MIN = unknown.
    int64_t now;       ///< the host's clock.
    uint64_t seed;     ///< for random numbers; the same at every try.
} wasmill_context;

/// A column that the operator wants to see. `fallback` is JSON text.
typedef struct { wasmill_text name, kind; bool nullable; wasmill_optional_text fallback; } wasmill_read;
/// A column of the input that a port passes on under the name `output`.
typedef struct { wasmill_text input, output; } wasmill_carried;
/// An output. Its rows carry all columns of the input, or, where `carries.some`, exactly those listed.
typedef struct {
    wasmill_text name;
    struct { bool some; wasmill_carried *at; uint32_t count; } carries;
    wasmill_fields makes;
} wasmill_port;
/// State for each key. A key is forgotten `ttl_ms` after its last change, or never where there is none.
typedef struct {
    wasmill_text name;
    uint32_t version;
    wasmill_fields columns;
    struct { bool some; uint64_t value; } ttl_ms;
} wasmill_table;
/// A number to be watched; `kind` is "counter" or "gauge".
typedef struct { wasmill_text name, kind, help; } wasmill_metric;
/// What the operator declares when it is opened.
typedef struct {
    struct { wasmill_read *at; uint32_t count; } reads;
    struct { wasmill_port *at; uint32_t count; } ports;
    struct { wasmill_table *at; uint32_t count; } tables;
    struct { wasmill_metric *at; uint32_t count; } metrics;
} wasmill_plan;
/// Why it cannot be opened.
typedef struct { wasmill_text message; wasmill_optional_text config_path, field; } wasmill_refusal;

/// Rows for one port: all input rows in order, or, where `origin.some`, a u32 for each output row, the number of its
/// input row.
typedef struct {
    uint32_t port;
    struct { bool some; wasmill_bytes rows; } origin;
    wasmill_columns columns;
} wasmill_emit;
/// What to do with a refused row.
enum { WASMILL_DEAD_LETTER = 0, WASMILL_RETRY = 1, WASMILL_STOP = 2 };
/// A refused row. `retry_ms` counts for WASMILL_RETRY.
typedef struct { uint32_t row; uint8_t action; uint32_t retry_ms; wasmill_text reason; } wasmill_reject;
/// All that a call wants done. `metrics` is an f64 for each of the plan's metrics, or empty.
typedef struct {
    struct { wasmill_emit *at; uint32_t count; } emits;
    struct { wasmill_reject *at; uint32_t count; } rejects;
    wasmill_bytes metrics;
} wasmill_effects;
/// The call as a whole failed; `row` is the one to blame, where it is known.
typedef struct { wasmill_text message; struct { bool some; uint32_t value; } row; } wasmill_fault;

/// One table's rows for the slots of a call. `fresh` is a byte a slot, 1 = new key; empty = none is new.
typedef struct { wasmill_bytes fresh; wasmill_columns columns; } wasmill_table_rows;
typedef struct { wasmill_table_rows *at; uint32_t count; } wasmill_tables;
/// One table's rows after the call. The columns that came may be changed in place and returned.
typedef struct { wasmill_bytes forget; wasmill_columns columns; } wasmill_table_changes;
/// What a timer does.
enum { WASMILL_SET_EVENT_TIME, WASMILL_SET_HOST_TIME, WASMILL_CLEAR_EVENT_TIME, WASMILL_CLEAR_HOST_TIME };
/// A timer: to be set or cleared (`what` as above), or due (`what` is its clock: 0 event time, 1 host time).
typedef struct { uint32_t slot, what; int64_t time; } wasmill_timer;
/// All that a keyed call wants done. `timers` are wasmill_timer back to back.
typedef struct {
    wasmill_effects effects;
    struct { wasmill_table_changes *at; uint32_t count; } tables;
    wasmill_bytes timers;
} wasmill_step;

#define WASMILL_TEXT(literal) ((wasmill_text){literal, sizeof(literal) - 1})
/// An array literal's address and count, for any of the pairs above.
#define WASMILL_LIST(array) {(array), sizeof(array) / sizeof((array)[0])}

// ---- what the operator implements; false = the last argument says why, the one before it does not count ----

/// Called once on a new instance. `config` is the text of a JSON object. `plan` and `refusal` come zeroed.
bool wasmill_open(wasmill_text config, wasmill_fields input, wasmill_plan *plan, wasmill_refusal *refusal);
/// Called for each batch. `effects` and `fault` come zeroed.
bool wasmill_process(const wasmill_context *context, wasmill_rows rows, wasmill_effects *effects, wasmill_fault *fault);
/// The same with state: `slots` has the slot of each row's key, `keys` is the number of slots.
bool wasmill_process_keyed(const wasmill_context *context, wasmill_rows rows, const uint32_t *slots, uint32_t keys,
                           wasmill_tables tables, wasmill_step *step, wasmill_fault *fault);
/// Called with timers that are due; in the answer a "row" is a timer.
bool wasmill_on_timers(const wasmill_context *context, const wasmill_timer *due, uint32_t count, uint32_t keys,
                       wasmill_tables tables, wasmill_step *step, wasmill_fault *fault);

// ---- what the operator may call ----

/// Memory that lives until the host has read the result; aligned to 8, not zeroed. Traps when there is no more.
void *wasmill_alloc(size_t bytes);
/// The same, zeroed.
void *wasmill_zeroed(size_t bytes);
/// A column's data of so many bytes, not zeroed.
void *wasmill_fill(wasmill_column *column, size_t bytes);
/// The only emit of `effects`: on port 0, of all rows, with so many columns, all of them empty.
wasmill_emit *wasmill_emit_one(wasmill_effects *effects, uint32_t columns);

/// How much a line of the log matters.
typedef enum { WASMILL_TRACE, WASMILL_DEBUG, WASMILL_INFO, WASMILL_WARN, WASMILL_ERROR } wasmill_level;
/// Writes one line to the log of the stage. The text must be UTF-8.
void wasmill_log(wasmill_level level, wasmill_text line);
/// Logs `panic: ` and the message, then traps: for what must not happen.
_Noreturn void wasmill_panic(wasmill_text message);

// The compiler calls these by itself.
void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *at, int byte, size_t bytes);
int memcmp(const void *one, const void *other, size_t bytes);
