/* The writes on record: listed, put in question by a switch, resolved; and the events that tell of them. */
#include "raw.h"
#include "threads.h"
#include "twin.h"

static struct org contoso;

static d365_ledger_t *list(const d365_client_t *client, int32_t selection, size_t wanted)
{
    d365_ledger_t *ledger = NULL;
    size_t count = 999;
    MUST(d365_client_ledger(client, selection, &ledger, NULL) == D365_OK);
    OK(d365_ledger_count(ledger, &count));
    if (count != wanted)
        printf("     %u writes, wanted %u\n", (unsigned)count, (unsigned)wanted);
    MUST(count == wanted);
    return ledger;
}

static void expect_count(const d365_client_t *client, int32_t selection, size_t wanted)
{
    OK(d365_ledger_free(list(client, selection, wanted)));
}

static int64_t written(const d365_ledger_t *ledger, size_t index, int32_t field)
{
    int64_t value = -999;
    OK(d365_ledger_number(ledger, index, field, &value));
    return value;
}

static int text_is(const d365_ledger_t *ledger, size_t index, int32_t field, const char *wanted)
{
    d365_str_t text = {"", 0};
    OK(d365_ledger_text(ledger, index, field, &text));
    CHECK(strlen(text.data) == text.len);
    if (strcmp(text.data, wanted) != 0)
        printf("     got %s, wanted %s\n", text.data, wanted);
    return strcmp(text.data, wanted) == 0;
}

/* Writes that are cut off at the primary after they were executed there. */
static int64_t write_in_doubt(d365_client_t *client, const char *body)
{
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    int32_t n = -1;
    int64_t id = -1;
    fault(&contoso, "primary", "\"kind\":\"commit_then_close\",\"method\":\"POST\",\"times\":1");
    STATUS(D365_WRITE_IN_DOUBT, call(client, "POST", accounts, body, &response, &error));
    MUST(error != NULL);
    OK(d365_error_effect(error, &n));
    CHECK(n == D365_EFFECT_UNKNOWN);
    STATUS(D365_NULL_POINTER, d365_error_ledger_id(error, NULL));
    OK(d365_error_ledger_id(error, &id));
    OK(d365_error_free(error));
    return id;
}

static int arrived;

static void never_answer(struct raw *raw, int fd, int index)
{
    (void)index;
    MUST(raw_read_body(raw, fd) && strcmp(raw->body, "abc") == 0);
    set(&arrived, 1);
    while (raw_byte(fd) >= 0)
        ;
}

/* What is on record of a write that nobody answers, before and after it is given up. */
static void in_flight(void)
{
    struct raw raw;
    d365_queue_t *queue = NULL;
    d365_client_t *client;
    d365_request_t *request = local_request("PUT", "/api/data/v9.2/accounts(1)");
    d365_pending_t *pending = NULL;
    d365_response_t *response = NULL;
    d365_ledger_t *before, *after;
    d365_item_t *item;
    int64_t number = -7;
    d365_str_t text = {"", 0};
    int32_t field;
    OK(d365_queue_new(0, &queue, NULL));
    raw_start(&raw, never_answer);
    client = local_client(raw.port, queue, NULL);
    OK(d365_request_set_body(request, (const uint8_t *)"abc", 3, NULL));
    OK(d365_request_set_operation(request, D365_OPERATION_IDEMPOTENT, NULL));
    OK(d365_client_submit(client, request, NULL, &pending, NULL));
    wait_until(&arrived, 1);
    OK(d365_pending_ledger_id(pending, &number)); /* for who does not wait */
    CHECK(number == 1);
    STATUS(D365_NULL_POINTER, d365_pending_ledger_id(pending, NULL));
    before = list(client, D365_LEDGER_ALL, 1);
    expect_count(client, D365_LEDGER_SUSPECTS, 0);
    CHECK(written(before, 0, D365_LEDGER_ID) == 1);
    CHECK(written(before, 0, D365_LEDGER_OPERATION) == D365_OPERATION_IDEMPOTENT);
    CHECK(written(before, 0, D365_LEDGER_EFFECT) == -1);
    CHECK(written(before, 0, D365_LEDGER_IS_SUSPECT) == 0);
    CHECK(written(before, 0, D365_LEDGER_RESOLUTION) == D365_RESOLUTION_NONE);
    CHECK(written(before, 0, D365_LEDGER_ROLE) == 0);
    CHECK(written(before, 0, D365_LEDGER_EPOCH) == 0);
    CHECK(written(before, 0, D365_LEDGER_STARTED_MS) > INT64_C(1600000000000));
    CHECK(written(before, 0, D365_LEDGER_ENDED_MS) == -1);
    CHECK(written(before, 0, D365_LEDGER_BODY_LENGTH) == 3);
    CHECK(written(before, 0, D365_LEDGER_ATTEMPTS) == 0);
    CHECK(text_is(before, 0, D365_LEDGER_METHOD, "PUT"));
    CHECK(text_is(before, 0, D365_LEDGER_URL, "/api/data/v9.2/accounts(1)"));
    CHECK(text_is(before, 0, D365_LEDGER_ROW_URL, ""));
    CHECK(text_is(before, 0, D365_LEDGER_BODY_DIGEST,
                  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    for (field = -1; field < 30; field++) {
        int is_number = field >= D365_LEDGER_ID && field <= D365_LEDGER_IS_KEPT;
        int is_text = field >= D365_LEDGER_METHOD && field <= D365_LEDGER_LEFT_OUT;
        STATUS(is_number ? D365_OK : D365_NOT_AVAILABLE, d365_ledger_number(before, 0, field, &number));
        STATUS(is_text ? D365_OK : D365_NOT_AVAILABLE, d365_ledger_text(before, 0, field, &text));
    }
    STATUS(D365_NOT_AVAILABLE, d365_ledger_number(before, 1, D365_LEDGER_ID, &number));
    STATUS(D365_NOT_AVAILABLE, d365_ledger_text(before, 1, D365_LEDGER_URL, &text));
    STATUS(D365_NOT_AVAILABLE, d365_client_resolve(client, 1, D365_RESOLUTION_LOST, NULL)); /* no suspect yet */

    OK(d365_client_shutdown(client, 0, NULL));
    item = next(queue, D365_ITEM_COMPLETION);
    STATUS(D365_WRITE_IN_DOUBT, d365_item_result(item, &response, NULL));
    OK(d365_item_free(item));
    after = list(client, D365_LEDGER_SUSPECTS, 1); /* a closed client still tells */
    CHECK(written(after, 0, D365_LEDGER_ID) == 1);
    CHECK(written(before, 0, D365_LEDGER_EFFECT) == -1); /* a list stays as it was */
    CHECK(written(after, 0, D365_LEDGER_EFFECT) == D365_EFFECT_UNKNOWN);
    CHECK(written(after, 0, D365_LEDGER_ENDED_MS) >= written(after, 0, D365_LEDGER_STARTED_MS));
    CHECK(written(after, 0, D365_LEDGER_ROLE) == D365_ROLE_PRIMARY);
    CHECK(written(after, 0, D365_LEDGER_ATTEMPTS) == 1);
    CHECK(text_is(after, 0, D365_LEDGER_URL, "http://contoso.crm.twin.test/api/data/v9.2/accounts(1)"));
    OK(d365_client_resolve(client, 1, D365_RESOLUTION_LOST, NULL));
    expect_count(client, D365_LEDGER_SUSPECTS, 0);
    OK(d365_ledger_free(before));
    OK(d365_ledger_free(after));
    OK(d365_pending_free(pending));
    OK(d365_request_free(request));
    OK(d365_client_free(client));
    OK(d365_queue_free(queue));
    raw_stop(&raw);
}

static void check_in_doubt(d365_item_t *item, int64_t id)
{
    char url[256];
    int64_t none;
    d365_str_t text;
    snprintf(url, sizeof url, "%s%s", contoso.primary_url, accounts);
    CHECK(item_number(item, D365_ITEM_LEDGER_ID) == id);
    CHECK(item_text_is(item, D365_ITEM_METHOD, "POST"));
    CHECK(item_text_is(item, D365_ITEM_URL, url));
    CHECK(item_text_is(item, D365_ITEM_REASON, "connection_lost"));
    CHECK(item_number(item, D365_ITEM_FAULT_KIND) == D365_FAULT_CONNECTION_LOST);
    CHECK(item_number(item, D365_ITEM_EPOCH) == 0);
    CHECK(item_number(item, D365_ITEM_IS_DECISION) == 0);
    CHECK(item_number(item, D365_ITEM_TIME_MS) > INT64_C(1600000000000));
    OK(d365_item_text(item, D365_ITEM_MESSAGE, &text));
    CHECK(text.len > 0);
    STATUS(D365_NOT_AVAILABLE, d365_item_reply(item, D365_PROCEED, NULL));
    STATUS(D365_NOT_AVAILABLE, d365_item_number(item, D365_ITEM_IN_DOUBT, &none));
    STATUS(D365_NOT_AVAILABLE, d365_item_number(item, D365_ITEM_ACKNOWLEDGED, &none));
    STATUS(D365_NOT_AVAILABLE, d365_item_number(item, D365_ITEM_PROBED, &none));
    STATUS(D365_NOT_AVAILABLE, d365_item_number(item, D365_ITEM_RETRY_AFTER_MS, &none));
    STATUS(D365_NOT_AVAILABLE, d365_item_text(item, D365_ITEM_NEW_URL, &text));
    OK(d365_item_free(item));
}

static void check_data_loss(d365_item_t *item, int64_t in_doubt, int64_t acknowledged)
{
    int64_t none;
    d365_str_t text;
    CHECK(item_number(item, D365_ITEM_IN_DOUBT) == in_doubt);
    CHECK(item_number(item, D365_ITEM_ACKNOWLEDGED) == acknowledged);
    CHECK(item_number(item, D365_ITEM_EPOCH) == 1);
    CHECK(item_number(item, D365_ITEM_IS_DECISION) == 0);
    STATUS(D365_NOT_AVAILABLE, d365_item_number(item, D365_ITEM_LEDGER_ID, &none));
    STATUS(D365_NOT_AVAILABLE, d365_item_text(item, D365_ITEM_METHOD, &text));
    OK(d365_item_free(item));
}

/* One write is acknowledged, one is in doubt; a switch puts both in question, and both are resolved. */
static void a_switch_and_what_it_puts_in_question(void)
{
    static const char first[] = "{\"name\":\"acknowledged\"}", second[] = "{\"name\":\"in doubt\"}";
    d365_queue_t *queue = NULL;
    d365_client_t *client;
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    d365_ledger_t *ledger;
    d365_item_t *item = NULL;
    d365_str_t row;
    d365_request_t *request;
    char row_url[256], url[256];
    int64_t acknowledged, in_doubt;

    OK(d365_queue_new(1, &queue, NULL));
    client = open_client(&contoso, queue, "off");
    OK(d365_client_subscribe(client, (uint64_t)1 << D365_EVENT_WRITE_IN_DOUBT
                             | (uint64_t)1 << D365_EVENT_DATA_LOSS_SUSPECTED
                             | (uint64_t)1 << D365_EVENT_ENDPOINT_SWITCHED, NULL));
    OK(call(client, "GET", whoami, NULL, &response, NULL));
    CHECK(ledger_id_of(response) == 0);
    STATUS(D365_NOT_AVAILABLE, d365_response_tag(response, &row)); /* it was given none */
    CHECK(status_of(response) == 200);
    expect_count(client, D365_LEDGER_ALL, 0); /* a read is not on record */

    request = new_request("POST", accounts, first);
    OK(d365_request_set_tag(request, "order 17", D365_NTS, NULL));
    OK(d365_client_send(client, request, &response, NULL));
    OK(d365_request_free(request));
    acknowledged = ledger_id_of(response);
    CHECK(acknowledged > 0);
    OK(d365_response_tag(response, &row));
    CHECK(strcmp(row.data, "order 17") == 0);
    STATUS(D365_NULL_POINTER, d365_response_tag(response, NULL));
    STATUS(D365_NULL_POINTER, d365_response_ledger_id(response, NULL));
    OK(d365_response_header(response, "OData-EntityId", D365_NTS, &row));
    snprintf(row_url, sizeof row_url, "%s", row.data);
    CHECK(status_of(response) == 204);
    expect_count(client, D365_LEDGER_ALL, 1);
    expect_count(client, D365_LEDGER_SUSPECTS, 0);
    STATUS(D365_NOT_AVAILABLE, d365_client_resolve(client, acknowledged, D365_RESOLUTION_CONFIRMED, &error));
    CHECK(says(error, "nothing is in question"));
    OK(d365_error_free(error));
    STATUS(D365_EMPTY, d365_queue_next(queue, 0, &item, NULL));

    in_doubt = write_in_doubt(client, second);
    CHECK(in_doubt > acknowledged);
    item = next(queue, D365_EVENT_WRITE_IN_DOUBT);
    check_in_doubt(item, in_doubt);
    expect_count(client, D365_LEDGER_SUSPECTS, 1);

    OK(d365_client_switch_endpoint(client, NULL));
    item = next(queue, D365_EVENT_ENDPOINT_SWITCHED);
    CHECK(item_number(item, D365_ITEM_PROBED) == D365_PROBED_NONE);
    OK(d365_item_free(item));
    check_data_loss(next(queue, D365_EVENT_DATA_LOSS_SUSPECTED), 1, 1);
    STATUS(D365_EMPTY, d365_queue_next(queue, 0, &item, NULL));

    ledger = list(client, D365_LEDGER_SUSPECTS, 2); /* the oldest first */
    snprintf(url, sizeof url, "%s%s", contoso.primary_url, accounts);
    CHECK(written(ledger, 0, D365_LEDGER_ID) == acknowledged);
    CHECK(written(ledger, 0, D365_LEDGER_OPERATION) == D365_OPERATION_UNSAFE);
    CHECK(written(ledger, 0, D365_LEDGER_EFFECT) == D365_EFFECT_EXECUTED);
    CHECK(written(ledger, 0, D365_LEDGER_IS_SUSPECT) == 1);
    CHECK(written(ledger, 0, D365_LEDGER_ROLE) == D365_ROLE_PRIMARY);
    CHECK(written(ledger, 0, D365_LEDGER_EPOCH) == 0);
    CHECK(written(ledger, 0, D365_LEDGER_BODY_LENGTH) == sizeof first - 1);
    CHECK(written(ledger, 0, D365_LEDGER_ATTEMPTS) == 1);
    CHECK(written(ledger, 0, D365_LEDGER_ENDED_MS) >= written(ledger, 0, D365_LEDGER_STARTED_MS));
    CHECK(text_is(ledger, 0, D365_LEDGER_METHOD, "POST"));
    CHECK(text_is(ledger, 0, D365_LEDGER_URL, url));
    CHECK(text_is(ledger, 0, D365_LEDGER_ROW_URL, row_url));
    CHECK(written(ledger, 1, D365_LEDGER_ID) == in_doubt);
    CHECK(written(ledger, 1, D365_LEDGER_EFFECT) == D365_EFFECT_UNKNOWN);
    CHECK(written(ledger, 1, D365_LEDGER_IS_SUSPECT) == 1);
    CHECK(text_is(ledger, 1, D365_LEDGER_ROW_URL, ""));

    OK(d365_client_resolve(client, in_doubt, D365_RESOLUTION_REPLAYED, NULL));
    STATUS(D365_NOT_AVAILABLE, d365_client_resolve(client, in_doubt, D365_RESOLUTION_REPLAYED, NULL));
    expect_count(client, D365_LEDGER_SUSPECTS, 1);
    OK(d365_client_shutdown(client, 0, NULL));
    OK(d365_client_resolve(client, acknowledged, D365_RESOLUTION_CONFIRMED, NULL));
    expect_count(client, D365_LEDGER_SUSPECTS, 0);
    CHECK(written(ledger, 0, D365_LEDGER_IS_SUSPECT) == 1); /* that list is of before */
    OK(d365_ledger_free(ledger));
    ledger = list(client, D365_LEDGER_ALL, 2);
    CHECK(written(ledger, 0, D365_LEDGER_RESOLUTION) == D365_RESOLUTION_CONFIRMED);
    CHECK(written(ledger, 1, D365_LEDGER_RESOLUTION) == D365_RESOLUTION_REPLAYED);
    CHECK(written(ledger, 0, D365_LEDGER_IS_SUSPECT) == 0 && written(ledger, 1, D365_LEDGER_IS_SUSPECT) == 0);
    OK(d365_ledger_free(ledger));
    OK(d365_client_free(client));
    OK(d365_queue_free(queue));
}

/* Nobody takes them, and the queue has room for one chatty item: writes in doubt are told all the same. */
static void writes_in_doubt_are_never_dropped(void)
{
    d365_queue_t *queue = NULL;
    d365_client_t *client;
    d365_item_t *item;
    int64_t ids[5], last = 0;
    int i;
    OK(d365_queue_new(1, &queue, NULL));
    client = open_client(&contoso, queue, "off");
    OK(d365_client_subscribe(client, (uint64_t)1 << D365_EVENT_WRITE_IN_DOUBT, NULL));
    for (i = 0; i < 5; i++)
        ids[i] = write_in_doubt(client, "{\"name\":\"many\"}");
    for (i = 0; i < 5; i++) {
        item = next(queue, D365_EVENT_WRITE_IN_DOUBT);
        CHECK(item_number(item, D365_ITEM_LEDGER_ID) == ids[i]);
        CHECK(item_number(item, D365_ITEM_DROPPED) == 0);
        CHECK(item_number(item, D365_ITEM_SEQ) > last);
        last = item_number(item, D365_ITEM_SEQ);
        OK(d365_item_free(item));
    }
    expect_count(client, D365_LEDGER_SUSPECTS, 5);
    OK(d365_client_free(client));
    OK(d365_queue_free(queue));
}

/* What the service has not done is no write on record, though its error has the number that it had. */
static void not_executed(void)
{
    d365_client_t *client = open_client(&contoso, NULL, "off");
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    int64_t id = 0;
    fault(&contoso, "primary", "\"kind\":\"datacenter_not_available\",\"times\":1");
    STATUS(D365_DATACENTER_NOT_AVAILABLE, call(client, "POST", accounts, "{\"name\":\"away\"}", &response, &error));
    OK(d365_error_ledger_id(error, &id));
    CHECK(id > 0);
    OK(d365_error_free(error));
    expect_count(client, D365_LEDGER_ALL, 0);
    STATUS(D365_NOT_AVAILABLE, d365_client_resolve(client, id, D365_RESOLUTION_LOST, NULL));
    fault(&contoso, "primary", "\"kind\":\"datacenter_not_available\",\"times\":1");
    STATUS(D365_DATACENTER_NOT_AVAILABLE, call(client, "GET", whoami, NULL, &response, &error));
    STATUS(D365_NOT_AVAILABLE, d365_error_ledger_id(error, &id));
    OK(d365_error_free(error));
    OK(d365_client_free(client));
}

/* What a request says of itself is on record with it. */
static void flags(void)
{
    d365_client_t *client = open_client(&contoso, NULL, "off");
    d365_request_t *create = new_request("POST", accounts, "{\"name\":\"guarded\"}"), *update;
    d365_response_t *response = NULL;
    d365_ledger_t *ledger;
    d365_str_t row;
    int32_t n = -1;
    OK(d365_request_set_guarded_create(create, 1, NULL));
    OK(d365_client_send(client, create, &response, NULL));
    OK(d365_response_effect(response, &n));
    CHECK(n == D365_EFFECT_EXECUTED);
    OK(d365_response_header(response, "OData-EntityId", D365_NTS, &row));
    CHECK(rows(&contoso, "primary", "guarded", -1) == 1);

    update = new_request("PATCH", row.data, "{\"name\":\"upserted\"}");
    CHECK(status_of(response) == 204);
    OK(d365_request_set_upsert(update, 1, NULL));
    OK(d365_request_set_operation(update, D365_OPERATION_GUARDED, NULL));
    OK(d365_client_send(client, update, &response, NULL));
    CHECK(status_of(response) == 204);
    CHECK(rows(&contoso, "primary", "guarded", -1) == 0);
    CHECK(rows(&contoso, "primary", "upserted", -1) == 1);
    ledger = list(client, D365_LEDGER_ALL, 2);
    CHECK(written(ledger, 1, D365_LEDGER_OPERATION) == D365_OPERATION_GUARDED);
    OK(d365_ledger_free(ledger));

    OK(d365_request_set_guarded_create(create, 0, NULL));
    OK(d365_request_set_upsert(update, 0, NULL));
    OK(d365_request_free(create));
    OK(d365_request_free(update));
    STATUS(D365_INVALID_HANDLE, d365_request_set_guarded_create(create, 1, NULL));
    STATUS(D365_WRONG_HANDLE, d365_request_set_upsert((d365_request_t *)client, 1, NULL));
    OK(d365_client_free(client));
}

int main(int argc, char **argv)
{
    alarm(240); /* a hang is a failure */
    (void)argv;
    contoso = read_twin();
    if (argc > 1) /* over plain HTTP */
        contoso = new_org("plain-ledger", "\"scheme\":\"http\"");
    control("/clear", "{}");
    in_flight();
    a_switch_and_what_it_puts_in_question();
    writes_in_doubt_are_never_dropped();
    not_executed();
    flags();
    FINISH();
}
