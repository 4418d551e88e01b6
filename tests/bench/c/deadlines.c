/* deadlines HOLE_PORT STEERING_PORT CALLS
 *
 * So many reads begun at two endpoints that answer nothing, each with a second of its own, while a process that burns
 * the same CPU starves this one. An endpoint has CONNECTIONS; the others wait, for one or for the outage to end, until
 * their second is over. Prints one line of JSON: how many were last seen `sent`, and the microseconds by which each of
 * all ended later than its second, `late`; and how many microseconds the thread that had to wait for the CPU longest
 * has waited for it, `waited`: a machine that is too busy shows there, and a defect does not. A read that ends before
 * its second, or in any other way, ends the run.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "d365_failover.h"

#define CONNECTIONS "256"

enum { TIMEOUT_MS = 1000, PATIENCE_MS = 60000, SUBMITTED_IN_MS = 1000 };

static const char whoami[] = "/api/data/v9.2/WhoAmI";

struct call {
    double begun_us, ended_us;
};

struct taking {
    d365_queue_t *queue;
    struct call *calls;
    long count, sent;
};

static pid_t burner = -1;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    if (burner > 0)
        kill(burner, SIGKILL);
    exit(1);
}

static void check(d365_status_t status, d365_error_t *error)
{
    d365_str_t message = {"", 0};
    if (status == D365_OK)
        return;
    d365_error_message(error, &message);
    die(d365_status_name(status), message.data);
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

static void wait_until_us(double at)
{
    struct timespec t = {(time_t)(at / 1e6), 0};
    t.tv_nsec = (long)(1e3 * (at - 1e6 * (double)t.tv_sec));
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0) {
    }
}

static d365_client_t *open_client(const char *port, d365_queue_t *queue)
{
    d365_settings_t *settings;
    d365_client_t *client;
    d365_error_t *error = NULL;
    char targets[256];

    snprintf(targets, sizeof targets, "contoso.crm.bench.test:80:127.0.0.1:%s,contoso--s.crm.bench.test:80:127.0.0.1:%s",
             port, port);
    check(d365_settings_new("http://contoso.crm.bench.test", D365_NTS, &settings, &error), error);
    check(d365_settings_set(settings, "auto_switch", D365_NTS, "on", D365_NTS, &error), error);
    check(d365_settings_set(settings, "connect_to", D365_NTS, targets, D365_NTS, &error), error);
    check(d365_settings_set(settings, "max_connections", D365_NTS, CONNECTIONS, D365_NTS, &error), error);
    if (queue)
        check(d365_settings_set_queue(settings, queue, NULL, &error), error);
    check(d365_client_open(settings, &client, &error), error);
    d365_settings_free(settings);
    return client;
}

static d365_request_t *new_read(const char *path)
{
    d365_request_t *request;
    d365_error_t *error = NULL;
    check(d365_request_new("GET", D365_NTS, path, D365_NTS, &request, &error), error);
    return request;
}

static void steer(d365_client_t *client, const char *path)
{
    d365_request_t *request = new_read(path);
    d365_response_t *response;
    d365_error_t *error = NULL;
    check(d365_client_send(client, request, &response, &error), error);
    d365_response_free(response);
    d365_request_free(request);
}

static void *take(void *argument)
{
    struct taking *taking = argument;
    long i;
    for (i = 0; i < taking->count; i++) {
        d365_item_t *item;
        d365_error_t *error = NULL;
        d365_response_t *response;
        d365_status_t status;
        void *user_data;
        struct call *call;
        int32_t phase;
        check(d365_queue_next(taking->queue, PATIENCE_MS, &item, &error), error);
        check(d365_item_user_data(item, &user_data), NULL);
        call = user_data;
        call->ended_us = now_us();
        status = d365_item_result(item, &response, &error);
        if (status == D365_OK)
            die("wrong", "an answer from a black hole");
        /* D365_LOCAL: no connection was free all the time. */
        if (status != D365_TIMEOUT && status != D365_LOCAL)
            check(status, error);
        if (d365_error_phase(error, &phase) == D365_OK && phase == D365_PHASE_SENT)
            taking->sent++;
        d365_error_free(error);
        d365_item_free(item);
    }
    return NULL;
}

/* How long the thread of this process that has waited longest for a CPU has done so, while it had something to do. */
static double longest_wait_us(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    double longest = 0;
    if (!tasks)
        die("/proc/self/task", "cannot be read");
    while ((task = readdir(tasks)) != NULL) {
        char path[sizeof "/proc/self/task//schedstat" + sizeof task->d_name];
        unsigned long long ran_ns, waited_ns;
        FILE *file;
        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", task->d_name);
        file = fopen(path, "r");
        if (!file)
            continue;
        if (fscanf(file, "%llu %llu", &ran_ns, &waited_ns) == 2 && 1e-3 * (double)waited_ns > longest)
            longest = 1e-3 * (double)waited_ns;
        fclose(file);
    }
    closedir(tasks);
    return longest;
}

int main(int argc, char **argv)
{
    d365_client_t *steering, *client;
    d365_request_t *request;
    d365_error_t *error = NULL;
    struct taking taking;
    pthread_t taker;
    double begin, waited_us;
    long i;

    if (argc != 4)
        die(argv[0], "HOLE_PORT STEERING_PORT CALLS");
    taking.count = atol(argv[3]);
    taking.sent = 0;
    taking.calls = calloc((size_t)taking.count, sizeof *taking.calls);
    if (!taking.calls)
        die("calloc", "no memory");
    burner = fork();
    if (burner == 0)
        for (;;) {
        }
    if (burner < 0)
        die("fork", "no process");

    check(d365_queue_new(0, &taking.queue, &error), error);
    steering = open_client(argv[2], NULL);
    client = open_client(argv[1], taking.queue);
    steer(steering, "/hole/open");
    request = new_read(whoami);
    check(d365_request_set_timeout_ms(request, TIMEOUT_MS, &error), error);
    if (pthread_create(&taker, NULL, take, &taking) != 0)
        die("pthread_create", "no thread");
    begin = now_us();
    for (i = 0; i < taking.count; i++) {
        double due = begin + 1e3 * SUBMITTED_IN_MS * (double)i / (double)taking.count;
        if (now_us() < due)
            wait_until_us(due);
        taking.calls[i].begun_us = now_us();
        check(d365_client_submit(client, request, &taking.calls[i], NULL, &error), error);
    }
    pthread_join(taker, NULL);
    waited_us = longest_wait_us();
    kill(burner, SIGKILL);
    waitpid(burner, NULL, 0);

    if (taking.sent == 0)
        die("wrong", "no read was sent");
    printf("{\"sent\": %ld, \"waited\": %.0f, \"late\": [", taking.sent, waited_us);
    for (i = 0; i < taking.count; i++) {
        double late = taking.calls[i].ended_us - taking.calls[i].begun_us - 1e3 * TIMEOUT_MS;
        if (late < -1e3)
            die("wrong", "a read ended before its deadline");
        printf("%s%.0f", i ? ", " : "", late);
    }
    printf("]}\n");
    steer(steering, "/hole/shut");
    check(d365_client_shutdown(client, 5000, &error), error);
    check(d365_client_shutdown(steering, 5000, &error), error);
    d365_client_free(client);
    d365_client_free(steering);
    d365_request_free(request);
    d365_queue_free(taking.queue);
    free(taking.calls);
    return 0;
}
