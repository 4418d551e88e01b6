/* What a C program does wrong, and the status that it gets instead of a crash. */
#include "local.h"

static const char url[] = "https://contoso.crm.dynamics.com";

/* The error object says the same as the status, in words, and of no call. */
static void check_error(d365_error_t *error, d365_status_t wanted)
{
    d365_status_t status = D365_OK;
    d365_str_t message = {NULL, 0};
    d365_attempts_t *attempts = NULL;
    d365_response_t *response = NULL;
    int32_t number = -1;
    int64_t ms = -1;
    size_t count = 99;
    MUST(error != NULL);
    OK(d365_error_status(error, &status));
    CHECK(status == wanted);
    OK(d365_error_message(error, &message));
    CHECK(message.len > 0 && message.data[message.len] == '\0' && strlen(message.data) == message.len);
    OK(d365_error_kind(error, &number));
    CHECK(number == D365_FAULT_NONE);
    OK(d365_error_effect(error, &number));
    CHECK(number == D365_EFFECT_NONE);
    OK(d365_error_switched(error, &number));
    CHECK(number == 0);
    STATUS(D365_NOT_AVAILABLE, d365_error_phase(error, &number));
    STATUS(D365_NOT_AVAILABLE, d365_error_http_status(error, &number));
    STATUS(D365_NOT_AVAILABLE, d365_error_service_code(error, &number));
    STATUS(D365_NOT_AVAILABLE, d365_error_retry_after_ms(error, &ms));
    STATUS(D365_NOT_AVAILABLE, d365_error_ledger_id(error, &ms));
    STATUS(D365_NOT_AVAILABLE, d365_error_response(error, &response));
    CHECK(response == NULL && ms == -1);
    OK(d365_error_attempts(error, &attempts));
    OK(d365_attempts_count(attempts, &count));
    CHECK(count == 0);
    STATUS(D365_NOT_AVAILABLE, d365_attempts_number(attempts, 0, D365_ATTEMPT_ROLE, &ms));
    OK(d365_attempts_free(attempts));
    OK(d365_error_free(error));
}

static void null_pointers(void)
{
    d365_settings_t *settings = NULL;
    d365_request_t *request = NULL;
    d365_ledger_t *ledger = NULL;
    d365_error_t *error = NULL;
    d365_str_t view;
    size_t count = 99;
    int64_t number = -1;
    STATUS(D365_NULL_POINTER, d365_settings_new(NULL, 5, &settings, NULL));
    STATUS(D365_NULL_POINTER, d365_settings_new(NULL, D365_NTS, &settings, NULL));
    STATUS(D365_NULL_POINTER, d365_settings_new(url, D365_NTS, NULL, &error));
    check_error(error, D365_NULL_POINTER);
    CHECK(settings == NULL);
    STATUS(D365_NULL_POINTER, d365_settings_set(NULL, "preset", 6, "dotnet", 6, NULL));
    STATUS(D365_NULL_POINTER, d365_settings_set_token_provider(NULL, NULL, NULL, NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_settings_set_prepare(NULL, NULL, NULL, NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_request_set_body_reader(NULL, NULL, NULL, -1, NULL, NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_request_set_streaming(NULL, 1, NULL));
    STATUS(D365_NULL_POINTER, d365_response_read(NULL, NULL, 1, NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_response_read_ready(NULL, NULL, 1, NULL, NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_response_read_checked(NULL, NULL, 1, NULL, NULL, NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_response_reason_phrase(NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_response_elapsed_us(NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_response_submit_read(NULL, 1, NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_item_body(NULL, NULL, NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_client_open(NULL, NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_client_send(NULL, NULL, NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_client_primary_url(NULL, &view, NULL));
    STATUS(D365_NULL_POINTER, d365_client_ledger(NULL, D365_LEDGER_ALL, &ledger, &error));
    check_error(error, D365_NULL_POINTER);
    STATUS(D365_NULL_POINTER, d365_client_resolve(NULL, 1, D365_RESOLUTION_LOST, NULL));
    STATUS(D365_NULL_POINTER, d365_ledger_count(NULL, &count));
    STATUS(D365_NULL_POINTER, d365_ledger_number(NULL, 0, D365_LEDGER_ID, &number));
    STATUS(D365_NULL_POINTER, d365_ledger_text(NULL, 0, D365_LEDGER_URL, &view));
    STATUS(D365_NULL_POINTER, d365_response_ledger_id(NULL, &number));
    STATUS(D365_NULL_POINTER, d365_response_tag(NULL, &view));
    STATUS(D365_NULL_POINTER, d365_error_ledger_id(NULL, &number));
    STATUS(D365_NULL_POINTER, d365_request_set_guarded_create(NULL, 1, NULL));
    STATUS(D365_NULL_POINTER, d365_request_set_upsert(NULL, 1, NULL));
    CHECK(ledger == NULL && count == 99 && number == -1);
    STATUS(D365_NULL_POINTER, d365_queue_next(NULL, 0, NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_queue_new(0, NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_error_message(NULL, &view));
    STATUS(D365_NULL_POINTER, d365_text_view(NULL, &view));
    STATUS(D365_NULL_POINTER, d365_fault_from_response(500, NULL, 1, NULL, 0, NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_fault_from_response(500, NULL, 0, NULL, 1, NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_pending_cancel(NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_pending_new(NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_request_new_discover(NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_request_new_check(D365_ROLE_PRIMARY, NULL, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_request_new_check(3, &request, NULL));
    STATUS(D365_NULL_POINTER, d365_client_statistics(NULL, NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_explain_response(NULL, D365_PRESET_SAFE, 503, NULL, 0, NULL, 0, NULL, NULL));
    STATUS(D365_NULL_POINTER,
           d365_explain_fault(NULL, D365_PRESET_SAFE, D365_CAUSE_RESET, D365_PHASE_SENT, NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_client_send_cancellable(NULL, NULL, NULL, NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_client_send_fields(NULL, NULL, NULL, NULL));

    OK(d365_settings_new(url, D365_NTS, &settings, NULL));
    STATUS(D365_NULL_POINTER, d365_settings_set_queue(settings, NULL, NULL, NULL));
    STATUS(D365_NULL_POINTER, d365_settings_set_token_provider(settings, NULL, NULL, NULL, NULL));
    OK(d365_settings_free(settings));

    /* (NULL, 0) is an empty string, an empty body: no misuse, though not every text may be empty. */
    OK(d365_request_new("POST", 4, "/x", 2, &request, NULL));
    OK(d365_request_set_body(request, NULL, 0, NULL));
    STATUS(D365_NULL_POINTER, d365_request_set_body(request, NULL, 1, NULL));
    STATUS(D365_NULL_POINTER, d365_request_set_body_reader(request, NULL, NULL, -1, NULL, NULL, &error));
    check_error(error, D365_NULL_POINTER);
    STATUS(D365_INVALID_ARGUMENT, d365_request_add_header(request, NULL, 0, "x", 1, NULL));
    OK(d365_request_add_header(request, "X-Empty", D365_NTS, NULL, 0, NULL));
    OK(d365_request_free(request));
}

static void null_is_freed_by_everybody(void)
{
    OK(d365_error_free(NULL));
    OK(d365_settings_free(NULL));
    OK(d365_token_request_free(NULL));
    OK(d365_request_free(NULL));
    OK(d365_response_free(NULL));
    OK(d365_attempts_free(NULL));
    OK(d365_ledger_free(NULL));
    OK(d365_client_free(NULL));
    OK(d365_pending_free(NULL));
    OK(d365_queue_free(NULL));
    OK(d365_item_free(NULL));
    OK(d365_text_free(NULL));
    OK(d365_fault_free(NULL));
}

static void handles(void)
{
    d365_text_t *text = NULL, *younger = NULL;
    d365_queue_t *queue = NULL;
    d365_error_t *error = NULL;
    d365_client_t *client = local_client(local_port(0), NULL, NULL);
    d365_request_t *request = local_request("GET", "/");
    d365_response_t *response = (d365_response_t *)8;
    d365_str_t view;
    int local = 0, i;

    OK(d365_url_alternate(url, D365_NTS, &text, NULL));
    STATUS(D365_WRONG_HANDLE, d365_queue_free((d365_queue_t *)text));
    STATUS(D365_WRONG_HANDLE, d365_client_primary_url((const d365_client_t *)text, &view, &error));
    check_error(error, D365_WRONG_HANDLE);
    STATUS(D365_WRONG_HANDLE, d365_client_send(client, (const d365_request_t *)text, &response, NULL));
    CHECK(response == (d365_response_t *)8);
    OK(d365_text_view(text, &view));
    OK(d365_text_free(text));
    STATUS(D365_INVALID_HANDLE, d365_text_free(text));
    STATUS(D365_INVALID_HANDLE, d365_text_view(text, &view));
    /* Many objects later the old value is still nobody's. */
    for (i = 0; i < 100; i++) {
        MUST(d365_url_alternate(url, D365_NTS, &younger, NULL) == D365_OK);
        MUST(younger != text && d365_text_view(text, &view) == D365_INVALID_HANDLE);
        MUST(d365_text_free(younger) == D365_OK);
    }
    STATUS(D365_INVALID_HANDLE, d365_text_view(text, &view));
    STATUS(D365_INVALID_HANDLE, d365_text_view((const d365_text_t *)(void *)&local, &view));
    STATUS(D365_INVALID_HANDLE, d365_text_view((const d365_text_t *)(size_t)-1, &view));
    STATUS(D365_INVALID_HANDLE, d365_text_view((const d365_text_t *)(size_t)1, &view));

    OK(d365_queue_new(0, &queue, NULL));
    OK(d365_queue_free(queue));
    STATUS(D365_INVALID_HANDLE, d365_queue_free(queue));
    OK(d365_client_free(client));
    STATUS(D365_INVALID_HANDLE, d365_client_send(client, request, &response, NULL));
    STATUS(D365_INVALID_HANDLE, d365_client_free(client));
    OK(d365_request_free(request));
    STATUS(D365_INVALID_HANDLE, d365_request_free(request));
}

/* A list of no writes: what is wrong with the handle or a place is said before there is an index to be wrong. */
static void ledgers(void)
{
    d365_client_t *client = local_client(local_port(0), NULL, NULL);
    d365_ledger_t *ledger = NULL, *same;
    d365_text_t *text = NULL;
    d365_error_t *error = NULL;
    d365_str_t view = {"", 0};
    int64_t number = -7;
    size_t count = 99;
    STATUS(D365_NULL_POINTER, d365_client_ledger(client, D365_LEDGER_ALL, NULL, NULL));
    OK(d365_client_ledger(client, D365_LEDGER_ALL, &ledger, NULL));
    OK(d365_ledger_count(ledger, &count));
    CHECK(count == 0);
    STATUS(D365_NULL_POINTER, d365_ledger_count(ledger, NULL));
    STATUS(D365_NULL_POINTER, d365_ledger_number(ledger, 0, D365_LEDGER_ID, NULL));
    STATUS(D365_NULL_POINTER, d365_ledger_text(ledger, 0, D365_LEDGER_URL, NULL));
    STATUS(D365_NOT_AVAILABLE, d365_ledger_number(ledger, 0, D365_LEDGER_ID, &number));
    STATUS(D365_NOT_AVAILABLE, d365_ledger_text(ledger, (size_t)-1, D365_LEDGER_URL, &view));
    OK(d365_url_alternate(url, D365_NTS, &text, NULL));
    STATUS(D365_WRONG_HANDLE, d365_ledger_count((const d365_ledger_t *)text, &count));
    STATUS(D365_WRONG_HANDLE, d365_ledger_free((d365_ledger_t *)client));
    STATUS(D365_WRONG_HANDLE, d365_attempts_count((const d365_attempts_t *)ledger, &count));
    same = (d365_ledger_t *)text;
    STATUS(D365_WRONG_HANDLE, d365_client_ledger((const d365_client_t *)ledger, D365_LEDGER_ALL, &same, &error));
    check_error(error, D365_WRONG_HANDLE);
    CHECK(same == (d365_ledger_t *)text);
    OK(d365_client_free(client));
    OK(d365_ledger_count(ledger, &count)); /* it outlives its client */
    OK(d365_ledger_free(ledger));
    STATUS(D365_INVALID_HANDLE, d365_ledger_free(ledger));
    STATUS(D365_INVALID_HANDLE, d365_ledger_count(ledger, &count));
    STATUS(D365_INVALID_HANDLE, d365_ledger_number(ledger, 0, D365_LEDGER_ID, &number));
    STATUS(D365_INVALID_HANDLE, d365_ledger_text(ledger, 0, D365_LEDGER_URL, &view));
    STATUS(D365_INVALID_HANDLE, d365_client_ledger(client, D365_LEDGER_ALL, &ledger, NULL));
    STATUS(D365_INVALID_HANDLE, d365_client_resolve(client, 1, D365_RESOLUTION_LOST, NULL));
    CHECK(number == -7 && view.len == 0 && count == 0);
    OK(d365_text_free(text));
}

static void texts(void)
{
    d365_settings_t *settings = NULL;
    d365_request_t *request = NULL;
    d365_text_t *text = NULL;
    d365_error_t *error = NULL;
    STATUS(D365_INVALID_UTF8, d365_settings_new("https://\xff.test", D365_NTS, &settings, &error));
    check_error(error, D365_INVALID_UTF8);
    error = NULL;
    STATUS(D365_INVALID_URL, d365_settings_new("contoso", D365_NTS, &settings, &error));
    check_error(error, D365_INVALID_URL);
    STATUS(D365_INVALID_URL, d365_settings_new("", 0, &settings, NULL));
    STATUS(D365_INVALID_URL, d365_settings_new(NULL, 0, &settings, NULL));
    STATUS(D365_INVALID_URL, d365_settings_new("ftp://contoso.crm.dynamics.com", D365_NTS, &settings, NULL));
    STATUS(D365_INVALID_URL, d365_url_alternate("https://10.0.0.1", D365_NTS, &text, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_request_new("G T", D365_NTS, "/", 1, &request, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_request_new("", 0, "/", 1, &request, NULL));
    STATUS(D365_INVALID_UTF8, d365_request_new("GET", 3, "/\xc3", D365_NTS, &request, NULL));
    CHECK(settings == NULL && text == NULL && request == NULL);
    /* The length counts, not the NUL. */
    OK(d365_url_alternate("https://contoso.crm.dynamics.com/garbage", sizeof url - 1, &text, NULL));
    OK(d365_text_free(text));
}

static void settings(void)
{
    static const char *const known[][2] = {
        {"alternate_url", "https://elsewhere.example.com"}, {"url_form", "host"}, {"preset", "dotnet"},
        {"preset", "safe"}, {"probe_after_ms", "0"}, {"probe_timeout_ms", "1"}, {"probe_path", "/"},
        {"write_grace_ms", "0"}, {"hold_down_ms", "0"}, {"max_attempts", "1"}, {"retry_budget", "0.25"},
        {"outage_wait_ms", "0"}, {"max_waiting", "1"}, {"failback", "on_fault"}, {"failback", "probe"},
        {"failback", "manual"}, {"failback_interval_ms", "1"}, {"failback_after_ms", "0"},
        {"replication_window_ms", "0"}, {"update_guard", "off"}, {"token_precedence", "provider"},
        {"service_mark", "required"}, {"service_mark", "any"},
        {"auto_switch", "on"}, {"connect_timeout_ms", "1000"}, {"attempt_timeout_ms", "2000"},
        {"deadline_ms", "3000"}, {"handler_timeout_ms", "400"}, {"ca_bundle", "/nowhere/ca.pem"},
        {"tls_verify", "on"}, {"connect_to", "a.test:443:127.0.0.1:4443,b.test:443:127.0.0.1:4444"},
        {"max_connections", "4"}, {"idle_timeout_ms", "1000"}, {"max_connection_age_ms", "60000"},
        {"max_response_headers", "65536"}, {"max_response_body", "65536"}, {"error_prefix", "65536"},
        {"user_agent", "tests"}, {"http2", "off"}, {"decompress", "off"}, {"proxy", "system"},
        {"proxy", "http://user:secret@proxy.test:3128"}, {"client_certificate", "/nowhere/client.pem"},
        {"max_redirects", "0"}, {"max_redirects", "20"}, {"allowed_hosts", "elsewhere.test, other.test:8080"},
    };
    static const char *const bad[][2] = {
        {"preset", "unheard-of"}, {"probe_timeout_ms", "0"}, {"probe_path", "api"}, {"max_attempts", "0"},
        {"outage_wait_ms", "86400001"}, {"max_waiting", "0"}, {"max_waiting", "1000001"}, {"failback", "never"},
        {"failback_interval_ms", "0"}, {"failback_after_ms", "-1"},
        {"retry_budget", "1.5"}, {"update_guard", "1"}, {"token_precedence", "sdk"}, {"service_mark", "off"},
        {"auto_switch", "maybe"}, {"connect_timeout_ms", "-1"},
        {"connect_timeout_ms", "0"}, {"deadline_ms", "soon"}, {"deadline_ms", ""}, {"tls_verify", "2"},
        {"connect_to", "a:b"}, {"url_form", "both"}, {"max_connections", "99999999999999999999"},
        {"http2", "3"}, {"decompress", "gzip"}, {"proxy", "socks5://proxy.test:1080"}, {"max_redirects", "21"},
        {"max_redirects", "-1"}, {"allowed_hosts", "https://elsewhere.test"},
    };
    d365_settings_t *settings = NULL;
    d365_client_t *client = NULL;
    d365_error_t *error = NULL;
    size_t i;
    OK(d365_settings_new(url, D365_NTS, &settings, NULL));
    for (i = 0; i < sizeof known / sizeof *known; i++) {
        printf("     %s = %s\n", known[i][0], known[i][1]);
        OK(d365_settings_set(settings, known[i][0], D365_NTS, known[i][1], D365_NTS, NULL));
    }
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        printf("     %s = %s\n", bad[i][0], bad[i][1]);
        STATUS(D365_INVALID_SETTING, d365_settings_set(settings, bad[i][0], D365_NTS, bad[i][1], D365_NTS, NULL));
    }
    STATUS(D365_UNKNOWN_SETTING, d365_settings_set(settings, "no_such_thing", D365_NTS, "1", 1, &error));
    check_error(error, D365_UNKNOWN_SETTING);
    STATUS(D365_UNKNOWN_SETTING, d365_settings_set(settings, "", 0, "1", 1, NULL));
    STATUS(D365_INVALID_UTF8, d365_settings_set(settings, "preset", 6, "\x80", 1, NULL));
    STATUS(D365_INVALID_SETTING, d365_client_open(settings, &client, &error)); /* no such CA file */
    check_error(error, D365_INVALID_SETTING);
    CHECK(client == NULL);
    OK(d365_settings_free(settings));
}

static int64_t read_nothing(void *user_data, uint8_t *buffer, size_t capacity)
{
    (void)user_data;
    (void)buffer;
    (void)capacity;
    return 0;
}

static void numbers(void)
{
    d365_request_t *request = local_request("GET", "/");
    d365_client_t *client = local_client(local_port(0), NULL, NULL);
    d365_queue_t *queue = NULL;
    d365_ledger_t *ledger = NULL;
    d365_fault_t *fault = NULL;
    int32_t starts = 7;
    STATUS(D365_INVALID_ARGUMENT, d365_request_set_timeout_ms(request, 0, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_request_set_timeout_ms(request, -5, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_request_set_connect_timeout_ms(request, 0, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_request_set_connect_timeout_ms(request, -5, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_request_set_connect_timeout_ms(request, 86400001, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_request_set_attempt_timeout_ms(request, 0, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_request_set_read_timeout_ms(request, 0, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_request_set_attempt_timeout_ms(request, -5, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_request_set_attempt_timeout_ms(request, 86400001, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_request_set_body_reader(request, read_nothing, NULL, -2, NULL, NULL, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_request_set_body_reader(request, read_nothing, NULL, INT64_MIN, NULL, NULL, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_request_set_operation(request, 5, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_request_set_operation(request, -1, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_request_add_header(request, "A B", 3, "x", 1, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_request_add_header(request, "A", 1, "x\r\ny", 4, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_client_shutdown(client, -1, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_client_ledger(client, 3, &ledger, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_client_ledger(client, -1, &ledger, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_client_resolve(client, 1, D365_RESOLUTION_NONE, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_client_resolve(client, 1, 4, NULL));
    STATUS(D365_NOT_AVAILABLE, d365_client_resolve(client, 1, D365_RESOLUTION_LOST, NULL));
    STATUS(D365_NOT_AVAILABLE, d365_client_resolve(client, 0, D365_RESOLUTION_LOST, NULL));
    STATUS(D365_NOT_AVAILABLE, d365_client_resolve(client, INT64_MIN, D365_RESOLUTION_LOST, NULL));
    STATUS(D365_NOT_AVAILABLE, d365_client_resolve(client, INT64_MAX, D365_RESOLUTION_LOST, NULL));
    CHECK(ledger == NULL);
    OK(d365_queue_new(0, &queue, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_queue_close(queue, -1, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_fault_from_response(99, NULL, 0, NULL, 0, &fault, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_fault_from_response(-200, NULL, 0, NULL, 0, &fault, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_fault_from_response(65736, NULL, 0, NULL, 0, &fault, NULL));
    OK(d365_fault_from_response(200, NULL, 0, NULL, 0, &fault, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_fault_starts_failover(fault, 0, &starts, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_fault_starts_failover(fault, 99, &starts, NULL));
    CHECK(starts == 7);
    OK(d365_fault_free(fault));
    OK(d365_queue_free(queue));
    OK(d365_client_free(client));
    OK(d365_request_free(request));
}

static void closed_and_queueless_clients(void)
{
    d365_client_t *client = local_client(local_port(0), NULL, NULL);
    d365_request_t *request = local_request("GET", "/"), *foreign = local_request("GET", "http://elsewhere.test/");
    d365_response_t *response = NULL;
    d365_pending_t *pending = NULL;
    d365_error_t *error = NULL;
    d365_str_t view;
    STATUS(D365_NO_QUEUE, d365_client_submit(client, request, NULL, &pending, &error));
    check_error(error, D365_NO_QUEUE);
    STATUS(D365_NO_QUEUE, d365_client_subscribe(client, 1u << D365_EVENT_ENDPOINT_SWITCHED, NULL));
    STATUS(D365_INVALID_URL, d365_client_send(client, foreign, &response, NULL));
    OK(d365_client_shutdown(client, 0, NULL));
    OK(d365_client_shutdown(client, 1000, NULL));
    STATUS(D365_CLOSED, d365_client_send(client, request, &response, &error));
    check_error(error, D365_CLOSED);
    STATUS(D365_CLOSED, d365_client_switch_endpoint(client, NULL));
    OK(d365_client_primary_url(client, &view, NULL));
    CHECK(strcmp(view.data, "http://contoso.crm.twin.test") == 0);
    CHECK(response == NULL && pending == NULL);
    OK(d365_client_free(client));
    OK(d365_request_free(request));
    OK(d365_request_free(foreign));
}

/* How a call is refused before anything of it is sent, and what is known of its write. */
struct refusal {
    const char *method, *url, *header[2], *body;
    d365_status_t status;
    int32_t effect;
};

static void check_unbegun(d365_status_t status, d365_error_t **error, const struct refusal *wanted)
{
    d365_str_t view = {"", 0};
    int32_t effect = -1;
    int64_t id = -1;
    printf("     %s %s: %s\n", wanted->method, wanted->url, d365_status_name(status));
    CHECK(status == wanted->status);
    MUST(*error != NULL);
    OK(d365_error_effect(*error, &effect));
    CHECK(effect == wanted->effect);
    OK(d365_error_tag(*error, &view));
    CHECK(strcmp(view.data, "order 17") == 0);
    STATUS(D365_NOT_AVAILABLE, d365_error_ledger_id(*error, &id));
    OK(d365_error_free(*error));
    *error = NULL;
}

static void fields_of(d365_request_fields_t *fields, const struct refusal *row, d365_header_t *header)
{
    memset(fields, 0, sizeof *fields);
    fields->size = sizeof *fields;
    fields->method = row->method;
    fields->method_len = D365_NTS;
    fields->url = row->url;
    fields->url_len = D365_NTS;
    fields->tag = "order 17";
    fields->tag_len = D365_NTS;
    fields->body = (const uint8_t *)row->body;
    fields->body_len = strlen(row->body);
    header->name = row->header[0];
    header->name_len = D365_NTS;
    header->value = row->header[1];
    header->value_len = D365_NTS;
    fields->headers = header;
    fields->header_count = row->header[0] != NULL;
}

/* What a setter refuses, the fields are refused with. */
static void fields_that_say_no_request(void)
{
    static const struct refusal good = {"GET", "/x", {"X-A", "1"}, "", D365_OK, D365_EFFECT_NONE};
    d365_client_t *client = local_client(local_port(0), NULL, NULL);
    d365_response_t *response = NULL;
    int i;
    for (i = 0; i < 12; i++) {
        d365_request_fields_t fields;
        d365_header_t header;
        d365_status_t wanted = D365_INVALID_ARGUMENT;
        fields_of(&fields, &good, &header);
        switch (i) {
        case 0: fields.size = 0; break;
        case 1: fields.size = sizeof fields + 8; break;
        case 2: fields.method = "GE T"; break;
        case 3: fields.method = NULL; wanted = D365_NULL_POINTER; break;
        case 4: fields.url = "\xff"; wanted = D365_INVALID_UTF8; break;
        case 5: header.name = "Host"; break;
        case 6: fields.headers = NULL; wanted = D365_NULL_POINTER; break;
        case 7: fields.body = NULL; fields.body_len = 1; wanted = D365_NULL_POINTER; break;
        case 8: fields.timeout_ms = -1; break;
        case 9: fields.read_timeout_ms = 86400001; break;
        case 10: fields.operation = 99; break;
        default: fields.tag = "a\nb"; break;
        }
        STATUS(wanted, d365_client_send_fields(client, &fields, &response, NULL));
    }
    CHECK(response == NULL);
    OK(d365_client_free(client));
}

static void calls_that_are_not_begun(void)
{
    static const char reads[] =
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><RetrieveMultiple "
        "xmlns=\"http://schemas.microsoft.com/xrm/2011/Contracts/Services\"/></s:Body></s:Envelope>";
    static const struct refusal open[] = {
        {"POST", "http://elsewhere.test/", {NULL, NULL}, "{}", D365_INVALID_URL, D365_EFFECT_NOT_EXECUTED},
        {"GET", "http://elsewhere.test/", {NULL, NULL}, "", D365_INVALID_URL, D365_EFFECT_NONE},
        {"POST", "/x", {"Content-Length", "3"}, "{}", D365_INVALID_ARGUMENT, D365_EFFECT_NOT_EXECUTED},
        {"GET", "/x", {"Content-Length", "3"}, "{}", D365_INVALID_ARGUMENT, D365_EFFECT_NONE},
    };
    static const struct refusal closed[] = {
        {"POST", "/api/data/v9.2/accounts", {NULL, NULL}, "{}", D365_CLOSED, D365_EFFECT_NOT_EXECUTED},
        {"PATCH", "/api/data/v9.2/accounts(1)", {NULL, NULL}, "{}", D365_CLOSED, D365_EFFECT_NOT_EXECUTED},
        {"DELETE", "/api/data/v9.2/accounts(1)", {NULL, NULL}, "", D365_CLOSED, D365_EFFECT_NOT_EXECUTED},
        {"GET", "/api/data/v9.2/accounts", {NULL, NULL}, "", D365_CLOSED, D365_EFFECT_NONE},
        {"POST", "/x", {"D365-Failover-Operation", "read"}, "{}", D365_CLOSED, D365_EFFECT_NONE},
        {"GET", "/x", {"D365-Failover-Operation", "unsafe"}, "", D365_CLOSED, D365_EFFECT_NOT_EXECUTED},
        {"POST", "/XRMServices/2011/Organization.svc/web", {"SOAPAction",
         "\"http://schemas.microsoft.com/xrm/2011/Contracts/Services/IOrganizationService/RetrieveMultiple\""},
         reads, D365_CLOSED, D365_EFFECT_NONE},
    };
    d365_queue_t *queue = NULL;
    d365_client_t *client;
    d365_response_t *response = NULL;
    d365_pending_t *pending = NULL;
    d365_error_t *error = NULL;
    d365_request_fields_t fields;
    d365_header_t header;
    size_t i, is_closed;
    OK(d365_queue_new(0, &queue, NULL));
    client = local_client(local_port(0), queue, NULL);
    for (is_closed = 0; is_closed < 2; is_closed++) {
        size_t count = is_closed ? sizeof closed / sizeof *closed : sizeof open / sizeof *open;
        if (is_closed)
            OK(d365_client_shutdown(client, 1000, NULL));
        for (i = 0; i < count; i++) {
            const struct refusal *row = is_closed ? &closed[i] : &open[i];
            struct refusal other = *row;
            d365_request_t *request = local_request(row->method, row->url);
            d365_status_t status;
            OK(d365_request_set_tag(request, "order 17", D365_NTS, NULL));
            OK(d365_request_set_body(request, (const uint8_t *)row->body, strlen(row->body), NULL));
            if (row->header[0] != NULL)
                OK(d365_request_add_header(request, row->header[0], D365_NTS, row->header[1], D365_NTS, NULL));
            status = d365_client_send(client, request, &response, &error);
            check_unbegun(status, &error, row);
            if (is_closed || row->status == D365_INVALID_URL) {
                status = d365_client_submit(client, request, NULL, &pending, &error);
                check_unbegun(status, &error, row);
            }
            other.status = D365_NULL_POINTER;
            status = d365_client_send(client, request, NULL, &error);
            check_unbegun(status, &error, &other);
            other.status = D365_WRONG_HANDLE;
            status = d365_client_send((d365_client_t *)queue, request, &response, &error);
            check_unbegun(status, &error, &other);
            status = d365_client_submit((d365_client_t *)queue, request, NULL, &pending, &error);
            check_unbegun(status, &error, &other);
            status = d365_client_send_cancellable(client, request, (d365_pending_t *)queue, &response, &error);
            check_unbegun(status, &error, &other);
            OK(d365_request_free(request));
            fields_of(&fields, row, &header);
            status = d365_client_send_fields(client, &fields, &response, &error);
            check_unbegun(status, &error, row);
            fields.pending = (const d365_pending_t *)queue;
            status = d365_client_send_fields(client, &fields, &response, &error);
            check_unbegun(status, &error, &other);
            fields.pending = NULL;
            other.status = D365_NULL_POINTER;
            status = d365_client_send_fields(client, &fields, NULL, &error);
            check_unbegun(status, &error, &other);
        }
    }
    CHECK(response == NULL && pending == NULL);
    OK(d365_client_free(client));
    OK(d365_queue_free(queue));
}

/* Sending a write on record again is a write, and asking about it none. */
static void replays_that_are_not_begun(void)
{
    d365_client_t *client = local_client(local_port(0), NULL, NULL);
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    d365_str_t message = {"", 0};
    int32_t effect = -1, verified = -1;
    int is_closed;
    for (is_closed = 0; is_closed < 2; is_closed++) {
        d365_status_t wanted = is_closed ? D365_CLOSED : D365_NOT_AVAILABLE;
        if (is_closed)
            OK(d365_client_shutdown(client, 1000, NULL));
        STATUS(wanted, d365_client_replay(client, 17, 0, &response, &error));
        OK(d365_error_effect(error, &effect));
        CHECK(effect == D365_EFFECT_NOT_EXECUTED);
        OK(d365_error_message(error, &message));
        CHECK(is_closed || strcmp(message.data, "the write 17 cannot be sent again: it is not on record") == 0);
        OK(d365_error_free(error));
        STATUS(wanted, d365_client_verify(client, 17, &verified, &error));
        OK(d365_error_effect(error, &effect));
        CHECK(effect == D365_EFFECT_NONE);
        OK(d365_error_message(error, &message));
        CHECK(is_closed || strcmp(message.data, "the write 17 cannot be verified: it is not on record") == 0);
        OK(d365_error_free(error));
    }
    CHECK(response == NULL);
    OK(d365_client_free(client));
}

int main(void)
{
    null_pointers();
    null_is_freed_by_everybody();
    handles();
    ledgers();
    texts();
    settings();
    numbers();
    closed_and_queueless_clients();
    calls_that_are_not_begun();
    fields_that_say_no_request();
    replays_that_are_not_begun();
    FINISH();
}
