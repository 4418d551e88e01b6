/* Calls, tokens and switches against the twin datacenter that the file TWIN_JSON describes. */
#include "threads.h"
#include "twin.h"

static struct org contoso;

static void calls(void)
{
    d365_client_t *client = open_client(&contoso, NULL, "off");
    d365_response_t *created = NULL, *row = NULL;
    d365_attempts_t *attempts = NULL;
    d365_str_t id, url, name, value, version;
    const uint8_t *body = NULL;
    size_t len = 99, count = 0, i;
    int32_t n = -1;
    int64_t elapsed_us = 0;
    int found = 0;

    OK(call(client, "POST", accounts, "{\"name\":\"live\"}", &created, NULL));
    OK(d365_response_status(created, &n));
    CHECK(n == 204);
    OK(d365_response_reason_phrase(created, &value));
    CHECK(strcmp(value.data, "No Content") == 0);
    STATUS(D365_NULL_POINTER, d365_response_reason_phrase(created, NULL));
    OK(d365_response_elapsed_us(created, &elapsed_us));
    CHECK(elapsed_us > 0);
    STATUS(D365_NULL_POINTER, d365_response_elapsed_us(created, NULL));
    OK(d365_response_effect(created, &n));
    CHECK(n == D365_EFFECT_EXECUTED);
    OK(d365_response_switched(created, &n));
    CHECK(n == 0);
    OK(d365_response_body(created, &body, &len));
    CHECK(body != NULL && len == 0);
    OK(d365_response_url(created, &url));
    CHECK(strncmp(url.data, contoso.primary_url, strlen(contoso.primary_url)) == 0 && strlen(url.data) == url.len);
    OK(d365_response_header(created, "odata-ENTITYID", D365_NTS, &id));
    OK(d365_response_header(created, "OData-Version (not)", 13, &version));
    CHECK(strcmp(version.data, "4.0") == 0);
    STATUS(D365_NOT_AVAILABLE, d365_response_header(created, "X-None", D365_NTS, &value));
    OK(d365_response_header_count(created, &count));
    for (i = 0; i < count; i++) {
        OK(d365_response_header_at(created, i, &name, &value));
        found += strcmp(name.data, "odata-entityid") == 0 && strcmp(value.data, id.data) == 0;
    }
    CHECK(found == 1);
    STATUS(D365_NOT_AVAILABLE, d365_response_header_at(created, count, &name, &value));

    OK(call(client, "GET", id.data, NULL, &row, NULL)); /* the view is as good as its response */
    OK(d365_response_body(row, &body, &len));
    CHECK(len > 0 && memchr(body, '{', len) != NULL);
    OK(d365_response_effect(row, &n));
    CHECK(n == D365_EFFECT_NONE);
    OK(d365_response_attempts(row, &attempts));
    OK(d365_response_free(row));
    OK(d365_attempts_count(attempts, &count));
    CHECK(count == 1);
    CHECK(number(attempts, 0, D365_ATTEMPT_ROLE) == D365_ROLE_PRIMARY);
    CHECK(number(attempts, 0, D365_ATTEMPT_EPOCH) == 0);
    CHECK(number(attempts, 0, D365_ATTEMPT_PHASE) == D365_PHASE_RESPONDED);
    CHECK(number(attempts, 0, D365_ATTEMPT_FAULT_KIND) == D365_FAULT_NONE);
    CHECK(number(attempts, 0, D365_ATTEMPT_HTTP_STATUS) == 200);
    CHECK(number(attempts, 0, D365_ATTEMPT_SERVICE_CODE) == 0);
    CHECK(number(attempts, 0, D365_ATTEMPT_STARTED_MS) > INT64_C(1600000000000));
    CHECK(number(attempts, 0, D365_ATTEMPT_TOOK_US) > 0);
    OK(d365_attempts_text(attempts, 0, D365_ATTEMPT_URL, &url));
    CHECK(strcmp(url.data, id.data) == 0);
    OK(d365_attempts_text(attempts, 0, D365_ATTEMPT_MESSAGE, &url));
    CHECK(url.len == 0);
    STATUS(D365_NOT_AVAILABLE, d365_attempts_text(attempts, 0, D365_ATTEMPT_ROLE, &url));
    OK(d365_attempts_free(attempts));
    OK(d365_response_free(created));

    /* A row that does not exist is an answer. */
    OK(call(client, "GET", "/api/data/v9.2/accounts(00000000-0000-0000-0000-00000000dead)", NULL, &row, NULL));
    OK(d365_response_status(row, &n));
    CHECK(n == 404);
    OK(d365_response_free(row));
    OK(d365_client_free(client));
}

static int asked;
static int goes_on(void *user_data)
{
    asked += user_data == &asked;
    return 0;
}

static void fields(void)
{
    static const char body[] = "{\"name\":\"in one piece\"}";
    static const d365_header_t headers[] = {
        {"Content-Type", D365_NTS, "application/json", 16},
        {"Prefer", 6, "return=representation", D365_NTS},
    };
    d365_client_t *client = open_client(&contoso, NULL, "off");
    d365_request_fields_t fields;
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    d365_pending_t *pending = NULL;
    d365_str_t id, tag;
    const uint8_t *content = NULL;
    size_t len = 0;
    int64_t number = 0;
    int32_t n = -1;

    memset(&fields, 0, sizeof fields);
    fields.size = sizeof fields;
    fields.method = "post";
    fields.method_len = D365_NTS;
    fields.url = accounts;
    fields.url_len = strlen(accounts);
    fields.headers = headers;
    fields.header_count = 2;
    fields.body = (const uint8_t *)body;
    fields.body_len = strlen(body);
    fields.tag = "order 17";
    fields.tag_len = 8;
    fields.timeout_ms = 60000;
    fields.is_guarded_create = 1;
    OK(d365_pending_new(&pending, NULL));
    fields.pending = pending;
    OK(d365_client_send_fields(client, &fields, &response, NULL));
    OK(d365_pending_ledger_id(pending, &number));
    OK(d365_pending_free(pending));
    OK(d365_response_status(response, &n));
    CHECK(n == 200 || n == 201);
    OK(d365_response_effect(response, &n));
    CHECK(n == D365_EFFECT_EXECUTED);
    OK(d365_response_tag(response, &tag));
    CHECK(strcmp(tag.data, "order 17") == 0);
    OK(d365_response_header(response, "OData-EntityId", D365_NTS, &id));

    /* What it says is copied: it may be changed, and used again. */
    memset(&fields, 0, sizeof fields);
    fields.size = sizeof fields;
    fields.method = "GET";
    fields.method_len = 3;
    fields.url = id.data;
    fields.url_len = id.len;
    {
        d365_response_t *row = NULL;
        OK(d365_client_send_fields(client, &fields, &row, NULL));
        OK(d365_response_body(row, &content, &len));
        CHECK(len > 0 && strstr((const char *)content, "in one piece") != NULL);
        OK(d365_response_free(row));
    }
    OK(d365_response_free(response));

    /* It is asked whether to go on, and has times of its own. */
    fields.url = whoami;
    fields.url_len = D365_NTS;
    fields.check = goes_on;
    fields.check_data = &asked;
    fields.timeout_ms = 300;
    fault(&contoso, "primary", "\"kind\":\"accept_never_answer\",\"times\":1");
    STATUS(D365_TIMEOUT, d365_client_send_fields(client, &fields, &response, &error));
    CHECK(asked > 0);
    OK(d365_error_free(error));
    OK(d365_client_free(client));
}

static void errors(void)
{
    d365_client_t *client = open_client(&contoso, NULL, "off");
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    d365_str_t message;
    int32_t n = -1;

    fault(&contoso, "primary", "\"kind\":\"datacenter_not_available\",\"times\":1");
    STATUS(D365_DATACENTER_NOT_AVAILABLE, call(client, "POST", accounts, "{\"name\":\"away\"}", &response, &error));
    OK(d365_error_kind(error, &n));
    CHECK(n == D365_FAULT_DATACENTER_NOT_AVAILABLE);
    OK(d365_error_http_status(error, &n));
    CHECK(n == 503);
    OK(d365_error_service_code(error, &n));
    CHECK(n == -2147176347);
    OK(d365_error_phase(error, &n));
    CHECK(n == D365_PHASE_RESPONDED);
    OK(d365_error_effect(error, &n));
    CHECK(n == D365_EFFECT_NOT_EXECUTED);
    OK(d365_error_response(error, &response));
    OK(d365_error_message(error, &message));
    CHECK(message.len > 0);
    OK(d365_error_free(error));
    OK(d365_response_status(response, &n)); /* it outlives its error */
    CHECK(n == 503);
    OK(d365_response_free(response));

    error = NULL;
    response = NULL;
    fault(&contoso, "primary", "\"kind\":\"commit_then_close\",\"method\":\"POST\",\"times\":1");
    /* Not what a loop repeats that repeats what was lost. */
    STATUS(D365_WRITE_IN_DOUBT, call(client, "POST", accounts, "{\"name\":\"in doubt\"}", &response, &error));
    OK(d365_error_kind(error, &n));
    CHECK(n == D365_FAULT_CONNECTION_LOST);
    OK(d365_error_cause(error, &n));
    CHECK(n == D365_CAUSE_CLOSED && strcmp(d365_cause_name(n), "closed") == 0);
    OK(d365_error_effect(error, &n));
    CHECK(n == D365_EFFECT_UNKNOWN);
    OK(d365_error_phase(error, &n));
    CHECK(n == D365_PHASE_SENT);
    STATUS(D365_NOT_AVAILABLE, d365_error_http_status(error, &n));
    STATUS(D365_NOT_AVAILABLE, d365_error_response(error, &response));
    OK(d365_error_free(error));

    /* Writing to a connection that the server has reset must not raise SIGPIPE, which ends a C program. */
    for (n = 0; n < 5; n++) {
        fault(&contoso, "primary", "\"kind\":\"reset_after_request\",\"times\":1");
        STATUS(D365_CONNECTION_LOST, call(client, "GET", whoami, NULL, &response, NULL));
    }
    OK(d365_client_free(client));
}

struct provider {
    int asked, destroyed;
    const char *prefix;                 /* NULL: frees without an answer */
    d365_token_request_t *kept;         /* for an answer by another thread */
    int is_keeping;
    int64_t expires_in_ms;
    int64_t failure;                    /* not 0: fails with it */
};

static void reply(struct provider *provider, d365_token_request_t *request)
{
    d365_str_t url;
    char token[256];
    OK(d365_token_request_url(request, &url));
    snprintf(token, sizeof token, "%s%s", provider->prefix, strstr(url.data, "://") + 3);
    OK(d365_token_request_reply(request, token, D365_NTS, provider->expires_in_ms, NULL));
    STATUS(D365_LATE, d365_token_request_reply(request, token, D365_NTS, 0, NULL));
    STATUS(D365_LATE, d365_token_request_fail(request, "x", 1, NULL));
    OK(d365_token_request_free(request));
}

static void provide(void *user_data, d365_token_request_t *request)
{
    struct provider *provider = user_data;
    int32_t role = 0;
    OK(d365_token_request_role(request, &role));
    CHECK(role == D365_ROLE_PRIMARY);
    STATUS(D365_INVALID_ARGUMENT, d365_token_request_reply(request, "", 0, 0, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_token_request_reply(request, "bearer x", 8, 0, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_token_request_reply(request, "x\n", 2, 0, NULL));
    if (provider->failure) {
        OK(d365_token_request_fail_with(request, "nobody", 6, provider->failure, NULL));
        STATUS(D365_LATE, d365_token_request_fail_with(request, "x", 1, 1, NULL));
        OK(d365_token_request_free(request));
    } else if (!provider->prefix)
        OK(d365_token_request_free(request));
    else if (!provider->is_keeping)
        reply(provider, request);
    pthread_mutex_lock(&lock);
    provider->kept = request;
    provider->asked++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void on_destroy(void *user_data)
{
    struct provider *provider = user_data;
    add(&provider->destroyed, 1);
}

static void *answer_later(void *user_data)
{
    struct provider *provider = user_data;
    wait_until(&provider->asked, 1);
    reply(provider, provider->kept);
    return NULL;
}

static d365_client_t *client_with(struct provider *provider, d365_settings_t **settings)
{
    d365_client_t *client = NULL;
    *settings = settings_for(&contoso, NULL, "off");
    OK(d365_settings_set_token_provider(*settings, provide, provider, on_destroy, NULL));
    OK(d365_client_open(*settings, &client, NULL));
    return client;
}

static void check_tokens(const char *how)
{
    char json[128];
    snprintf(json, sizeof json, "{\"org\":\"%s\",\"tokens\":\"%s\"}", contoso.name, how);
    control("/tokens", json);
}

static void tokens(void)
{
    struct provider provider, other;
    d365_settings_t *settings;
    d365_client_t *client;
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    pthread_t thread;
    int32_t n = 0;
    int64_t data = 0;
    memset(&provider, 0, sizeof provider);
    check_tokens("check");

    provider.prefix = "twin-token-for-";
    provider.expires_in_ms = -1;
    client = client_with(&provider, &settings);
    OK(call(client, "GET", whoami, NULL, &response, NULL));
    OK(d365_response_status(response, &n));
    CHECK(n == 200);
    wait_until(&provider.asked, 1);
    OK(d365_response_free(response));
    OK(call(client, "GET", whoami, NULL, &response, NULL)); /* expires_in_ms was -1: asked again */
    wait_until(&provider.asked, 2);
    OK(d365_response_free(response));
    OK(d365_client_free(client));
    CHECK(provider.destroyed == 0); /* the settings have it still */
    /* Another provider in its place: the first is gone from everywhere. */
    memset(&other, 0, sizeof other);
    OK(d365_settings_set_token_provider(settings, provide, &other, on_destroy, NULL));
    wait_until(&provider.destroyed, 1);
    CHECK(other.destroyed == 0);
    OK(d365_settings_free(settings));
    wait_until(&other.destroyed, 1);
    CHECK(provider.destroyed == 1 && other.destroyed == 1 && other.asked == 0);

    memset(&provider, 0, sizeof provider); /* no answer at all */
    client = client_with(&provider, &settings);
    OK(d365_settings_free(settings));
    STATUS(D365_AUTHENTICATION, call(client, "GET", whoami, NULL, &response, NULL));
    wait_until(&provider.asked, 1);
    CHECK(provider.destroyed == 0);
    OK(d365_client_free(client));
    wait_until(&provider.destroyed, 1);

    memset(&provider, 0, sizeof provider); /* a failure that the call's error names */
    provider.failure = INT64_C(-9000000000000000001);
    client = client_with(&provider, &settings);
    OK(d365_settings_free(settings));
    STATUS(D365_AUTHENTICATION, call(client, "GET", whoami, NULL, &response, &error));
    OK(d365_error_provider_data(error, &data));
    CHECK(data == provider.failure);
    OK(d365_error_free(error));
    OK(d365_client_free(client));
    wait_until(&provider.destroyed, 1);

    memset(&provider, 0, sizeof provider); /* an answer later, by another thread */
    provider.prefix = "twin-token-for-";
    provider.is_keeping = 1;
    client = client_with(&provider, &settings);
    OK(d365_settings_free(settings));
    MUST(pthread_create(&thread, NULL, answer_later, &provider) == 0);
    OK(call(client, "GET", whoami, NULL, &response, NULL));
    MUST(pthread_join(thread, NULL) == 0);
    OK(d365_response_free(response));
    OK(d365_client_free(client));
    wait_until(&provider.destroyed, 1);
    check_tokens("off");
}

static void check_switch(d365_item_t *item)
{
    d365_str_t text;
    int64_t none;
    CHECK(item_text_is(item, D365_ITEM_PREVIOUS_URL, contoso.primary_url));
    CHECK(item_text_is(item, D365_ITEM_NEW_URL, contoso.alternate_url));
    CHECK(item_text_is(item, D365_ITEM_REASON, "endpoint_not_found"));
    OK(d365_item_text(item, D365_ITEM_MESSAGE, &text));
    CHECK(text.len > 0);
    CHECK(item_number(item, D365_ITEM_EPOCH) == 1);
    CHECK(item_number(item, D365_ITEM_PREVIOUS_ROLE) == D365_ROLE_PRIMARY);
    CHECK(item_number(item, D365_ITEM_NEW_ROLE) == D365_ROLE_ALTERNATE);
    CHECK(item_number(item, D365_ITEM_AUTOMATIC) == 1);
    CHECK(item_number(item, D365_ITEM_FAULT_KIND) == D365_FAULT_ENDPOINT_NOT_FOUND);
    CHECK(item_number(item, D365_ITEM_DROPPED) == 0);
    CHECK(item_number(item, D365_ITEM_TIME_MS) > INT64_C(1600000000000));
    CHECK(item_number(item, D365_ITEM_PROBED) == D365_PROBED_NONE);
    STATUS(D365_NOT_AVAILABLE, d365_item_number(item, D365_ITEM_LEDGER_ID, &none));
    STATUS(D365_NOT_AVAILABLE, d365_item_number(item, D365_ITEM_IN_DOUBT, &none));
    STATUS(D365_NOT_AVAILABLE, d365_item_number(item, D365_ITEM_ACKNOWLEDGED, &none));
    STATUS(D365_NOT_AVAILABLE, d365_item_number(item, D365_ITEM_RETRY_AFTER_MS, &none));
    STATUS(D365_NOT_AVAILABLE, d365_item_text(item, D365_ITEM_METHOD, &text));
    STATUS(D365_NOT_AVAILABLE, d365_item_text(item, D365_ITEM_URL, &text));
}

static const uint64_t both = (uint64_t)1 << D365_EVENT_ENDPOINT_SWITCH_REQUIRED
                             | (uint64_t)1 << D365_EVENT_ENDPOINT_SWITCHED;

/* What the environment says when a client is opened goes before everything, and is asked for. */
static void an_override(void)
{
    static const struct {
        const char *text;
        int32_t value, is_primary;
        d365_status_t by_hand;
    } rows[] = {
        {"off", D365_OVERRIDE_OFF, 1, D365_OK},
        {"primary", D365_OVERRIDE_PRIMARY, 1, D365_OVERRIDDEN},
        {"alternate", D365_OVERRIDE_ALTERNATE, 0, D365_OVERRIDDEN},
        {"", D365_OVERRIDE_NONE, 1, D365_OK},
    };
    d365_settings_t *settings = settings_for(&contoso, NULL, "on");
    d365_client_t *client = NULL;
    size_t i;

    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        int32_t value = -1, source = -1, is_primary = -1;
        int64_t until = -1;
        CHECK(setenv("D365_FAILOVER", rows[i].text, 1) == 0);
        OK(d365_client_open(settings, &client, NULL));
        OK(d365_client_current_override(client, &value, &source, &until, NULL));
        CHECK(value == rows[i].value && until == 0);
        CHECK(source == (*rows[i].text ? D365_OVERRIDE_FROM_ENVIRONMENT : 0));
        OK(d365_client_current_override(client, &value, NULL, NULL, NULL));
        STATUS(D365_NULL_POINTER, d365_client_current_override(client, NULL, NULL, NULL, NULL));
        OK(d365_client_is_primary(client, &is_primary, NULL));
        CHECK(is_primary == rows[i].is_primary);
        STATUS(rows[i].by_hand, d365_client_switch_endpoint(client, NULL));
        STATUS(D365_NOT_AVAILABLE, d365_client_set_override(client, D365_OVERRIDE_OFF, 0, NULL));
        STATUS(D365_INVALID_ARGUMENT, d365_client_set_override(client, 4, 0, NULL));
        OK(d365_client_free(client));
    }
    CHECK(setenv("D365_FAILOVER", "both", 1) == 0);
    STATUS(D365_INVALID_SETTING, d365_client_open(settings, &client, NULL));
    CHECK(unsetenv("D365_FAILOVER") == 0);
    OK(d365_settings_free(settings));
}

/* The store's override, for all clients of the organization that name the store. */
static void an_override_in_the_store(void)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-lock"};
    char folder[] = "/tmp/d365-live-XXXXXX", path[64];
    size_t i;
    d365_settings_t *settings = settings_for(&contoso, NULL, "on");
    d365_client_t *client = NULL, *other = NULL;
    int32_t value = -1, source = -1, is_primary = -1;
    int64_t until = -1, later = ((int64_t)time(NULL) + 3600) * 1000;
    time_t deadline;
    int is_gone;

    MUST(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/store", folder);
    OK(d365_settings_set(settings, "store", D365_NTS, path, D365_NTS, NULL));
    OK(d365_client_open(settings, &client, NULL));
    OK(d365_client_open(settings, &other, NULL));
    OK(d365_client_set_override(client, D365_OVERRIDE_ALTERNATE, later, NULL));
    OK(d365_client_current_override(other, &value, &source, &until, NULL));
    CHECK(value == D365_OVERRIDE_ALTERNATE && source == D365_OVERRIDE_FROM_STORE && until == later);
    OK(d365_client_is_primary(other, &is_primary, NULL));
    CHECK(is_primary == 0);
    STATUS(D365_OVERRIDDEN, d365_client_switch_endpoint(other, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_client_set_override(client, D365_OVERRIDE_OFF, 1, NULL));
    OK(d365_client_set_override(other, D365_OVERRIDE_NONE, 0, NULL));
    OK(d365_client_current_override(client, &value, &source, &until, NULL));
    CHECK(value == D365_OVERRIDE_NONE && source == 0 && until == 0);
    OK(d365_client_switch_endpoint(client, NULL));
    OK(d365_client_free(client));
    OK(d365_client_free(other));
    OK(d365_settings_free(settings));
    /* What was in flight lets go of the store soon after the clients are freed; Windows removes no open file. */
    deadline = time(NULL) + 60;
    do {
        for (i = 0; i < sizeof ends / sizeof *ends; i++) {
            snprintf(path, sizeof path, "%s/store%s", folder, ends[i]);
            remove(path);
        }
        is_gone = rmdir(folder) == 0; /* there is nothing else */
    } while (!is_gone && time(NULL) < deadline);
    CHECK(is_gone);
}

/* One submitted read meets a primary that refuses; everything comes through the queue, in order. */
static void a_switch(void)
{
    d365_queue_t *queue = NULL;
    d365_client_t *client;
    d365_request_t *request = new_request("GET", whoami, NULL);
    d365_response_t *response = NULL;
    d365_attempts_t *attempts = NULL;
    d365_item_t *item;
    d365_str_t url;
    void *user_data = NULL;
    size_t count = 0;
    int32_t n = -1;
    uint64_t epoch = 99;

    OK(d365_queue_new(0, &queue, NULL));
    client = open_client(&contoso, queue, "on");
    OK(d365_client_subscribe(client, both, NULL));
    fault(&contoso, "primary", "\"kind\":\"refuse\"");
    OK(d365_client_submit(client, request, &count, NULL, NULL));

    item = next(queue, D365_EVENT_ENDPOINT_SWITCH_REQUIRED);
    check_switch(item);
    CHECK(item_number(item, D365_ITEM_IS_DECISION) == 1);
    STATUS(D365_NOT_AVAILABLE, d365_item_user_data(item, &user_data));
    STATUS(D365_NOT_AVAILABLE, d365_item_result(item, &response, NULL));
    STATUS(D365_WOULD_DEADLOCK, d365_client_send(client, request, &response, NULL));
    STATUS(D365_WOULD_DEADLOCK, d365_client_shutdown(client, 1000, NULL));
    OK(d365_client_is_primary(client, &n, NULL));
    CHECK(n == 1);
    OK(d365_item_reply(item, D365_PROCEED, NULL));
    STATUS(D365_LATE, d365_item_reply(item, D365_VETO, NULL));
    OK(d365_item_free(item));

    item = next(queue, D365_EVENT_ENDPOINT_SWITCHED);
    check_switch(item);
    CHECK(item_number(item, D365_ITEM_IS_DECISION) == 0);
    STATUS(D365_NOT_AVAILABLE, d365_item_reply(item, D365_PROCEED, NULL));
    OK(d365_client_active_url(client, &url, NULL));
    CHECK(strcmp(url.data, contoso.alternate_url) == 0);
    OK(d365_client_send(client, request, &response, NULL)); /* before the retry leaves */
    OK(d365_response_free(response));
    OK(d365_item_free(item));

    item = next(queue, D365_ITEM_COMPLETION);
    OK(d365_item_user_data(item, &user_data));
    CHECK(user_data == &count);
    OK(d365_item_result(item, &response, NULL));
    OK(d365_item_free(item));
    OK(d365_response_switched(response, &n));
    CHECK(n == 1);
    OK(d365_response_attempts(response, &attempts));
    OK(d365_attempts_count(attempts, &count));
    CHECK(count == 2);
    CHECK(number(attempts, 0, D365_ATTEMPT_ROLE) == D365_ROLE_PRIMARY);
    CHECK(number(attempts, 0, D365_ATTEMPT_PHASE) == D365_PHASE_NOT_SENT);
    CHECK(number(attempts, 0, D365_ATTEMPT_FAULT_KIND) == D365_FAULT_ENDPOINT_NOT_FOUND);
    CHECK(number(attempts, 1, D365_ATTEMPT_ROLE) == D365_ROLE_ALTERNATE);
    CHECK(number(attempts, 1, D365_ATTEMPT_EPOCH) == 1);
    OK(d365_attempts_text(attempts, 0, D365_ATTEMPT_MESSAGE, &url));
    CHECK(url.len > 0);
    OK(d365_attempts_free(attempts));
    OK(d365_response_free(response));
    OK(d365_client_epoch(client, &epoch, NULL));
    CHECK(epoch == 1);
    OK(d365_client_is_primary(client, &n, NULL));
    CHECK(n == 0);

    /* Back by hand: one event, no decision. */
    control("/clear", "{}");
    OK(d365_client_switch_endpoint(client, NULL));
    item = next(queue, D365_EVENT_ENDPOINT_SWITCHED);
    CHECK(item_text_is(item, D365_ITEM_REASON, "manual"));
    CHECK(item_number(item, D365_ITEM_AUTOMATIC) == 0);
    CHECK(item_number(item, D365_ITEM_FAULT_KIND) == D365_FAULT_NONE);
    OK(d365_item_free(item));
    STATUS(D365_EMPTY, d365_queue_next(queue, 0, &item, NULL));
    OK(d365_request_free(request));
    OK(d365_client_shutdown(client, 10000, NULL));
    OK(d365_client_free(client));
    OK(d365_queue_free(queue));
}

static void a_veto(void)
{
    d365_queue_t *queue = NULL;
    d365_client_t *client;
    d365_request_t *request = new_request("GET", whoami, NULL);
    d365_response_t *response = NULL;
    d365_item_t *item = NULL;
    int32_t n = -1;
    OK(d365_queue_new(0, &queue, NULL));
    client = open_client(&contoso, queue, "on");
    OK(d365_client_subscribe(client, both, NULL));
    fault(&contoso, "primary", "\"kind\":\"refuse\"");
    OK(d365_client_submit(client, request, NULL, NULL, NULL));
    item = next(queue, D365_EVENT_ENDPOINT_SWITCH_REQUIRED);
    OK(d365_item_reply(item, D365_VETO, NULL));
    OK(d365_item_free(item));
    item = next(queue, D365_ITEM_COMPLETION);
    STATUS(D365_ENDPOINT_NOT_FOUND, d365_item_result(item, &response, NULL));
    OK(d365_item_free(item));
    OK(d365_client_is_primary(client, &n, NULL));
    CHECK(n == 1);
    control("/clear", "{}");
    OK(d365_request_free(request));
    OK(d365_client_free(client));
    OK(d365_queue_free(queue));
}

/* Nobody subscribed: nobody is asked or waited for, and the call goes on by itself. */
static void nobody_listens(void)
{
    d365_queue_t *queue = NULL;
    d365_client_t *client;
    d365_response_t *response = NULL;
    d365_item_t *item = NULL;
    OK(d365_queue_new(0, &queue, NULL));
    client = open_client(&contoso, queue, "on");
    OK(d365_client_subscribe(client, both, NULL));
    OK(d365_client_subscribe(client, 0, NULL)); /* replaces */
    fault(&contoso, "primary", "\"kind\":\"refuse\"");
    OK(call(client, "GET", whoami, NULL, &response, NULL));
    STATUS(D365_EMPTY, d365_queue_next(queue, 0, &item, NULL));
    control("/clear", "{}");
    OK(d365_response_free(response));
    OK(d365_client_free(client));
    OK(d365_queue_free(queue));
}

/* A queue that is freed with a decision in it, taken or not, lets the call go on. */
static void freed_with_a_decision(int is_taken)
{
    d365_queue_t *queue = NULL;
    d365_client_t *client;
    d365_request_t *request = new_request("GET", whoami, NULL);
    d365_item_t *item = NULL;
    int32_t n = 1;
    OK(d365_queue_new(0, &queue, NULL));
    client = open_client(&contoso, queue, "on");
    OK(d365_client_subscribe(client, (uint64_t)1 << D365_EVENT_ENDPOINT_SWITCH_REQUIRED, NULL));
    fault(&contoso, "primary", "\"kind\":\"refuse\"");
    OK(d365_client_submit(client, request, NULL, NULL, NULL));
    if (is_taken) {
        item = next(queue, D365_EVENT_ENDPOINT_SWITCH_REQUIRED);
        OK(d365_queue_free(queue));
        OK(d365_item_free(item)); /* without a reply: proceeds */
    } else {
        OK(d365_queue_free(queue));
    }
    OK(d365_client_shutdown(client, 60000, NULL));
    OK(d365_client_is_primary(client, &n, NULL));
    CHECK(n == 0);
    control("/clear", "{}");
    OK(d365_request_free(request));
    OK(d365_client_free(client));
}

static void *send_over_tls(void *client)
{
    d365_response_t *response = NULL;
    OK(call(client, "POST", accounts, "{\"name\":\"a small stack\"}", &response, NULL));
    OK(d365_response_free(response));
    OK(call(client, "GET", whoami, NULL, &response, NULL));
    OK(d365_response_free(response));
    return NULL;
}

/* What the header says a thread must have, it has enough of. */
static void a_small_stack(void)
{
    d365_client_t *client = open_client(&contoso, NULL, "on");
    pthread_attr_t small;
    pthread_t thread;
    MUST(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 256 << 10) == 0);
    MUST(pthread_create(&thread, &small, send_over_tls, client) == 0 && pthread_join(thread, NULL) == 0);
    /* And through a switch. */
    fault(&contoso, "primary", "\"kind\":\"refuse\"");
    MUST(pthread_create(&thread, &small, send_over_tls, client) == 0 && pthread_join(thread, NULL) == 0);
    control("/clear", "{}");
    MUST(pthread_attr_destroy(&small) == 0);
    OK(d365_client_free(client));
}

int main(int argc, char **argv)
{
    alarm(240); /* a hang is a failure */
    (void)argv;
    contoso = read_twin();
    if (argc > 1) /* over plain HTTP */
        contoso = new_org("plain", "\"scheme\":\"http\"");
    control("/clear", "{}");
    calls();
    fields();
    errors();
    tokens();
    an_override();
    an_override_in_the_store();
    a_switch();
    a_veto();
    nobody_listens();
    a_small_stack();
    freed_with_a_decision(0);
    freed_with_a_decision(1);
    FINISH();
}
