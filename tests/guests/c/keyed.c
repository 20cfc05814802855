//! Counts and sums the prices of each key, and answers every row with the count, the sum and the average so far. The
//! configuration may ask for more: {"do": "forget new keys"}, {"do": "set timers"}.
#include "wasmill.h"

static wasmill_read read = {.name = {"price", 5}, .kind = {"int64", 5}};
static wasmill_field made[] = {
    {.name = {"count", 5}, .kind = {"int64", 5}},
    {.name = {"sum", 3}, .kind = {"int64", 5}},
    {.name = {"avg", 3}, .kind = {"float64", 7}},
};
static wasmill_port port = {.name = {"out", 3}, .makes = {made, 3}};
static wasmill_field totals[] = {
    {.name = {"n", 1}, .kind = {"int64", 5}},
    {.name = {"sum", 3}, .kind = {"int64", 5}},
};
static wasmill_table table = {.name = {"totals", 6}, .version = 1, .columns = {totals, 2}, .ttl_ms = {true, 3600000}};
static bool forgets, sets_timers;

static bool has(wasmill_text config, wasmill_text words) {
    for (uint32_t i = 0; i + words.length <= config.length; i++) {
        if (memcmp(config.at + i, words.at, words.length) == 0) return true;
    }
    return false;
}

bool wasmill_open(wasmill_text config, wasmill_fields input, wasmill_plan *plan, wasmill_refusal *refusal) {
    (void)input, (void)refusal;
    forgets = has(config, WASMILL_TEXT("forget new keys"));
    sets_timers = has(config, WASMILL_TEXT("set timers"));
    *plan = (wasmill_plan){.reads = {&read, 1}, .ports = {&port, 1}, .tables = {&table, 1}};
    return true;
}

bool wasmill_process_keyed(const wasmill_context *context, wasmill_rows rows, const uint32_t *slots, uint32_t keys,
                           wasmill_tables tables, wasmill_step *step, wasmill_fault *fault) {
    (void)context, (void)keys, (void)fault;
    const int64_t *prices = rows.columns.at[0].data.at;
    const wasmill_columns state = tables.at[0].columns;
    int64_t *n = state.at[0].data.at, *sum = state.at[1].data.at;
    wasmill_column *columns = wasmill_emit_one(&step->effects, 3)->columns.at;
    int64_t *counts = wasmill_fill(&columns[0], rows.count * sizeof *counts);
    int64_t *sums = wasmill_fill(&columns[1], rows.count * sizeof *sums);
    double *averages = wasmill_fill(&columns[2], rows.count * sizeof *averages);
    for (uint32_t row = 0; row < rows.count; row++) {
        const uint32_t slot = slots[row];
        n[slot]++;
        sum[slot] = (int64_t)((uint64_t)sum[slot] + (uint64_t)prices[row]);
        counts[row] = n[slot];
        sums[row] = sum[slot];
        averages[row] = (double)sum[slot] / (double)n[slot];
    }
    wasmill_table_changes *changes = wasmill_zeroed(sizeof *changes);
    changes->columns = state;
    step->tables.at = changes;
    step->tables.count = 1;
    if (forgets) changes->forget = tables.at[0].fresh;
    if (sets_timers) {
        wasmill_timer *timer = wasmill_alloc(sizeof *timer);
        *timer = (wasmill_timer){.slot = 0, .what = WASMILL_SET_EVENT_TIME, .time = 1};
        step->timers = (wasmill_bytes){timer, sizeof *timer};
    }
    return true;
}

bool wasmill_on_timers(const wasmill_context *context, const wasmill_timer *due, uint32_t count, uint32_t keys,
                       wasmill_tables tables, wasmill_step *step, wasmill_fault *fault) {
    (void)context, (void)due, (void)count, (void)keys, (void)tables, (void)step;
    fault->message = WASMILL_TEXT("timers are due, but this operator sets none");
    return false;
}
