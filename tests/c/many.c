/* Ten thousand calls in flight when the primary begins to refuse: one switch for all, no error, nothing done twice.
 *
 * The primary is deaf first, so that the calls are all under way, and no byte of a request has left: whatever becomes
 * of their connections, the rules allow no call to be in doubt. */
#include <time.h>

#include "check.h"
#include "twin.h"

#define CALLS 10000
#define EVENTS (D365_EVENT_DATA_LOSS_SUSPECTED + 1)
/* The width that the load on the alternate is looked at with. */
#define WINDOW_MS 100
/* So many leave at once after a switch. */
#define FIRST 16

static struct {
    int events[EVENTS];
    int completions[CALLS]; /* how often each call ended */
    int errors, wrong;
} seen;

static int is_create(int index)
{
    return index % 2;
}

static void submit(d365_client_t *client, int index)
{
    char body[64];
    d365_request_t *request;
    snprintf(body, sizeof body, "{\"name\":\"many-%d\"}", index);
    request = is_create(index) ? new_request("POST", accounts, body) : new_request("GET", whoami, NULL);
    MUST(d365_client_submit(client, request, &seen.completions[index], NULL, NULL) == D365_OK);
    MUST(d365_request_free(request) == D365_OK);
}

static void take_result(d365_item_t *item)
{
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    d365_str_t message = {"", 0};
    void *user_data = NULL;
    int *completions;
    int32_t status = 0, effect = -1;
    MUST(d365_item_user_data(item, &user_data) == D365_OK);
    completions = user_data;
    ++*completions;
    if (d365_item_result(item, &response, &error) != D365_OK) {
        d365_error_message(error, &message);
        if (seen.errors++ < 3)
            printf("     %s\n", message.data);
        d365_error_free(error);
        return;
    }
    d365_response_status(response, &status);
    d365_response_effect(response, &effect);
    if (is_create((int)(completions - seen.completions)))
        seen.wrong += status != 204 || effect != D365_EFFECT_EXECUTED;
    else
        seen.wrong += status != 200 || effect != D365_EFFECT_NONE;
    d365_response_free(response);
}

/* Takes items until all calls have ended, and what came with them. */
static void take_all(d365_queue_t *queue)
{
    int left = CALLS;
    d365_item_t *item = NULL;
    while (d365_queue_next(queue, left > 0 ? 60000 : 0, &item, NULL) == D365_OK) {
        int32_t kind = 0;
        MUST(d365_item_kind(item, &kind) == D365_OK);
        if (kind == D365_ITEM_COMPLETION) {
            take_result(item);
            left--;
        } else {
            MUST(kind > 0 && kind < EVENTS);
            seen.events[kind]++;
        }
        d365_item_free(item);
    }
    CHECK(left == 0);
}

/* Each create has one row, and only at the alternate. */
static void check_rows(const struct org *org)
{
    static int found[CALLS];
    char path[64];
    cJSON *all;
    const cJSON *row;
    int i, index, strangers = 0, missing = 0, doubled = 0;
    memset(found, 0, sizeof found);
    snprintf(path, sizeof path, "/rows?org=%s", org->name);
    all = ask("GET", path, "");
    cJSON_ArrayForEach(row, all) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(row, "name"));
        if (name && sscanf(name, "many-%d", &index) == 1 && index >= 0 && index < CALLS
            && cJSON_IsFalse(cJSON_GetObjectItem(row, "primary")))
            found[index]++;
        else
            strangers++;
    }
    cJSON_Delete(all);
    for (i = 0; i < CALLS; i++) {
        missing += found[i] < is_create(i);
        doubled += found[i] > is_create(i);
    }
    CHECK(strangers == 0);
    CHECK(missing == 0);
    CHECK(doubled == 0);
}

static int by_time(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

/* The alternate was not asked more often than the calls had begun, and how evenly. */
static void show_load(const struct org *org, double submitted_s)
{
    static double at_ms[4 * CALLS];
    char path[64];
    cJSON *journal;
    const cJSON *entry;
    int count = 0, first = 0, last, busiest = 0, at_primary = 0;
    double took_ms, mean, offered;
    snprintf(path, sizeof path, "/journal?org=%s", org->name);
    journal = ask("GET", path, "");
    cJSON_ArrayForEach(entry, journal) {
        int is_there = strcmp(text_of(entry, "side"), "alternate") == 0;
        at_primary += !is_there;
        if (is_there && count < 4 * CALLS)
            at_ms[count++] = cJSON_GetNumberValue(cJSON_GetObjectItem(entry, "at_ms"));
    }
    cJSON_Delete(journal);
    qsort(at_ms, (size_t)count, sizeof *at_ms, by_time);
    for (last = 0; last < count; last++) {
        while (at_ms[last] - at_ms[first] >= WINDOW_MS)
            first++;
        if (last - first + 1 > busiest)
            busiest = last - first + 1;
    }
    CHECK(at_primary == 0);
    CHECK(count >= CALLS);
    took_ms = at_ms[count - 1] - at_ms[0] + 1;
    mean = count * (double)WINDOW_MS / took_ms;
    offered = CALLS * 1e-3 * WINDOW_MS / submitted_s;
    CHECK(busiest <= 1.2 * offered + FIRST);
    printf("     %s: %d calls submitted in %.2f s, %.0f in %d ms; the alternate got %d requests in %.2f s, in the busiest "
           "%d ms %d, on average %.0f\n", org->primary_url, CALLS, submitted_s, offered, WINDOW_MS, count, took_ms / 1000,
           WINDOW_MS, busiest, mean);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void switched(const char *name, const char *world)
{
    struct org org = new_org(name, world);
    d365_queue_t *queue = NULL;
    d365_settings_t *settings;
    d365_client_t *client = NULL;
    double begin, submitted;
    uint64_t epoch = 0;
    int i, not_once = 0;

    memset(&seen, 0, sizeof seen);
    MUST(d365_queue_new(0, &queue, NULL) == D365_OK);
    settings = settings_for(&org, queue, "on");
    /* Else the primary would be found dead while it is only deaf. */
    MUST(d365_settings_set(settings, "probe_after_ms", D365_NTS, "0", D365_NTS, NULL) == D365_OK);
    MUST(d365_client_open(settings, &client, NULL) == D365_OK);
    MUST(d365_settings_free(settings) == D365_OK);
    OK(d365_client_subscribe(client, 1u << D365_EVENT_ENDPOINT_SWITCH_REQUIRED | 1u << D365_EVENT_ENDPOINT_SWITCHED
                             | 1u << D365_EVENT_WRITE_IN_DOUBT | 1u << D365_EVENT_DATA_LOSS_SUSPECTED, NULL));

    fault(&org, "primary", "\"kind\":\"listen_never_accept\"");
    begin = seconds();
    for (i = 0; i < CALLS; i++)
        submit(client, i);
    submitted = seconds() - begin;
    fault(&org, "primary", "\"kind\":\"refuse\"");
    take_all(queue);

    for (i = 0; i < CALLS; i++)
        not_once += seen.completions[i] != 1;
    CHECK(not_once == 0);
    CHECK(seen.errors == 0);
    CHECK(seen.wrong == 0);
    CHECK(seen.events[D365_EVENT_ENDPOINT_SWITCH_REQUIRED] == 1);
    CHECK(seen.events[D365_EVENT_ENDPOINT_SWITCHED] == 1);
    CHECK(seen.events[D365_EVENT_WRITE_IN_DOUBT] == 0);
    CHECK(seen.events[D365_EVENT_DATA_LOSS_SUSPECTED] == 0);
    OK(d365_client_epoch(client, &epoch, NULL));
    CHECK(epoch == 1);
    check_rows(&org);
    show_load(&org, submitted);
    OK(d365_client_free(client));
    OK(d365_queue_free(queue));
}

int main(void)
{
    alarm(120); /* a hang is a failure */
    read_twin();
    preset = "safe";
    switched("many1", "\"http2\":false");
    switched("many2", "\"http2\":true");
    FINISH();
}
