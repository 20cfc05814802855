//! Three jobs that need no state, one component: the configuration says which, {"job": "q1"}.
#include "wasmill.h"

/// What `open` has chosen.
static void (*job)(wasmill_rows rows, wasmill_effects *effects);

/// Makes price in another currency; a price too large wraps.
static void convert(wasmill_rows rows, wasmill_effects *effects) {
    const int64_t *prices = rows.columns.at[0].data.at;
    int64_t *converted = wasmill_fill(wasmill_emit_one(effects, 1)->columns.at, rows.count * sizeof *converted);
    for (uint32_t row = 0; row < rows.count; row++) {
        converted[row] = (int64_t)((uint64_t)prices[row] * 908) / 1000;
    }
}

/// Keeps every 123rd auction.
static void choose(wasmill_rows rows, wasmill_effects *effects) {
    const int64_t *auctions = rows.columns.at[0].data.at;
    uint32_t *origin = wasmill_alloc(rows.count * sizeof *origin), kept = 0;
    for (uint32_t row = 0; row < rows.count; row++) {
        origin[kept] = row;
        kept += auctions[row] % 123 == 0;
    }
    wasmill_emit *emit = wasmill_emit_one(effects, 0);
    emit->origin.some = true;
    emit->origin.rows = (wasmill_bytes){origin, kept * sizeof *origin};
}

/// What stands between :// and the next /.
static wasmill_text domain_of(const char *url, uint32_t length) {
    uint32_t start = 0;
    for (uint32_t i = 0; i + 3 <= length; i++) {
        if (url[i] == ':' && url[i + 1] == '/' && url[i + 2] == '/') {
            start = i + 3;
            break;
        }
    }
    uint32_t end = start;
    while (end < length && url[end] != '/') end++;
    return (wasmill_text){url + start, end - start};
}

/// Makes the domain of each url.
static void domains(wasmill_rows rows, wasmill_effects *effects) {
    const wasmill_column *urls = rows.columns.at;
    const uint32_t *offsets = urls->offsets.at;
    wasmill_column *made = wasmill_emit_one(effects, 1)->columns.at;
    char *text = wasmill_fill(made, urls->data.length);
    uint32_t *ends = wasmill_alloc((rows.count + 1) * sizeof *ends), length = 0;
    ends[0] = 0;
    for (uint32_t row = 0; row < rows.count; row++) {
        const char *url = (const char *)urls->data.at + offsets[row];
        const wasmill_text domain = domain_of(url, offsets[row + 1] - offsets[row]);
        memcpy(text + length, domain.at, domain.length);
        length += domain.length;
        ends[row + 1] = length;
    }
    made->data.length = length;
    made->offsets = (wasmill_bytes){ends, (rows.count + 1) * sizeof *ends};
}

/// Whether the configuration has the word somewhere: enough for a choice of one.
static bool names(wasmill_text config, wasmill_text word) {
    for (uint32_t i = 0; i + word.length <= config.length; i++) {
        if (memcmp(config.at + i, word.at, word.length) == 0) return true;
    }
    return false;
}

bool wasmill_open(wasmill_text config, wasmill_fields input, wasmill_plan *plan, wasmill_refusal *refusal) {
    (void)input;
    static wasmill_read read;
    static wasmill_field made;
    static wasmill_port port;
    port.name = WASMILL_TEXT("out");
    port.makes = (wasmill_fields){&made, 1};
    if (names(config, WASMILL_TEXT("\"q1\""))) {
        job = convert;
        read = (wasmill_read){.name = WASMILL_TEXT("price"), .kind = WASMILL_TEXT("int64")};
        made = (wasmill_field){.name = read.name, .kind = read.kind};
    } else if (names(config, WASMILL_TEXT("\"q2\""))) {
        job = choose;
        read = (wasmill_read){.name = WASMILL_TEXT("auction"), .kind = WASMILL_TEXT("int64")};
        port.makes.count = 0;
    } else if (names(config, WASMILL_TEXT("\"domain\""))) {
        job = domains;
        read = (wasmill_read){.name = WASMILL_TEXT("url"), .kind = WASMILL_TEXT("utf8")};
        made = (wasmill_field){.name = WASMILL_TEXT("domain"), .kind = read.kind};
    } else {
        refusal->message = WASMILL_TEXT("there is no such job: choose q1, q2 or domain");
        refusal->config_path = (wasmill_optional_text){true, WASMILL_TEXT("job")};
        return false;
    }
    plan->reads.at = &read;
    plan->reads.count = 1;
    plan->ports.at = &port;
    plan->ports.count = 1;
    return true;
}

bool wasmill_process(const wasmill_context *context, wasmill_rows rows, wasmill_effects *effects,
                     wasmill_fault *fault) {
    (void)context, (void)fault;
    job(rows, effects);
    return true;
}
