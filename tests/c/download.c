/* Bodies that are read from the response: piece by piece, through the queue, to their end or to where they break. */
#include "raw.h"
#include "threads.h"
#include "twin.h"

enum { DESCRIPTION = 200000 };

/* A row whose answer is longer than any buffer on its way. */
static char *new_row(d365_client_t *client)
{
    char *text = malloc(DESCRIPTION + 64), *url;
    d365_response_t *response = NULL;
    d365_str_t id;
    size_t used;
    MUST(text != NULL);
    used = (size_t)sprintf(text, "{\"name\":\"long\",\"description\":\"");
    memset(text + used, 'd', DESCRIPTION);
    strcpy(text + used + DESCRIPTION, "\"}");
    MUST(call(client, "POST", accounts, text, &response, NULL) == D365_OK);
    MUST(d365_response_header(response, "OData-EntityId", D365_NTS, &id) == D365_OK);
    MUST((url = malloc(id.len + 1)) != NULL);
    strcpy(url, id.data);
    MUST(d365_response_free(response) == D365_OK);
    free(text);
    return url;
}

static d365_request_t *streaming(const char *method, const char *url, const char *body)
{
    d365_request_t *request = new_request(method, url, body);
    OK(d365_request_set_streaming(request, 1, NULL));
    return request;
}

static d365_response_t *stream(d365_client_t *client, const char *url)
{
    d365_request_t *request = streaming("GET", url, NULL);
    d365_response_t *response = NULL;
    MUST(d365_client_send(client, request, &response, NULL) == D365_OK);
    MUST(d365_request_free(request) == D365_OK);
    return response;
}

/* Reads to the end, or to where it breaks; `total` bytes came before. */
static d365_status_t read_all(d365_response_t *response, size_t piece, size_t *total, d365_error_t **error)
{
    uint8_t *buffer = malloc(piece);
    d365_status_t status;
    size_t len = 1;
    MUST(buffer != NULL);
    *total = 0;
    while ((status = d365_response_read(response, buffer, piece, &len, error)) == D365_OK && len > 0) {
        MUST(len <= piece);
        *total += len;
    }
    free(buffer);
    return status;
}

static void in_small_pieces(const struct org *org)
{
    d365_client_t *client = open_client(org, NULL, "on");
    char *url = new_row(client);
    d365_response_t *collected = NULL, *response;
    d365_error_t *error = NULL;
    d365_attempts_t *attempts = NULL;
    d365_str_t text;
    const uint8_t *body = NULL, *again = NULL;
    uint8_t *whole, byte = 'x';
    size_t len = 99, total = 0, got;
    int32_t n = -1;
    int64_t version = strncmp(url, "https", 5) != 0 ? 11 : strstr(url, "download2") ? 20 : 11;

    OK(call(client, "GET", url, NULL, &collected, NULL));
    OK(d365_response_body(collected, &body, &len));
    MUST(len > DESCRIPTION && (whole = malloc(len)) != NULL);

    response = stream(client, url);
    OK(d365_response_status(response, &n));
    CHECK(n == 200);
    OK(d365_response_effect(response, &n));
    CHECK(n == D365_EFFECT_NONE);
    OK(d365_response_header(response, "OData-Version", D365_NTS, &text));
    OK(d365_response_attempts(response, &attempts));
    CHECK(count_of(attempts) == 1 && number(attempts, 0, D365_ATTEMPT_HTTP_VERSION) == version);
    OK(d365_attempts_free(attempts));
    STATUS(D365_NOT_AVAILABLE, d365_response_body(response, &again, &got));
    STATUS(D365_INVALID_ARGUMENT, d365_response_read(response, &byte, 0, &got, &error));
    OK(d365_error_free(error));
    STATUS(D365_NULL_POINTER, d365_response_read(response, NULL, 1, &got, NULL));
    STATUS(D365_NULL_POINTER, d365_response_read(response, &byte, 1, NULL, NULL)); /* takes nothing away */
    STATUS(D365_NO_QUEUE, d365_response_submit_read(response, 1, NULL, NULL));
    OK(d365_response_read(response, whole, 1, &got, NULL));
    CHECK(got == 1);
    for (total = 1; total < len; total += got) {
        size_t room = len - total < 1000 ? len - total : 1000;
        MUST(d365_response_read(response, whole + total, room, &got, NULL) == D365_OK && got > 0 && got <= room);
    }
    CHECK(memcmp(whole, body, len) == 0);
    OK(d365_response_read(response, &byte, 1, &got, NULL));
    CHECK(got == 0 && byte == 'x');
    OK(d365_response_read(response, &byte, 1, &got, NULL)); /* and again */
    CHECK(got == 0);
    OK(d365_response_free(response));
    STATUS(D365_INVALID_HANDLE, d365_response_read(response, &byte, 1, &got, NULL));

    /* A collected body is read from a cursor, and stays. */
    memset(whole, 0, len);
    STATUS(D365_INVALID_ARGUMENT, d365_response_read(collected, &byte, 0, &got, NULL));
    STATUS(D365_NOT_AVAILABLE, d365_response_submit_read(collected, 1, NULL, NULL));
    for (total = 0; total < len; total += got)
        MUST(d365_response_read(collected, whole + total, 7777 < len - total ? 7777 : len - total, &got, NULL) == D365_OK
             && got > 0);
    CHECK(memcmp(whole, body, len) == 0);
    OK(d365_response_read(collected, &byte, 1, &got, NULL));
    CHECK(got == 0);
    OK(d365_response_body(collected, &again, &got));
    CHECK(again == body && got == len);
    OK(d365_response_free(collected));
    OK(d365_client_free(client));
    free(whole);
    free(url);
}

/* The connection that the last request came on, by the twin's count. */
static int last_connection(const struct org *org)
{
    char path[128];
    cJSON *journal;
    const cJSON *entry;
    int connection = 0;
    snprintf(path, sizeof path, "/journal?org=%s", org->name);
    journal = ask("GET", path, "");
    cJSON_ArrayForEach(entry, journal)
        connection = (int)cJSON_GetNumberValue(cJSON_GetObjectItem(entry, "connection"));
    cJSON_Delete(journal);
    return connection;
}

/* A body that was read to its end gives its connection back; another closes it (HTTP/2: only the stream). */
static void freed_early(const struct org *org)
{
    d365_client_t *client = open_client(org, NULL, "on");
    char *url = new_row(client);
    d365_response_t *response = stream(client, url);
    int is_http2 = strstr(url, "download2") != NULL, first;
    uint8_t byte;
    size_t len = 0;
    OK(read_all(response, 5000, &len, NULL));
    first = last_connection(org);
    OK(d365_response_free(response));
    response = stream(client, url);
    CHECK(last_connection(org) == first);
    OK(d365_response_read(response, &byte, 1, &len, NULL));
    OK(d365_response_free(response));
    OK(call(client, "GET", whoami, NULL, &response, NULL));
    CHECK((last_connection(org) == first) == is_http2);
    OK(d365_response_free(response));
    OK(d365_client_free(client));
    free(url);
}

static int32_t after_two(void *asked)
{
    return ++*(int *)asked > 1;
}

/* What has come with the head is read without waiting; and a read that waits can be given up and gone on with. */
static void what_is_here(const struct org *org)
{
    d365_client_t *client = open_client(org, NULL, "on");
    d365_response_t *collected = NULL, *response = stream(client, whoami);
    const uint8_t *body = NULL;
    uint8_t buffer[4096];
    size_t len = 0, got = 0, total = 0;
    int32_t has_ended = 0;
    int asked = 0;
    char *url = new_row(client);
    OK(call(client, "GET", whoami, NULL, &collected, NULL));
    OK(d365_response_body(collected, &body, &len));
    STATUS(D365_INVALID_ARGUMENT, d365_response_read_ready(response, buffer, 0, &got, &has_ended, NULL));
    STATUS(D365_NULL_POINTER, d365_response_read_ready(response, NULL, 1, &got, &has_ended, NULL));
    STATUS(D365_NULL_POINTER, d365_response_read_ready(response, buffer, 1, NULL, &has_ended, NULL));
    STATUS(D365_NULL_POINTER, d365_response_read_ready(response, buffer, 1, &got, NULL, NULL));
    while (!has_ended) {
        OK(d365_response_read_ready(response, buffer + total, sizeof buffer - total, &got, &has_ended, NULL));
        if (got == 0 && !has_ended) {
            OK(d365_response_read(response, buffer + total, sizeof buffer - total, &got, NULL));
            has_ended = got == 0;
        }
        total += got;
        MUST(total < sizeof buffer);
    }
    CHECK(total == len && memcmp(buffer, body, len) == 0);
    OK(d365_response_read_ready(response, buffer, sizeof buffer, &got, &has_ended, NULL));
    CHECK(got == 0 && has_ended == 1);
    OK(d365_response_free(response));
    STATUS(D365_INVALID_HANDLE, d365_response_read_ready(response, buffer, 1, &got, &has_ended, NULL));

    OK(d365_response_read_ready(collected, buffer, 1, &got, &has_ended, NULL));
    CHECK(got == 1 && has_ended == 0);
    OK(d365_response_read_checked(collected, buffer, sizeof buffer, &got, after_two, &asked, NULL));
    CHECK(got == len - 1 && asked == 0);
    OK(d365_response_free(collected));

    fault(org, "primary", "\"kind\":\"stall_body\"");
    response = stream(client, url);
    do
        OK(d365_response_read_ready(response, buffer, sizeof buffer, &got, &has_ended, NULL));
    while (got > 0);
    CHECK(has_ended == 0);
    while (d365_response_read_checked(response, buffer, sizeof buffer, &got, after_two, &asked, NULL) == D365_OK)
        MUST(got > 0);
    CHECK(asked == 2);
    STATUS(D365_CANCELLED, d365_response_read_checked(response, buffer, 1, &got, after_two, &asked, NULL));
    CHECK(asked == 3);
    OK(d365_response_read_ready(response, buffer, 1, &got, &has_ended, NULL)); /* not broken: only waited for no more */
    CHECK(got == 0 && has_ended == 0);
    control("/clear", "{}");
    OK(d365_response_free(response));
    OK(d365_client_free(client));
    free(url);
}

struct reading {
    d365_response_t *response;
    d365_status_t status;
    size_t total;
};

static void *read_it(void *user_data)
{
    struct reading *reading = user_data;
    reading->status = read_all(reading->response, 4096, &reading->total, NULL);
    return NULL;
}

/* The length of the answer, and of what a stalled body gives of it. */
static size_t length_of(d365_client_t *client, const char *url)
{
    d365_response_t *response = NULL;
    const uint8_t *body;
    size_t len = 0;
    OK(call(client, "GET", url, NULL, &response, NULL));
    OK(d365_response_body(response, &body, &len));
    OK(d365_response_free(response));
    return len;
}

static void read_half(d365_response_t *response, size_t half)
{
    uint8_t buffer[4096];
    size_t len, total;
    for (total = 0; total < half; total += len)
        MUST(d365_response_read(response, buffer, half - total < sizeof buffer ? half - total : sizeof buffer, &len, NULL)
             == D365_OK && len > 0);
}

/* The kind and phase of a body that broke off, and that the call is what it was. */
static void check_broken(d365_error_t *error, int32_t kind, int32_t effect)
{
    d365_attempts_t *attempts = NULL;
    int32_t n = -1;
    MUST(error != NULL);
    OK(d365_error_kind(error, &n));
    CHECK(n == kind);
    OK(d365_error_phase(error, &n));
    CHECK(n == D365_PHASE_RESPONDED);
    OK(d365_error_effect(error, &n));
    CHECK(n == effect);
    OK(d365_error_attempts(error, &attempts));
    CHECK(count_of(attempts) == 1);
    CHECK(number(attempts, 0, D365_ATTEMPT_FAULT_KIND) == kind);
    OK(d365_attempts_free(attempts));
    OK(d365_error_free(error));
}

/* Takes the one item of a submitted read. */
static d365_status_t take(d365_queue_t *queue, void *wanted, size_t *len, d365_error_t **error)
{
    d365_item_t *item = next(queue, D365_ITEM_BODY);
    d365_response_t *response = NULL;
    const uint8_t *data = NULL, *again = NULL;
    void *user_data = NULL;
    d365_status_t status;
    size_t second = 0;
    OK(d365_item_user_data(item, &user_data));
    CHECK(user_data == wanted);
    STATUS(D365_NOT_AVAILABLE, d365_item_result(item, &response, NULL));
    STATUS(D365_NOT_AVAILABLE, d365_item_reply(item, D365_PROCEED, NULL));
    STATUS(D365_NULL_POINTER, d365_item_body(item, NULL, len, NULL));
    STATUS(D365_NULL_POINTER, d365_item_body(item, &data, NULL, NULL));
    status = d365_item_body(item, &data, len, error);
    STATUS(status, d365_item_body(item, &again, &second, NULL));
    if (status == D365_OK)
        CHECK(data != NULL && again == data && second == *len);
    OK(d365_item_free(item));
    STATUS(D365_INVALID_HANDLE, d365_item_body(item, &data, len, NULL));
    return status;
}

/* While one read waits for bytes that do not come there is no other, and the end of the client ends it. */
static void one_read_at_a_time(const struct org *org)
{
    d365_queue_t *queue = NULL;
    d365_client_t *client;
    struct reading reading;
    d365_response_t *response;
    d365_error_t *error = NULL;
    pthread_t thread;
    uint8_t byte;
    size_t len = 0, half;
    char *url;
    OK(d365_queue_new(0, &queue, NULL));
    client = open_client(org, queue, "on");
    url = new_row(client);
    half = length_of(client, url) / 2;
    fault(org, "primary", "\"kind\":\"stall_body\"");
    response = stream(client, url);
    read_half(response, half);
    OK(d365_response_submit_read(response, 1, &len, NULL));
    STATUS(D365_BUSY, d365_response_submit_read(response, 1, NULL, NULL));
    STATUS(D365_BUSY, d365_response_read(response, &byte, 1, &len, NULL));
    memset(&reading, 0, sizeof reading);
    reading.response = stream(client, url);
    read_half(reading.response, half);
    MUST(pthread_create(&thread, NULL, read_it, &reading) == 0);
    OK(d365_client_shutdown(client, 0, NULL));
    MUST(pthread_join(thread, NULL) == 0);
    CHECK(reading.status == D365_CANCELLED && reading.total == 0);
    STATUS(D365_CANCELLED, d365_response_read(reading.response, &byte, 1, &len, NULL));
    STATUS(D365_CANCELLED, take(queue, &len, &half, &error));
    check_broken(error, D365_FAULT_CANCELLED, D365_EFFECT_NONE);
    STATUS(D365_CANCELLED, d365_response_submit_read(response, 1, NULL, NULL));
    control("/clear", "{}");
    OK(d365_response_free(reading.response));
    OK(d365_response_free(response));
    OK(d365_client_free(client));
    OK(d365_queue_free(queue));
    free(url);
}

/* A read that waits is ended by hand; the client and its other calls go on. */
static void cancelled_by_hand(const struct org *org)
{
    d365_client_t *client = open_client(org, NULL, "on");
    char *url = new_row(client);
    size_t len = 0, half = length_of(client, url) / 2;
    struct reading reading;
    d365_response_t *whole = NULL;
    pthread_t thread;
    uint8_t byte;
    fault(org, "primary", "\"kind\":\"stall_body\"");
    memset(&reading, 0, sizeof reading);
    reading.response = stream(client, url);
    read_half(reading.response, half);
    MUST(pthread_create(&thread, NULL, read_it, &reading) == 0);
    OK(d365_response_cancel(reading.response, NULL));
    MUST(pthread_join(thread, NULL) == 0);
    CHECK(reading.status == D365_CANCELLED);
    STATUS(D365_CANCELLED, d365_response_read(reading.response, &byte, 1, &len, NULL));
    control("/clear", "{}");
    OK(d365_response_free(reading.response));
    STATUS(D365_INVALID_HANDLE, d365_response_cancel(reading.response, NULL));
    OK(call(client, "GET", whoami, NULL, &whole, NULL));
    OK(d365_response_cancel(whole, NULL)); /* collected: nothing to end */
    OK(d365_response_read(whole, &byte, 1, &len, NULL));
    CHECK(len == 1);
    OK(d365_response_free(whole));
    OK(d365_client_free(client));
    free(url);
}

/* What was not begun to be read ends with its client, too. */
static void after_the_client(const struct org *org)
{
    d365_client_t *client = open_client(org, NULL, "on");
    char *url = new_row(client);
    d365_response_t *shut, *freed;
    d365_error_t *error = NULL;
    size_t total = 0;
    shut = stream(client, url);
    OK(d365_client_shutdown(client, 0, NULL));
    STATUS(D365_CANCELLED, read_all(shut, 100, &total, &error));
    check_broken(error, D365_FAULT_CANCELLED, D365_EFFECT_NONE);
    OK(d365_client_free(client));
    client = open_client(org, NULL, "on");
    freed = stream(client, url);
    OK(d365_client_free(client));
    STATUS(D365_CANCELLED, read_all(freed, 100, &total, NULL));
    OK(d365_response_free(shut));
    OK(d365_response_free(freed));
    free(url);
}

static void *shut_down(void *client)
{
    static d365_status_t status;
    status = d365_client_shutdown(client, 60000, NULL);
    return &status;
}

/* A shutdown with time waits for a body that is still read. */
static void a_shutdown_that_waits(const struct org *org)
{
    d365_client_t *client = open_client(org, NULL, "on");
    char *url = new_row(client);
    d365_response_t *response = stream(client, url), *other = NULL;
    d365_status_t status;
    pthread_t thread;
    void *said;
    size_t total = 0;
    MUST(pthread_create(&thread, NULL, shut_down, client) == 0);
    while ((status = call(client, "GET", whoami, NULL, &other, NULL)) == D365_OK)
        MUST(d365_response_free(other) == D365_OK);
    STATUS(D365_CLOSED, status);
    OK(read_all(response, 1000, &total, NULL));
    CHECK(total > DESCRIPTION);
    MUST(pthread_join(thread, &said) == 0);
    STATUS(D365_OK, *(d365_status_t *)said);
    OK(d365_response_free(response));
    OK(d365_client_free(client));
    free(url);
}

static void cut_in_the_middle(const struct org *org)
{
    d365_client_t *client = open_client(org, NULL, "on");
    char *url = new_row(client);
    d365_request_t *request = streaming("POST", accounts, "{\"name\":\"cut\"}");
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    size_t total = 0;
    uint64_t epoch = 99;
    uint8_t none = 0;
    int32_t effect = -1;
    fault(org, "primary", "\"kind\":\"cut_body\",\"times\":1");
    response = stream(client, url);
    STATUS(D365_CONNECTION_LOST, read_all(response, 1000, &total, &error));
    CHECK(total > 0 && total < DESCRIPTION);
    check_broken(error, D365_FAULT_CONNECTION_LOST, D365_EFFECT_NONE);
    error = NULL;
    STATUS(D365_CONNECTION_LOST, read_all(response, 1000, &total, &error)); /* and again */
    CHECK(total == 0);
    check_broken(error, D365_FAULT_CONNECTION_LOST, D365_EFFECT_NONE);
    OK(d365_response_free(response));

    /* A write whose answer is cut was executed. */
    error = NULL;
    OK(d365_request_add_header(request, "Prefer", D365_NTS, "return=representation", D365_NTS, NULL));
    fault(org, "primary", "\"kind\":\"cut_body\",\"times\":1");
    OK(d365_client_send(client, request, &response, NULL));
    /* Nor does what keeps a read from being begun make it less. */
    STATUS(D365_INVALID_ARGUMENT, d365_response_read(response, &none, 0, &total, &error));
    OK(d365_error_effect(error, &effect));
    CHECK(effect == D365_EFFECT_EXECUTED);
    OK(d365_error_free(error));
    error = NULL;
    STATUS(D365_CONNECTION_LOST, read_all(response, 10, &total, &error));
    check_broken(error, D365_FAULT_CONNECTION_LOST, D365_EFFECT_EXECUTED);
    OK(d365_response_free(response));
    OK(d365_client_epoch(client, &epoch, NULL));
    CHECK(epoch == 0);
    OK(d365_request_free(request));
    OK(d365_client_free(client));
    free(url);
}

static void a_body_that_stops(const struct org *org)
{
    d365_settings_t *settings = settings_for(org, NULL, "on");
    d365_client_t *client = NULL;
    d365_response_t *response;
    d365_error_t *error = NULL;
    size_t total = 0;
    char *url;
    OK(d365_settings_set(settings, "attempt_timeout_ms", D365_NTS, "1500", D365_NTS, NULL));
    OK(d365_client_open(settings, &client, NULL));
    OK(d365_settings_free(settings));
    url = new_row(client);
    fault(org, "primary", "\"kind\":\"stall_body\"");
    response = stream(client, url);
    STATUS(D365_TIMEOUT, read_all(response, 1000, &total, &error));
    CHECK(total > 0 && total < DESCRIPTION);
    check_broken(error, D365_FAULT_TIMEOUT, D365_EFFECT_NONE);
    STATUS(D365_TIMEOUT, read_all(response, 1000, &total, NULL));
    control("/clear", "{}");
    OK(d365_response_free(response));
    OK(d365_client_free(client));
    free(url);
}

/* The answer that starts a failover is no stream; the one after it is. An answer that is a failure is read whole. */
static void answers_that_are_failures(const struct org *org)
{
    d365_client_t *client = open_client(org, NULL, "on");
    d365_response_t *response = NULL;
    int32_t n = -1;
    size_t total = 0;
    fault(org, "primary", "\"kind\":\"datacenter_not_available\"");
    response = stream(client, whoami);
    OK(d365_response_switched(response, &n));
    CHECK(n == 1);
    OK(read_all(response, 10, &total, NULL));
    CHECK(total > 0);
    OK(d365_response_free(response));
    control("/clear", "{}");
    response = stream(client, "/api/data/v9.2/accounts(00000000-0000-0000-0000-00000000dead)");
    OK(d365_response_status(response, &n));
    CHECK(n == 404);
    OK(read_all(response, 10, &total, NULL));
    CHECK(total > 0);
    OK(d365_response_free(response));
    OK(d365_client_free(client));
}

static void submitted(const struct org *org)
{
    d365_queue_t *queue = NULL;
    d365_client_t *client;
    d365_request_t *request;
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    d365_item_t *item;
    const uint8_t *data;
    size_t len = 0, total = 0, round;
    char *url;
    OK(d365_queue_new(0, &queue, NULL));
    client = open_client(org, queue, "on");
    url = new_row(client);
    request = streaming("GET", url, NULL);
    OK(d365_client_submit(client, request, NULL, NULL, NULL));
    item = next(queue, D365_ITEM_COMPLETION);
    STATUS(D365_NOT_AVAILABLE, d365_item_body(item, &data, &len, NULL));
    OK(d365_item_result(item, &response, NULL));
    OK(d365_item_free(item));

    STATUS(D365_INVALID_ARGUMENT, d365_response_submit_read(response, 0, NULL, NULL));
    for (round = 1; ; round++) {
        OK(d365_response_submit_read(response, 30000, (void *)round, NULL));
        STATUS(D365_OK, take(queue, (void *)round, &len, NULL));
        CHECK(len <= 30000);
        if (len == 0)
            break;
        total += len;
    }
    CHECK(total > DESCRIPTION && round > DESCRIPTION / 30000);
    OK(d365_response_submit_read(response, 1, NULL, NULL)); /* the end again */
    STATUS(D365_OK, take(queue, NULL, &len, NULL));
    CHECK(len == 0);
    OK(d365_response_free(response));

    /* Freed while it is read: the item comes, with bytes. */
    OK(d365_client_send(client, request, &response, NULL));
    OK(d365_response_submit_read(response, 10, NULL, NULL));
    OK(d365_response_free(response));
    STATUS(D365_OK, take(queue, NULL, &len, NULL));
    CHECK(len > 0);

    /* Cut: bytes first, then the error, then the error at once. */
    fault(org, "primary", "\"kind\":\"cut_body\",\"times\":1");
    OK(d365_client_send(client, request, &response, NULL));
    do {
        d365_status_t status;
        OK(d365_response_submit_read(response, 1 << 20, NULL, NULL));
        status = take(queue, NULL, &len, &error);
        if (status != D365_OK)
            STATUS(D365_CONNECTION_LOST, status);
    } while (error == NULL);
    check_broken(error, D365_FAULT_CONNECTION_LOST, D365_EFFECT_NONE);
    STATUS(D365_CONNECTION_LOST, d365_response_submit_read(response, 1, NULL, NULL));
    OK(d365_response_free(response));

    OK(d365_request_free(request));
    OK(d365_client_free(client));
    STATUS(D365_EMPTY, d365_queue_next(queue, 0, &item, NULL));
    OK(d365_queue_free(queue));
    free(url);
}

/* {"value":"decoded"} */
static const unsigned char gzip[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0x2a, 0x4b, 0xcc, 0x29, 0x4d, 0x55, 0xb2, 0x52,
    0x4a, 0x49, 0x4d, 0xce, 0x4f, 0x49, 0x4d, 0x51, 0xaa, 0x05, 0x00, 0xba, 0xf3, 0x5c, 0x77, 0x13, 0x00, 0x00, 0x00,
};
static const unsigned char brotli[] = "\x20\x01\x10{\"value\":\"decoded\"}\x03";
static const char plain[] = "{\"value\":\"decoded\"}";

/* By the path: which coding, and whether the body ends before its end. */
static void answer_coded(struct raw *raw, int fd, int index)
{
    int is_gzip = raw_has(raw, "GET /gzip"), is_cut = raw_has(raw, "/cut ");
    size_t len = is_gzip ? sizeof gzip : sizeof brotli - 1;
    char head[256];
    (void)index;
    if (!raw_has(raw, "/own "))
        CHECK(raw_has(raw, "accept-encoding: gzip, br\r\n"));
    raw_say(fd, head, (size_t)snprintf(head, sizeof head,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nOData-Version: 4.0\r\nConnection: close\r\n"
            "Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n", is_gzip ? "gzip" : "br", (int)len));
    raw_say(fd, is_gzip ? gzip : brotli, is_cut ? len / 2 : len);
}

static void coded(void)
{
    static const char *const names[] = {"gzip", "br"};
    d365_client_t *client;
    struct raw raw;
    int i, is_streaming;
    raw_start(&raw, answer_coded);
    client = local_client(raw.port, NULL, NULL);
    for (i = 0; i < 4; i++) {
        d365_request_t *request;
        d365_response_t *response = NULL;
        d365_error_t *error = NULL;
        d365_str_t value;
        uint8_t buffer[64];
        const uint8_t *body = NULL;
        size_t len = 0, total = 0;
        char path[32];
        is_streaming = i / 2;

        snprintf(path, sizeof path, "/%s", names[i % 2]);
        request = new_request("GET", path, NULL);
        OK(d365_request_set_streaming(request, is_streaming, NULL));
        OK(d365_client_send(client, request, &response, NULL));
        while (d365_response_read(response, buffer + total, 5, &len, NULL) == D365_OK && len > 0)
            total += len;
        CHECK(total == sizeof plain - 1 && memcmp(buffer, plain, total) == 0);
        if (!is_streaming) {
            OK(d365_response_body(response, &body, &len));
            CHECK(len == sizeof plain - 1 && memcmp(body, plain, len) == 0);
        }
        STATUS(D365_NOT_AVAILABLE, d365_response_header(response, "Content-Encoding", D365_NTS, &value));
        STATUS(D365_NOT_AVAILABLE, d365_response_header(response, "Content-Length", D365_NTS, &value));
        OK(d365_response_free(response));
        OK(d365_request_free(request));

        /* Who asks for codings gets them. */
        snprintf(path, sizeof path, "/%s/own", names[i % 2]);
        request = new_request("GET", path, NULL);
        OK(d365_request_set_streaming(request, is_streaming, NULL));
        OK(d365_request_add_header(request, "Accept-Encoding", D365_NTS, "br, gzip", D365_NTS, NULL));
        OK(d365_client_send(client, request, &response, NULL));
        OK(d365_response_header(response, "Content-Encoding", D365_NTS, &value));
        CHECK(strcmp(value.data, names[i % 2]) == 0);
        OK(read_all(response, 7, &total, NULL));
        CHECK(total == (i % 2 ? sizeof brotli - 1 : sizeof gzip));
        OK(d365_response_free(response));
        OK(d365_request_free(request));

        /* Cut within the coding. */
        snprintf(path, sizeof path, "/%s/cut", names[i % 2]);
        request = new_request("GET", path, NULL);
        OK(d365_request_set_streaming(request, is_streaming, NULL));
        if (is_streaming) {
            OK(d365_client_send(client, request, &response, NULL));
            STATUS(D365_CONNECTION_LOST, read_all(response, 7, &total, &error));
            OK(d365_response_free(response));
        } else {
            STATUS(D365_CONNECTION_LOST, d365_client_send(client, request, &response, &error));
        }
        check_broken(error, D365_FAULT_CONNECTION_LOST, D365_EFFECT_NONE);
        OK(d365_request_free(request));
    }
    OK(d365_client_free(client));
    raw_stop(&raw);
}

static void over(const struct org *org)
{
    printf("     -- %s\n", org->primary_url);
    in_small_pieces(org);
    what_is_here(org);
    freed_early(org);
    one_read_at_a_time(org);
    after_the_client(org);
    cancelled_by_hand(org);
    a_shutdown_that_waits(org);
    cut_in_the_middle(org);
    a_body_that_stops(org);
    answers_that_are_failures(org);
    submitted(org);
}

int main(int argc, char **argv)
{
    alarm(240); /* a hang is a failure */
    (void)argv;
    read_twin();
    each_world("download", over, argc > 1);
    coded();
    FINISH();
}
