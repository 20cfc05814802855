//! wasmill.c - memory, log and the component's exports; see wasmill.h.
//!
//! Names and flat parameters are those of the canonical ABI for wasmill:operator@0.1.0. Nothing here looks at a row.
#include "wasmill.h"

// ---- the structs of the header are the records of the contract ----

_Static_assert(sizeof(wasmill_field) == 20 && sizeof(wasmill_column) == 24 && sizeof(wasmill_rows) == 12, "layout");
_Static_assert(sizeof(wasmill_read) == 32 && sizeof(wasmill_carried) == 16 && sizeof(wasmill_port) == 28, "layout");
_Static_assert(sizeof(wasmill_table) == 40 && offsetof(wasmill_table, ttl_ms.value) == 32, "layout");
_Static_assert(sizeof(wasmill_metric) == 24 && sizeof(wasmill_plan) == 32 && sizeof(wasmill_refusal) == 32, "layout");
_Static_assert(sizeof(wasmill_emit) == 24 && offsetof(wasmill_emit, origin.rows) == 8, "layout");
_Static_assert(sizeof(wasmill_reject) == 20 && offsetof(wasmill_reject, retry_ms) == 8, "layout");
_Static_assert(sizeof(wasmill_effects) == 24 && sizeof(wasmill_fault) == 16 && sizeof(wasmill_step) == 40, "layout");
_Static_assert(sizeof(wasmill_table_rows) == 16 && sizeof(wasmill_table_changes) == 16, "layout");
_Static_assert(sizeof(wasmill_timer) == 16, "layout");

// ---- the text of the contract that all of this mirrors: SHA-256 over wit/{data,keyed,log,transform}.wit ----

// A section of its own in the component, so that a host with another text refuses it. An attribute would make it data.
__asm__(".section \".custom_section.wasmill:contract\",\"\",@\n"
        ".ascii \"19842dd972a16f3eacf57b4efb84a3f1df64afb1418378d437d3034963bfcd05\"\n");

// ---- memory: an arena that is empty again when the host has read a result ----

extern unsigned char __heap_base;
static uintptr_t top;
static bool finished;

void *wasmill_alloc(size_t bytes) {
    if (finished || !top) {
        top = ((uintptr_t)&__heap_base + 7) & ~(uintptr_t)7;
        finished = false;
    }
    const uintptr_t start = top, have = (uintptr_t)__builtin_wasm_memory_size(0) << 16;
    const uintptr_t room = UINTPTR_MAX - 0xffff - start;
    if (bytes > room) __builtin_trap();
    const uintptr_t end = (start + bytes + 7) & ~(uintptr_t)7;
    if (end > have && __builtin_wasm_memory_grow(0, (end - have + 0xffff) >> 16) == SIZE_MAX) {
        __builtin_trap();
    }
    top = end;
    return (void *)start;
}

void *wasmill_zeroed(size_t bytes) { return memset(wasmill_alloc(bytes), 0, bytes); }

/// Where the host puts arguments.
__attribute__((export_name("cabi_realloc")))
void *wasmill_realloc(void *old, size_t old_bytes, size_t align, size_t bytes) {
    (void)align; // never more than 8 in this contract
    void *fresh = wasmill_alloc(bytes);
    return old_bytes ? memcpy(fresh, old, old_bytes < bytes ? old_bytes : bytes) : fresh;
}

void *wasmill_fill(wasmill_column *column, size_t bytes) {
    column->data = (wasmill_bytes){wasmill_alloc(bytes), (uint32_t)bytes};
    return column->data.at;
}

wasmill_emit *wasmill_emit_one(wasmill_effects *effects, uint32_t columns) {
    wasmill_emit *emit = wasmill_zeroed(sizeof *emit);
    emit->columns.at = wasmill_zeroed(columns * sizeof(wasmill_column));
    emit->columns.count = columns;
    effects->emits.at = emit;
    effects->emits.count = 1;
    return emit;
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes) { return __builtin_memcpy(to, from, bytes); }
void *memmove(void *to, const void *from, size_t bytes) { return __builtin_memmove(to, from, bytes); }
void *memset(void *at, int byte, size_t bytes) { return __builtin_memset(at, byte, bytes); }
int memcmp(const void *one, const void *other, size_t bytes) {
    const unsigned char *a = one, *b = other;
    for (size_t i = 0; i < bytes; i++) {
        if (a[i] != b[i]) return a[i] - b[i];
    }
    return 0;
}

// ---- the log ----

__attribute__((import_module("wasmill:operator/log@0.1.0"), import_name("write"))) void wasmill_log_write(
    uint32_t level, const char *text, uint32_t length);

void wasmill_log(wasmill_level level, wasmill_text line) { wasmill_log_write(level, line.at, line.length); }

_Noreturn void wasmill_panic(wasmill_text message) {
    static const char begin[] = "panic: ";
    static char line[1024];
    const uint32_t room = sizeof line - (sizeof begin - 1);
    const uint32_t length = message.length < room ? message.length : room;
    memcpy(line, begin, sizeof begin - 1);
    memcpy(line + sizeof begin - 1, message.at, length);
    wasmill_log(WASMILL_ERROR, (wasmill_text){line, sizeof begin - 1 + length});
    __builtin_trap();
}

// ---- the exports ----

#ifdef WASMILL_KEYED
#define INTERFACE "wasmill:operator/keyed@0.1.0"
#else
#define INTERFACE "wasmill:operator/transform@0.1.0"
#endif
#define EXPORT(name) __attribute__((export_name(name)))

/// A result<plan, refusal>.
typedef struct { bool failed; union { wasmill_plan plan; wasmill_refusal refusal; }; } opened;

EXPORT(INTERFACE "#open")
opened *export_open(const char *config, uint32_t length, wasmill_field *input, uint32_t fields) {
    wasmill_plan plan = {0};
    wasmill_refusal refusal = {0};
    opened *result = wasmill_zeroed(sizeof *result);
    result->failed = !wasmill_open((wasmill_text){config, length}, (wasmill_fields){input, fields}, &plan, &refusal);
    if (result->failed) result->refusal = refusal;
    else result->plan = plan;
    return result;
}

EXPORT("cabi_post_" INTERFACE "#open") void export_opened(opened *result) {
    (void)result;
    finished = true;
}

#ifndef WASMILL_KEYED

/// A result<effects, fault>.
typedef struct { bool failed; union { wasmill_effects effects; wasmill_fault fault; }; } processed;

EXPORT(INTERFACE "#process")
processed *export_process(uint64_t batch, uint32_t attempt, int64_t watermark, int64_t now, uint64_t seed,
                          uint32_t count, wasmill_column *columns, uint32_t column_count) {
    const wasmill_context context = {batch, attempt, watermark, now, seed};
    const wasmill_rows rows = {count, {columns, column_count}};
    wasmill_effects effects = {0};
    wasmill_fault fault = {0};
    processed *result = wasmill_zeroed(sizeof *result);
    result->failed = !wasmill_process(&context, rows, &effects, &fault);
    if (result->failed) result->fault = fault;
    else result->effects = effects;
    return result;
}

#else

/// A result<step, fault>.
typedef struct { bool failed; union { wasmill_step step; wasmill_fault fault; }; } processed;

EXPORT(INTERFACE "#process")
processed *export_process(uint64_t batch, uint32_t attempt, int64_t watermark, int64_t now, uint64_t seed,
                          uint32_t count, wasmill_column *columns, uint32_t column_count, uint32_t *slots,
                          uint32_t slots_length, uint32_t keys, wasmill_table_rows *tables, uint32_t table_count) {
    (void)slots_length; // a slot a row
    const wasmill_context context = {batch, attempt, watermark, now, seed};
    const wasmill_rows rows = {count, {columns, column_count}};
    wasmill_step step = {0};
    wasmill_fault fault = {0};
    processed *result = wasmill_zeroed(sizeof *result);
    result->failed =
        !wasmill_process_keyed(&context, rows, slots, keys, (wasmill_tables){tables, table_count}, &step, &fault);
    if (result->failed) result->fault = fault;
    else result->step = step;
    return result;
}

EXPORT(INTERFACE "#on-timers")
processed *export_on_timers(uint64_t batch, uint32_t attempt, int64_t watermark, int64_t now, uint64_t seed,
                            wasmill_timer *due, uint32_t due_length, uint32_t keys, wasmill_table_rows *tables,
                            uint32_t table_count) {
    const wasmill_context context = {batch, attempt, watermark, now, seed};
    const uint32_t count = due_length / sizeof(wasmill_timer);
    wasmill_step step = {0};
    wasmill_fault fault = {0};
    processed *result = wasmill_zeroed(sizeof *result);
    result->failed =
        !wasmill_on_timers(&context, due, count, keys, (wasmill_tables){tables, table_count}, &step, &fault);
    if (result->failed) result->fault = fault;
    else result->step = step;
    return result;
}

EXPORT("cabi_post_" INTERFACE "#on-timers") void export_timers_done(processed *result) {
    (void)result;
    finished = true;
}

#endif

EXPORT("cabi_post_" INTERFACE "#process") void export_processed(processed *result) {
    (void)result;
    finished = true;
}
