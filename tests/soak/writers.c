/* Eight threads that create rows by one client with a store, until the process is killed. A line for each that was told. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "d365_failover.h"

#define THREADS 8

static d365_client_t *client;

/* The error is looked at after the call that makes it. */
static void check(d365_status_t status, d365_error_t **error)
{
    d365_str_t message = {"", 0};
    if (status == D365_OK)
        return;
    d365_error_message(*error, &message);
    fprintf(stderr, "%s: %s\n", d365_status_name(status), message.data);
    exit(1);
}

static void set(d365_settings_t *settings, const char *key, const char *value)
{
    d365_error_t *error = NULL;
    check(d365_settings_set(settings, key, D365_NTS, value, D365_NTS, &error), &error);
}

/* In one piece: what was cut by a kill has no end of line. */
static void say(const char *line)
{
    if (write(STDOUT_FILENO, line, strlen(line)) < 0)
        exit(1);
}

static const char *effect_name(int32_t effect)
{
    return effect == D365_EFFECT_EXECUTED ? "executed" : effect == D365_EFFECT_UNKNOWN ? "unknown" : "not_executed";
}

static void *work(void *number)
{
    char row[96], body[128], line[160];
    unsigned long n;
    for (n = 1;; n++) {
        d365_request_t *request = NULL;
        d365_response_t *response = NULL;
        d365_error_t *error = NULL;
        int64_t id = 0;
        int32_t effect = D365_EFFECT_NOT_EXECUTED;
        snprintf(row, sizeof row, "%s-%d-%lu", getenv("D365_APP"), *(const int *)number, n);
        snprintf(body, sizeof body, "{\"name\":\"%s\"}", row);
        check(d365_request_new("POST", D365_NTS, "/api/data/v9.2/accounts", D365_NTS, &request, &error), &error);
        check(d365_request_add_header(request, "Content-Type", D365_NTS, "application/json", D365_NTS, &error), &error);
        check(d365_request_set_body(request, (const uint8_t *)body, strlen(body), &error), &error);
        check(d365_request_set_tag(request, row, D365_NTS, &error), &error);
        check(d365_request_set_guarded_create(request, n % 2 == 0, &error), &error);
        if (d365_client_send(client, request, &response, &error) == D365_OK) {
            d365_response_effect(response, &effect);
            d365_response_ledger_id(response, &id);
        } else {
            d365_error_effect(error, &effect);
            d365_error_ledger_id(error, &id);
        }
        snprintf(line, sizeof line, "told %s %s %lld\n", row, effect_name(effect), (long long)id);
        say(line);
        d365_response_free(response);
        d365_error_free(error);
        d365_request_free(request);
    }
    return NULL;
}

int main(void)
{
    static int numbers[THREADS];
    pthread_t threads[THREADS];
    d365_settings_t *settings = NULL;
    d365_error_t *error = NULL;
    int n;
    check(d365_settings_new(getenv("D365_URL"), D365_NTS, &settings, &error), &error);
    set(settings, "store", getenv("D365_STORE"));
    if (getenv("D365_STORE_DURABILITY") != NULL)
        set(settings, "store_durability", getenv("D365_STORE_DURABILITY"));
    set(settings, "connect_to", getenv("D365_CONNECT_TO"));
    set(settings, "outage_wait_ms", "0");
    check(d365_client_open(settings, &client, &error), &error);
    d365_settings_free(settings);
    say("ready\n");
    for (n = 0; n < THREADS; n++) {
        numbers[n] = n;
        if (pthread_create(&threads[n], NULL, work, &numbers[n]) != 0)
            return 1;
    }
    pthread_join(threads[0], NULL);
    return 0;
}
