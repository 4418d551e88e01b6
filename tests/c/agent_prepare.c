/* The agent's prepare function: records each attempt, then does to it what the scenario wants. */
#include <pthread.h>

#include "agent.h"

struct hook {
    cJSON *orders, *seen;
    pthread_mutex_t lock; /* of what was seen */
};

static void add_view(cJSON *object, const char *key, d365_status_t status, d365_str_t text)
{
    CHECK(status == D365_OK || status == D365_NOT_AVAILABLE);
    if (status == D365_OK)
        cJSON_AddStringToObject(object, key, text.data);
    else
        cJSON_AddNullToObject(object, key);
}

/* What it was handed, and the number of the attempt. */
static int64_t record(struct hook *hook, const d365_outgoing_t *outgoing)
{
    cJSON *record = cJSON_CreateObject();
    d365_str_t text;
    d365_status_t status;
    int64_t role, epoch, attempt;
    const uint8_t *body;
    size_t len;
    CHECK(d365_outgoing_url(outgoing, &text) == D365_OK);
    cJSON_AddStringToObject(record, "url", text.data);
    status = d365_outgoing_endpoint_url(outgoing, &text);
    add_view(record, "endpoint_url", status, text);
    CHECK(d365_outgoing_number(outgoing, D365_OUTGOING_ROLE, &role) == D365_OK);
    add_role(record, role);
    CHECK(d365_outgoing_number(outgoing, D365_OUTGOING_EPOCH, &epoch) == D365_OK);
    cJSON_AddNumberToObject(record, "epoch", (double)epoch);
    CHECK(d365_outgoing_number(outgoing, D365_OUTGOING_ATTEMPT, &attempt) == D365_OK);
    cJSON_AddNumberToObject(record, "attempt", (double)attempt);
    CHECK(d365_outgoing_method(outgoing, &text) == D365_OK);
    cJSON_AddStringToObject(record, "method", text.data);
    status = d365_outgoing_header(outgoing, "authorization", D365_NTS, &text);
    cJSON_AddBoolToObject(record, "has_authorization", status == D365_OK);
    status = d365_outgoing_body(outgoing, &body, &len);
    if (status == D365_OK) {
        char *copy = malloc(len + 1);
        CHECK(copy != NULL);
        memcpy(copy, body, len);
        copy[len] = '\0';
        cJSON_AddStringToObject(record, "body", copy);
        free(copy);
    } else {
        CHECK(status == D365_NOT_AVAILABLE);
        cJSON_AddNullToObject(record, "body");
    }
    pthread_mutex_lock(&hook->lock);
    cJSON_AddItemToArray(hook->seen, record);
    pthread_mutex_unlock(&hook->lock);
    return attempt;
}

static int32_t prepare(void *user_data, d365_outgoing_t *outgoing)
{
    struct hook *hook = user_data;
    const cJSON *order, *first = cJSON_GetObjectItemCaseSensitive(hook->orders, "fail_from");
    const char *body = text_of(hook->orders, "set_body"), *fail = text_of(hook->orders, "fail");
    int64_t attempt = record(hook, outgoing);
    cJSON_ArrayForEach(order, cJSON_GetObjectItemCaseSensitive(hook->orders, "set_header"))
        CHECK(d365_outgoing_set_header(outgoing, order->string, D365_NTS, order->valuestring, D365_NTS, NULL) == D365_OK);
    cJSON_ArrayForEach(order, cJSON_GetObjectItemCaseSensitive(hook->orders, "remove_header"))
        CHECK(d365_outgoing_remove_header(outgoing, order->valuestring, D365_NTS, NULL) == D365_OK);
    if (body)
        CHECK(d365_outgoing_set_body(outgoing, (const uint8_t *)body, strlen(body), NULL) == D365_OK);
    if (!fail || attempt < (cJSON_IsNumber(first) ? (int64_t)first->valuedouble : 1))
        return 0;
    CHECK(d365_outgoing_fail(outgoing, fail, D365_NTS, NULL) == D365_OK);
    return 1;
}

static void forget_hook(void *user_data)
{
    struct hook *hook = user_data;
    cJSON_Delete(hook->orders);
    cJSON_Delete(hook->seen);
    pthread_mutex_destroy(&hook->lock);
    free(hook);
}

d365_status_t set_hook(struct hook **hook, const cJSON *orders, d365_settings_t *settings, d365_error_t **error)
{
    struct hook *fresh;
    d365_status_t status;
    if (!cJSON_IsObject(orders))
        return D365_OK;
    fresh = calloc(1, sizeof *fresh);
    CHECK(fresh != NULL && pthread_mutex_init(&fresh->lock, NULL) == 0);
    fresh->orders = cJSON_Duplicate(orders, 1);
    fresh->seen = cJSON_CreateArray();
    status = d365_settings_set_prepare(settings, prepare, fresh, forget_hook, error);
    if (status == D365_OK)
        *hook = fresh;
    else
        forget_hook(fresh);
    return status;
}

void add_prepared(cJSON *answer, struct hook *hook)
{
    CHECK(hook != NULL);
    pthread_mutex_lock(&hook->lock);
    cJSON_AddItemToObject(answer, "prepared", cJSON_Duplicate(hook->seen, 1));
    pthread_mutex_unlock(&hook->lock);
}
