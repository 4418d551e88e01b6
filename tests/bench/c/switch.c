/* switch REFUSING_PORT ANSWERING_PORT TIMES
 *
 * The time from a refused connect to the answer of the alternate, with the preset `dotnet`. Each time a new client,
 * whose primary refuses; beside it, a new client whose primary answers. Prints one line of JSON with the
 * microseconds of each time: `healthy` and `switched` are whole first calls, `from_fault` begins when the first attempt
 * has failed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "d365_failover.h"

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

/* The first call of a new client; `first_us` gets what its first attempt took. */
static double first_call(const char *primary, const char *alternate, size_t right_attempts, int64_t *first_us)
{
    d365_settings_t *settings;
    d365_client_t *client;
    d365_request_t *request;
    d365_response_t *response;
    d365_attempts_t *attempts;
    char targets[256];
    const uint8_t *body;
    size_t length, count;
    int32_t status;
    uint64_t epoch;
    struct timespec begin, end;

    snprintf(targets, sizeof targets, "contoso.crm.bench.test:80:127.0.0.1:%s,contoso--s.crm.bench.test:80:127.0.0.1:%s",
             primary, alternate);
    check(d365_settings_new("http://contoso.crm.bench.test", D365_NTS, &settings, &error));
    check(d365_settings_set(settings, "preset", D365_NTS, "dotnet", D365_NTS, &error));
    check(d365_settings_set(settings, "auto_switch", D365_NTS, "on", D365_NTS, &error));
    check(d365_settings_set(settings, "connect_to", D365_NTS, targets, D365_NTS, &error));
    check(d365_client_open(settings, &client, &error));
    check(d365_request_new("GET", D365_NTS, "/api/data/v9.2/WhoAmI", D365_NTS, &request, &error));

    clock_gettime(CLOCK_MONOTONIC, &begin);
    check(d365_client_send(client, request, &response, &error));
    clock_gettime(CLOCK_MONOTONIC, &end);

    check(d365_response_status(response, &status));
    check(d365_response_body(response, &body, &length));
    check(d365_response_attempts(response, &attempts));
    check(d365_attempts_count(attempts, &count));
    check(d365_attempts_number(attempts, 0, D365_ATTEMPT_TOOK_US, first_us));
    check(d365_client_epoch(client, &epoch, &error));
    expect(status == 200 && length == 200, "answer");
    expect(count == right_attempts, "number of attempts");
    expect(epoch == right_attempts - 1, "number of switches");

    d365_attempts_free(attempts);
    d365_response_free(response);
    d365_request_free(request);
    check(d365_client_shutdown(client, 5000, &error));
    d365_client_free(client);
    d365_settings_free(settings);
    return 1e6 * (double)(end.tv_sec - begin.tv_sec) + 1e-3 * (double)(end.tv_nsec - begin.tv_nsec);
}

static void print(const char *name, const double *us, long times, const char *after)
{
    long i;
    printf("\"%s\": [", name);
    for (i = 0; i < times; i++)
        printf("%s%.1f", i ? ", " : "", us[i]);
    printf("]%s", after);
}

int main(int argc, char **argv)
{
    const char *refusing, *answering;
    double *healthy, *switched, *from_fault;
    long times, i;
    int64_t first_us;

    if (argc != 4)
        die(argv[0], "REFUSING_PORT ANSWERING_PORT TIMES");
    refusing = argv[1];
    answering = argv[2];
    times = atol(argv[3]);
    healthy = calloc((size_t)times, sizeof *healthy);
    switched = calloc((size_t)times, sizeof *switched);
    from_fault = calloc((size_t)times, sizeof *from_fault);
    for (i = 0; i < times; i++) {
        healthy[i] = first_call(answering, answering, 1, &first_us);
        switched[i] = first_call(refusing, answering, 2, &first_us);
        from_fault[i] = switched[i] - (double)first_us;
    }
    printf("{");
    print("healthy", healthy, times, ", ");
    print("switched", switched, times, ", ");
    print("from_fault", from_fault, times, "}\n");
    free(healthy);
    free(switched);
    free(from_fault);
    return 0;
}
