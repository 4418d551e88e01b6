/* The subject of the scenarios in C: reads a JSON request a line from standard input, does it through the C ABI, answers
 * with one JSON object a line on standard output. At the end of input it closes its clients and exits with 0. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <time.h>

#include "agent.h"

struct client {
    struct client *next;
    char *name, *on_required, *on_switched, *token;
    d365_client_t *client;
    d365_queue_t *queue;
    uint64_t mask;
    cJSON *events;
    struct hook *hook;
};

struct call {
    struct call *next;
    char *id;
    struct client *client;
    d365_request_t *request;
    d365_pending_t *pending;
    pthread_t thread;
    int is_thread;
    struct flow flow;
    /* Of a submitted call, whose stream is read by who awaits it. */
    int is_ended;
    d365_status_t status;
    d365_response_t *response;
    d365_error_t *error;
    cJSON *answer; /* of another; NULL until it is done */
};

/* Guards the events of all clients and the answers of all calls. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static struct client *clients;
static struct call *calls;

static char *copy(const char *text)
{
    char *other = NULL;
    if (text != NULL) {
        other = malloc(strlen(text) + 1);
        CHECK(other != NULL);
        strcpy(other, text);
    }
    return other;
}

/* Handlers, on the queue's thread. */

static cJSON *call_inside(d365_client_t *client)
{
    cJSON *inner = cJSON_CreateObject();
    d365_request_t *request;
    d365_response_t *response;
    d365_status_t status;
    CHECK(d365_request_new("GET", 3, "/api/data/v9.2/WhoAmI", D365_NTS, &request, NULL) == D365_OK);
    status = d365_client_send(client, request, &response, NULL);
    if (status == D365_OK) {
        int32_t http_status;
        CHECK(d365_response_status(response, &http_status) == D365_OK);
        cJSON_AddNumberToObject(inner, "status", http_status);
        CHECK(d365_response_free(response) == D365_OK);
    } else {
        cJSON_AddStringToObject(inner, "error", d365_status_name(status));
    }
    CHECK(d365_request_free(request) == D365_OK);
    return inner;
}

/* A scenario may let the time for the decision pass. */
static void reply(d365_item_t *item, int32_t decision)
{
    d365_status_t status = d365_item_reply(item, decision, NULL);
    CHECK(status == D365_OK || status == D365_LATE);
}

static void keep(struct client *c, cJSON *record)
{
    pthread_mutex_lock(&lock);
    cJSON_AddItemToArray(c->events, record);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void handle_event(struct client *c, d365_item_t *item, int32_t kind, const char *action)
{
    cJSON *record = event_record(item);
    int is_call = strcmp(action, "call") == 0;

    if (strcmp(action, "proceed") == 0)
        reply(item, D365_PROCEED);
    else if (strcmp(action, "veto") == 0)
        reply(item, D365_VETO);
    else if (strcmp(action, "disable_auto_switch") == 0)
        CHECK(d365_client_set_endpoint_auto_switch_enabled(c->client, 0, NULL) == D365_OK);
    else if (strcmp(action, "enable_auto_switch") == 0)
        CHECK(d365_client_set_endpoint_auto_switch_enabled(c->client, 1, NULL) == D365_OK);
    else if (strcmp(action, "unsubscribe") == 0)
        CHECK(d365_client_subscribe(c->client, c->mask & ~((uint64_t)1 << kind), NULL) == D365_OK);
    else if (!is_call)
        /* C has nothing to throw: the item is freed without a reply. */
        CHECK(strcmp(action, "throw") == 0 || strcmp(action, "listen") == 0);
    cJSON_AddItemToObject(record, "inner", is_call ? call_inside(c->client) : cJSON_CreateNull());
    keep(c, record);
}

static void on_item(void *user_data, d365_item_t *item)
{
    struct client *c = user_data;
    int32_t kind;
    CHECK(d365_item_kind(item, &kind) == D365_OK);
    if (kind == D365_EVENT_ENDPOINT_SWITCH_REQUIRED) {
        handle_event(c, item, kind, c->on_required);
    } else if (kind == D365_EVENT_ENDPOINT_SWITCHED) {
        handle_event(c, item, kind, c->on_switched);
    } else if (kind == D365_ITEM_COMPLETION) {
        struct call *call;
        void *pointer;
        CHECK(d365_item_user_data(item, &pointer) == D365_OK);
        call = pointer;
        pthread_mutex_lock(&lock);
        call->status = d365_item_result(item, &call->response, &call->error);
        call->is_ended = 1;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    } else if (kind == D365_ITEM_BODY) {
        take_piece(item);
    } else {
        keep(c, event_record(item));
    }
    CHECK(d365_item_free(item) == D365_OK);
}

static void provide_token(void *mode, d365_token_request_t *request)
{
    if (strcmp(mode, "by_host") == 0) {
        d365_str_t url;
        const char *host;
        char token[512];
        CHECK(d365_token_request_url(request, &url) == D365_OK);
        host = strstr(url.data, "://");
        CHECK(host != NULL);
        host += 3;
        snprintf(token, sizeof token, "twin-token-for-%.*s", (int)strcspn(host, ":/"), host);
        CHECK(d365_token_request_reply(request, token, D365_NTS, 600000, NULL) == D365_OK);
    } else {
        CHECK(d365_token_request_fail(request, "the agent was told to fail", D365_NTS, NULL) == D365_OK);
    }
    CHECK(d365_token_request_free(request) == D365_OK);
}

/* Requests. */

static d365_status_t apply_setting(d365_settings_t *settings, const cJSON *setting, d365_error_t **error)
{
    char value[4096] = "";
    const cJSON *rule;
    size_t used = 0;
    if (cJSON_IsString(setting))
        return d365_settings_set(settings, setting->string, D365_NTS, setting->valuestring, D365_NTS, error);
    if (cJSON_IsNumber(setting)) {
        snprintf(value, sizeof value, "%.15g", setting->valuedouble);
    } else if (cJSON_IsBool(setting)) {
        strcpy(value, cJSON_IsTrue(setting) ? "on" : "off");
    } else {
        cJSON_ArrayForEach(rule, setting) {
            used += (size_t)snprintf(value + used, sizeof value - used, "%s%s:%s", used ? "," : "",
                                     rule->string, rule->valuestring);
            CHECK(used < sizeof value);
        }
    }
    return d365_settings_set(settings, setting->string, D365_NTS, value, D365_NTS, error);
}

static cJSON *do_open(const cJSON *request)
{
    struct client *c = calloc(1, sizeof *c);
    const char *url = text_of(request, "url");
    d365_settings_t *settings = NULL;
    d365_error_t *error = NULL;
    const cJSON *setting;
    d365_status_t status;

    CHECK(c != NULL && text_of(request, "client") != NULL && url != NULL);
    c->name = copy(text_of(request, "client"));
    c->on_required = copy(text_of(request, "on_required"));
    c->on_switched = copy(text_of(request, "on_switched"));
    c->token = copy(text_of(request, "token"));
    c->events = cJSON_CreateArray();
    c->mask = (c->on_required ? (uint64_t)1 << D365_EVENT_ENDPOINT_SWITCH_REQUIRED : 0)
              | (c->on_switched ? (uint64_t)1 << D365_EVENT_ENDPOINT_SWITCHED : 0)
              | mask_of(cJSON_GetObjectItemCaseSensitive(request, "events"));
    status = d365_settings_new(url, D365_NTS, &settings, &error);
    cJSON_ArrayForEach(setting, cJSON_GetObjectItemCaseSensitive(request, "settings"))
        if (status == D365_OK && !cJSON_IsNull(setting))
            status = apply_setting(settings, setting, &error);
    if (status == D365_OK && c->token)
        status = d365_settings_set_token_provider(settings, provide_token, c->token, NULL, &error);
    if (status == D365_OK)
        status = set_hook(&c->hook, cJSON_GetObjectItemCaseSensitive(request, "prepare"), settings, &error);
    if (status == D365_OK)
        status = d365_queue_new(0, &c->queue, &error);
    if (status == D365_OK)
        status = d365_settings_set_queue(settings, c->queue, c, &error);
    if (status == D365_OK)
        status = d365_client_open(settings, &c->client, &error);
    if (status == D365_OK)
        status = d365_client_subscribe(c->client, c->mask, &error);
    if (status == D365_OK)
        status = d365_queue_run(c->queue, on_item, c, NULL, &error);
    CHECK(d365_settings_free(settings) == D365_OK);
    if (status != D365_OK)
        c->hook = NULL; /* gone with the settings */
    c->next = clients;
    clients = c;
    return done(status, error);
}

static struct client *find_client(const cJSON *request)
{
    const char *name = text_of(request, "client");
    struct client *c = clients;
    CHECK(name != NULL);
    while (c != NULL && strcmp(c->name, name) != 0)
        c = c->next;
    CHECK(c != NULL);
    return c;
}

static struct call *find_call(const cJSON *request)
{
    const char *id = text_of(request, "call");
    struct call *call = calls;
    CHECK(id != NULL);
    while (call != NULL && strcmp(call->id, id) != 0)
        call = call->next;
    CHECK(call != NULL);
    return call;
}

static d365_status_t build(const cJSON *json, d365_request_t **request, struct flow *flow, d365_error_t **error)
{
    const char *body = text_of(json, "body"), *operation = text_of(json, "operation");
    const cJSON *timeout = cJSON_GetObjectItemCaseSensitive(json, "timeout_ms");
    const cJSON *connect = cJSON_GetObjectItemCaseSensitive(json, "connect_timeout_ms");
    const cJSON *attempt = cJSON_GetObjectItemCaseSensitive(json, "attempt_timeout_ms"), *header;
    d365_status_t status;
    int32_t number = 0;

    CHECK(text_of(json, "method") != NULL && text_of(json, "url") != NULL);
    status = d365_request_new(text_of(json, "method"), D365_NTS, text_of(json, "url"), D365_NTS, request, error);
    cJSON_ArrayForEach(header, cJSON_GetObjectItemCaseSensitive(json, "headers"))
        if (status == D365_OK)
            status = d365_request_add_header(*request, header->string, D365_NTS, header->valuestring,
                                             D365_NTS, error);
    if (status == D365_OK && body)
        status = d365_request_set_body(*request, (const uint8_t *)body, strlen(body), error);
    if (status == D365_OK && cJSON_IsNumber(timeout))
        status = d365_request_set_timeout_ms(*request, (int64_t)timeout->valuedouble, error);
    if (status == D365_OK && cJSON_IsNumber(connect))
        status = d365_request_set_connect_timeout_ms(*request, (int64_t)connect->valuedouble, error);
    if (status == D365_OK && cJSON_IsNumber(attempt))
        status = d365_request_set_attempt_timeout_ms(*request, (int64_t)attempt->valuedouble, error);
    if (status == D365_OK && operation) {
        while (number <= D365_OPERATION_UNSAFE && strcmp(operation_name(number), operation) != 0)
            number++;
        status = d365_request_set_operation(*request, number, error);
    }
    if (status == D365_OK && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "guarded_create")))
        status = d365_request_set_guarded_create(*request, 1, error);
    if (status == D365_OK && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "upsert")))
        status = d365_request_set_upsert(*request, 1, error);
    if (status == D365_OK && text_of(json, "tag"))
        status = d365_request_set_tag(*request, text_of(json, "tag"), D365_NTS, error);
    if (status == D365_OK)
        status = set_flow(flow, json, *request, error);
    return status;
}

static cJSON *send_request(struct client *c, const d365_request_t *request, const struct flow *flow)
{
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    d365_status_t status = d365_client_send(c->client, request, &response, &error);
    return outcome(status, response, error, flow);
}

static cJSON *do_call(const cJSON *json)
{
    d365_request_t *request = NULL;
    d365_error_t *error = NULL;
    struct flow flow;
    d365_status_t status = build(json, &request, &flow, &error);
    cJSON *answer = status == D365_OK ? send_request(find_client(json), request, &flow) : refusal(status, error);
    CHECK(d365_request_free(request) == D365_OK);
    return answer;
}

static void *call_thread(void *pointer)
{
    struct call *call = pointer;
    cJSON *answer = send_request(call->client, call->request, &call->flow);
    pthread_mutex_lock(&lock);
    call->answer = answer;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* What is wrong at once is said by "await", as where the call has a thread of its own. */
static cJSON *do_start(const cJSON *json)
{
    struct call *call = calloc(1, sizeof *call);
    d365_error_t *error = NULL;
    d365_status_t status;
    CHECK(call != NULL && text_of(json, "call") != NULL);
    call->id = copy(text_of(json, "call"));
    call->client = find_client(json);
    call->next = calls;
    calls = call;
    status = build(json, &call->request, &call->flow, &error);
    if (status == D365_OK && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "submit"))) {
        status = d365_client_submit(call->client->client, call->request, call, &call->pending, &error);
    } else if (status == D365_OK) {
        call->is_thread = 1;
        CHECK(pthread_create(&call->thread, NULL, call_thread, call) == 0);
    }
    if (status != D365_OK)
        call->answer = refusal(status, error);
    return fine();
}

static void forget(struct call *call)
{
    struct call **link = &calls;
    while (*link != call)
        link = &(*link)->next;
    *link = call->next;
    if (call->is_thread)
        CHECK(pthread_join(call->thread, NULL) == 0);
    CHECK(d365_pending_free(call->pending) == D365_OK);
    CHECK(d365_request_free(call->request) == D365_OK);
    free(call->id);
    free(call);
}

static cJSON *await(struct call *call)
{
    cJSON *answer;
    pthread_mutex_lock(&lock);
    while (call->answer == NULL && !call->is_ended)
        pthread_cond_wait(&changed, &lock);
    answer = call->answer;
    pthread_mutex_unlock(&lock);
    if (answer == NULL)
        answer = outcome(call->status, call->response, call->error, &call->flow);
    forget(call);
    return answer;
}

static cJSON *do_cancel(const cJSON *json)
{
    d365_error_t *error = NULL;
    d365_status_t status = d365_pending_cancel(find_call(json)->pending, &error);
    return done(status, error);
}

static cJSON *do_state(const cJSON *json)
{
    const d365_client_t *client = find_client(json)->client;
    cJSON *answer = fine(), *state = cJSON_AddObjectToObject(answer, "state");
    d365_str_t primary, alternate, active;
    int32_t is_primary, enabled;
    uint64_t epoch;
    d365_status_t status;
    CHECK(d365_client_primary_url(client, &primary, NULL) == D365_OK);
    CHECK(d365_client_active_url(client, &active, NULL) == D365_OK);
    CHECK(d365_client_is_primary(client, &is_primary, NULL) == D365_OK);
    CHECK(d365_client_epoch(client, &epoch, NULL) == D365_OK);
    CHECK(d365_client_endpoint_auto_switch_enabled(client, &enabled, NULL) == D365_OK);
    status = d365_client_alternate_url(client, &alternate, NULL);
    CHECK(status == D365_OK || status == D365_NO_ALTERNATE);
    cJSON_AddStringToObject(state, "primary_url", primary.data);
    if (status == D365_OK)
        cJSON_AddStringToObject(state, "alternate_url", alternate.data);
    else
        cJSON_AddNullToObject(state, "alternate_url");
    cJSON_AddStringToObject(state, "active_url", active.data);
    cJSON_AddBoolToObject(state, "is_primary", is_primary);
    cJSON_AddNumberToObject(state, "epoch", (double)epoch);
    cJSON_AddBoolToObject(state, "endpoint_auto_switch_enabled", enabled);
    add_override(state, client);
    return answer;
}

static cJSON *do_set_auto_switch(const cJSON *json)
{
    int32_t enabled = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "enabled"));
    d365_error_t *error = NULL;
    d365_status_t status =
        d365_client_set_endpoint_auto_switch_enabled(find_client(json)->client, enabled, &error);
    return done(status, error);
}

static cJSON *do_switch_endpoint(const cJSON *json)
{
    d365_error_t *error = NULL;
    d365_status_t status = d365_client_switch_endpoint(find_client(json)->client, &error);
    return done(status, error);
}

static cJSON *do_discover(const cJSON *json)
{
    d365_error_t *error = NULL;
    d365_status_t status = d365_client_discover(find_client(json)->client, &error);
    return done(status, error);
}

/* The handle stays, so that a call after it says what a closed client says. */
static cJSON *do_close(const cJSON *json)
{
    d365_error_t *error = NULL;
    d365_status_t status = d365_client_shutdown(find_client(json)->client, 5000, &error);
    return done(status, error);
}

static cJSON *do_events(const cJSON *json)
{
    struct client *c = find_client(json);
    double at_least = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, "at_least"));
    double timeout = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, "timeout_ms"));
    cJSON *answer = fine();
    struct timespec until;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_nsec += (long)timeout % 1000 * 1000000;
    until.tv_sec += (time_t)timeout / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&lock);
    while (cJSON_GetArraySize(c->events) < at_least
           && pthread_cond_timedwait(&changed, &lock, &until) == 0)
        ;
    cJSON_AddItemToObject(answer, "events", cJSON_Duplicate(c->events, 1));
    pthread_mutex_unlock(&lock);
    return answer;
}

static cJSON *do_ledger(const cJSON *json)
{
    return list_ledger(find_client(json)->client, text_of(json, "selection"));
}

/* Waits for the one completion of what was submitted. */
static d365_status_t submitted(struct call *call, d365_status_t status, d365_response_t **response,
                               d365_error_t **error)
{
    if (status == D365_OK) {
        pthread_mutex_lock(&lock);
        while (!call->is_ended)
            pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
        status = call->status;
        *response = call->response;
        *error = call->error;
    }
    forget(call);
    return status;
}

static struct call *new_call(struct client *c, const char *name)
{
    struct call *call = calloc(1, sizeof *call);
    CHECK(call != NULL);
    call->id = copy(name);
    call->client = c;
    call->next = calls;
    calls = call;
    return call;
}

static d365_status_t submit_request(struct client *c, const d365_request_t *request, d365_response_t **response,
                                    d365_error_t **error)
{
    struct call *call = new_call(c, "about the ledger");
    return submitted(call, d365_client_submit(c->client, request, call, &call->pending, error), response, error);
}

/* Sends it, or submits it and waits. */
static d365_status_t ask(struct client *c, const cJSON *json, d365_request_t *request, d365_response_t **response,
                         d365_error_t **error)
{
    d365_status_t status;
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "submit")))
        status = submit_request(c, request, response, error);
    else
        status = d365_client_send(c->client, request, response, error);
    CHECK(d365_request_free(request) == D365_OK);
    return status;
}

static cJSON *found(d365_status_t status, d365_response_t *response, d365_error_t *error)
{
    int32_t verified;
    if (status != D365_OK)
        return refusal(status, error);
    CHECK(d365_response_verified(response, &verified) == D365_OK);
    CHECK(d365_response_free(response) == D365_OK);
    return verified_answer(verified);
}

static cJSON *do_verify(const cJSON *json)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(json, "id");
    const cJSON *url = cJSON_GetObjectItemCaseSensitive(json, "url");
    struct client *c = find_client(json);
    d365_response_t *response = NULL;
    d365_request_t *request = NULL;
    d365_error_t *error = NULL;
    d365_status_t status;
    CHECK(cJSON_IsNumber(id));
    if (cJSON_IsString(url)) {
        status = d365_request_new_verify_with((int64_t)id->valuedouble, url->valuestring, D365_NTS, &request, &error);
        CHECK(status == D365_OK);
        status = ask(c, json, request, &response, &error);
        return found(status, response, error);
    }
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "submit"))) {
        struct call *call = new_call(c, "verify");
        status = d365_client_submit_verify(c->client, (int64_t)id->valuedouble, call, &call->pending, &error);
        status = submitted(call, status, &response, &error);
        return found(status, response, error);
    }
    return verify(c->client, (int64_t)id->valuedouble);
}

static cJSON *do_replay(const cJSON *json)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(json, "id");
    int wanted = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "wanted"));
    struct client *c = find_client(json);
    d365_response_t *response = NULL;
    d365_request_t *request = NULL;
    d365_error_t *error = NULL;
    d365_status_t status;
    CHECK(cJSON_IsNumber(id));
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "submit"))) {
        CHECK(d365_request_new_replay((int64_t)id->valuedouble, wanted, &request, &error) == D365_OK);
        status = ask(c, json, request, &response, &error);
    } else {
        status = d365_client_replay(c->client, (int64_t)id->valuedouble, wanted, &response, &error);
    }
    return status == D365_OK ? replayed_answer(response) : refusal(status, error);
}

static cJSON *do_settle(const cJSON *json)
{
    static const struct {
        const char *key;
        uint32_t flag;
    } acts[] = {{"verify", D365_SETTLE_VERIFY}, {"confirm", D365_SETTLE_CONFIRM}, {"replay", D365_SETTLE_REPLAY}};
    struct client *c = find_client(json);
    d365_response_t *response = NULL;
    d365_request_t *request = NULL, *next = NULL;
    d365_error_t *error = NULL;
    d365_status_t status;
    uint32_t flags = 0;
    int64_t id, total, steps = 0;
    size_t i;
    for (i = 0; i < sizeof acts / sizeof *acts; i++)
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, acts[i].key)))
            flags |= acts[i].flag;
    if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "submit"))) {
        status = d365_client_settle(c->client, flags, &response, &error);
        return status == D365_OK ? settled_answer(response) : refusal(status, error);
    }
    CHECK(d365_request_new_settle(flags, &request, &error) == D365_OK);
    for (;;) {
        CHECK(d365_request_new_settle_on(request, &next, &error) == D365_OK);
        status = ask(c, json, next, &response, &error);
        if (status != D365_OK)
            break;
        CHECK(d365_response_settled(response, D365_SETTLED_ID, &id) == D365_OK);
        if (id == -1)
            break;
        steps++;
        CHECK(d365_response_free(response) == D365_OK);
    }
    CHECK(d365_request_free(request) == D365_OK);
    if (status != D365_OK)
        return refusal(status, error);
    CHECK(d365_response_settled(response, D365_SETTLED_TOTAL, &total) == D365_OK && total == steps);
    return settled_answer(response);
}

static cJSON *do_override(const cJSON *json)
{
    return set_override(find_client(json)->client, json);
}

static cJSON *do_maintenance(const cJSON *json)
{
    return maintenance(find_client(json)->client, json);
}

static cJSON *do_suspect_since(const cJSON *json)
{
    return suspect_since(find_client(json)->client, json);
}

static cJSON *do_resolve(const cJSON *json)
{
    return resolve(find_client(json)->client, json);
}

static cJSON *do_prepared(const cJSON *json)
{
    cJSON *answer = fine();
    add_prepared(answer, find_client(json)->hook);
    return answer;
}

static cJSON *do_hello(const cJSON *json)
{
    cJSON *answer = fine();
    (void)json;
    CHECK(d365_abi_version() == D365_ABI_VERSION);
    cJSON_AddStringToObject(answer, "language", "c");
    cJSON_AddStringToObject(answer, "version", d365_version());
    return answer;
}

static cJSON *do_await(const cJSON *json)
{
    return await(find_call(json));
}

static const struct {
    const char *name;
    cJSON *(*function)(const cJSON *request);
} table[] = {
    {"hello", do_hello}, {"open", do_open}, {"call", do_call}, {"start", do_start},
    {"await", do_await}, {"cancel", do_cancel}, {"state", do_state},
    {"set_auto_switch", do_set_auto_switch}, {"switch_endpoint", do_switch_endpoint},
    {"discover", do_discover}, {"close", do_close}, {"events", do_events}, {"prepared", do_prepared},
    {"ledger", do_ledger}, {"resolve", do_resolve}, {"verify", do_verify}, {"replay", do_replay}, {"settle", do_settle}, {"suspect_since", do_suspect_since},
    {"maintenance", do_maintenance}, {"override", do_override},
    {"misuse", do_misuse},
};

static void close_all(void)
{
    struct client *c;
    for (c = clients; c != NULL; c = c->next)
        CHECK(c->client == NULL || d365_client_shutdown(c->client, 0, NULL) == D365_OK);
    while (calls != NULL)
        cJSON_Delete(await(calls));
    while ((c = clients) != NULL) {
        CHECK(d365_client_free(c->client) == D365_OK);
        CHECK(c->queue == NULL || d365_queue_close(c->queue, 10000, NULL) == D365_OK);
        CHECK(d365_queue_free(c->queue) == D365_OK);
        clients = c->next;
        cJSON_Delete(c->events);
        free(c->name);
        free(c->on_required);
        free(c->on_switched);
        free(c->token);
        free(c);
    }
}

int main(void)
{
    pthread_condattr_t monotonic;
    char *line = NULL;
    size_t size = 0, i;

    pthread_condattr_init(&monotonic);
    CHECK(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&changed, &monotonic) == 0);
    while (getline(&line, &size, stdin) > 0) {
        cJSON *request = cJSON_Parse(line), *answer = NULL;
        const char *what = text_of(request, "do");
        char *text;
        CHECK(request != NULL && what != NULL);
        for (i = 0; i < sizeof table / sizeof *table; i++)
            if (strcmp(table[i].name, what) == 0)
                answer = table[i].function(request);
        CHECK(answer != NULL);
        text = cJSON_PrintUnformatted(answer);
        CHECK(text != NULL);
        puts(text);
        fflush(stdout);
        free(text);
        cJSON_Delete(answer);
        cJSON_Delete(request);
    }
    free(line);
    close_all();
    return 0;
}
