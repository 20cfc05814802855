//! A walk through every part of the contract for operators without state: each kind, null and fallback, several ports,
//! carried columns, origins in any order, refused rows, faults, metrics, the log.
#include "wasmill.h"

#define NAME(literal) {literal, sizeof(literal) - 1}

static wasmill_read reads[] = {
    {.name = NAME("flag"), .kind = NAME("boolean"), .nullable = true},
    {.name = NAME("amount"), .kind = NAME("float64"), .fallback = {true, NAME("0.5")}},
    {.name = NAME("blob"), .kind = NAME("bytes"), .nullable = true},
    {.name = NAME("at"), .kind = NAME("timestamp")},
};
static wasmill_field same[] = {
    {.name = NAME("flag"), .kind = NAME("boolean"), .nullable = true},
    {.name = NAME("amount"), .kind = NAME("float64")},
    {.name = NAME("blob"), .kind = NAME("bytes"), .nullable = true},
    {.name = NAME("at"), .kind = NAME("timestamp")},
    {.name = NAME("note"), .kind = NAME("json")},
};
static wasmill_carried renamed = {.input = NAME("at"), .output = NAME("seen.at")};
static wasmill_field rows_made = {.name = NAME("rows"), .kind = NAME("int64")};
static wasmill_port ports[] = {
    {.name = NAME("same"), .makes = {same, 5}},
    {.name = NAME("twice"), .carries = {true, &renamed, 1}},
    {.name = NAME("count"), .carries = {true, 0, 0}, .makes = {&rows_made, 1}},
};
static wasmill_metric metrics[] = {
    {.name = NAME("seen_rows"), .kind = NAME("counter"), .help = NAME("Rows seen.")},
    {.name = NAME("last_amount"), .kind = NAME("gauge"), .help = NAME("The last amount.")},
};

bool wasmill_open(wasmill_text config, wasmill_fields input, wasmill_plan *plan, wasmill_refusal *refusal) {
    (void)config;
    for (uint32_t i = 0; i < input.count; i++) {
        if (input.at[i].name.length == 3 && memcmp(input.at[i].name.at, "old", 3) == 0) {
            refusal->message = WASMILL_TEXT("drop the field `old`");
            refusal->field = (wasmill_optional_text){true, WASMILL_TEXT("old")};
            return false;
        }
    }
    *plan = (wasmill_plan){.reads = {reads, 4}, .ports = {ports, 3}, .metrics = {metrics, 2}};
    return true;
}

/// The rows `origin` of a column; `size` bytes a value, 0 = texts.
static void pick(const wasmill_column *from, wasmill_column *to, const uint32_t *origin, uint32_t count,
                 uint32_t size) {
    const char *data = from->data.at;
    const uint8_t *present = from->present.at;
    const uint32_t *offsets = from->offsets.at;
    char *values = wasmill_fill(to, size ? count * size : from->data.length);
    uint8_t *has = wasmill_alloc(count);
    uint32_t *ends = wasmill_zeroed((count + 1) * sizeof *ends);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = origin[i];
        const uint32_t start = size ? row * size : offsets[row], end = size ? start + size : offsets[row + 1];
        memcpy(values + ends[i], data + start, end - start);
        ends[i + 1] = ends[i] + (end - start);
        has[i] = from->present.length == 0 || present[row];
    }
    to->data.length = ends[count];
    if (!size) to->offsets = (wasmill_bytes){ends, (count + 1) * sizeof *ends};
    if (from->present.length) to->present = (wasmill_bytes){has, count};
}

static void notes(wasmill_column *to, uint32_t count) {
    static const wasmill_text note = NAME("{\"tour\":[1]}");
    char *values = wasmill_fill(to, count * note.length);
    uint32_t *ends = wasmill_zeroed((count + 1) * sizeof *ends);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(values + i * note.length, note.at, note.length);
        ends[i + 1] = (i + 1) * note.length;
    }
    to->offsets = (wasmill_bytes){ends, (count + 1) * sizeof *ends};
}

static void emit(wasmill_effects *effects, const wasmill_rows *rows, uint32_t *origin, uint32_t count) {
    wasmill_emit *emits = wasmill_zeroed(3 * sizeof *emits);
    effects->emits.at = emits;
    effects->emits.count = count ? 3 : 2;
    uint32_t *twice = wasmill_alloc(2 * count * sizeof *twice);
    for (uint32_t i = 0; i < 2 * count; i++) twice[i] = origin[count - 1 - i / 2];
    for (uint32_t port = 0; port < 3; port++) {
        emits[port].port = port;
        emits[port].origin.some = true;
    }
    emits[0].origin.rows = (wasmill_bytes){origin, count * sizeof *origin};
    emits[1].origin.rows = (wasmill_bytes){twice, 2 * count * sizeof *twice};
    emits[2].origin.rows = (wasmill_bytes){origin, sizeof *origin};
    wasmill_column *columns = wasmill_zeroed(6 * sizeof *columns);
    static const uint32_t sizes[] = {1, 8, 0, 8};
    for (uint32_t i = 0; i < 4; i++) pick(&rows->columns.at[i], &columns[i], origin, count, sizes[i]);
    notes(&columns[4], count);
    *(int64_t *)wasmill_fill(&columns[5], sizeof(int64_t)) = count;
    emits[0].columns = (wasmill_columns){columns, 5};
    emits[2].columns = (wasmill_columns){columns + 5, 1};
}

bool wasmill_process(const wasmill_context *context, wasmill_rows rows, wasmill_effects *effects,
                     wasmill_fault *fault) {
    (void)context;
    wasmill_log(WASMILL_WARN, WASMILL_TEXT("tour: größer"));
    const double *amounts = rows.columns.at[1].data.at;
    uint32_t *origin = wasmill_alloc(rows.count * sizeof *origin), count = 0;
    wasmill_reject *rejects = wasmill_zeroed(rows.count * sizeof *rejects), *reject = rejects;
    for (uint32_t row = 0; row < rows.count; row++) {
        if (amounts[row] == -1) {
            *reject++ = (wasmill_reject){row, WASMILL_DEAD_LETTER, 0, WASMILL_TEXT("amount is negative")};
        } else if (amounts[row] == -2) {
            *reject++ = (wasmill_reject){row, WASMILL_RETRY, 250, WASMILL_TEXT("not yet")};
        } else if (amounts[row] == -3) {
            *reject++ = (wasmill_reject){row, WASMILL_STOP, 0, WASMILL_TEXT("no further")};
        } else if (amounts[row] == -4) {
            *fault = (wasmill_fault){WASMILL_TEXT("amount is -4"), {true, row}};
            return false;
        } else {
            origin[count++] = row;
        }
    }
    effects->rejects.at = rejects;
    effects->rejects.count = reject - rejects;
    emit(effects, &rows, origin, count);
    double *numbers = wasmill_alloc(2 * sizeof *numbers);
    numbers[0] = rows.count;
    numbers[1] = rows.count ? amounts[rows.count - 1] : 0;
    effects->metrics = (wasmill_bytes){numbers, 2 * sizeof *numbers};
    return true;
}
