/* What this machine has no more of: threads, descriptors, memory, stack. Each is told apart from a defect of the
 * library and from what the network does, and is over when there is some again. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>

#include "children.h"
#include "raw.h"
#include "threads.h"

#define ACCOUNTS "/api/data/v9.2/accounts"
#define LONGEST 30000 /* ms */

static int has_no_threads;

/* In the place of the C library's: RLIMIT_NPROC does not bind root, who runs tests. */
int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*body)(void *), void *argument)
{
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return __atomic_load_n(&has_no_threads, __ATOMIC_SEQ_CST) ? EAGAIN : real(thread, how, body, argument);
}

static void threads(int are_there)
{
    __atomic_store_n(&has_no_threads, !are_there, __ATOMIC_SEQ_CST);
}

/* A status of its own, and words. */
static void check_lacks(d365_status_t status, d365_error_t **error, const char *what)
{
    d365_str_t message = {"", 0};
    MUST(*error != NULL);
    OK(d365_error_message(*error, &message));
    printf("     %s: %s\n", d365_status_name(status), message.data);
    CHECK(status == D365_NO_RESOURCES);
    CHECK(strstr(message.data, what) != NULL);
    OK(d365_error_free(*error));
    *error = NULL;
}

/* A call's: the fault is this machine's, and says which. */
static void check_call_lacks(d365_status_t status, d365_error_t **error, const char *what)
{
    d365_str_t message = {"", 0};
    int32_t cause = -1;
    MUST(*error != NULL);
    OK(d365_error_message(*error, &message));
    OK(d365_error_cause(*error, &cause));
    printf("     %s: %s\n", d365_status_name(status), message.data);
    CHECK(status == D365_LOCAL);
    CHECK(cause == D365_CAUSE_NO_RESOURCES && strcmp(d365_cause_name(cause), "no_resources") == 0);
    CHECK(strstr(message.data, what) != NULL);
    OK(d365_error_free(*error));
    *error = NULL;
}

static void ignore_item(void *user_data, d365_item_t *item)
{
    (void)user_data;
    d365_item_free(item);
}

static void no_token(void *user_data, d365_token_request_t *request)
{
    (void)user_data;
    d365_token_request_free(request);
}

static int64_t no_body(void *user_data, uint8_t *buffer, size_t capacity)
{
    (void)user_data, (void)buffer, (void)capacity;
    return 0;
}

static int32_t rewound(void *user_data)
{
    (void)user_data;
    return 0;
}

static int32_t prepared(void *user_data, d365_outgoing_t *outgoing)
{
    (void)user_data, (void)outgoing;
    return 0;
}

/* The completion of the one call that was submitted. */
static d365_status_t taken(d365_queue_t *queue, d365_error_t **error)
{
    d365_item_t *item = NULL;
    d365_response_t *response = NULL;
    d365_status_t status;
    MUST(d365_queue_next(queue, LONGEST, &item, NULL) == D365_OK);
    status = d365_item_result(item, &response, error);
    d365_response_free(response);
    OK(d365_item_free(item));
    return status;
}

static d365_client_t *opened(d365_settings_t *settings)
{
    d365_client_t *client = NULL;
    OK(d365_client_open(settings, &client, NULL));
    return client;
}

static void answer(struct raw *raw, int fd, int index)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nOData-Version: 4.0\r\nConnection: close\r\n"
                               "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    (void)index;
    if (raw_read_body(raw, fd)) /* not of a body that nobody was there to give */
        raw_say(fd, text, sizeof text - 1);
}

static void no_threads(void)
{
    d365_settings_t *named = NULL, *settings = NULL;
    d365_queue_t *queue = NULL, *run = NULL;
    d365_client_t *client, *closed, *by_name, *with_token, *with_hook;
    d365_request_t *get = local_request("GET", ACCOUNTS), *post = local_request("POST", ACCOUNTS);
    d365_request_t *streamed = local_request("GET", ACCOUNTS);
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    char connect_to[128];
    uint8_t buffer[16];
    size_t len = 0;
    struct raw raw;

    raw_start(&raw, answer);
    OK(d365_queue_new(0, &queue, NULL));
    OK(d365_queue_new(0, &run, NULL));
    OK(d365_request_set_body_reader(post, no_body, NULL, -1, NULL, NULL, NULL));
    OK(d365_request_set_operation(post, D365_OPERATION_READ, NULL));
    OK(d365_request_set_streaming(streamed, 1, NULL));
    OK(d365_settings_new("http://localhost", D365_NTS, &named, NULL));
    OK(d365_settings_set(named, "alternate_url", D365_NTS, "http://127.0.0.1", D365_NTS, NULL));
    OK(d365_settings_new("http://contoso.crm.twin.test", D365_NTS, &settings, NULL));
    snprintf(connect_to, sizeof connect_to, "contoso.crm.twin.test:80:127.0.0.1:%d", raw.port);
    OK(d365_settings_set(settings, "connect_to", D365_NTS, connect_to, D365_NTS, NULL));
    OK(d365_settings_set(settings, "auto_switch", D365_NTS, "off", D365_NTS, NULL));
    OK(d365_settings_set_queue(settings, queue, NULL, NULL));
    with_hook = opened(settings);
    /* It has its runtime's thread before there are none. */
    OK(d365_client_submit(with_hook, get, NULL, NULL, NULL));
    OK(taken(queue, &error));
    OK(d365_client_free(with_hook));
    OK(d365_settings_set_prepare(settings, prepared, NULL, NULL, NULL));
    with_hook = opened(settings);

    threads(0);
    /* A client is opened, and calls that need no thread are made. */
    client = local_client(raw.port, queue, NULL);
    OK(d365_client_send(client, get, &response, NULL));
    OK(d365_response_free(response));
    OK(d365_client_send(with_hook, get, &response, NULL));
    OK(d365_response_free(response));
    closed = local_client(local_port(0), queue, NULL);
    STATUS(D365_ENDPOINT_NOT_FOUND, d365_client_send(closed, get, &response, NULL));

    check_lacks(d365_queue_run(run, ignore_item, NULL, NULL, &error), &error, "thread");
    check_lacks(d365_client_submit(client, get, NULL, NULL, &error), &error, "thread");
    OK(d365_client_send(client, streamed, &response, NULL));
    check_lacks(d365_response_submit_read(response, sizeof buffer, NULL, &error), &error, "thread");
    OK(d365_response_read(response, buffer, sizeof buffer, &len, NULL));
    CHECK(len == 2);
    OK(d365_response_free(response));

    by_name = opened(named);
    check_call_lacks(d365_client_send(by_name, get, &response, &error), &error, "thread");
    OK(d365_settings_set_token_provider(settings, no_token, NULL, NULL, NULL));
    with_token = opened(settings);
    check_call_lacks(d365_client_send(with_token, get, &response, &error), &error, "thread");

    /* The application's code for a submitted call has threads of its own. */
    threads(1);
    OK(d365_client_submit(client, get, NULL, NULL, NULL));
    OK(taken(queue, &error));
    threads(0);
    OK(d365_client_submit(client, post, NULL, NULL, NULL));
    check_call_lacks(taken(queue, &error), &error, "thread");

    threads(1);
    OK(d365_client_submit(client, post, NULL, NULL, NULL));
    OK(taken(queue, &error));
    OK(d365_client_submit(with_hook, get, NULL, NULL, NULL));
    OK(taken(queue, &error));
    OK(d365_queue_run(run, ignore_item, NULL, NULL, NULL));
    error = NULL;
    STATUS(D365_AUTHENTICATION, d365_client_send(with_token, get, &response, &error));
    OK(d365_error_free(error));

    OK(d365_client_free(client));
    OK(d365_client_free(closed));
    OK(d365_client_free(by_name));
    OK(d365_client_free(with_token));
    OK(d365_client_free(with_hook));
    OK(d365_settings_free(named));
    OK(d365_settings_free(settings));
    OK(d365_request_free(get));
    OK(d365_request_free(post));
    OK(d365_request_free(streamed));
    OK(d365_queue_close(run, LONGEST, NULL));
    OK(d365_queue_free(run));
    OK(d365_queue_free(queue));
    raw_stop(&raw);
}

/* So many descriptors more than are open. */
static void descriptors(int more)
{
    struct rlimit limit;
    int next;
    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0 && (next = dup(0)) >= 0);
    close(next);
    limit.rlim_cur = (rlim_t)(next + more);
    MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void no_descriptors(void)
{
    static const char *const urls[] = {"http://contoso.crm.twin.test", "https://contoso.crm.twin.test"};
    d365_settings_t *settings = NULL;
    d365_queue_t *queue = NULL;
    d365_client_t *client = local_client(local_port(1), NULL, NULL), *other;
    d365_request_t *get = local_request("GET", ACCOUNTS);
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    int32_t descriptor = -1;
    size_t i;
    int more;
    OK(d365_queue_new(0, &queue, NULL));
    descriptors(0);
    check_lacks(d365_queue_descriptor(queue, &descriptor, &error), &error, "descriptor");
    check_call_lacks(d365_client_send(client, get, &response, &error), &error, strerror(EMFILE));
    /* Whichever of its descriptors it is that is lacking: no setting is to blame, and no store of certificates. */
    for (i = 0; i < sizeof urls / sizeof *urls; i++) {
        OK(d365_settings_new(urls[i], D365_NTS, &settings, NULL));
        for (more = 0;; more++) {
            d365_status_t status;
            descriptors(more);
            other = NULL;
            status = d365_client_open(settings, &other, &error);
            if (status == D365_OK)
                break;
            check_lacks(status, &error, strerror(EMFILE));
        }
        CHECK(more > 0);
        OK(d365_client_free(other));
        OK(d365_settings_free(settings));
    }
    descriptors(16);
    OK(d365_request_set_timeout_ms(get, 100, NULL));
    STATUS(D365_TIMEOUT, d365_client_send(client, get, &response, NULL));
    OK(d365_queue_descriptor(queue, &descriptor, NULL));
    OK(d365_request_free(get));
    OK(d365_client_free(client));
    OK(d365_queue_free(queue));
}

/* So many bytes more than are in use. */
static void memory(unsigned long more)
{
    struct rlimit limit;
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    MUST(statm != NULL && fscanf(statm, "%lu", &pages) == 1);
    fclose(statm);
    MUST(getrlimit(RLIMIT_AS, &limit) == 0);
    limit.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + more;
    MUST(setrlimit(RLIMIT_AS, &limit) == 0);
}

#define LARGE ((size_t)64 << 20)
#define SMALL ((size_t)24 << 20)

static void answer_large(struct raw *raw, int fd, int index)
{
    static char piece[1 << 16];
    char head[160];
    size_t i;
    (void)raw, (void)index;
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nOData-Version: 4.0\r\nConnection: close\r\n"
                                "Content-Type: application/json\r\nContent-Length: %lu\r\n\r\n", (unsigned long)LARGE);
    raw_say(fd, head, strlen(head));
    for (i = 0; i < LARGE; i += sizeof piece)
        raw_say(fd, piece, sizeof piece);
}

static void no_memory_for_what_is_large(void)
{
    d365_client_t *client;
    d365_request_t *request = local_request("POST", ACCOUNTS), *get = local_request("GET", ACCOUNTS);
    d365_request_t *streamed = local_request("GET", ACCOUNTS);
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    uint8_t *data = calloc(LARGE, 1), *piece = malloc(1 << 16);
    size_t len, total = 0;
    struct raw raw;
    MUST(data != NULL && piece != NULL);
    raw_start(&raw, answer_large);
    client = local_client(raw.port, NULL, NULL);
    OK(d365_request_set_streaming(streamed, 1, NULL));
    memory(SMALL);
    check_lacks(d365_request_set_body(request, data, LARGE, &error), &error, "memory");
    check_call_lacks(d365_client_send(client, get, &response, &error), &error, "memory");
    /* In pieces it is had. */
    OK(d365_client_send(client, streamed, &response, NULL));
    do {
        MUST(d365_response_read(response, piece, 1 << 16, &len, NULL) == D365_OK);
        total += len;
    } while (len > 0);
    CHECK(total == LARGE);
    OK(d365_response_free(response));
    memory(4 * LARGE);
    OK(d365_request_set_body(request, data, LARGE, NULL));
    OK(d365_request_free(request));
    OK(d365_client_send(client, get, &response, NULL));
    OK(d365_response_free(response));
    OK(d365_request_free(get));
    OK(d365_request_free(streamed));
    OK(d365_client_free(client));
    raw_stop(&raw);
    free(data);
    free(piece);
}

/* What is small is not refused: the process ends, as the header says. */
static void no_memory_at_all(void)
{
    d365_settings_t *settings = NULL;
    memory(0);
    for (;;)
        MUST(d365_settings_new("https://contoso.crm.dynamics.com", D365_NTS, &settings, NULL) == D365_OK);
}

struct small {
    d365_client_t *client;
    d365_request_t *request;
    d365_status_t status;
    d365_error_t *error;
};

static void *sends(void *pointer)
{
    struct small *small = pointer;
    d365_response_t *response = NULL;
    small->error = NULL;
    small->status = d365_client_send(small->client, small->request, &response, &small->error);
    d365_response_free(response);
    return NULL;
}

static void *submits(void *pointer)
{
    struct small *small = pointer;
    small->status = d365_client_submit(small->client, small->request, NULL, NULL, NULL);
    return NULL;
}

/* With TLS, whose certificates are read. */
static void *opens(void *pointer)
{
    struct small *small = pointer;
    d365_settings_t *settings = NULL;
    d365_client_t *client = NULL;
    d365_settings_new("https://contoso.crm.twin.test", D365_NTS, &settings, NULL);
    d365_settings_set(settings, "tls_verify", D365_NTS, "off", D365_NTS, NULL);
    small->status = d365_client_open(settings, &client, NULL);
    d365_client_shutdown(client, 0, NULL);
    d365_client_free(client);
    d365_settings_free(settings);
    return NULL;
}

static void on_stack(size_t size, void *(*body)(void *), struct small *small)
{
    const size_t least = (size_t)sysconf(_SC_THREAD_STACK_MIN); /* 128 kB on some processors */
    pthread_attr_t how;
    pthread_t thread;
    if (size < least)
        size = least;
    MUST(pthread_attr_init(&how) == 0 && pthread_attr_setstacksize(&how, size) == 0);
    MUST(pthread_create(&thread, &how, body, small) == 0 && pthread_join(thread, NULL) == 0);
    MUST(pthread_attr_destroy(&how) == 0);
}

/* A thread whose stack is too small is told so, and is not ended in the middle of a call. */
static void no_stack(void)
{
#ifdef __GLIBC__
    const size_t nearly = 192 << 10;
#else
    const size_t nearly = 184 << 10; /* musl gives a thread what is over of the pages that its own data take */
#endif
    const size_t too_small[] = {16 << 10, 64 << 10, 128 << 10, nearly};
    d365_queue_t *queue = NULL;
    d365_error_t *error = NULL;
    struct small small;
    struct raw raw;
    size_t i;
    raw_start(&raw, answer);
    OK(d365_queue_new(0, &queue, NULL));
    small.client = local_client(raw.port, queue, NULL);
    small.request = local_request("POST", ACCOUNTS);
    OK(d365_request_set_body_reader(small.request, no_body, rewound, -1, NULL, NULL, NULL));
    for (i = 0; i < sizeof too_small / sizeof *too_small; i++) {
        on_stack(too_small[i], sends, &small);
        check_lacks(small.status, &small.error, "stack");
    }
    on_stack(32 << 10, submits, &small);
    OK(small.status);
    OK(taken(queue, &error));
    on_stack(32 << 10, opens, &small);
    OK(small.status);
    on_stack(256 << 10, sends, &small);
    OK(small.status);
    CHECK(raw.requests == 2);
    OK(d365_request_free(small.request));
    OK(d365_client_free(small.client));
    OK(d365_queue_free(queue));
    raw_stop(&raw);
}

int main(int argc, char **argv)
{
    static const struct child children[] = {
        {"no_threads", no_threads, 0},
        {"no_descriptors", no_descriptors, 0},
        {"no_stack", no_stack, 0},
        {"no_memory_for_what_is_large", no_memory_for_what_is_large, 0},
        {"no_memory_at_all", no_memory_at_all, SIGABRT},
    };
    return run_children(argc, argv, children, sizeof children / sizeof *children);
}
