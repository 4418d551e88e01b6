/* Signals, cancelled threads, and callbacks that do not return: what is the application's in its process stays its own. */
#define _GNU_SOURCE
#include <dirent.h>
#include <netdb.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "children.h"
#include "raw.h"
#include "threads.h"

#define ACCOUNTS "/api/data/v9.2/accounts"
#define LONGEST 30000 /* ms */

/* A thread of the library's is held in each of these until it is set. */
static int is_released;
static int in_resolver, in_token, in_body, in_event;

static void hold(int *is_inside)
{
    set(is_inside, 1);
    wait_until(&is_released, 1);
}

/* In the place of the C library's: the system's resolver never answers. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    (void)node, (void)service, (void)hints, (void)found;
    hold(&in_resolver);
    return EAI_FAIL;
}

static void no_token(void *user_data, d365_token_request_t *request)
{
    (void)user_data;
    hold(&in_token);
    d365_token_request_free(request);
}

static int64_t no_body(void *user_data, uint8_t *buffer, size_t capacity)
{
    (void)user_data, (void)buffer, (void)capacity;
    hold(&in_body);
    return -1;
}

static void hold_item(void *user_data, d365_item_t *item)
{
    (void)user_data;
    hold(&in_event);
    d365_item_free(item);
}

struct busy {
    d365_queue_t *queue;
    d365_client_t *client, *with_token, *with_name;
    d365_request_t *get, *post;
};

/* A client each whose call is in the token provider, in the resolver, and in the reader of a body; and a queue in its
 * callback. */
static void begin(struct busy *busy)
{
    d365_settings_t *settings = NULL;
    d365_client_t *closed;
    OK(d365_queue_new(0, &busy->queue, NULL));
    OK(d365_queue_run(busy->queue, hold_item, NULL, NULL, NULL));
    busy->get = local_request("GET", ACCOUNTS);
    busy->post = local_request("POST", ACCOUNTS);
    OK(d365_request_set_body_reader(busy->post, no_body, NULL, -1, NULL, NULL, NULL));
    busy->client = local_client(local_port(1), busy->queue, NULL);
    OK(d365_client_submit(busy->client, busy->post, NULL, NULL, NULL));

    OK(d365_settings_new("http://name.twin.test", D365_NTS, &settings, NULL));
    OK(d365_settings_set(settings, "preset", D365_NTS, "dotnet", D365_NTS, NULL)); /* no waiting for the other side */
    OK(d365_settings_set_queue(settings, busy->queue, NULL, NULL));
    OK(d365_client_open(settings, &busy->with_name, NULL));
    OK(d365_client_submit(busy->with_name, busy->get, NULL, NULL, NULL));
    OK(d365_settings_set_token_provider(settings, no_token, NULL, NULL, NULL));
    OK(d365_client_open(settings, &busy->with_token, NULL));
    OK(d365_client_submit(busy->with_token, busy->get, NULL, NULL, NULL));
    OK(d365_settings_free(settings));

    closed = local_client(local_port(0), busy->queue, NULL);
    OK(d365_client_submit(closed, busy->get, NULL, NULL, NULL));
    wait_until(&in_resolver, 1);
    wait_until(&in_token, 1);
    wait_until(&in_body, 1);
    wait_until(&in_event, 1);
    OK(d365_client_free(closed));
}

static void end(struct busy *busy)
{
    set(&is_released, 1);
    OK(d365_client_shutdown(busy->client, LONGEST, NULL));
    OK(d365_client_shutdown(busy->with_name, LONGEST, NULL));
    OK(d365_client_shutdown(busy->with_token, LONGEST, NULL));
    OK(d365_client_free(busy->client));
    OK(d365_client_free(busy->with_name));
    OK(d365_client_free(busy->with_token));
    OK(d365_request_free(busy->get));
    OK(d365_request_free(busy->post));
    OK(d365_queue_close(busy->queue, LONGEST, NULL));
    OK(d365_queue_free(busy->queue));
}

/* Has what /proc says of a thread begin with a word? */
static int word(const char *task, const char *file, const char *format, void *value)
{
    char path[300], line[256];
    int found = 0;
    FILE *lines;
    snprintf(path, sizeof path, "/proc/self/task/%s/%s", task, file);
    lines = fopen(path, "r");
    while (lines != NULL && !found && fgets(line, sizeof line, lines) != NULL)
        found = sscanf(line, format, value) == 1;
    if (lines != NULL)
        fclose(lines);
    return found;
}

static void every_thread_blocks_every_signal(void)
{
    static const int open[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, SIGKILL, SIGSTOP, 32, 33,
#ifndef __GLIBC__
                               34, /* musl's third of its own */
#endif
    };
    unsigned long wanted = ~0ul, blocked;
    struct busy busy;
    struct dirent *task;
    DIR *tasks;
    char name[32];
    int threads = 0, looks, is_there;
    size_t i;
    begin(&busy);
    for (i = 0; i < sizeof open / sizeof *open; i++)
        wanted &= ~(1ul << (open[i] - 1));
    tasks = opendir("/proc/self/task");
    MUST(tasks != NULL);
    while ((task = readdir(tasks)) != NULL)
        if (word(task->d_name, "comm", "d365%31s", name)) {
            /* The C library blocks all in a thread that leaves, such as those of the client that is freed above. */
            for (looks = 0; (is_there = word(task->d_name, "status", "SigBlk: %lx", &blocked)) && blocked != wanted
                            && looks < LONGEST;
                 looks++)
                poll(NULL, 0, 1);
            printf("     d365%s blocks %lx\n", name, is_there ? blocked : 0);
            CHECK(!is_there || blocked == wanted);
            threads += is_there;
        }
    closedir(tasks);
    CHECK(threads >= 6); /* queue, 2 or 3 runtimes, body, token, resolver */
    end(&busy);
}

/* The application blocks a signal in its own threads and waits for it. */
static void a_signal_for_signalfd(void)
{
    static const int sent[] = {SIGTERM, SIGHUP, SIGUSR1, SIGCHLD};
    struct signalfd_siginfo info;
    struct pollfd ready;
    struct busy busy;
    sigset_t mask;
    size_t i;
    begin(&busy);
    sigemptyset(&mask);
    for (i = 0; i < sizeof sent / sizeof *sent; i++)
        sigaddset(&mask, sent[i]);
    MUST(pthread_sigmask(SIG_BLOCK, &mask, NULL) == 0);
    ready.fd = signalfd(-1, &mask, SFD_CLOEXEC);
    ready.events = POLLIN;
    MUST(ready.fd >= 0);
    for (i = 0; i < sizeof sent / sizeof *sent; i++) {
        MUST(kill(getpid(), sent[i]) == 0);
        MUST(poll(&ready, 1, LONGEST) == 1);
        MUST(read(ready.fd, &info, sizeof info) == (ssize_t)sizeof info);
        CHECK((int)info.ssi_signo == sent[i]);
    }
    end(&busy);
}

static int signals;
static pthread_t sender;

static void on_signal(int number)
{
    (void)number;
    __atomic_add_fetch(&signals, 1, __ATOMIC_SEQ_CST);
}

/* Interrupts the thread that sends until it was so often. */
static void interrupt(int more)
{
    int before = __atomic_load_n(&signals, __ATOMIC_SEQ_CST), i;
    for (i = 0; i < more; i++) {
        MUST(pthread_kill(sender, SIGUSR1) == 0);
        while (__atomic_load_n(&signals, __ATOMIC_SEQ_CST) == before + i)
            sched_yield();
    }
}

static void answer_among_signals(struct raw *raw, int fd, int index)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nOData-Version: 4.0\r\nConnection: close\r\nContent-Length: 8\r\n\r\n";
    int i;
    (void)index;
    interrupt(50);
    MUST(raw_read_body(raw, fd));
    raw_say(fd, head, sizeof head - 1);
    for (i = 0; i < 8; i++) {
        interrupt(20);
        raw_say(fd, "{ }     " + i, 1);
    }
}

static void *interrupt_waiting(void *nothing)
{
    interrupt(50);
    return nothing;
}

/* A handler without SA_RESTART: system calls of the sending thread end with EINTR. */
static void signals_during_calls(void)
{
    struct raw raw;
    struct sigaction action;
    pthread_t thread;
    d365_client_t *client;
    d365_queue_t *queue = NULL;
    d365_item_t *item = NULL;
    d365_request_t *request = local_request("POST", ACCOUNTS);
    d365_response_t *response = NULL;
    const uint8_t *body = NULL;
    size_t len = 0;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sender = pthread_self();
    MUST(sigaction(SIGUSR1, &action, NULL) == 0);
    raw_start(&raw, answer_among_signals);
    client = local_client(raw.port, NULL, NULL);
    OK(d365_request_set_body(request, (const uint8_t *)"{}", 2, NULL));
    OK(d365_client_send(client, request, &response, NULL));
    OK(d365_response_body(response, &body, &len));
    CHECK(len == 8);
    OK(d365_response_free(response));
    CHECK(raw.requests == 1);
    OK(d365_request_free(request));
    OK(d365_client_free(client));
    raw_stop(&raw);

    OK(d365_queue_new(0, &queue, NULL));
    MUST(pthread_create(&thread, NULL, interrupt_waiting, NULL) == 0);
    STATUS(D365_EMPTY, d365_queue_next(queue, 300, &item, NULL));
    MUST(pthread_join(thread, NULL) == 0);
    CHECK(signals >= 50 + 8 * 20 + 50);
    OK(d365_queue_free(queue));
}

static int hangs_up; /* a listening socket */
static int comes_late;

/* In the place of the C library's: nothing is sent before the other side has hung up. */
static void be_late(int fd)
{
    struct pollfd hung_up;
    hung_up.fd = fd;
    hung_up.events = 0; /* a reset is told in any case */
    if (comes_late)
        MUST(poll(&hung_up, 1, LONGEST) == 1);
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    be_late(fd);
    return syscall(SYS_writev, fd, pieces, count);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    be_late(fd);
    return syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
    be_late(fd);
    return syscall(SYS_sendto, fd, data, len, flags, NULL, 0);
}

/* An end, and a reset after it: what is written then is EPIPE. */
static void *hang_up(void *nothing)
{
    static const struct linger at_once = {1, 0};
    int fd;
    while ((fd = accept(hangs_up, NULL, NULL)) >= 0) {
        shutdown(fd, SHUT_WR);
        MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
        close(fd);
    }
    return nothing;
}

/* Whoever is talked to hangs up at once: a server, a server by TLS, a proxy that is asked for a way to one. Whether the
 * library sees that before it writes is chance: often. SIGPIPE would end the process. */
static void no_sigpipe(void)
{
    static const struct {
        const char *url, *port;
        int is_proxied;
    } table[] = {
        {"http://contoso.crm.twin.test", "80", 0},
        {"https://contoso.crm.twin.test", "443", 0},
        {"http://contoso.crm.twin.test", "80", 1},
        {"https://contoso.crm.twin.test", "443", 1},
    };
    const int often = 100;
    d365_request_t *get = local_request("GET", ACCOUNTS);
    char proxy[64], connect_to[128];
    pthread_t thread;
    size_t i;
    int port, k;
    hangs_up = local_socket(1, &port);
    MUST(pthread_create(&thread, NULL, hang_up, NULL) == 0);
    comes_late = 1;
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", port);
    for (i = 0; i < sizeof table / sizeof *table; i++) {
        d365_settings_t *settings = NULL;
        d365_client_t *client = NULL;
        d365_response_t *response = NULL;
        d365_status_t status = D365_OK;
        OK(d365_settings_new(table[i].url, D365_NTS, &settings, NULL));
        OK(d365_settings_set(settings, "tls_verify", D365_NTS, "off", D365_NTS, NULL));
        OK(d365_settings_set(settings, "preset", D365_NTS, "dotnet", D365_NTS, NULL));
        OK(d365_settings_set(settings, "auto_switch", D365_NTS, "off", D365_NTS, NULL));
        OK(d365_settings_set(settings, "max_attempts", D365_NTS, "1", D365_NTS, NULL));
        snprintf(connect_to, sizeof connect_to, "contoso.crm.twin.test:%s:127.0.0.1:%d",
                 table[i].port, port);
        if (table[i].is_proxied)
            OK(d365_settings_set(settings, "proxy", D365_NTS, proxy, D365_NTS, NULL));
        else
            OK(d365_settings_set(settings, "connect_to", D365_NTS, connect_to, D365_NTS, NULL));
        OK(d365_client_open(settings, &client, NULL));
        for (k = 0; k < often; k++) {
            status = d365_client_send(client, get, &response, NULL);
            /* It is the other side's doing, and not this machine's; of a proxy it says nothing of the endpoint. */
            MUST(status == D365_CONNECTION_LOST || (table[i].is_proxied && status == D365_LOCAL));
        }
        printf("     %s%s: %s\n", table[i].url, table[i].is_proxied ? " by a proxy" : "", d365_status_name(status));
        OK(d365_client_free(client));
        OK(d365_settings_free(settings));
    }
    OK(d365_request_free(get));
    shutdown(hangs_up, SHUT_RDWR);
    MUST(pthread_join(thread, NULL) == 0);
}

/* What a thread waits in that is cancelled. It prints nothing: that could be where it ends. */
static d365_client_t *client;
static d365_queue_t *queue;
static d365_request_t *request;
static d365_settings_t *settings;
static int is_inside, returned;

static int32_t note_inside(void *user_data)
{
    (void)user_data;
    set(&is_inside, 1);
    return 0;
}

static d365_status_t sends(void)
{
    d365_response_t *response = NULL;
    return d365_client_send(client, request, &response, NULL);
}

static d365_status_t takes(void)
{
    d365_item_t *item = NULL;
    set(&is_inside, 1);
    return d365_queue_next(queue, 300, &item, NULL);
}

/* It is cancelled before it calls: descriptors are opened and closed, and a file is read. */
static d365_status_t opens(void)
{
    d365_client_t *other = NULL;
    pthread_cancel(pthread_self());
    set(&is_inside, 1);
    return d365_client_open(settings, &other, NULL);
}

static d365_status_t closes(void)
{
    if (d365_client_submit(client, request, NULL, NULL, NULL) != D365_OK)
        return D365_INTERNAL;
    set(&is_inside, 1);
    return d365_client_shutdown(client, 300, NULL);
}

static void *calls(void *call)
{
    set(&returned, (*(d365_status_t(**)(void))call)());
    pthread_testcancel();
    return NULL;
}

static void cancelled_threads(void)
{
    static const struct {
        d365_status_t (*call)(void);
        d365_status_t gives;
    } table[] = {
        {sends, D365_TIMEOUT},
        {takes, D365_EMPTY},
        {opens, D365_INVALID_SETTING},
        {closes, D365_OK}, /* the call in flight is ended */
    };
    pthread_t thread;
    void *result;
    size_t i;
    OK(d365_queue_new(0, &queue, NULL));
    client = local_client(local_port(1), queue, NULL);
    request = local_request("GET", ACCOUNTS);
    OK(d365_request_set_check(request, note_inside, NULL, NULL));
    OK(d365_request_set_timeout_ms(request, 1000, NULL));
    OK(d365_settings_new("https://contoso.crm.dynamics.com", D365_NTS, &settings, NULL));
    OK(d365_settings_set(settings, "ca_bundle", D365_NTS, "/proc/self/status", D365_NTS, NULL));
    for (i = 0; i < sizeof table / sizeof *table; i++) {
        is_inside = 0;
        returned = -1;
        MUST(pthread_create(&thread, NULL, calls, (void *)&table[i].call) == 0);
        wait_until(&is_inside, 1);
        pthread_cancel(thread);
        MUST(pthread_join(thread, &result) == 0);
        CHECK(result == PTHREAD_CANCELED);
        STATUS(table[i].gives, returned);
    }
    /* Nothing is held by the threads that are gone. */
    OK(d365_client_shutdown(client, LONGEST, NULL));
    OK(d365_client_free(client));
    OK(d365_settings_free(settings));
    OK(d365_request_free(request));
    OK(d365_queue_close(queue, LONGEST, NULL));
    OK(d365_queue_free(queue));
}

static int32_t cancel_call(void *user_data)
{
    (void)user_data;
    return 1;
}

static void *ends_after_the_call(void *nothing)
{
    d365_response_t *response = NULL;
    request = local_request("GET", ACCOUNTS);
    OK(d365_request_set_check(request, cancel_call, NULL, NULL));
    STATUS(D365_CANCELLED, d365_client_send(client, request, &response, NULL));
    OK(d365_request_free(request));
    pthread_exit(nothing);
}

/* How the header says that a thread is ended in a callback: it ends the call, and the thread after it. */
static void a_thread_that_ends_after_its_call(void)
{
    pthread_t thread;
    client = local_client(local_port(1), NULL, NULL);
    MUST(pthread_create(&thread, NULL, ends_after_the_call, NULL) == 0);
    MUST(pthread_join(thread, NULL) == 0);
    OK(d365_client_shutdown(client, LONGEST, NULL));
    OK(d365_client_free(client));
}

/* Where the thread's own data is gone, and the library's with it. */
static pthread_key_t of_threads;
static d365_queue_t *of_the_end;

static void refuse_token(void *user_data, d365_token_request_t *asked)
{
    (void)user_data;
    OK(d365_token_request_fail(asked, "there is none", D365_NTS, NULL));
    OK(d365_token_request_free(asked));
}

static void call_at_the_end(void *of)
{
    static __thread int round;
    d365_client_t *ending = of, *other = NULL;
    d365_settings_t *settings;
    d365_request_t *write, *read;
    d365_response_t *response = NULL;
    d365_ledger_t *ledger = NULL;
    d365_error_t *error = NULL;
    d365_item_t *item = NULL;
    d365_str_t message = {"", 0};
    int32_t effect = -1;
    size_t count = 99;
    /* The library's own destructors have run by then, whatever the order. */
    if (++round < 3) {
        MUST(pthread_setspecific(of_threads, of) == 0);
        return;
    }
    settings = local_settings(local_port(0));
    write = local_request("POST", ACCOUNTS);
    read = local_request("GET", ACCOUNTS);
    STATUS(D365_NO_RESOURCES, d365_client_send(ending, read, &response, NULL));
    STATUS(D365_NO_RESOURCES, d365_client_send(ending, write, &response, &error));
    OK(d365_error_effect(error, &effect));
    CHECK(effect == D365_EFFECT_NOT_EXECUTED);
    OK(d365_error_message(error, &message));
    CHECK(strstr(message.data, "this thread is at its end") != NULL);
    OK(d365_error_free(error));
    STATUS(D365_NO_RESOURCES, d365_client_discover(ending, NULL));
    STATUS(D365_NO_RESOURCES, d365_client_open(settings, &other, NULL));
    OK(d365_client_ledger(ending, D365_LEDGER_ALL, &ledger, NULL));
    OK(d365_ledger_count(ledger, &count));
    CHECK(count == 0);
    OK(d365_ledger_free(ledger));
    /* All else works. */
    OK(d365_client_submit(ending, write, NULL, NULL, NULL));
    OK(d365_queue_next(of_the_end, LONGEST, &item, NULL));
    STATUS(D365_AUTHENTICATION, d365_item_result(item, &response, NULL));
    OK(d365_item_free(item));
    OK(d365_client_shutdown(ending, LONGEST, NULL));
    OK(d365_client_free(ending));
    OK(d365_queue_close(of_the_end, LONGEST, NULL));
    OK(d365_queue_free(of_the_end));
    OK(d365_settings_free(settings));
    OK(d365_request_free(write));
    OK(d365_request_free(read));
}

static void *calls_and_ends(void *of)
{
    d365_request_t *read = local_request("GET", ACCOUNTS);
    d365_response_t *response = NULL;
    STATUS(D365_AUTHENTICATION, d365_client_send(of, read, &response, NULL));
    OK(d365_request_free(read));
    MUST(pthread_setspecific(of_threads, of) == 0);
    return NULL;
}

static void calls_at_the_end_of_a_thread(void)
{
    d365_settings_t *settings = local_settings(local_port(0));
    pthread_t thread;
    OK(d365_queue_new(0, &of_the_end, NULL));
    OK(d365_settings_set_queue(settings, of_the_end, NULL, NULL));
    OK(d365_settings_set_token_provider(settings, refuse_token, NULL, NULL, NULL));
    MUST(pthread_key_create(&of_threads, call_at_the_end) == 0);
    MUST(pthread_create(&thread, NULL, calls_and_ends, local_open(settings)) == 0);
    MUST(pthread_join(thread, NULL) == 0);
}

/* As the destructor of a static object would. */
static void close_at_exit(void)
{
    OK(d365_client_shutdown(client, LONGEST, NULL));
    OK(d365_client_free(client));
    OK(d365_queue_close(of_the_end, LONGEST, NULL));
    OK(d365_queue_free(of_the_end));
    _exit(checks_failed == 0 ? 0 : 1);
}

static void exit_in_the_callback(void *user_data, d365_item_t *item)
{
    (void)user_data;
    OK(d365_item_free(item));
    exit(2);
}

static void exit_within_a_callback(void)
{
    OK(d365_queue_new(0, &of_the_end, NULL));
    OK(d365_queue_run(of_the_end, exit_in_the_callback, NULL, NULL, NULL));
    client = local_client(local_port(0), of_the_end, NULL);
    request = local_request("GET", ACCOUNTS);
    MUST(atexit(close_at_exit) == 0);
    OK(d365_client_submit(client, request, NULL, NULL, NULL));
    for (;;)
        pause();
}

#ifdef __GLIBC__ /* musl ends a thread without unwinding it: nobody hears of it */
static int32_t exit_thread(void *user_data)
{
    pthread_exit(user_data);
}

static void exit_in_a_check(void)
{
    d365_response_t *response = NULL;
    request = local_request("GET", ACCOUNTS);
    client = local_client(local_port(1), NULL, NULL);
    OK(d365_request_set_check(request, exit_thread, NULL, NULL));
    d365_client_send(client, request, &response, NULL);
}

static void exit_in_item(void *user_data, d365_item_t *item)
{
    (void)item;
    pthread_exit(user_data);
}

static void exit_in_a_thread_of_the_librarys(void)
{
    request = local_request("GET", ACCOUNTS);
    OK(d365_queue_new(0, &queue, NULL));
    client = local_client(local_port(0), queue, NULL);
    OK(d365_queue_run(queue, exit_in_item, NULL, NULL, NULL));
    OK(d365_client_submit(client, request, NULL, NULL, NULL));
    for (;;)
        pause(); /* the other thread ends the process */
}
#endif

int main(int argc, char **argv)
{
    static const struct child children[] = {
        {"every_thread_blocks_every_signal", every_thread_blocks_every_signal, 0},
        {"a_signal_for_signalfd", a_signal_for_signalfd, 0},
        {"signals_during_calls", signals_during_calls, 0},
        {"no_sigpipe", no_sigpipe, 0},
        {"cancelled_threads", cancelled_threads, 0},
        {"a_thread_that_ends_after_its_call", a_thread_that_ends_after_its_call, 0},
        {"calls_at_the_end_of_a_thread", calls_at_the_end_of_a_thread, 0},
        {"exit_within_a_callback", exit_within_a_callback, 0},
        /* What no library can bear is over at once: the header says so. */
#ifdef __GLIBC__
        {"exit_in_a_check", exit_in_a_check, SIGABRT},
        {"exit_in_a_thread_of_the_librarys", exit_in_a_thread_of_the_librarys, SIGABRT},
#endif
    };
    return run_children(argc, argv, children, sizeof children / sizeof *children);
}
