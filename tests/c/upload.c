/* Bodies that are read while they are sent: of which length, by whom, how often, and what breaks them. */
#include "raw.h"
#include "threads.h"
#include "twin.h"

struct reader {
    const char *text;
    size_t len, at;
    size_t piece;              /* how many bytes a read gives at most; 0: as many as fit */
    int reads, rewinds, destroyed;
    int64_t last_answer;       /* what is answered after the text, 0: the end */
    int32_t rewind_answer;
    int is_held, is_inside;    /* a read waits while it is held */
    void (*inside)(void);      /* called by each read */
    d365_request_t *touched;   /* a request that `destroy` changes */
    pthread_t thread;          /* of the last call */
};

static int64_t read_body(void *user_data, uint8_t *buffer, size_t capacity)
{
    struct reader *reader = user_data;
    size_t count = reader->len - reader->at;
    reader->thread = pthread_self();
    reader->reads++;
    set(&reader->is_inside, 1);
    pthread_mutex_lock(&lock);
    while (reader->is_held)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    if (reader->inside)
        reader->inside();
    set(&reader->is_inside, 0);
    MUST(capacity > 0);
    if (count == 0)
        return reader->last_answer;
    if (count > capacity)
        count = capacity;
    if (reader->piece > 0 && count > reader->piece)
        count = reader->piece;
    memcpy(buffer, reader->text + reader->at, count);
    reader->at += count;
    return (int64_t)count;
}

static int32_t rewind_body(void *user_data)
{
    struct reader *reader = user_data;
    reader->rewinds++;
    reader->at = 0;
    return reader->rewind_answer;
}

static void on_destroy(void *user_data)
{
    struct reader *reader = user_data;
    if (reader->touched)
        OK(d365_request_set_timeout_ms(reader->touched, 60000, NULL));
    add(&reader->destroyed, 1);
}

static struct reader reader_of(const char *text)
{
    struct reader reader;
    memset(&reader, 0, sizeof reader);
    reader.text = text;
    reader.len = strlen(text);
    return reader;
}

static d365_request_t *upload(struct reader *reader, int is_rewindable, int64_t length)
{
    d365_request_t *request = new_request("POST", accounts, NULL);
    OK(d365_request_add_header(request, "Content-Type", D365_NTS, "application/json", D365_NTS, NULL));
    OK(d365_request_set_body_reader(request, read_body, is_rewindable ? rewind_body : NULL, length, reader, on_destroy,
                                    NULL));
    return request;
}

static size_t attempts_of(d365_error_t *error)
{
    d365_attempts_t *attempts = NULL;
    size_t count;
    OK(d365_error_attempts(error, &attempts));
    count = count_of(attempts);
    OK(d365_attempts_free(attempts));
    return count;
}

static uint64_t epoch_of(const d365_client_t *client)
{
    uint64_t epoch = 99;
    OK(d365_client_epoch(client, &epoch, NULL));
    return epoch;
}

static void with_and_without_length(const struct org *org)
{
    static const char text[] = "{\"name\":\"by reader\"}";
    d365_client_t *client = open_client(org, NULL, "on");
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    int is_rewindable, has_length, sent = 0;
    for (is_rewindable = 0; is_rewindable < 2; is_rewindable++) {
        for (has_length = 0; has_length < 2; has_length++) {
            struct reader reader = reader_of(text);
            d365_request_t *request = upload(&reader, is_rewindable, has_length ? (int64_t)reader.len : -1);
            reader.piece = 3;
            OK(d365_client_send(client, request, &response, NULL));
            CHECK(status_of(response) == 204);
            CHECK(reader.reads >= 7 && reader.rewinds == 0 && reader.destroyed == 0);
            CHECK(pthread_equal(reader.thread, pthread_self()));
            CHECK(rows(org, "primary", "by reader", 0) == ++sent);
            if (is_rewindable) { /* and once more */
                OK(d365_client_send(client, request, &response, NULL));
                CHECK(status_of(response) == 204 && reader.rewinds == 1);
                CHECK(rows(org, "primary", "by reader", 0) == ++sent);
            } else {
                reader.reads = 0;
                STATUS(D365_INVALID_ARGUMENT, d365_client_send(client, request, &response, &error));
                CHECK(says(error, "once") && reader.reads == 0);
                OK(d365_error_free(error));
                reader.at = 0; /* set anew, it serves again */
                OK(d365_request_set_body_reader(request, read_body, NULL, -1, &reader, on_destroy, NULL));
                CHECK(reader.destroyed == 1);
                OK(d365_client_send(client, request, &response, NULL));
                CHECK(status_of(response) == 204);
                CHECK(rows(org, "primary", "by reader", 0) == ++sent);
                reader.destroyed = 0;
            }
            OK(d365_request_free(request));
            CHECK(reader.destroyed == 1);
        }
    }
    OK(d365_client_free(client));
}

static char *big_text(const char *name, long description)
{
    char *text = malloc((size_t)description + 128);
    size_t used;
    MUST(text != NULL);
    used = (size_t)sprintf(text, "{\"name\":\"%s\",\"description\":\"", name);
    memset(text + used, 'x', (size_t)description);
    strcpy(text + used + (size_t)description, "\"}");
    return text;
}

static void a_big_one(const struct org *org)
{
    const long description = 1500000;
    char *text = big_text("big", description);
    struct reader reader = reader_of(text);
    d365_request_t *request = upload(&reader, 0, -1);
    d365_client_t *client = open_client(org, NULL, "on");
    d365_response_t *response = NULL;
    OK(d365_client_send(client, request, &response, NULL));
    CHECK(status_of(response) == 204);
    CHECK(rows(org, "primary", "big", description) == 1);
    OK(d365_request_free(request));
    OK(d365_client_free(client));
    free(text);
}

/* Readers that do not give what was promised: the call ends as local, at the first attempt, and nothing is switched. */
static void broken(const struct org *org)
{
    static const char text[] = "{\"name\":\"broken\"}";
    const struct {
        int64_t length, last_answer;
        size_t piece;
        const char *said;
    } table[] = {
        {-1, -5, 0, "-5"}, {-1, -5, 5, "-5"}, {18, 0, 0, "18"}, {1000, 0, 3, "1000"}, {16, 0, 0, "16"},
        {5, 0, 3, "5"}, {6, 0, 3, "6"}, {0, 0, 0, "0"}, {-1, 1 << 30, 0, "1073741824"}, {-1, INT64_MAX, 0, "bytes"},
        {-1, INT64_MIN, 0, "-9223372036854775808"},
    };
    d365_client_t *client = open_client(org, NULL, "on");
    d365_response_t *response = NULL;
    d365_status_t status;
    int32_t effect = -1, kind = -1;
    size_t i;
    MUST(strlen(text) == 17);
    for (i = 0; i < sizeof table / sizeof *table; i++) {
        struct reader reader = reader_of(text);
        d365_request_t *request = upload(&reader, 1, table[i].length);
        d365_error_t *error = NULL;
        reader.piece = table[i].piece;
        reader.last_answer = table[i].last_answer;
        printf("     a reader of %d bytes for the length %ld\n", 17, (long)table[i].length);
        status = d365_client_send(client, request, &response, &error);
        if (error != NULL) {
            /* A part of it may have left. */
            OK(d365_error_effect(error, &effect));
            STATUS(effect == D365_EFFECT_UNKNOWN ? D365_WRITE_IN_DOUBT : D365_LOCAL, status);
            OK(d365_error_kind(error, &kind));
            CHECK(kind == D365_FAULT_LOCAL);
            CHECK(says(error, table[i].said));
            CHECK(attempts_of(error) == 1);
            OK(d365_error_free(error));
        } else {
            CHECK(status != D365_OK);
            OK(d365_response_free(response));
        }
        OK(d365_request_free(request));
        CHECK(reader.destroyed == 1);
    }
    CHECK(epoch_of(client) == 0);
    CHECK(rows(org, "primary", "broken", 0) == 0);
    OK(d365_client_free(client));
}

static void a_rewind_that_fails(const struct org *org)
{
    struct reader reader = reader_of("{\"name\":\"once only\"}");
    d365_request_t *request = upload(&reader, 1, -1);
    d365_client_t *client = open_client(org, NULL, "on");
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    reader.rewind_answer = 9;
    fault(org, "primary", "\"kind\":\"datacenter_not_available\",\"times\":1");
    STATUS(D365_LOCAL, d365_client_send(client, request, &response, &error));
    CHECK(says(error, "9") && reader.rewinds == 1);
    OK(d365_error_free(error));
    CHECK(rows(org, "alternate", "once only", 0) == 0);
    OK(d365_request_free(request));
    OK(d365_client_free(client));
}

/* The primary says that it is away, after it has read the body: only one that can be rewound is sent again. */
static void after_a_switch(const struct org *org, int is_rewindable)
{
    const long description = 300000;
    char *text = big_text(is_rewindable ? "again" : "never again", description);
    struct reader reader = reader_of(text);
    d365_request_t *request = upload(&reader, is_rewindable, (int64_t)strlen(text));
    d365_client_t *client = open_client(org, NULL, "on");
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    int32_t effect = -1, switched = -1;
    fault(org, "primary", "\"kind\":\"datacenter_not_available\",\"times\":1");
    if (is_rewindable) {
        OK(d365_client_send(client, request, &response, NULL));
        OK(d365_response_switched(response, &switched));
        CHECK(switched == 1 && status_of(response) == 204 && reader.rewinds == 1);
        CHECK(rows(org, "alternate", "again", description) == 1 && rows(org, "primary", "again", description) == 0);
    } else {
        STATUS(D365_DATACENTER_NOT_AVAILABLE, d365_client_send(client, request, &response, &error));
        CHECK(says(error, "only once") && attempts_of(error) == 1);
        OK(d365_error_effect(error, &effect));
        CHECK(effect == D365_EFFECT_NOT_EXECUTED);
        OK(d365_error_free(error));
        CHECK(rows(org, "alternate", "never again", description) == 0);
    }
    CHECK(epoch_of(client) == 1);
    OK(d365_request_free(request));
    OK(d365_client_free(client));
    free(text);
}

/* A connect that is refused begins no body: a one-shot one is still whole for the other endpoint. */
static void before_it_was_begun(const struct org *org)
{
    struct reader reader = reader_of("{\"name\":\"not begun\"}");
    d365_request_t *request = upload(&reader, 0, -1);
    d365_client_t *client = open_client(org, NULL, "on");
    d365_response_t *response = NULL;
    fault(org, "primary", "\"kind\":\"refuse\"");
    OK(d365_client_send(client, request, &response, NULL));
    CHECK(status_of(response) == 204 && reader.rewinds == 0);
    CHECK(rows(org, "alternate", "not begun", 0) == 1);
    control("/clear", "{}");
    OK(d365_request_free(request));
    OK(d365_client_free(client));
}

struct sending {
    d365_client_t *client;
    d365_request_t *request;
    d365_status_t status;
};

static void *send_it(void *user_data)
{
    struct sending *sending = user_data;
    d365_response_t *response = NULL;
    sending->status = d365_client_send(sending->client, sending->request, &response, NULL);
    OK(d365_response_free(response));
    return NULL;
}

static void one_call_at_a_time(const struct org *org)
{
    struct reader reader = reader_of("{\"name\":\"busy\"}");
    d365_queue_t *queue = NULL;
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    d365_item_t *item;
    struct sending sending;
    pthread_t thread;
    OK(d365_queue_new(0, &queue, NULL));
    sending.client = open_client(org, queue, "on");
    sending.request = upload(&reader, 1, -1);
    reader.is_held = 1;
    MUST(pthread_create(&thread, NULL, send_it, &sending) == 0);
    wait_until(&reader.is_inside, 1);
    STATUS(D365_BUSY, d365_client_send(sending.client, sending.request, &response, &error));
    CHECK(says(error, "one call at a time"));
    OK(d365_error_free(error));
    OK(d365_client_submit(sending.client, sending.request, NULL, NULL, NULL));
    item = next(queue, D365_ITEM_COMPLETION);
    STATUS(D365_BUSY, d365_item_result(item, &response, NULL));
    OK(d365_item_free(item));
    OK(call(sending.client, "GET", whoami, NULL, &response, NULL)); /* another request is another matter */
    CHECK(status_of(response) == 200);
    set(&reader.is_held, 0);
    MUST(pthread_join(thread, NULL) == 0);
    STATUS(D365_OK, sending.status);
    OK(d365_client_send(sending.client, sending.request, &response, NULL));
    CHECK(status_of(response) == 204 && rows(org, "primary", "busy", 0) == 2);
    OK(d365_request_free(sending.request));
    OK(d365_client_free(sending.client));
    OK(d365_queue_free(queue));
}

static struct sending inner;

/* In the middle of a read: another call of the client, the same request, its body changed, its handle freed. */
static void use_everything(void)
{
    d365_response_t *response = NULL;
    OK(call(inner.client, "GET", whoami, NULL, &response, NULL));
    CHECK(status_of(response) == 200);
    if (inner.request != NULL) {
        STATUS(D365_BUSY, d365_client_send(inner.client, inner.request, &response, NULL));
        OK(d365_request_set_body(inner.request, (const uint8_t *)"x", 1, NULL));
        OK(d365_request_free(inner.request));
        inner.request = NULL;
    }
}

static void calls_inside(const struct org *org)
{
    struct reader reader = reader_of("{\"name\":\"outer\"}");
    d365_response_t *response = NULL;
    inner.client = open_client(org, NULL, "on");
    inner.request = upload(&reader, 0, -1);
    reader.inside = use_everything;
    reader.piece = 8;
    OK(d365_client_send(inner.client, inner.request, &response, NULL));
    CHECK(status_of(response) == 204 && reader.destroyed == 1);
    CHECK(rows(org, "primary", "outer", 0) == 1);
    OK(d365_client_free(inner.client));
}

/* An answer whose body is still to be read keeps no reader. */
static void with_a_stream(const struct org *org)
{
    struct reader reader = reader_of("{\"name\":\"streamed\"}");
    d365_request_t *request = upload(&reader, 1, -1);
    d365_client_t *client = open_client(org, NULL, "on");
    d365_response_t *response = NULL;
    uint8_t buffer[4096];
    size_t len = 0;
    OK(d365_request_add_header(request, "Prefer", D365_NTS, "return=representation", D365_NTS, NULL));
    OK(d365_request_set_streaming(request, 1, NULL));
    OK(d365_client_send(client, request, &response, NULL));
    OK(d365_request_free(request));
    CHECK(reader.destroyed == 1);
    OK(d365_response_read(response, buffer, sizeof buffer, &len, NULL));
    CHECK(len > 0);
    CHECK(status_of(response) == 201);
    OK(d365_client_free(client));
}

/* `destroy` may use the request whose body has gone. */
static void destroy_uses_the_request(void)
{
    struct reader reader = reader_of("");
    d365_request_t *request = upload(&reader, 0, 0);
    reader.touched = request;
    OK(d365_request_set_body(request, NULL, 0, NULL));
    CHECK(reader.destroyed == 1);
    OK(d365_request_free(request));
    CHECK(reader.destroyed == 1);
}

static void submitted(const struct org *org)
{
    struct reader reader = reader_of("{\"name\":\"submitted\"}"), cancelled = reader_of("{\"name\":\"cancelled\"}");
    d365_queue_t *queue = NULL;
    d365_client_t *client;
    d365_request_t *request = upload(&reader, 1, -1);
    d365_response_t *response = NULL;
    d365_pending_t *pending = NULL;
    d365_item_t *item;
    void *user_data = NULL;
    OK(d365_queue_new(0, &queue, NULL));
    client = open_client(org, queue, "on");
    reader.is_held = 1;
    fault(org, "primary", "\"kind\":\"datacenter_not_available\",\"times\":1");
    OK(d365_client_submit(client, request, &reader, NULL, NULL));
    OK(d365_request_free(request)); /* at once: the call has the reader */
    wait_until(&reader.is_inside, 1);
    CHECK(get(&reader.destroyed) == 0);
    set(&reader.is_held, 0);
    item = next(queue, D365_ITEM_COMPLETION);
    OK(d365_item_user_data(item, &user_data));
    CHECK(user_data == &reader);
    OK(d365_item_result(item, &response, NULL));
    CHECK(status_of(response) == 204);
    OK(d365_item_free(item));
    wait_until(&reader.destroyed, 1);
    CHECK(reader.rewinds == 1 && !pthread_equal(reader.thread, pthread_self()));
    CHECK(rows(org, "alternate", "submitted", 0) == 1);

    request = upload(&cancelled, 0, -1);
    cancelled.is_held = 1;
    OK(d365_client_submit(client, request, NULL, &pending, NULL));
    OK(d365_request_free(request));
    wait_until(&cancelled.is_inside, 1);
    OK(d365_pending_cancel(pending, NULL));
    OK(d365_pending_free(pending));
    set(&cancelled.is_held, 0);
    item = next(queue, D365_ITEM_COMPLETION);
    STATUS(D365_WRITE_IN_DOUBT, d365_item_result(item, &response, NULL));
    OK(d365_item_free(item));
    wait_until(&cancelled.destroyed, 1);
    CHECK(rows(org, "alternate", "cancelled", 0) == 0);
    OK(d365_client_free(client));
    OK(d365_queue_free(queue));
    CHECK(reader.destroyed == 1 && cancelled.destroyed == 1);
}

/* The client goes while a read holds the thread: the call ends when the read has. */
static void freed_meanwhile(const struct org *org)
{
    struct reader reader = reader_of("{\"name\":\"left\"}");
    struct sending sending;
    pthread_t thread;
    sending.client = open_client(org, NULL, "on");
    sending.request = upload(&reader, 0, -1);
    reader.is_held = 1;
    MUST(pthread_create(&thread, NULL, send_it, &sending) == 0);
    wait_until(&reader.is_inside, 1);
    OK(d365_client_free(sending.client));
    set(&reader.is_held, 0);
    MUST(pthread_join(thread, NULL) == 0);
    STATUS(D365_WRITE_IN_DOUBT, sending.status);
    OK(d365_request_free(sending.request));
    CHECK(reader.destroyed == 1);
    CHECK(rows(org, "primary", "left", 0) == 0);
}

static int32_t is_over(void *reader)
{
    return get(&((struct reader *)reader)->reads) > 0;
}

/* The check of the same call, on the same thread, in turns with the reader: an answer never comes. */
static void with_a_check(const struct org *org)
{
    struct reader reader = reader_of("{\"name\":\"checked\"}");
    d365_request_t *request = upload(&reader, 1, -1);
    d365_client_t *client = open_client(org, NULL, "on");
    d365_response_t *response = NULL;
    OK(d365_request_set_check(request, is_over, &reader, NULL));
    fault(org, "primary", "\"kind\":\"accept_never_answer\"");
    STATUS(D365_WRITE_IN_DOUBT, d365_client_send(client, request, &response, NULL));
    control("/clear", "{}");
    OK(d365_request_free(request));
    OK(d365_client_free(client));
}

/* What stands on the wire. */
static void answer_created(struct raw *raw, int fd, int index)
{
    static const char answer[] = "HTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\nConnection: close\r\n\r\n";
    CHECK(raw_read_body(raw, fd));
    CHECK(raw->body_len == 9 && strcmp(raw->body, "123456789") == 0);
    CHECK(raw_has(raw, "content-length: 9\r\n") == (index != 1));
    CHECK(raw_has(raw, "transfer-encoding: chunked\r\n") == (index == 1));
    raw_say(fd, answer, sizeof answer - 1);
}

static void framing(void)
{
    struct reader known = reader_of("123456789"), unknown = reader_of("123456789"), told = reader_of("123456789");
    d365_request_t *request = upload(&known, 0, 9);
    d365_response_t *response = NULL;
    d365_client_t *client;
    struct raw raw;
    raw_start(&raw, answer_created);
    client = local_client(raw.port, NULL, NULL);
    known.piece = unknown.piece = 2;
    OK(d365_client_send(client, request, &response, NULL));
    CHECK(status_of(response) == 204);
    OK(d365_request_free(request));
    request = upload(&unknown, 0, -1);
    OK(d365_client_send(client, request, &response, NULL));
    CHECK(status_of(response) == 204);
    OK(d365_request_free(request));
    /* The application's own length. */
    request = upload(&told, 0, -1);
    OK(d365_request_add_header(request, "Content-Length", D365_NTS, "9", 1, NULL));
    OK(d365_client_send(client, request, &response, NULL));
    CHECK(status_of(response) == 204);
    OK(d365_request_free(request));
    OK(d365_request_new("POST", 4, "/x", 2, &request, NULL));
    OK(d365_request_set_body(request, (const uint8_t *)"123456789", 9, NULL));
    OK(d365_request_add_header(request, "content-length", D365_NTS, "9", 1, NULL));
    OK(d365_client_send(client, request, &response, NULL));
    CHECK(status_of(response) == 204);
    STATUS(D365_INVALID_ARGUMENT, d365_request_add_header(request, "Content-Length", D365_NTS, "-9", 2, NULL));
    OK(d365_request_set_body(request, (const uint8_t *)"12345678", 8, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_client_send(client, request, &response, NULL));
    OK(d365_request_free(request));
    OK(d365_client_free(client));
    raw_stop(&raw);
    CHECK(raw.requests == 4);
}

/* The first server refuses at the head, the second asks for the body. */
static void answer_expectation(struct raw *raw, int fd, int index)
{
    static const char away[] =
        "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    static const char created[] = "HTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\nConnection: close\r\n\r\n";
    CHECK(raw_has(raw, "expect: 100-continue\r\n"));
    if (index == 0) {
        raw_say(fd, away, sizeof away - 1);
        return;
    }
    raw_say(fd, go_on, sizeof go_on - 1);
    CHECK(raw_read_body(raw, fd) && strcmp(raw->body, "one shot") == 0);
    raw_say(fd, created, sizeof created - 1);
}

static void an_expectation(void)
{
    struct reader reader = reader_of("one shot");
    d365_request_t *request = upload(&reader, 0, -1);
    d365_response_t *response = NULL;
    d365_client_t *client;
    struct raw raw;
    int32_t switched = -1;
    raw_start(&raw, answer_expectation);
    client = local_client(raw.port, NULL, NULL);
    OK(d365_client_set_endpoint_auto_switch_enabled(client, 1, NULL));
    OK(d365_request_add_header(request, "Expect", D365_NTS, "100-continue", D365_NTS, NULL));
    OK(d365_client_send(client, request, &response, NULL));
    OK(d365_response_switched(response, &switched));
    CHECK(switched == 1 && status_of(response) == 204);
    OK(d365_request_free(request));
    OK(d365_client_free(client));
    raw_stop(&raw);
    CHECK(raw.requests == 2);
}

static void over(const struct org *org)
{
    printf("     -- %s\n", org->primary_url);
    with_and_without_length(org);
    a_big_one(org);
    broken(org);
    a_rewind_that_fails(org);
    after_a_switch(org, 1);
    after_a_switch(org, 0);
    before_it_was_begun(org);
    one_call_at_a_time(org);
    calls_inside(org);
    submitted(org);
    freed_meanwhile(org);
    with_a_check(org);
    with_a_stream(org);
}

int main(int argc, char **argv)
{
    alarm(240); /* a hang is a failure */
    (void)argv;
    read_twin();
    each_world("upload", over, argc > 1);
    destroy_uses_the_request();
    framing();
    an_expectation();
    FINISH();
}
