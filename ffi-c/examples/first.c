/* The first program: opens a client, listens to both events, creates an account, reads it back.
 *
 * cc -std=c99 first.c -ld365_failover -o first
 * D365_URL=https://contoso.crm.dynamics.com ./first
 */
#include <stdio.h>
#include <stdlib.h>

#include "d365_failover.h"

static d365_error_t *error;

static void check(d365_status_t status)
{
    d365_str_t message = {"", 0};
    if (status == D365_OK)
        return;
    d365_error_message(error, &message);
    fprintf(stderr, "%s: %s\n", d365_status_name(status), message.data);
    exit(1);
}

/* What the service refuses is an answer as well; it says why. */
static void check_answer(const d365_response_t *response)
{
    d365_attempts_t *attempts;
    d365_str_t why = {"", 0};
    size_t count;
    int32_t status;
    check(d365_response_status(response, &status));
    if (status < 400)
        return;
    check(d365_response_attempts(response, &attempts));
    check(d365_attempts_count(attempts, &count));
    d365_attempts_text(attempts, count - 1, D365_ATTEMPT_MESSAGE, &why);
    fprintf(stderr, "the service answered %d: %s\n", (int)status, why.data);
    if (status == 401)
        fprintf(stderr, "it wants a token, and this program has none: token.c shows how to give one\n");
    exit(1);
}

/* Runs on a thread of the library. The calls go on when the item is freed. */
static void on_event(void *user_data, d365_item_t *item)
{
    d365_str_t from, to;
    int32_t kind;
    (void)user_data;
    d365_item_kind(item, &kind);
    if (d365_item_text(item, D365_ITEM_PREVIOUS_URL, &from) == D365_OK
        && d365_item_text(item, D365_ITEM_NEW_URL, &to) == D365_OK)
        printf("%s: %s -> %s\n", d365_event_kind_name(kind), from.data, to.data);
    d365_item_free(item);
}

static const char *wanted(const char *variable)
{
    const char *value = getenv(variable);
    if (value == NULL) {
        fprintf(stderr, "%s is not set\n", variable);
        exit(2);
    }
    return value;
}

static void set(d365_settings_t *settings, const char *key, const char *variable)
{
    const char *value = getenv(variable);
    if (value != NULL)
        check(d365_settings_set(settings, key, D365_NTS, value, D365_NTS, &error));
}

int main(void)
{
    static const char account[] = "{\"name\":\"Fabrikam\"}";
    d365_settings_t *settings;
    d365_queue_t *queue;
    d365_client_t *client;
    d365_request_t *create, *read;
    d365_response_t *created, *row;
    d365_str_t id;
    const uint8_t *body;
    size_t len;

    check(d365_settings_new(wanted("D365_URL"), D365_NTS, &settings, &error));
    set(settings, "ca_bundle", "D365_CA_BUNDLE");
    set(settings, "connect_to", "D365_CONNECT_TO");
    set(settings, "preset", "D365_PRESET");
    check(d365_queue_new(0, &queue, &error));
    check(d365_queue_run(queue, on_event, NULL, NULL, &error));
    check(d365_settings_set_queue(settings, queue, NULL, &error));
    check(d365_client_open(settings, &client, &error));
    check(d365_client_subscribe(client, 1u << D365_EVENT_ENDPOINT_SWITCH_REQUIRED
                                | 1u << D365_EVENT_ENDPOINT_SWITCHED, &error));

    check(d365_request_new("POST", D365_NTS, "/api/data/v9.2/accounts", D365_NTS, &create, &error));
    check(d365_request_add_header(create, "Content-Type", D365_NTS, "application/json", D365_NTS,
                                  &error));
    check(d365_request_set_body(create, (const uint8_t *)account, sizeof account - 1, &error));
    check(d365_client_send(client, create, &created, &error));
    check_answer(created);
    check(d365_response_header(created, "OData-EntityId", D365_NTS, &id));
    printf("created %s\n", id.data);

    /* The URL names the endpoint that answered; it is followed to whichever is active now. */
    check(d365_request_new("GET", D365_NTS, id.data, id.len, &read, &error));
    check(d365_client_send(client, read, &row, &error));
    check_answer(row);
    check(d365_response_body(row, &body, &len));
    printf("%.*s\n", (int)len, (const char *)body);

    d365_response_free(row);
    d365_response_free(created);
    d365_request_free(read);
    d365_request_free(create);
    check(d365_client_shutdown(client, 5000, &error));
    d365_client_free(client);
    d365_settings_free(settings);
    check(d365_queue_close(queue, 5000, &error));
    d365_queue_free(queue);
    return 0;
}
