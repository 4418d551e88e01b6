/* The agent's answers, as JSON. */
#include "agent.h"

static const char *const roles[] = {"unknown", "primary", "alternate"};
static const char *const phases[] = {"unknown", "not_sent", "sent", "responded"};
static const char *const effects[] = {"none", "executed", "not_executed", "unknown"};
static const char *const operations[] = {"auto", "read", "idempotent", "guarded", "unsafe"};

#define NAME(names, number) \
    ((number) >= 0 && (size_t)(number) < sizeof(names) / sizeof *(names) ? (names)[number] : "unknown")

const char *text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

cJSON *number_or_null(int64_t number, int is_there)
{
    return is_there ? cJSON_CreateNumber((double)number) : cJSON_CreateNull();
}

const char *operation_name(int64_t operation)
{
    return NAME(operations, operation);
}

const char *effect_name(int64_t effect)
{
    return NAME(effects, effect);
}

static void add_ledger_id(cJSON *object, d365_status_t status, int64_t id)
{
    CHECK(status == D365_OK || status == D365_NOT_AVAILABLE);
    cJSON_AddItemToObject(object, "ledger_id", number_or_null(id, status == D365_OK));
}

cJSON *fine(void)
{
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddTrueToObject(answer, "ok");
    return answer;
}

void add_role(cJSON *object, int64_t role)
{
    if (role == 0)
        cJSON_AddNullToObject(object, "role");
    else
        cJSON_AddStringToObject(object, "role", NAME(roles, role));
}

static cJSON *attempts_json(d365_attempts_t *attempts)
{
    cJSON *list = cJSON_CreateArray();
    size_t count = 0, i;
    CHECK(d365_attempts_count(attempts, &count) == D365_OK);
    for (i = 0; i < count; i++) {
        int64_t n[D365_ATTEMPT_HTTP_VERSION + 1] = {0};
        d365_str_t url;
        int32_t field;
        cJSON *attempt = cJSON_CreateObject();
        for (field = D365_ATTEMPT_ROLE; field <= D365_ATTEMPT_HTTP_VERSION; field++)
            CHECK(d365_attempts_number(attempts, i, field, &n[field]) == D365_OK);
        CHECK(d365_attempts_text(attempts, i, D365_ATTEMPT_URL, &url) == D365_OK);
        add_role(attempt, n[D365_ATTEMPT_ROLE]);
        cJSON_AddNumberToObject(attempt, "epoch", (double)n[D365_ATTEMPT_EPOCH]);
        cJSON_AddStringToObject(attempt, "phase", NAME(phases, n[D365_ATTEMPT_PHASE]));
        if (n[D365_ATTEMPT_HTTP_VERSION] == 0)
            cJSON_AddNullToObject(attempt, "http_version");
        else
            cJSON_AddStringToObject(attempt, "http_version", n[D365_ATTEMPT_HTTP_VERSION] == 11 ? "1.1" : "2");
        cJSON_AddItemToObject(attempt, "http_status",
                              number_or_null(n[D365_ATTEMPT_HTTP_STATUS], n[D365_ATTEMPT_HTTP_STATUS] != 0));
        if (n[D365_ATTEMPT_FAULT_KIND] == D365_FAULT_NONE)
            cJSON_AddNullToObject(attempt, "fault");
        else
            cJSON_AddStringToObject(attempt, "fault",
                                    d365_fault_kind_name((int32_t)n[D365_ATTEMPT_FAULT_KIND]));
        cJSON_AddItemToObject(attempt, "code",
                              number_or_null(n[D365_ATTEMPT_SERVICE_CODE], n[D365_ATTEMPT_SERVICE_CODE] != 0));
        cJSON_AddStringToObject(attempt, "url", url.data);
        cJSON_AddItemToArray(list, attempt);
    }
    CHECK(d365_attempts_free(attempts) == D365_OK);
    return list;
}

static cJSON *parts_json(const d365_response_t *response)
{
    cJSON *list = cJSON_CreateArray();
    d365_parts_t *parts = NULL;
    size_t count = 0, i;
    CHECK(d365_response_parts(response, &parts) == D365_OK);
    CHECK(d365_parts_count(parts, &count) == D365_OK);
    for (i = 0; i < count; i++) {
        int64_t index, status, code;
        cJSON *part = cJSON_CreateObject();
        CHECK(d365_parts_number(parts, i, D365_PART_INDEX, &index) == D365_OK);
        CHECK(d365_parts_number(parts, i, D365_PART_STATUS, &status) == D365_OK);
        CHECK(d365_parts_number(parts, i, D365_PART_CODE, &code) == D365_OK);
        cJSON_AddNumberToObject(part, "index", (double)index);
        cJSON_AddItemToObject(part, "status", number_or_null(status, status != 0));
        cJSON_AddItemToObject(part, "code", number_or_null(code, code != 0));
        cJSON_AddItemToArray(list, part);
    }
    CHECK(d365_parts_number(parts, count, D365_PART_INDEX, &(int64_t){0}) == D365_NOT_AVAILABLE);
    CHECK(d365_parts_free(parts) == D365_OK);
    return list;
}

cJSON *refusal(d365_status_t status, d365_error_t *error)
{
    cJSON *answer = cJSON_CreateObject(), *body;
    d365_attempts_t *attempts;
    d365_str_t message;
    d365_status_t said;
    int32_t effect, switched, kind, http_status = 0, code = 0;
    int64_t id = 0;
    d365_status_t has_id;
    int has_status, has_code;
    d365_str_t tag;

    CHECK(error != NULL);
    CHECK(d365_error_status(error, &said) == D365_OK && said == status);
    CHECK(d365_error_message(error, &message) == D365_OK);
    CHECK(d365_error_effect(error, &effect) == D365_OK);
    CHECK(d365_error_switched(error, &switched) == D365_OK);
    CHECK(d365_error_attempts(error, &attempts) == D365_OK);
    has_status = d365_error_http_status(error, &http_status) == D365_OK;
    has_code = d365_error_service_code(error, &code) == D365_OK;
    has_id = d365_error_ledger_id(error, &id);
    cJSON_AddFalseToObject(answer, "ok");
    body = cJSON_AddObjectToObject(answer, "error");
    /* In doubt is a status of its own; what the call failed with is its kind. */
    CHECK((status == D365_WRITE_IN_DOUBT) == (effect == D365_EFFECT_UNKNOWN));
    if (status == D365_WRITE_IN_DOUBT && d365_error_kind(error, &kind) == D365_OK)
        cJSON_AddStringToObject(body, "kind", d365_fault_kind_name(kind));
    else
        cJSON_AddStringToObject(body, "kind", d365_status_name(status));
    cJSON_AddNullToObject(body, "type");
    cJSON_AddStringToObject(body, "message", message.data);
    cJSON_AddStringToObject(body, "effect", effect_name(effect));
    cJSON_AddBoolToObject(body, "switched", switched);
    cJSON_AddItemToObject(body, "http_status", number_or_null(http_status, has_status));
    cJSON_AddItemToObject(body, "code", number_or_null(code, has_code));
    add_ledger_id(body, has_id, id);
    if (d365_error_tag(error, &tag) == D365_OK)
        cJSON_AddStringToObject(body, "tag", tag.data);
    cJSON_AddItemToObject(body, "attempts", attempts_json(attempts));
    CHECK(d365_error_free(error) == D365_OK);
    return answer;
}

cJSON *done(d365_status_t status, d365_error_t *error)
{
    return status == D365_OK ? fine() : refusal(status, error);
}

static cJSON *headers_json(const d365_response_t *response)
{
    cJSON *headers = cJSON_CreateObject();
    size_t count, i;
    CHECK(d365_response_header_count(response, &count) == D365_OK);
    for (i = 0; i < count; i++) {
        d365_str_t name, value;
        CHECK(d365_response_header_at(response, i, &name, &value) == D365_OK);
        if (!cJSON_HasObjectItem(headers, name.data))
            cJSON_AddStringToObject(headers, name.data, value.data);
    }
    return headers;
}

static void add_body(cJSON *object, const d365_response_t *response)
{
    const uint8_t *data;
    size_t len;
    char *text;
    CHECK(d365_response_body(response, &data, &len) == D365_OK);
    text = malloc(len + 1);
    CHECK(text != NULL);
    memcpy(text, data, len);
    add_text(object, "body", text, len);
    free(text);
}

cJSON *outcome(d365_status_t status, d365_response_t *response, d365_error_t *error, const struct flow *flow)
{
    cJSON *answer, *body;
    d365_attempts_t *attempts;
    d365_str_t url;
    int32_t http_status, effect, switched;
    int64_t id = 0;
    d365_status_t has_id;

    if (status != D365_OK) {
        answer = refusal(status, error);
        add_body_reads(cJSON_GetObjectItem(answer, "error"), flow);
        return answer;
    }
    CHECK(d365_response_status(response, &http_status) == D365_OK);
    CHECK(d365_response_url(response, &url) == D365_OK);
    CHECK(d365_response_switched(response, &switched) == D365_OK);
    CHECK(d365_response_attempts(response, &attempts) == D365_OK);
    answer = fine();
    body = cJSON_AddObjectToObject(answer, "response");
    cJSON_AddNumberToObject(body, "status", http_status);
    cJSON_AddStringToObject(body, "url", url.data);
    cJSON_AddItemToObject(body, "headers", headers_json(response));
    if (flow->read > 0)
        add_stream(body, response, flow);
    else
        add_body(body, response);
    add_body_reads(body, flow);
    /* Of a stream it may be known only by now. */
    CHECK(d365_response_effect(response, &effect) == D365_OK);
    cJSON_AddStringToObject(body, "effect", effect_name(effect));
    cJSON_AddBoolToObject(body, "switched", switched);
    has_id = d365_response_ledger_id(response, &id);
    add_ledger_id(body, has_id, id);
    cJSON_AddItemToObject(body, "attempts", attempts_json(attempts));
    cJSON_AddItemToObject(body, "parts", parts_json(response));
    CHECK(d365_response_free(response) == D365_OK);
    return answer;
}
