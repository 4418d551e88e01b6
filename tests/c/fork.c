/* A child of fork(): the parent's handles say so, its own objects work, nothing hangs. */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "local.h"

static int refusing, silent; /* ports */

static void ignore_item(void *user_data, d365_item_t *item)
{
    (void)user_data;
    d365_item_free(item);
}

static void expect_child(pid_t child)
{
    int status = -1;
    MUST(child > 0);
    MUST(waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status))
        printf("     the child was ended by signal %d\n", WTERMSIG(status));
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

long syscall(long number, ...); /* which POSIX does not have */

static int by_system_call; /* which runs no handlers of pthread_atfork() */

static pid_t fork_guarded(void)
{
    pid_t child;
    fflush(stdout);
    child = by_system_call ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
    if (child == 0) {
        checks_failed = 0;
        alarm(30); /* a hang is a failure */
    }
    return child;
}

static void own_objects_work(void)
{
    d365_queue_t *queue = NULL;
    d365_client_t *client;
    d365_request_t *request = local_request("GET", "/");
    d365_response_t *response = NULL;
    OK(d365_queue_new(0, &queue, NULL));
    OK(d365_queue_run(queue, ignore_item, NULL, NULL, NULL));
    client = local_client(refusing, queue, NULL);
    STATUS(D365_ENDPOINT_NOT_FOUND, d365_client_send(client, request, &response, NULL));
    OK(d365_client_submit(client, request, NULL, NULL, NULL));
    OK(d365_client_shutdown(client, 20000, NULL));
    OK(d365_client_free(client));
    OK(d365_queue_close(queue, 20000, NULL));
    OK(d365_queue_free(queue));
    OK(d365_request_free(request));
}

/* Until the threads of own objects have ended, too: before 1.2.5 musl's list of threads stays locked for ever in a child
 * whose first thread ends before its others do. */
static void last_thread(void)
{
    int threads;
    do {
        DIR *tasks = opendir("/proc/self/task");
        MUST(tasks != NULL);
        for (threads = 0; readdir(tasks) != NULL;)
            threads++;
        closedir(tasks);
        sched_yield();
    } while (threads > 3); /* . and .. and this one */
}

static void the_parents_handles(void)
{
    d365_queue_t *queue = NULL;
    d365_client_t *client, *busy;
    d365_request_t *request = local_request("GET", "/");
    d365_response_t *response = NULL;
    d365_pending_t *pending = NULL;
    d365_settings_t *settings = NULL;
    d365_error_t *error = NULL, *old = NULL;
    d365_item_t *item = NULL;
    d365_ledger_t *ledger = NULL;
    d365_str_t view = {"", 0};
    int64_t evicted = 0;
    d365_text_t *text = NULL;
    size_t count = 99;
    pid_t child;

    OK(d365_queue_new(0, &queue, NULL));
    OK(d365_queue_run(queue, ignore_item, NULL, NULL, NULL));
    client = local_client(refusing, queue, NULL);
    busy = local_client(silent, queue, NULL);
    OK(d365_client_submit(busy, request, NULL, &pending, NULL)); /* in flight while it forks */
    STATUS(D365_ENDPOINT_NOT_FOUND, d365_client_send(client, request, &response, &old));
    OK(d365_settings_new("https://contoso.crm.dynamics.com", D365_NTS, &settings, NULL));
    OK(d365_client_ledger(client, D365_LEDGER_ALL, &ledger, NULL));

    child = fork_guarded();
    if (child == 0) {
        STATUS(D365_FORKED, d365_client_send(client, request, &response, &error));
        OK(d365_error_message(error, &view)); /* the error is the child's own */
        CHECK(view.len > 0);
        OK(d365_error_free(error));
        STATUS(D365_FORKED, d365_error_message(old, &view));
        STATUS(D365_FORKED, d365_client_primary_url(client, &view, NULL));
        STATUS(D365_FORKED, d365_client_submit(busy, request, NULL, NULL, NULL));
        STATUS(D365_FORKED, d365_client_shutdown(busy, 1000, NULL));
        STATUS(D365_FORKED, d365_client_ledger(client, D365_LEDGER_ALL, &ledger, NULL));
        STATUS(D365_FORKED, d365_client_ledger_evicted(client, &evicted, NULL));
        STATUS(D365_FORKED, d365_client_statistics(client, &text, NULL));
        STATUS(D365_FORKED, d365_client_resolve(client, 1, D365_RESOLUTION_LOST, NULL));
        STATUS(D365_FORKED, d365_ledger_count(ledger, &count));
        STATUS(D365_FORKED, d365_ledger_free(ledger));
        STATUS(D365_FORKED, d365_client_open(settings, &client, NULL));
        STATUS(D365_FORKED, d365_pending_cancel(pending, NULL));
        STATUS(D365_FORKED, d365_queue_next(queue, -1, &item, NULL));
        STATUS(D365_FORKED, d365_queue_close(queue, 1000, NULL));
        STATUS(D365_FORKED, d365_pending_free(pending));
        STATUS(D365_FORKED, d365_error_free(old));
        STATUS(D365_FORKED, d365_request_free(request));
        STATUS(D365_FORKED, d365_settings_free(settings));
        STATUS(D365_FORKED, d365_client_free(client));
        STATUS(D365_FORKED, d365_client_free(busy));
        STATUS(D365_FORKED, d365_queue_free(queue));
        own_objects_work();
        /* And the grandchild's grandparent's handles are as foreign. */
        child = fork_guarded();
        if (child == 0) {
            STATUS(D365_FORKED, d365_client_free(busy));
            own_objects_work();
            exit(checks_failed != 0); /* with the handlers of exit(), which must not hang either */
        }
        expect_child(child);
        exit(checks_failed != 0);
    }
    expect_child(child);

    /* The parent goes on as if nothing had been. */
    STATUS(D365_ENDPOINT_NOT_FOUND, d365_client_send(client, request, &response, NULL));
    OK(d365_error_message(old, &view));
    OK(d365_error_free(old));
    OK(d365_ledger_count(ledger, &count));
    CHECK(count == 0);
    OK(d365_ledger_free(ledger));
    OK(d365_pending_cancel(pending, NULL));
    OK(d365_pending_free(pending));
    OK(d365_settings_free(settings));
    OK(d365_request_free(request));
    OK(d365_client_free(client));
    OK(d365_client_shutdown(busy, 20000, NULL));
    OK(d365_client_free(busy));
    OK(d365_queue_close(queue, 20000, NULL));
    OK(d365_queue_free(queue));
}

/* Whether anything of the one call has left: a busy machine takes longer for it than a check waits. */
static int has_sent(d365_client_t *client)
{
    static const char mark[] = "\"bytes_sent\":";
    d365_text_t *text = NULL;
    d365_str_t view = {"", 0};
    const char *at;
    int sent = 0;
    OK(d365_client_statistics(client, &text, NULL));
    OK(d365_text_view(text, &view));
    for (at = view.data; (at = strstr(at, mark)) != NULL;) {
        at += sizeof mark - 1;
        sent |= strtol(at, NULL, 10) > 0;
    }
    OK(d365_text_free(text));
    return sent;
}

/* fork() in the check of a call: the call stays the parent's. */
static pid_t forked_in_check;

static int32_t fork_in_check(void *user_data)
{
    if (forked_in_check != 0)
        return has_sent(user_data); /* then the parent cancels */
    forked_in_check = fork_guarded();
    return 0;
}

static void inside_a_check(void)
{
    d365_client_t *client = local_client(silent, NULL, NULL);
    d365_request_t *request = local_request("POST", "/");
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    d365_status_t status;
    int32_t effect = -1;
    OK(d365_request_set_check(request, fork_in_check, client, NULL));
    status = d365_client_send(client, request, &response, &error);
    if (forked_in_check == 0) {
        STATUS(D365_FORKED, status);
        OK(d365_error_effect(error, &effect));
        CHECK(effect == D365_EFFECT_NONE); /* which the parent is told */
        OK(d365_error_free(error));
        own_objects_work();
        exit(checks_failed != 0);
    }
    expect_child(forked_in_check);
    STATUS(D365_WRITE_IN_DOUBT, status);
    OK(d365_error_effect(error, &effect));
    CHECK(effect == D365_EFFECT_UNKNOWN);
    OK(d365_error_free(error));
    OK(d365_request_free(request));
    OK(d365_client_free(client));
}

static volatile sig_atomic_t is_over;

static void *make_and_free(void *unused)
{
    d365_text_t *text = NULL;
    (void)unused;
    while (!is_over) {
        MUST(d365_url_alternate("https://contoso.crm.dynamics.com", D365_NTS, &text, NULL) == D365_OK);
        MUST(d365_text_free(text) == D365_OK);
    }
    return NULL;
}

/* Whatever locks other threads hold at the moment of the fork. */
static void under_load(void)
{
    pthread_t threads[3];
    d365_text_t *text = NULL;
    int i;
    for (i = 0; i < 3; i++)
        MUST(pthread_create(&threads[i], NULL, make_and_free, NULL) == 0);
    for (i = 0; i < 50; i++) {
        pid_t child = fork_guarded();
        if (child == 0) {
            is_over = d365_url_alternate("https://contoso.crm.dynamics.com", D365_NTS, &text, NULL) != D365_OK
                      || d365_text_free(text) != D365_OK;
            _exit(is_over);
        }
        expect_child(child);
    }
    is_over = 1;
    for (i = 0; i < 3; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
}

/* fork() in a callback: the child is the library's thread, with nothing left to do for the library. */
static int from_callback[2];

static void fork_inside(void *user_data, d365_item_t *item)
{
    pid_t child = fork_guarded();
    (void)user_data;
    if (child == 0) {
        STATUS(D365_FORKED, d365_item_free(item));
        own_objects_work();
        if (checks_failed)
            _exit(1);
        last_thread();
        return; /* its last thread ends, and with it the process, with status 0 */
    }
    MUST(d365_item_free(item) == D365_OK);
    MUST(write(from_callback[1], &child, sizeof child) == (ssize_t)sizeof child);
}

static int destroyed;

static void count_destroyed(void *user_data)
{
    ++*(int *)user_data;
}

static void inside_a_callback(void)
{
    d365_queue_t *queue = NULL;
    d365_client_t *client;
    d365_request_t *request = local_request("GET", "/");
    pid_t child = 0;
    MUST(pipe(from_callback) == 0);
    OK(d365_queue_new(0, &queue, NULL));
    OK(d365_queue_run(queue, fork_inside, &destroyed, count_destroyed, NULL));
    client = local_client(refusing, queue, NULL);
    OK(d365_client_submit(client, request, NULL, NULL, NULL));
    MUST(read(from_callback[0], &child, sizeof child) == (ssize_t)sizeof child);
    expect_child(child);
    OK(d365_client_free(client));
    OK(d365_queue_close(queue, 20000, NULL));
    CHECK(destroyed == 1);
    OK(d365_queue_free(queue));
    OK(d365_request_free(request));
}

/* fork() in a read of a body, on the thread that sends: the call stays the parent's. */
static pid_t forked_in_read;

static int64_t fork_in_read(void *user_data, uint8_t *buffer, size_t capacity)
{
    (void)user_data;
    if (forked_in_read != 0 || capacity == 0)
        return 0;
    forked_in_read = fork_guarded();
    buffer[0] = 'x';
    return 1;
}

static int32_t end_when_sent(void *client)
{
    return forked_in_read > 0 && has_sent(client);
}

static void inside_a_read(void)
{
    d365_client_t *client = local_client(silent, NULL, NULL);
    d365_request_t *request = local_request("POST", "/");
    d365_response_t *response = NULL;
    d365_status_t status;
    int gone = 0;
    OK(d365_request_set_body_reader(request, fork_in_read, NULL, -1, &gone, count_destroyed, NULL));
    OK(d365_request_set_check(request, end_when_sent, client, NULL));
    status = d365_client_send(client, request, &response, NULL);
    if (forked_in_read == 0) {
        STATUS(D365_FORKED, status);
        STATUS(D365_FORKED, d365_request_free(request));
        CHECK(gone == 0); /* it is the parent's to destroy */
        own_objects_work();
        exit(checks_failed != 0);
    }
    expect_child(forked_in_read);
    STATUS(D365_WRITE_IN_DOUBT, status);
    OK(d365_request_free(request));
    CHECK(gone == 1);
    OK(d365_client_free(client));
}

/* fork() in the prepare function of a submitted call, on its own thread: the completion is the parent's. */
static int32_t fork_in_prepare(void *user_data, d365_outgoing_t *outgoing)
{
    pid_t child = fork_guarded();
    d365_str_t url;
    (void)user_data;
    if (child == 0) {
        STATUS(D365_FORKED, d365_outgoing_url(outgoing, &url));
        own_objects_work();
        if (checks_failed)
            _exit(1);
        last_thread();
        return 0; /* its last thread ends, and with it the process, with status 0 */
    }
    OK(d365_outgoing_url(outgoing, &url));
    MUST(write(from_callback[1], &child, sizeof child) == (ssize_t)sizeof child);
    return 0;
}

static void inside_a_prepare(void)
{
    d365_settings_t *settings = NULL;
    d365_queue_t *queue = NULL;
    d365_client_t *client = NULL;
    d365_request_t *request = local_request("GET", "/");
    d365_response_t *response = NULL;
    d365_item_t *item = NULL;
    pid_t child = 0;
    char connect_to[128];
    snprintf(connect_to, sizeof connect_to, "contoso.crm.twin.test:80:127.0.0.1:%d", refusing);
    OK(d365_queue_new(0, &queue, NULL));
    OK(d365_settings_new("http://contoso.crm.twin.test", D365_NTS, &settings, NULL));
    OK(d365_settings_set(settings, "connect_to", D365_NTS, connect_to, D365_NTS, NULL));
    OK(d365_settings_set(settings, "preset", D365_NTS, "dotnet", D365_NTS, NULL));
    OK(d365_settings_set(settings, "auto_switch", D365_NTS, "off", D365_NTS, NULL));
    OK(d365_settings_set_queue(settings, queue, NULL, NULL));
    OK(d365_settings_set_prepare(settings, fork_in_prepare, NULL, NULL, NULL));
    OK(d365_client_open(settings, &client, NULL));
    OK(d365_settings_free(settings));
    OK(d365_client_submit(client, request, NULL, NULL, NULL));
    MUST(read(from_callback[0], &child, sizeof child) == (ssize_t)sizeof child);
    expect_child(child);
    MUST(d365_queue_next(queue, 60000, &item, NULL) == D365_OK);
    STATUS(D365_ENDPOINT_NOT_FOUND, d365_item_result(item, &response, NULL));
    OK(d365_item_free(item));
    OK(d365_request_free(request));
    OK(d365_client_free(client));
    OK(d365_queue_free(queue));
}

int main(void)
{
    alarm(180);
    refusing = local_port(0);
    silent = local_port(1);
    the_parents_handles();
    under_load();
    inside_a_callback();
    inside_a_check();
    inside_a_read();
    inside_a_prepare();
    /* Again where nobody but the kernel tells. Not the rest: the C library's own state is not a child's then. Of musl's
     * not even this much: what locks are held, also while a thread ends, stay so in a child that it knows nothing of. */
#ifdef __GLIBC__
    by_system_call = 1;
    forked_in_check = forked_in_read = 0;
    the_parents_handles();
    inside_a_check();
    inside_a_read();
#endif
    FINISH();
}
