/* client SIDE METHOD ORIGIN PATH CA_FILE THREADS WARM_UP CALLS
 *
 * Makes CALLS blocking calls in each of THREADS threads, after WARM_UP ones that are not measured, looks at each
 * answer, and prints one line of JSON: what the calls took together of CPU, of this process, and of time.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "bench.h"

enum { BODY_LENGTH = 1000, ANSWER_LENGTH = 200 };

static const struct side *const sides[] = {&libcurl_side, &d365_side};
static const struct side *side;
static struct target target;
static pthread_barrier_t measuring;
static long warm_up, calls;

void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

static double cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return 1e6 * (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec)
           + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void call(void *caller, long times)
{
    while (times-- > 0) {
        int status = 0;
        size_t length = 0;
        side->call(caller, &status, &length);
        if (status != target.right_status || length != target.right_length) {
            fprintf(stderr, "wrong answer: status %d, %zu bytes\n", status, length);
            exit(1);
        }
    }
}

static void *run(void *unused)
{
    void *caller = side->open_caller(&target);
    (void)unused;
    call(caller, warm_up);
    pthread_barrier_wait(&measuring);
    pthread_barrier_wait(&measuring);
    call(caller, calls);
    pthread_barrier_wait(&measuring);
    side->close_caller(caller);
    return NULL;
}

int main(int argc, char **argv)
{
    static char body[BODY_LENGTH];
    long threads, i;
    double cpu, wall;
    pthread_t *thread;

    if (argc != 9)
        die(argv[0], "SIDE METHOD ORIGIN PATH CA_FILE THREADS WARM_UP CALLS");
    for (i = 0; i < (long)(sizeof sides / sizeof *sides); i++)
        if (!strcmp(argv[1], sides[i]->name))
            side = sides[i];
    if (!side)
        die(argv[1], "no such side");
    target.origin = argv[3];
    target.path = argv[4];
    target.ca_file = argv[5];
    target.right_status = 200;
    target.right_length = ANSWER_LENGTH;
    if (!strcmp(argv[2], "POST")) {
        memset(body, 'x', sizeof body);
        memcpy(body, "{\"name\":\"", 9);
        memcpy(body + sizeof body - 2, "\"}", 2);
        target.body = body;
        target.body_length = sizeof body;
        target.right_status = 201;
    }
    threads = atol(argv[6]);
    warm_up = atol(argv[7]);
    calls = atol(argv[8]);

    side->open(&target);
    pthread_barrier_init(&measuring, NULL, (unsigned)threads + 1);
    thread = calloc((size_t)threads, sizeof *thread);
    for (i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, run, NULL))
            die("pthread_create", "no thread");
    pthread_barrier_wait(&measuring);
    cpu = cpu_us();
    wall = now_us();
    pthread_barrier_wait(&measuring);
    pthread_barrier_wait(&measuring);
    cpu = cpu_us() - cpu;
    wall = now_us() - wall;
    for (i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    side->close();
    free(thread);
    printf("{\"version\": \"%s\", \"calls\": %ld, \"cpu_us\": %.3f, \"wall_us\": %.3f}\n", side->version(),
           threads * calls, cpu, wall);
    return 0;
}
