/* Ledger: creates accounts so that none is doubled, and settles what can be settled of the writes in
 * question.
 *
 * cc -std=c99 ledger.c -ld365_failover -o ledger
 * D365_URL=https://contoso.crm.dynamics.com ./ledger
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "d365_failover.h"

#define ACCOUNTS "/api/data/v9.2/accounts"

static d365_client_t *client;
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

/* Runs on a thread of the library. */
static void on_event(void *user_data, d365_item_t *item)
{
    d365_str_t method, url;
    int64_t id;
    (void)user_data;
    if (d365_item_number(item, D365_ITEM_LEDGER_ID, &id) == D365_OK
        && d365_item_text(item, D365_ITEM_METHOD, &method) == D365_OK
        && d365_item_text(item, D365_ITEM_URL, &url) == D365_OK)
        printf("in doubt: write %ld, %s %s\n", (long)id, method.data, url.data);
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

static void set(d365_settings_t *settings, const char *name, const char *variable)
{
    const char *value = getenv(variable);
    if (value != NULL)
        check(d365_settings_set(settings, name, D365_NTS, value, D365_NTS, &error));
}

static d365_status_t create(const char *account, int is_guarded, const char *tag, d365_response_t **created)
{
    d365_request_t *request;
    d365_status_t status;
    check(d365_request_new("POST", D365_NTS, ACCOUNTS, D365_NTS, &request, &error));
    check(d365_request_add_header(request, "Content-Type", D365_NTS, "application/json", D365_NTS,
                                  &error));
    check(d365_request_set_body(request, (const uint8_t *)account, strlen(account), &error));
    check(d365_request_set_guarded_create(request, is_guarded, &error));
    check(d365_request_set_tag(request, tag, D365_NTS, &error));
    status = d365_client_send(client, request, created, &error);
    d365_request_free(request);
    return status;
}

/* Looks at each write in question, confirms what is there for good, sends again what is missing for good and
 * may be. */
static void settle(void)
{
    d365_response_t *response;
    int64_t left;
    check(d365_client_settle(client, D365_SETTLE_ALL, &response, &error));
    check(d365_response_settled(response, D365_SETTLED_LEFT, &left));
    d365_response_free(response);
    printf("left: %ld\n", (long)left);
}

int main(void)
{
    d365_settings_t *settings;
    d365_queue_t *queue;
    d365_response_t *created;
    d365_ledger_t *ledger;
    d365_status_t status;
    d365_str_t row, tag;
    int32_t effect;
    int64_t verified;
    size_t count, i;

    check(d365_settings_new(wanted("D365_URL"), D365_NTS, &settings, &error));
    set(settings, "ca_bundle", "D365_CA_BUNDLE");
    set(settings, "connect_to", "D365_CONNECT_TO");
    check(d365_settings_set(settings, "ledger_bodies", D365_NTS, "full", D365_NTS, &error));
    check(d365_queue_new(0, &queue, &error));
    check(d365_queue_run(queue, on_event, NULL, NULL, &error));
    check(d365_settings_set_queue(settings, queue, NULL, &error));
    check(d365_client_open(settings, &client, &error));
    check(d365_client_subscribe(client, 1u << D365_EVENT_WRITE_IN_DOUBT, &error));

    /* The library chooses the row's id, so the service detects a repeat, and the create may be sent again. */
    check(create("{\"name\":\"Contoso Ltd.\",\"accountnumber\":\"c-1\"}", 1, "account c-1", &created));
    check_answer(created);
    check(d365_response_header(created, "OData-EntityId", D365_NTS, &row));
    printf("created %s\n", row.data);
    d365_response_free(created);

    /* A repeat of a plain create makes a second row: if its answer is lost, it is not sent again. */
    status = create("{\"name\":\"Fabrikam\",\"accountnumber\":\"c-2\"}", 0, "account c-2", &created);
    if (status == D365_OK) {
        check_answer(created);
        d365_response_free(created);
    } else {
        check(d365_error_effect(error, &effect) == D365_OK && effect == D365_EFFECT_UNKNOWN ? D365_OK : status);
        d365_error_free(error);
    }

    check(d365_client_ledger(client, D365_LEDGER_SUSPECTS, &ledger, &error));
    check(d365_ledger_count(ledger, &count));
    printf("in question: %lu\n", (unsigned long)count);
    check(d365_ledger_free(ledger));
    settle();
    check(d365_client_ledger(client, D365_LEDGER_SUSPECTS, &ledger, &error));
    check(d365_ledger_count(ledger, &count));
    for (i = 0; i < count; i++) {
        check(d365_ledger_number(ledger, i, D365_LEDGER_VERIFIED, &verified));
        check(d365_ledger_text(ledger, i, D365_LEDGER_TAG, &tag));
        printf("look yourself: %s %s\n", tag.data, d365_verified_name((int32_t)verified));
    }
    check(d365_ledger_free(ledger));
    printf("still in question: %lu\n", (unsigned long)count);

    check(d365_client_shutdown(client, 5000, &error));
    d365_client_free(client);
    d365_settings_free(settings);
    check(d365_queue_close(queue, 5000, &error));
    d365_queue_free(queue);
    return 0;
}
