/* The writes on record, as the agent tells of them. */
#include "agent.h"

static void add_ledger_text(cJSON *entry, const char *key, const d365_ledger_t *ledger, size_t index, int32_t field)
{
    d365_str_t text;
    CHECK(d365_ledger_text(ledger, index, field, &text) == D365_OK);
    if (text.len == 0)
        cJSON_AddNullToObject(entry, key);
    else
        cJSON_AddStringToObject(entry, key, text.data);
}

static void add_differences(cJSON *entry, const d365_ledger_t *ledger, size_t index)
{
    cJSON *left_out = cJSON_AddArrayToObject(entry, "left_out");
    cJSON *differences = cJSON_AddArrayToObject(entry, "differences");
    d365_str_t text, name, sent, found;
    const char *rest;
    size_t count, i;
    CHECK(d365_ledger_text(ledger, index, D365_LEDGER_LEFT_OUT, &text) == D365_OK);
    for (rest = text.data; *rest != '\0'; rest += *rest == ',') {
        size_t length = strcspn(rest, ",");
        char part[256];
        CHECK(length < sizeof part);
        memcpy(part, rest, length);
        part[length] = '\0';
        cJSON_AddItemToArray(left_out, cJSON_CreateString(part));
        rest += length;
    }
    CHECK(d365_ledger_difference_count(ledger, index, &count) == D365_OK);
    for (i = 0; i < count; i++) {
        cJSON *difference = cJSON_CreateObject();
        CHECK(d365_ledger_difference(ledger, index, i, &name, &sent, &found) == D365_OK);
        cJSON_AddStringToObject(difference, "name", name.data);
        cJSON_AddStringToObject(difference, "sent", sent.data);
        cJSON_AddStringToObject(difference, "found", found.data);
        cJSON_AddItemToArray(differences, difference);
    }
    CHECK(d365_ledger_difference(ledger, index, count, &name, &sent, &found) == D365_NOT_AVAILABLE);
}

static cJSON *entry_json(const d365_ledger_t *ledger, size_t index)
{
    int64_t n[D365_LEDGER_IS_KEPT + 1] = {0};
    int32_t field;
    cJSON *entry = cJSON_CreateObject();
    for (field = D365_LEDGER_ID; field <= D365_LEDGER_IS_KEPT; field++)
        CHECK(d365_ledger_number(ledger, index, field, &n[field]) == D365_OK);
    CHECK(n[D365_LEDGER_ENDED_MS] == -1 || n[D365_LEDGER_ENDED_MS] >= n[D365_LEDGER_STARTED_MS]);
    CHECK((n[D365_LEDGER_VERIFIED_MS] == -1) == (n[D365_LEDGER_VERIFIED] == D365_VERIFIED_NONE));
    cJSON_AddNumberToObject(entry, "id", (double)n[D365_LEDGER_ID]);
    add_ledger_text(entry, "tag", ledger, index, D365_LEDGER_TAG);
    if (n[D365_LEDGER_VERIFIED] == D365_VERIFIED_NONE)
        cJSON_AddNullToObject(entry, "verified");
    else
        cJSON_AddStringToObject(entry, "verified", d365_verified_name((int32_t)n[D365_LEDGER_VERIFIED]));
    cJSON_AddBoolToObject(entry, "is_final", n[D365_LEDGER_IS_FINAL] != 0);
    cJSON_AddBoolToObject(entry, "is_kept", n[D365_LEDGER_IS_KEPT] != 0);
    add_ledger_text(entry, "why", ledger, index, D365_LEDGER_WHY);
    add_differences(entry, ledger, index);
    add_ledger_text(entry, "method", ledger, index, D365_LEDGER_METHOD);
    add_ledger_text(entry, "url", ledger, index, D365_LEDGER_URL);
    cJSON_AddStringToObject(entry, "operation", operation_name(n[D365_LEDGER_OPERATION]));
    if (n[D365_LEDGER_EFFECT] == -1)
        cJSON_AddNullToObject(entry, "effect");
    else
        cJSON_AddStringToObject(entry, "effect", effect_name(n[D365_LEDGER_EFFECT]));
    cJSON_AddBoolToObject(entry, "is_suspect", n[D365_LEDGER_IS_SUSPECT] != 0);
    if (n[D365_LEDGER_RESOLUTION] == D365_RESOLUTION_NONE)
        cJSON_AddNullToObject(entry, "resolution");
    else
        cJSON_AddStringToObject(entry, "resolution", d365_resolution_name((int32_t)n[D365_LEDGER_RESOLUTION]));
    add_role(entry, n[D365_LEDGER_ROLE]);
    cJSON_AddNumberToObject(entry, "epoch", (double)n[D365_LEDGER_EPOCH]);
    cJSON_AddNumberToObject(entry, "attempts", (double)n[D365_LEDGER_ATTEMPTS]);
    add_ledger_text(entry, "row", ledger, index, D365_LEDGER_ROW_URL);
    cJSON_AddItemToObject(entry, "body_length",
                          number_or_null(n[D365_LEDGER_BODY_LENGTH], n[D365_LEDGER_BODY_LENGTH] != -1));
    add_ledger_text(entry, "body_digest", ledger, index, D365_LEDGER_BODY_DIGEST);
    cJSON_AddBoolToObject(entry, "is_ended", n[D365_LEDGER_ENDED_MS] != -1);
    return entry;
}

cJSON *list_ledger(const d365_client_t *client, const char *selection)
{
    d365_ledger_t *ledger = NULL;
    d365_error_t *error = NULL;
    cJSON *answer, *list;
    size_t count, i;
    d365_status_t status;
    CHECK(selection != NULL);
    CHECK(strcmp(selection, "all") == 0 || strcmp(selection, "suspects") == 0);
    status = d365_client_ledger(client, strcmp(selection, "all") == 0 ? D365_LEDGER_ALL : D365_LEDGER_SUSPECTS,
                                &ledger, &error);
    if (status != D365_OK)
        return refusal(status, error);
    answer = fine();
    list = cJSON_AddArrayToObject(answer, "ledger");
    CHECK(d365_ledger_count(ledger, &count) == D365_OK);
    for (i = 0; i < count; i++)
        cJSON_AddItemToArray(list, entry_json(ledger, i));
    CHECK(d365_ledger_free(ledger) == D365_OK);
    return answer;
}

cJSON *verified_answer(int32_t verified)
{
    cJSON *answer = fine();
    cJSON_AddStringToObject(answer, "verified", d365_verified_name(verified));
    return answer;
}

cJSON *verify(d365_client_t *client, int64_t id)
{
    d365_error_t *error = NULL;
    int32_t verified = -1;
    d365_status_t status = d365_client_verify(client, id, &verified, &error);
    return status == D365_OK ? verified_answer(verified) : refusal(status, error);
}

cJSON *replayed_answer(d365_response_t *response)
{
    cJSON *answer = fine(), *replayed = cJSON_AddObjectToObject(answer, "replayed");
    int32_t status, effect;
    CHECK(d365_response_status(response, &status) == D365_OK);
    CHECK(d365_response_effect(response, &effect) == D365_OK);
    CHECK(d365_response_free(response) == D365_OK);
    cJSON_AddNumberToObject(replayed, "status", status);
    cJSON_AddStringToObject(replayed, "effect", effect_name(effect));
    return answer;
}

cJSON *settled_answer(d365_response_t *response)
{
    static const struct {
        const char *key;
        int32_t field;
    } numbers[] = {
        {"total", D365_SETTLED_TOTAL}, {"present", D365_SETTLED_PRESENT}, {"missing", D365_SETTLED_MISSING},
        {"conflicting", D365_SETTLED_CONFLICTING}, {"unverifiable", D365_SETTLED_UNVERIFIABLE},
        {"confirmed", D365_SETTLED_CONFIRMED}, {"replayed", D365_SETTLED_REPLAYED}, {"left", D365_SETTLED_LEFT},
    };
    cJSON *answer = fine(), *settled = cJSON_AddObjectToObject(answer, "settled");
    int64_t number;
    size_t i;
    CHECK(d365_response_settled(response, D365_SETTLED_ID, &number) == D365_OK && number == -1);
    for (i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        CHECK(d365_response_settled(response, numbers[i].field, &number) == D365_OK);
        cJSON_AddNumberToObject(settled, numbers[i].key, (double)number);
    }
    CHECK(d365_response_free(response) == D365_OK);
    return answer;
}

cJSON *suspect_since(d365_client_t *client, const cJSON *request)
{
    const cJSON *since = cJSON_GetObjectItemCaseSensitive(request, "since_ms");
    d365_error_t *error = NULL;
    int64_t acknowledged, on_record_since;
    cJSON *answer, *suspected;
    d365_status_t status;
    CHECK(cJSON_IsNumber(since));
    status = d365_client_suspect_since(client, (int64_t)since->valuedouble, &acknowledged, &on_record_since, &error);
    if (status != D365_OK)
        return refusal(status, error);
    answer = fine();
    suspected = cJSON_AddObjectToObject(answer, "suspected");
    cJSON_AddNumberToObject(suspected, "acknowledged", (double)acknowledged);
    cJSON_AddBoolToObject(suspected, "is_whole", on_record_since <= (int64_t)since->valuedouble);
    return answer;
}

static const char *const OVERRIDES[] = {"none", "off", "primary", "alternate"};

cJSON *set_override(d365_client_t *client, const cJSON *request)
{
    const cJSON *until = cJSON_GetObjectItemCaseSensitive(request, "until_ms");
    const char *wanted = text_of(request, "value");
    int64_t until_ms = cJSON_IsNumber(until) ? (int64_t)until->valuedouble : 0;
    int32_t value = wanted == NULL ? D365_OVERRIDE_NONE : D365_OVERRIDE_ALTERNATE;
    d365_error_t *error = NULL;
    d365_status_t status;
    while (wanted != NULL && strcmp(OVERRIDES[value], wanted) != 0)
        value--;
    CHECK(wanted == NULL || value >= D365_OVERRIDE_OFF);
    status = d365_client_set_override(client, value, until_ms, &error);
    return done(status, error);
}

void add_override(cJSON *state, const d365_client_t *client)
{
    int32_t value, source;
    int64_t until_ms;
    cJSON *found;
    CHECK(d365_client_current_override(client, &value, &source, &until_ms, NULL) == D365_OK);
    if (value == D365_OVERRIDE_NONE) {
        cJSON_AddNullToObject(state, "current_override");
        return;
    }
    found = cJSON_AddObjectToObject(state, "current_override");
    cJSON_AddStringToObject(found, "value", OVERRIDES[value]);
    cJSON_AddStringToObject(found, "source", source == D365_OVERRIDE_FROM_STORE ? "store" : "environment");
    cJSON_AddBoolToObject(found, "has_end", until_ms != 0);
}

cJSON *maintenance(d365_client_t *client, const cJSON *request)
{
    const cJSON *start = cJSON_GetObjectItemCaseSensitive(request, "start_ms");
    const cJSON *end = cJSON_GetObjectItemCaseSensitive(request, "end_ms");
    d365_error_t *error = NULL;
    d365_status_t status;
    CHECK(cJSON_IsNumber(start) && cJSON_IsNumber(end));
    status = d365_client_maintenance(client, (int64_t)start->valuedouble, (int64_t)end->valuedouble, &error);
    return done(status, error);
}

cJSON *resolve(d365_client_t *client, const cJSON *request)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(request, "id");
    const char *found = text_of(request, "resolution");
    d365_error_t *error = NULL;
    int32_t resolution = D365_RESOLUTION_CONFIRMED;
    d365_status_t status;
    CHECK(cJSON_IsNumber(id) && found != NULL);
    while (resolution <= D365_RESOLUTION_LOST && strcmp(d365_resolution_name(resolution), found) != 0)
        resolution++;
    CHECK(resolution <= D365_RESOLUTION_LOST);
    status = d365_client_resolve(client, (int64_t)id->valuedouble, resolution, &error);
    return done(status, error);
}
