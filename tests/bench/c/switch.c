/* switch REFUSING_PORT ANSWERING_PORT HOLE_PORT SWITCHES HOLES
 *
 * The time until the alternate answers, with a new client each time. Prints one line of JSON with the microseconds of
 * each time:
 *
 *   dotnet_healthy, safe_healthy      the first call; the primary answers
 *   dotnet_switched, safe_switched    the first call; the primary refuses, the alternate answers
 *   dotnet_from_fault, ...            of that, from the end of the refused attempt
 *   hole_1_first                      the primary has answered, and becomes a black hole; from then to the answer of a
 *                                     read that is sent at once; safe, probe_after_ms 1000
 *   hole_200_first, hole_200_last     the same with 200 reads in flight: to the first answer, and to the last
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "d365_failover.h"

enum { READS = 200, ANSWER_LENGTH = 200, PATIENCE_MS = 60000 };

static const char whoami[] = "/api/data/v9.2/WhoAmI";

static d365_error_t *error;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void check(d365_status_t status)
{
    d365_str_t message = {"", 0};
    if (status == D365_OK)
        return;
    d365_error_message(error, &message);
    die(d365_status_name(status), message.data);
}

static void expect(int right, const char *what)
{
    if (!right)
        die("wrong", what);
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

static d365_client_t *open_client(const char *preset, const char *primary, const char *alternate, d365_queue_t *queue)
{
    d365_settings_t *settings;
    d365_client_t *client;
    char targets[256];

    snprintf(targets, sizeof targets, "contoso.crm.bench.test:80:127.0.0.1:%s,contoso--s.crm.bench.test:80:127.0.0.1:%s",
             primary, alternate);
    check(d365_settings_new("http://contoso.crm.bench.test", D365_NTS, &settings, &error));
    check(d365_settings_set(settings, "preset", D365_NTS, preset, D365_NTS, &error));
    check(d365_settings_set(settings, "auto_switch", D365_NTS, "on", D365_NTS, &error));
    check(d365_settings_set(settings, "probe_after_ms", D365_NTS, "1000", D365_NTS, &error));
    check(d365_settings_set(settings, "connect_to", D365_NTS, targets, D365_NTS, &error));
    if (queue)
        check(d365_settings_set_queue(settings, queue, NULL, &error));
    check(d365_client_open(settings, &client, &error));
    d365_settings_free(settings);
    return client;
}

static void close_client(d365_client_t *client)
{
    check(d365_client_shutdown(client, 5000, &error));
    d365_client_free(client);
}

static void expect_epoch(const d365_client_t *client, uint64_t right)
{
    uint64_t epoch;
    check(d365_client_epoch(client, &epoch, &error));
    expect(epoch == right, "number of switches");
}

static d365_request_t *new_read(const char *path)
{
    d365_request_t *request;
    check(d365_request_new("GET", D365_NTS, path, D365_NTS, &request, &error));
    return request;
}

/* Frees the response. `first_us` gets what its first attempt took; may be NULL. */
static void expect_answer(d365_response_t *response, size_t right_attempts, int64_t *first_us)
{
    d365_attempts_t *attempts;
    const uint8_t *body;
    size_t length, count;
    int32_t status;

    check(d365_response_status(response, &status));
    check(d365_response_body(response, &body, &length));
    check(d365_response_attempts(response, &attempts));
    check(d365_attempts_count(attempts, &count));
    if (first_us)
        check(d365_attempts_number(attempts, 0, D365_ATTEMPT_TOOK_US, first_us));
    expect(status == 200 && length == ANSWER_LENGTH, "answer");
    expect(count == right_attempts, "number of attempts");
    d365_attempts_free(attempts);
    d365_response_free(response);
}

static double read_once(d365_client_t *client, const char *path, size_t right_attempts, int64_t *first_us)
{
    d365_request_t *request = new_read(path);
    d365_response_t *response;
    double begin = now_us(), took;

    check(d365_client_send(client, request, &response, &error));
    took = now_us() - begin;
    expect_answer(response, right_attempts, first_us);
    d365_request_free(request);
    return took;
}

/* The first call of a new client; `first_us` gets what its first attempt took. */
static double first_call(const char *preset, const char *primary, const char *alternate, size_t right_attempts,
                         int64_t *first_us)
{
    d365_client_t *client = open_client(preset, primary, alternate, NULL);
    double took = read_once(client, whoami, right_attempts, first_us);
    expect_epoch(client, right_attempts - 1);
    close_client(client);
    return took;
}

/* `reads` are under way in a black hole; `first` and `last` get the times until they are answered elsewhere. */
static void black_hole(const char *answering, const char *hole, int reads, double *first, double *last)
{
    d365_client_t *steering = open_client("dotnet", answering, answering, NULL), *client;
    d365_request_t *request = new_read(whoami);
    d365_queue_t *queue;
    double begin;
    int i;

    check(d365_queue_new(0, &queue, &error));
    client = open_client("safe", hole, answering, queue);
    read_once(client, whoami, 1, NULL);
    read_once(steering, "/hole/open", 1, NULL);
    begin = now_us();
    for (i = 0; i < reads; i++)
        check(d365_client_submit(client, request, NULL, NULL, &error));
    for (i = 0; i < reads; i++) {
        d365_item_t *item;
        d365_response_t *response;
        check(d365_queue_next(queue, PATIENCE_MS, &item, &error));
        *last = now_us() - begin;
        if (i == 0)
            *first = *last;
        check(d365_item_result(item, &response, &error));
        expect_answer(response, 2, NULL);
        d365_item_free(item);
    }
    expect_epoch(client, 1);
    read_once(steering, "/hole/shut", 1, NULL);
    d365_request_free(request);
    close_client(client);
    close_client(steering);
    d365_queue_free(queue);
}

static double *numbers(long count)
{
    double *array = calloc((size_t)count, sizeof *array);
    if (!array)
        die("calloc", "no memory");
    return array;
}

/* `before` comes before the name, which has two parts. Frees the numbers. */
static void print(const char *before, const char *of, const char *name, double *us, long count)
{
    long i;
    printf("%s\"%s_%s\": [", before, of, name);
    for (i = 0; i < count; i++)
        printf("%s%.1f", i ? ", " : "", us[i]);
    printf("]");
    free(us);
}

int main(int argc, char **argv)
{
    static const char *const presets[] = {"dotnet", "safe"};
    const char *refusing, *answering, *hole, *before = "{";
    double *one, *first, *last, ignored;
    long switches, holes, preset, i;
    int64_t first_us;

    if (argc != 6)
        die(argv[0], "REFUSING_PORT ANSWERING_PORT HOLE_PORT SWITCHES HOLES");
    refusing = argv[1];
    answering = argv[2];
    hole = argv[3];
    switches = atol(argv[4]);
    holes = atol(argv[5]);
    for (preset = 0; preset < 2; preset++) {
        double *healthy = numbers(switches), *switched = numbers(switches), *from_fault = numbers(switches);
        for (i = 0; i < switches; i++) {
            healthy[i] = first_call(presets[preset], answering, answering, 1, &first_us);
            switched[i] = first_call(presets[preset], refusing, answering, 2, &first_us);
            from_fault[i] = switched[i] - (double)first_us;
        }
        print(before, presets[preset], "healthy", healthy, switches);
        print(", ", presets[preset], "switched", switched, switches);
        print(", ", presets[preset], "from_fault", from_fault, switches);
        before = ", ";
    }
    one = numbers(holes);
    first = numbers(holes);
    last = numbers(holes);
    for (i = 0; i < holes; i++) {
        black_hole(answering, hole, 1, &one[i], &ignored);
        black_hole(answering, hole, READS, &first[i], &last[i]);
    }
    print(", ", "hole_1", "first", one, holes);
    print(", ", "hole_200", "first", first, holes);
    print(", ", "hole_200", "last", last, holes);
    printf("}\n");
    return 0;
}
