/* The prepare function: what it sees of each attempt, what it changes, and how it ends one. */
#include "raw.h"
#include "threads.h"
#include "twin.h"

/* What one call of the function saw. */
struct seen {
    char url[256], endpoint_url[128], method[16], body[128], authorization[128], note[32];
    int64_t role, epoch, attempt;
    d365_status_t endpoint_status, body_status;
};

struct hook {
    /* Does what the test wants; what it answers is answered. */
    int32_t (*act)(struct hook *hook, d365_outgoing_t *outgoing);
    struct seen seen[4];
    int calls, destroyed;
    d365_outgoing_t *last;
    d365_client_t *client;
    d365_settings_t *touched; /* settings that `destroy` changes */
    const char *text;         /* for `act` */
    pthread_t thread;
};

static void keep(char *place, size_t size, d365_str_t text)
{
    MUST(text.len < size && strlen(text.data) == text.len);
    memcpy(place, text.data, text.len + 1);
}

static void look(struct seen *seen, d365_outgoing_t *outgoing)
{
    d365_str_t text = {"", 0};
    const uint8_t *body = NULL;
    size_t len = 0;
    memset(seen, 0, sizeof *seen);
    OK(d365_outgoing_url(outgoing, &text));
    keep(seen->url, sizeof seen->url, text);
    OK(d365_outgoing_method(outgoing, &text));
    keep(seen->method, sizeof seen->method, text);
    seen->endpoint_status = d365_outgoing_endpoint_url(outgoing, &text);
    if (seen->endpoint_status == D365_OK)
        keep(seen->endpoint_url, sizeof seen->endpoint_url, text);
    OK(d365_outgoing_number(outgoing, D365_OUTGOING_ROLE, &seen->role));
    OK(d365_outgoing_number(outgoing, D365_OUTGOING_EPOCH, &seen->epoch));
    OK(d365_outgoing_number(outgoing, D365_OUTGOING_ATTEMPT, &seen->attempt));
    seen->body_status = d365_outgoing_body(outgoing, &body, &len);
    if (seen->body_status == D365_OK) {
        MUST(body != NULL && len < sizeof seen->body);
        memcpy(seen->body, body, len);
    }
    if (d365_outgoing_header(outgoing, "AUTHORIZATION", D365_NTS, &text) == D365_OK)
        keep(seen->authorization, sizeof seen->authorization, text);
    if (d365_outgoing_header(outgoing, "X-Note", D365_NTS, &text) == D365_OK)
        keep(seen->note, sizeof seen->note, text);
}

static int32_t prepare(void *user_data, d365_outgoing_t *outgoing)
{
    struct hook *hook = user_data;
    MUST(hook->calls < 4);
    look(&hook->seen[hook->calls], outgoing);
    hook->last = outgoing;
    hook->thread = pthread_self();
    add(&hook->calls, 1);
    return hook->act ? hook->act(hook, outgoing) : 0;
}

static void on_destroy(void *user_data)
{
    struct hook *hook = user_data;
    if (hook->touched)
        OK(d365_settings_set(hook->touched, "user_agent", D365_NTS, "x", 1, NULL));
    add(&hook->destroyed, 1);
}

static d365_client_t *client_with(const struct org *org, d365_queue_t *queue, struct hook *hook,
                                  int32_t (*act)(struct hook *, d365_outgoing_t *))
{
    d365_settings_t *settings = settings_for(org, queue, "on");
    memset(hook, 0, sizeof *hook);
    hook->act = act;
    OK(d365_settings_set_prepare(settings, prepare, hook, on_destroy, NULL));
    MUST(d365_client_open(settings, &hook->client, NULL) == D365_OK);
    OK(d365_settings_free(settings));
    return hook->client;
}

static int requests(const struct org *org)
{
    char path[128];
    cJSON *journal;
    int count;
    snprintf(path, sizeof path, "/journal?org=%s", org->name);
    journal = ask("GET", path, "");
    count = cJSON_GetArraySize(journal);
    cJSON_Delete(journal);
    return count;
}

/* The token of the endpoint, and a body that names the attempt. */
static int32_t sign(struct hook *hook, d365_outgoing_t *outgoing)
{
    const struct seen *seen = &hook->seen[hook->calls - 1];
    char token[256], body[64];
    int len = snprintf(body, sizeof body, "{\"name\":\"attempt %d\"}", (int)seen->attempt);
    snprintf(token, sizeof token, "Bearer twin-token-for-%s", strstr(seen->endpoint_url, "://") + 3);
    OK(d365_outgoing_set_header(outgoing, "Authorization", D365_NTS, token, D365_NTS, NULL));
    OK(d365_outgoing_remove_header(outgoing, "x-NOTE", D365_NTS, NULL));
    OK(d365_outgoing_remove_header(outgoing, "X-None", D365_NTS, NULL));
    OK(d365_outgoing_set_body(outgoing, (const uint8_t *)body, (size_t)len, NULL));
    return 0;
}

/* A switch: the function is called for both attempts, and what it changed for the first is not there at the second. */
static void both_endpoints(const struct org *org)
{
    struct hook hook;
    d365_client_t *client = client_with(org, NULL, &hook, sign);
    d365_request_t *request = new_request("POST", accounts, "{\"name\":\"as given\"}");
    d365_response_t *response = NULL;
    char json[128];
    int32_t switched = -1;
    snprintf(json, sizeof json, "{\"org\":\"%s\",\"tokens\":\"check\"}", org->name);
    control("/tokens", json);
    OK(d365_request_add_header(request, "X-Note", D365_NTS, "one", D365_NTS, NULL));
    fault(org, "primary", "\"kind\":\"datacenter_not_available\",\"times\":1");
    OK(d365_client_send(client, request, &response, NULL));
    OK(d365_response_switched(response, &switched));
    CHECK(switched == 1 && status_of(response) == 204 && hook.calls == 2);
    CHECK(rows(org, "alternate", "attempt 2", -1) == 1 && rows(org, "alternate", "as given", -1) == 0);
    CHECK(strncmp(hook.seen[0].url, org->primary_url, strlen(org->primary_url)) == 0);
    CHECK(strcmp(hook.seen[0].url + strlen(org->primary_url), accounts) == 0);
    CHECK(strcmp(hook.seen[0].endpoint_url, org->primary_url) == 0);
    CHECK(hook.seen[0].role == D365_ROLE_PRIMARY && hook.seen[0].epoch == 0 && hook.seen[0].attempt == 1);
    CHECK(strncmp(hook.seen[1].url, org->alternate_url, strlen(org->alternate_url)) == 0);
    CHECK(strcmp(hook.seen[1].endpoint_url, org->alternate_url) == 0);
    CHECK(hook.seen[1].role == D365_ROLE_ALTERNATE && hook.seen[1].epoch == 1 && hook.seen[1].attempt == 2);
    CHECK(strcmp(hook.seen[0].method, "POST") == 0 && strcmp(hook.seen[1].method, "POST") == 0);
    CHECK(strcmp(hook.seen[0].body, "{\"name\":\"as given\"}") == 0);
    CHECK(strcmp(hook.seen[1].body, "{\"name\":\"as given\"}") == 0);
    CHECK(strcmp(hook.seen[0].note, "one") == 0 && strcmp(hook.seen[1].note, "one") == 0);
    CHECK(hook.seen[1].authorization[0] == '\0');
    CHECK(pthread_equal(hook.thread, pthread_self()));
    OK(d365_request_free(request));
    CHECK(hook.destroyed == 0);
    OK(d365_client_free(client));
    wait_until(&hook.destroyed, 1);
    snprintf(json, sizeof json, "{\"org\":\"%s\",\"tokens\":\"off\"}", org->name);
    control("/tokens", json);
}

static int32_t refuse(struct hook *hook, d365_outgoing_t *outgoing)
{
    if (hook->text)
        OK(d365_outgoing_fail(outgoing, hook->text, D365_NTS, NULL));
    STATUS(D365_INVALID_UTF8, d365_outgoing_fail(outgoing, "\xff", 1, NULL));
    STATUS(D365_NULL_POINTER, d365_outgoing_fail(outgoing, NULL, 1, NULL));
    return -7;
}

static int32_t regret(struct hook *hook, d365_outgoing_t *outgoing)
{
    (void)hook;
    OK(d365_outgoing_fail(outgoing, "not meant", D365_NTS, NULL));
    return 0;
}

static void refused(const struct org *org)
{
    struct hook hook;
    d365_client_t *client = client_with(org, NULL, &hook, refuse);
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    d365_attempts_t *attempts = NULL;
    int before = requests(org);
    int32_t n = -1;
    uint64_t epoch = 99;
    hook.text = "no key for it";
    STATUS(D365_LOCAL, call(client, "POST", accounts, "{\"name\":\"refused\"}", &response, &error));
    CHECK(says(error, "no key for it") && hook.calls == 1);
    OK(d365_error_phase(error, &n));
    CHECK(n == D365_PHASE_NOT_SENT);
    OK(d365_error_effect(error, &n));
    CHECK(n == D365_EFFECT_NOT_EXECUTED);
    OK(d365_error_attempts(error, &attempts));
    CHECK(count_of(attempts) == 1 && number(attempts, 0, D365_ATTEMPT_HTTP_VERSION) == 0);
    OK(d365_attempts_free(attempts));
    OK(d365_error_free(error));
    error = NULL;
    hook.text = NULL;
    STATUS(D365_LOCAL, call(client, "POST", accounts, "{\"name\":\"refused\"}", &response, &error));
    CHECK(says(error, "-7"));
    OK(d365_error_free(error));
    OK(d365_client_epoch(client, &epoch, NULL));
    CHECK(epoch == 0 && requests(org) == before);
    hook.act = regret; /* who answers 0 sends, whatever was said */
    OK(call(client, "GET", whoami, NULL, &response, NULL));
    CHECK(status_of(response) == 200);
    OK(d365_client_free(client));
}

/* A handle that was kept is worth nothing once the function has returned. */
static void kept(const struct org *org)
{
    struct hook hook;
    d365_client_t *client = client_with(org, NULL, &hook, NULL);
    d365_response_t *response = NULL;
    d365_str_t text;
    const uint8_t *body;
    size_t len;
    int64_t n;
    OK(call(client, "GET", whoami, NULL, &response, NULL));
    CHECK(status_of(response) == 200);
    STATUS(D365_INVALID_HANDLE, d365_outgoing_url(hook.last, &text));
    STATUS(D365_INVALID_HANDLE, d365_outgoing_endpoint_url(hook.last, &text));
    STATUS(D365_INVALID_HANDLE, d365_outgoing_method(hook.last, &text));
    STATUS(D365_INVALID_HANDLE, d365_outgoing_number(hook.last, D365_OUTGOING_ROLE, &n));
    STATUS(D365_INVALID_HANDLE, d365_outgoing_header(hook.last, "Host", 4, &text));
    STATUS(D365_INVALID_HANDLE, d365_outgoing_set_header(hook.last, "A", 1, "b", 1, NULL));
    STATUS(D365_INVALID_HANDLE, d365_outgoing_remove_header(hook.last, "A", 1, NULL));
    STATUS(D365_INVALID_HANDLE, d365_outgoing_body(hook.last, &body, &len));
    STATUS(D365_INVALID_HANDLE, d365_outgoing_set_body(hook.last, NULL, 0, NULL));
    STATUS(D365_INVALID_HANDLE, d365_outgoing_fail(hook.last, "x", 1, NULL));
    STATUS(D365_NULL_POINTER, d365_outgoing_url(NULL, &text));
    STATUS(D365_WRONG_HANDLE, d365_outgoing_url((const d365_outgoing_t *)client, &text));
    OK(d365_client_free(client));
}

static void *other_thread(void *outgoing)
{
    d365_str_t text;
    OK(d365_outgoing_url(outgoing, &text));
    OK(d365_outgoing_set_header(outgoing, "X-Other", D365_NTS, "thread", D365_NTS, NULL));
    return NULL;
}

/* Arguments of all kinds, views that stay, and another thread. */
static int32_t pry(struct hook *hook, d365_outgoing_t *outgoing)
{
    static const char *const ours[] = {"Host", "content-length", "Transfer-Encoding", "Connection", "TE", "Upgrade"};
    d365_str_t agent, again, text;
    const uint8_t *body = NULL, *changed_body = NULL;
    d365_error_t *error = NULL;
    size_t len = 0, i;
    int64_t n = 5;
    pthread_t thread;
    OK(d365_outgoing_header(outgoing, "user-agent", D365_NTS, &agent));
    CHECK(strncmp(agent.data, "d365-failover/", 14) == 0);
    OK(d365_outgoing_header(outgoing, "accept-encoding", D365_NTS, &text));
    CHECK(strcmp(text.data, "gzip, br") == 0);
    OK(d365_outgoing_header(outgoing, "Host", D365_NTS, &text));
    CHECK(strstr(hook->seen[hook->calls - 1].url, text.data) != NULL);
    OK(d365_outgoing_set_header(outgoing, "User-Agent", D365_NTS, "tests", D365_NTS, NULL));
    OK(d365_outgoing_header(outgoing, "User-Agent", D365_NTS, &again));
    CHECK(strcmp(again.data, "tests") == 0 && strncmp(agent.data, "d365-failover/", 14) == 0);
    OK(d365_outgoing_body(outgoing, &body, &len));
    CHECK(len == 3 && memcmp(body, "abc", 3) == 0);
    OK(d365_outgoing_set_body(outgoing, NULL, 0, NULL));
    CHECK(memcmp(body, "abc", 3) == 0);
    OK(d365_outgoing_body(outgoing, &changed_body, &len));
    CHECK(changed_body != NULL && len == 0);
    OK(d365_outgoing_set_body(outgoing, (const uint8_t *)"x", 1, NULL));
    STATUS(D365_NULL_POINTER, d365_outgoing_set_body(outgoing, NULL, 1, NULL));
    for (i = 0; i < sizeof ours / sizeof *ours; i++) {
        STATUS(D365_INVALID_ARGUMENT, d365_outgoing_set_header(outgoing, ours[i], D365_NTS, "x", 1, &error));
        OK(d365_error_free(error));
        STATUS(D365_INVALID_ARGUMENT, d365_outgoing_remove_header(outgoing, ours[i], D365_NTS, NULL));
    }
    STATUS(D365_INVALID_ARGUMENT, d365_outgoing_set_header(outgoing, "A B", 3, "x", 1, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_outgoing_set_header(outgoing, "A", 1, "x\r\ny", 4, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_outgoing_set_header(outgoing, NULL, 0, "x", 1, NULL));
    STATUS(D365_INVALID_UTF8, d365_outgoing_set_header(outgoing, "A", 1, "\xff", 1, NULL));
    STATUS(D365_NULL_POINTER, d365_outgoing_set_header(outgoing, "A", 1, NULL, 1, NULL));
    STATUS(D365_NOT_AVAILABLE, d365_outgoing_header(outgoing, "X-None", D365_NTS, &text));
    STATUS(D365_NOT_AVAILABLE, d365_outgoing_header(outgoing, "A B", D365_NTS, &text));
    STATUS(D365_NULL_POINTER, d365_outgoing_header(outgoing, "Host", D365_NTS, NULL));
    STATUS(D365_NOT_AVAILABLE, d365_outgoing_number(outgoing, 0, &n));
    STATUS(D365_NOT_AVAILABLE, d365_outgoing_number(outgoing, 4, &n));
    STATUS(D365_NULL_POINTER, d365_outgoing_number(outgoing, D365_OUTGOING_ROLE, NULL));
    STATUS(D365_NULL_POINTER, d365_outgoing_url(outgoing, NULL));
    STATUS(D365_NULL_POINTER, d365_outgoing_body(outgoing, NULL, &len));
    CHECK(n == 5);
    MUST(pthread_create(&thread, NULL, other_thread, outgoing) == 0);
    MUST(pthread_join(thread, NULL) == 0);
    return 0;
}

static void answer_pried(struct raw *raw, int fd, int index)
{
    static const char answer[] = "HTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\nConnection: close\r\n\r\n";
    (void)index;
    CHECK(raw_has(raw, "user-agent: tests\r\n") && raw_has(raw, "x-other: thread\r\n"));
    CHECK(raw_has(raw, "content-length: 1\r\n"));
    CHECK(raw_read_body(raw, fd) && strcmp(raw->body, "x") == 0);
    raw_say(fd, answer, sizeof answer - 1);
}

/* Settings whose clients all go to the port. */
static d365_settings_t *raw_settings(int port, struct hook *hook, int32_t (*act)(struct hook *, d365_outgoing_t *))
{
    d365_settings_t *settings = NULL;
    char connect_to[256];
    memset(hook, 0, sizeof *hook);
    hook->act = act;
    snprintf(connect_to, sizeof connect_to, "contoso.crm.twin.test:80:127.0.0.1:%d,elsewhere.test:80:127.0.0.1:%d", port,
             port);
    OK(d365_settings_new("http://contoso.crm.twin.test", D365_NTS, &settings, NULL));
    OK(d365_settings_set(settings, "connect_to", D365_NTS, connect_to, D365_NTS, NULL));
    OK(d365_settings_set(settings, "preset", D365_NTS, "dotnet", D365_NTS, NULL));
    OK(d365_settings_set(settings, "auto_switch", D365_NTS, "off", D365_NTS, NULL));
    OK(d365_settings_set(settings, "allowed_hosts", D365_NTS, "elsewhere.test", D365_NTS, NULL));
    OK(d365_settings_set_prepare(settings, prepare, hook, on_destroy, NULL));
    return settings;
}

static void arguments(void)
{
    struct hook hook;
    struct raw raw;
    d365_settings_t *settings;
    d365_client_t *client = NULL;
    d365_response_t *response = NULL;
    raw_start(&raw, answer_pried);
    settings = raw_settings(raw.port, &hook, pry);
    OK(d365_client_open(settings, &client, NULL));
    OK(d365_settings_free(settings));
    OK(call(client, "POST", "/", "abc", &response, NULL));
    CHECK(status_of(response) == 204);
    OK(d365_client_free(client));
    raw_stop(&raw);
    CHECK(raw.requests == 1);
}

static void answer_elsewhere(struct raw *raw, int fd, int index)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
    (void)index;
    CHECK(raw_has(raw, "GET /x HTTP/1.1\r\n") && raw_has(raw, "host: elsewhere.test\r\n"));
    raw_say(fd, answer, sizeof answer - 1);
}

/* A host that is neither endpoint has no role, here and in the attempts. */
static void an_allowed_host(void)
{
    struct hook hook;
    struct raw raw;
    d365_settings_t *settings;
    d365_client_t *client = NULL;
    d365_response_t *response = NULL;
    d365_attempts_t *attempts = NULL;
    raw_start(&raw, answer_elsewhere);
    settings = raw_settings(raw.port, &hook, NULL);
    OK(d365_client_open(settings, &client, NULL));
    OK(d365_settings_free(settings));
    OK(call(client, "GET", "http://elsewhere.test/x", NULL, &response, NULL));
    OK(d365_response_attempts(response, &attempts));
    CHECK(count_of(attempts) == 1 && number(attempts, 0, D365_ATTEMPT_ROLE) == 0);
    CHECK(number(attempts, 0, D365_ATTEMPT_HTTP_VERSION) == 11);
    OK(d365_attempts_free(attempts));
    CHECK(status_of(response) == 200 && hook.calls == 1);
    CHECK(hook.seen[0].role == 0 && hook.seen[0].endpoint_status == D365_NOT_AVAILABLE);
    CHECK(strcmp(hook.seen[0].url, "http://elsewhere.test/x") == 0 && hook.seen[0].authorization[0] == '\0');
    OK(d365_client_free(client));
    raw_stop(&raw);
    CHECK(raw.requests == 1);
}

static int reads;

static int64_t read_nothing(void *unused, uint8_t *buffer, size_t capacity)
{
    (void)unused;
    (void)buffer;
    (void)capacity;
    reads++;
    return -1;
}

/* Bytes in the place of a body that would be read: the reader is not asked. */
static void in_the_place_of_a_reader(const struct org *org)
{
    struct hook hook;
    d365_client_t *client = client_with(org, NULL, &hook, sign);
    d365_request_t *request = new_request("POST", accounts, NULL);
    d365_response_t *response = NULL;
    OK(d365_request_add_header(request, "Content-Type", D365_NTS, "application/json", D365_NTS, NULL));
    OK(d365_request_set_body_reader(request, read_nothing, NULL, 1000, NULL, NULL, NULL));
    OK(d365_client_send(client, request, &response, NULL));
    CHECK(status_of(response) == 204 && reads == 0);
    CHECK(hook.seen[0].body_status == D365_NOT_AVAILABLE);
    CHECK(rows(org, "primary", "attempt 1", -1) == 1);
    OK(d365_request_free(request));
    OK(d365_client_free(client));
}

/* In the middle: another call of the same client, which is prepared as well, and the client's end. */
static int32_t call_inside(struct hook *hook, d365_outgoing_t *outgoing)
{
    d365_response_t *response = NULL;
    d365_str_t text;
    if (hook->calls > 1)
        return 0;
    OK(call(hook->client, "GET", whoami, NULL, &response, NULL));
    CHECK(status_of(response) == 200 && hook->calls == 2);
    STATUS(D365_INVALID_HANDLE, d365_outgoing_url(hook->last, &text)); /* the inner one's */
    OK(d365_outgoing_url(outgoing, &text));
    return 0;
}

static int32_t free_inside(struct hook *hook, d365_outgoing_t *outgoing)
{
    d365_str_t text;
    OK(d365_client_free(hook->client));
    CHECK(hook->destroyed == 0);
    OK(d365_outgoing_url(outgoing, &text));
    return 0;
}

static void calls_inside(const struct org *org)
{
    struct hook hook;
    d365_client_t *client = client_with(org, NULL, &hook, call_inside);
    d365_response_t *response = NULL;
    OK(call(client, "GET", accounts, NULL, &response, NULL));
    CHECK(status_of(response) == 200 && hook.calls == 2);
    OK(d365_client_free(client));
    client = client_with(org, NULL, &hook, free_inside);
    STATUS(D365_CANCELLED, call(client, "GET", whoami, NULL, &response, NULL));
    wait_until(&hook.destroyed, 1);
    STATUS(D365_INVALID_HANDLE, d365_client_free(client));
}

static void submitted(const struct org *org)
{
    struct hook hook;
    d365_queue_t *queue = NULL;
    d365_client_t *client;
    d365_request_t *request = new_request("POST", accounts, "{\"name\":\"as given\"}");
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    d365_item_t *item;
    OK(d365_queue_new(0, &queue, NULL));
    client = client_with(org, queue, &hook, sign);
    fault(org, "primary", "\"kind\":\"datacenter_not_available\",\"times\":1");
    OK(d365_client_submit(client, request, NULL, NULL, NULL));
    item = next(queue, D365_ITEM_COMPLETION);
    OK(d365_item_result(item, &response, NULL));
    OK(d365_item_free(item));
    CHECK(status_of(response) == 204 && hook.calls == 2 && !pthread_equal(hook.thread, pthread_self()));
    CHECK(hook.seen[0].role == D365_ROLE_PRIMARY && hook.seen[1].role == D365_ROLE_ALTERNATE);
    hook.act = refuse;
    hook.text = "not this one";
    OK(d365_client_submit(client, request, NULL, NULL, NULL));
    item = next(queue, D365_ITEM_COMPLETION);
    STATUS(D365_LOCAL, d365_item_result(item, &response, &error));
    CHECK(says(error, "not this one"));
    OK(d365_error_free(error));
    OK(d365_item_free(item));
    OK(d365_request_free(request));
    OK(d365_client_shutdown(client, 60000, NULL));
    OK(d365_client_free(client));
    OK(d365_queue_free(queue));
    wait_until(&hook.destroyed, 1);
}

/* Who owns the function: the settings and the clients, until the last of them is gone. */
static void ownership(void)
{
    struct hook first, second;
    d365_settings_t *settings = raw_settings(1, &first, NULL);
    d365_client_t *client = NULL;
    memset(&second, 0, sizeof second);
    STATUS(D365_NULL_POINTER, d365_settings_set_prepare(settings, NULL, &second, on_destroy, NULL));
    STATUS(D365_NULL_POINTER, d365_settings_set_prepare(NULL, prepare, &second, on_destroy, NULL));
    CHECK(first.destroyed == 0 && second.destroyed == 0);
    OK(d365_client_open(settings, &client, NULL));
    OK(d365_settings_set_prepare(settings, prepare, &second, on_destroy, NULL));
    CHECK(get(&first.destroyed) == 0); /* the client has it still */
    OK(d365_client_free(client));
    wait_until(&first.destroyed, 1);
    second.touched = settings;
    first.destroyed = 0;
    OK(d365_settings_set_prepare(settings, prepare, &first, on_destroy, NULL));
    CHECK(second.destroyed == 1);
    OK(d365_settings_free(settings));
    CHECK(first.destroyed == 1);
}

static void over(const struct org *org)
{
    printf("     -- %s\n", org->primary_url);
    both_endpoints(org);
    refused(org);
    kept(org);
    in_the_place_of_a_reader(org);
    calls_inside(org);
    submitted(org);
}

int main(int argc, char **argv)
{
    alarm(240); /* a hang is a failure */
    (void)argv;
    read_twin();
    each_world("prepare", over, argc > 1);
    arguments();
    an_allowed_host();
    ownership();
    FINISH();
}
