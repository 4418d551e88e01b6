/* What the agent tells of an event. */
#include "agent.h"

static const char *const kinds[] = {"WriteInDoubt", "DataLossSuspected", "CallRetried", "Throttled",
                                    NULL, "OutageStarted", "OutageEnded", "Settled"};

uint64_t mask_of(const cJSON *events)
{
    uint64_t mask = 0;
    const cJSON *event;
    cJSON_ArrayForEach(event, events) {
        int32_t kind;
        CHECK(cJSON_IsString(event));
        for (kind = D365_EVENT_WRITE_IN_DOUBT; kind <= D365_EVENT_SETTLED; kind++)
            if (kind != D365_EVENT_LOG && strcmp(kinds[kind - D365_EVENT_WRITE_IN_DOUBT], event->valuestring) == 0)
                break;
        CHECK(kind <= D365_EVENT_SETTLED);
        mask |= (uint64_t)1 << kind;
    }
    return mask;
}

static void add_item_text(cJSON *record, const char *key, const d365_item_t *item, int32_t field)
{
    d365_str_t text;
    d365_status_t status = d365_item_text(item, field, &text);
    CHECK(status == D365_OK || status == D365_NOT_AVAILABLE);
    if (status == D365_OK)
        cJSON_AddStringToObject(record, key, text.data);
}

static int item_number(const d365_item_t *item, int32_t field, int64_t *number)
{
    d365_status_t status = d365_item_number(item, field, number);
    CHECK(status == D365_OK || status == D365_NOT_AVAILABLE);
    return status == D365_OK;
}

cJSON *event_record(const d365_item_t *item)
{
    static const struct {
        const char *key;
        int32_t field;
    } texts[] = {
        {"previous_url", D365_ITEM_PREVIOUS_URL}, {"new_url", D365_ITEM_NEW_URL}, {"reason", D365_ITEM_REASON},
        {"method", D365_ITEM_METHOD}, {"url", D365_ITEM_URL}, {"tag", D365_ITEM_TAG},
    }, numbers[] = {
        {"epoch", D365_ITEM_EPOCH}, {"ledger_id", D365_ITEM_LEDGER_ID}, {"in_doubt", D365_ITEM_IN_DOUBT},
        {"acknowledged", D365_ITEM_ACKNOWLEDGED}, {"retry_after_ms", D365_ITEM_RETRY_AFTER_MS},
        {"lasted_ms", D365_ITEM_LASTED_MS}, {"total", D365_ITEM_SETTLED_TOTAL},
        {"confirmed", D365_ITEM_SETTLED_CONFIRMED}, {"replayed", D365_ITEM_SETTLED_REPLAYED},
        {"left", D365_ITEM_SETTLED_LEFT},
    };
    cJSON *record = cJSON_CreateObject();
    int64_t number;
    int32_t kind;
    size_t i;
    CHECK(d365_item_kind(item, &kind) == D365_OK);
    cJSON_AddStringToObject(record, "event", d365_event_kind_name(kind));
    for (i = 0; i < sizeof texts / sizeof *texts; i++)
        add_item_text(record, texts[i].key, item, texts[i].field);
    for (i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (item_number(item, numbers[i].field, &number))
            cJSON_AddNumberToObject(record, numbers[i].key, (double)number);
    if (item_number(item, D365_ITEM_AUTOMATIC, &number))
        cJSON_AddBoolToObject(record, "automatic", number != 0);
    if (item_number(item, D365_ITEM_PLANNED, &number))
        cJSON_AddBoolToObject(record, "planned", number != 0);
    if (item_number(item, D365_ITEM_PROBED, &number) && number != D365_PROBED_NONE)
        cJSON_AddStringToObject(record, "probed", d365_probed_name((int32_t)number));
    return record;
}
