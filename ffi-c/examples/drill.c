/* An application that works through a disaster: creates, reads, SOAP and Web API, until its
 * standard input ends. What it does and what it was told goes to standard output, a line each; at the
 * end the writes that the ledger wants to be verified.
 *
 * Environment: D365_URL, D365_APP; optional D365_CA_BUNDLE, D365_CONNECT_TO, D365_PRESET,
 * D365_ATTEMPT_TIMEOUT_MS, D365_WRITE_GRACE_MS, D365_REPLICATION_WINDOW_MS, D365_STORE,
 * D365_LEDGER_BODIES, D365_GUARDED_CREATES (on: creates that can be sent again), D365_TOKEN_PREFIX
 * (tokens are then this prefix and the endpoint's host).
 *
 * cc -std=c99 drill.c -ld365_failover -o drill
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _WIN32
#include <windows.h>
#else
#include <poll.h>
#include <unistd.h>
#endif

#include "d365_failover.h"

#define SOAP_BEGIN "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>"
#define SOAP_END "</s:Body></s:Envelope>"
#define SERVICES "http://schemas.microsoft.com/xrm/2011/Contracts/Services"
#define CONTRACTS "http://schemas.microsoft.com/xrm/2011/Contracts"
#define INSTANCE "http://www.w3.org/2001/XMLSchema-instance"
#define GENERIC "http://schemas.datacontract.org/2004/07/System.Collections.Generic"

static const char create_soap[] = SOAP_BEGIN
    "<Create xmlns=\"" SERVICES "\" xmlns:i=\"" INSTANCE "\"><entity xmlns:b=\"" CONTRACTS "\">"
    "<b:Attributes xmlns:c=\"" GENERIC "\"><b:KeyValuePairOfstringanyType><c:key>name</c:key>"
    "<c:value i:type=\"d:string\" xmlns:d=\"http://www.w3.org/2001/XMLSchema\">%s</c:value>"
    "</b:KeyValuePairOfstringanyType></b:Attributes><b:EntityState i:nil=\"true\"/>"
    "<b:FormattedValues xmlns:c=\"" GENERIC "\"/>"
    "<b:Id>00000000-0000-0000-0000-000000000000</b:Id><b:LogicalName>account</b:LogicalName>"
    "<b:RelatedEntities xmlns:c=\"" GENERIC "\"/></entity></Create>" SOAP_END;

static const char whoami_soap[] = SOAP_BEGIN
    "<Execute xmlns=\"" SERVICES "\" xmlns:i=\"" INSTANCE "\"><request i:type=\"c:WhoAmIRequest\""
    " xmlns:b=\"" CONTRACTS "\" xmlns:c=\"http://schemas.microsoft.com/crm/2011/Contracts\">"
    "<b:Parameters xmlns:d=\"" GENERIC "\"/><b:RequestId i:nil=\"true\"/>"
    "<b:RequestName>WhoAmI</b:RequestName></request></Execute>" SOAP_END;

static d365_client_t *client;
static unsigned long calls;

/* Ends the program when the set-up fails; a call that fails is no reason to end. */
static void check(d365_status_t status, d365_error_t *error)
{
    d365_str_t message = {"", 0};
    if (status == D365_OK)
        return;
    d365_error_message(error, &message);
    fprintf(stderr, "%s: %s\n", d365_status_name(status), message.data);
    exit(1);
}

static void set(d365_settings_t *settings, const char *key, const char *variable)
{
    const char *value = getenv(variable);
    d365_error_t *error = NULL;
    if (value != NULL)
        check(d365_settings_set(settings, key, D365_NTS, value, D365_NTS, &error), error);
}

static void on_item(void *user_data, d365_item_t *item)
{
    d365_str_t from = {"", 0}, to = {"", 0}, reason = {"", 0}, method = {"", 0}, url = {"", 0};
    int64_t write = 0, in_doubt = 0, acknowledged = 0;
    int32_t kind;
    (void)user_data;
    d365_item_kind(item, &kind);
    d365_item_text(item, D365_ITEM_REASON, &reason);
    switch (kind) {
    case D365_EVENT_WRITE_IN_DOUBT:
        d365_item_number(item, D365_ITEM_LEDGER_ID, &write);
        d365_item_text(item, D365_ITEM_METHOD, &method);
        d365_item_text(item, D365_ITEM_URL, &url);
        printf("event WriteInDoubt %lld %s %s %s\n", (long long)write, method.data, url.data, reason.data);
        break;
    case D365_EVENT_DATA_LOSS_SUSPECTED:
        d365_item_number(item, D365_ITEM_IN_DOUBT, &in_doubt);
        d365_item_number(item, D365_ITEM_ACKNOWLEDGED, &acknowledged);
        printf("event DataLossSuspected %lld %lld\n", (long long)in_doubt, (long long)acknowledged);
        break;
    default:
        d365_item_text(item, D365_ITEM_PREVIOUS_URL, &from);
        d365_item_text(item, D365_ITEM_NEW_URL, &to);
        printf("event %s %s %s %s\n", d365_event_kind_name(kind), from.data, to.data, reason.data);
    }
    fflush(stdout);
    d365_item_free(item);
}

static void provide_token(void *prefix, d365_token_request_t *request)
{
    char token[512];
    d365_str_t url = {"", 0};
    const char *host;
    d365_token_request_url(request, &url);
    host = strstr(url.data, "://");
    host = host == NULL ? url.data : host + 3;
    snprintf(token, sizeof token, "%s%.*s", (const char *)prefix, (int)strcspn(host, ":/"), host);
    d365_token_request_reply(request, token, D365_NTS, 60000, NULL);
    d365_token_request_free(request);
}

/* The words for what is known of a write: D365_EFFECT_... */
static const char *effect_name(int64_t effect)
{
    static const char *const names[] = {"none", "executed", "not_executed", "unknown"};
    return effect >= D365_EFFECT_NONE && effect < D365_EFFECT_UNKNOWN ? names[effect] : "unknown";
}

/* A create did not succeed. Whether it was executed all the same, `effect` says. */
static void failed(const char *name, int32_t effect, int64_t write)
{
    printf("failed %s %s %lld\n", name, effect_name(effect), (long long)write);
}

/* One call; a response only when it succeeded. `name` is the name of the row that it creates. */
static d365_response_t *call(const char *what, const char *method, const char *url,
                             const char *action, const char *body, const char *name)
{
    d365_request_t *request = NULL;
    d365_response_t *response = NULL;
    d365_attempts_t *attempts = NULL;
    d365_error_t *error = NULL;
    d365_str_t message = {"", 0};
    size_t made = 0;
    int64_t write = 0;
    int32_t code = 0, effect = D365_EFFECT_NONE;
    d365_status_t status;

    check(d365_request_new(method, D365_NTS, url, D365_NTS, &request, &error), error);
    d365_request_add_header(request, "Content-Type", D365_NTS,
                            action ? "text/xml; charset=utf-8" : "application/json", D365_NTS, NULL);
    if (action)
        d365_request_add_header(request, "SOAPAction", D365_NTS, action, D365_NTS, NULL);
    if (body)
        d365_request_set_body(request, (const uint8_t *)body, strlen(body), NULL);
    if (name != NULL) {
        const char *guarded = getenv("D365_GUARDED_CREATES");
        d365_request_set_tag(request, name, D365_NTS, NULL);
        d365_request_set_guarded_create(request, guarded != NULL && strcmp(guarded, "on") == 0, NULL);
    }
    status = d365_client_send(client, request, &response, &error);
    d365_request_free(request);
    calls++;
    if (status != D365_OK) {
        d365_error_message(error, &message);
        printf("error %s %s %s\n", d365_status_name(status), what, message.data);
        if (name != NULL && d365_error_ledger_id(error, &write) == D365_OK) {
            d365_error_effect(error, &effect);
            failed(name, effect, write);
        }
        d365_error_free(error);
    } else if (d365_response_status(response, &code), code < 200 || code > 299) {
        printf("error service %s HTTP status %d\n", what, (int)code);
        if (name != NULL && d365_response_ledger_id(response, &write) == D365_OK) {
            d365_response_effect(response, &effect);
            failed(name, effect, write);
        }
        d365_response_free(response);
        response = NULL;
    } else {
        printf("call ok %s\n", what);
        d365_response_attempts(response, &attempts);
        d365_attempts_count(attempts, &made);
        d365_attempts_free(attempts);
        if (made > 1)
            printf("call retried %s\n", what);
    }
    fflush(stdout);
    return response;
}

/* Prints the id that stands between two marks in the answer, and the write's number in the ledger. */
static void created(const d365_response_t *response, const char *text, const char *before, const char *after,
                    const char *name)
{
    const char *id = strstr(text, before), *end = id ? strstr(id += strlen(before), after) : NULL;
    int64_t write = 0;
    d365_response_ledger_id(response, &write);
    if (end)
        printf("created %.*s %s %lld\n", (int)(end - id), id, name, (long long)write);
    fflush(stdout);
}

/* The writes to verify: in doubt, or acknowledged by the primary shortly before it was left. What is missing
 * may still come over, and of what no row can tell a person must look: these are left. */
static void say_suspects(void)
{
    static const char *const ends[] = {"left", "confirmed", "replayed", "lost"};
    d365_ledger_t *ledger = NULL;
    d365_response_t *settled = NULL;
    d365_error_t *error = NULL;
    size_t count = 0, i;

    check(d365_client_ledger(client, D365_LEDGER_SUSPECTS, &ledger, &error), error);
    d365_ledger_count(ledger, &count);
    for (i = 0; i < count; i++) {
        int64_t write = 0, effect = 0;
        int32_t verified = 0;
        d365_str_t method = {"", 0}, url = {"", 0};
        d365_ledger_number(ledger, i, D365_LEDGER_ID, &write);
        d365_ledger_number(ledger, i, D365_LEDGER_EFFECT, &effect);
        d365_ledger_text(ledger, i, D365_LEDGER_METHOD, &method);
        d365_ledger_text(ledger, i, D365_LEDGER_URL, &url);
        check(d365_client_verify(client, write, &verified, &error), error);
        printf("suspect %lld %s %s %s %s\n", (long long)write, effect_name(effect), method.data, url.data,
               d365_verified_name(verified));
    }
    d365_ledger_free(ledger);
    check(d365_client_settle(client, D365_SETTLE_CONFIRM | D365_SETTLE_REPLAY, &settled, &error), error);
    d365_response_free(settled);

    check(d365_client_ledger(client, D365_LEDGER_ALL, &ledger, &error), error);
    d365_ledger_count(ledger, &count);
    for (i = 0; i < count; i++) {
        int64_t write = 0, verified = D365_VERIFIED_NONE, resolution = D365_RESOLUTION_NONE;
        d365_str_t tag = {"-", 1};
        /* Nobody has looked at the others. */
        d365_ledger_number(ledger, i, D365_LEDGER_VERIFIED, &verified);
        if (verified == D365_VERIFIED_NONE)
            continue;
        d365_ledger_number(ledger, i, D365_LEDGER_ID, &write);
        d365_ledger_number(ledger, i, D365_LEDGER_RESOLUTION, &resolution);
        d365_ledger_text(ledger, i, D365_LEDGER_TAG, &tag);
        printf("settled %lld %s %s\n", (long long)write, tag.data, ends[resolution]);
    }
    d365_ledger_free(ledger);
}

static void web_round(const char *name)
{
    char body[256];
    d365_response_t *response;
    d365_str_t url;
    snprintf(body, sizeof body, "{\"name\":\"%s\"}", name);
    response = call("create-web", "POST", "/api/data/v9.2/accounts", NULL, body, name);
    if (response == NULL)
        return;
    if (d365_response_header(response, "OData-EntityId", D365_NTS, &url) == D365_OK) {
        created(response, url.data, "(", ")", name);
        d365_response_free(call("read-web", "GET", url.data, NULL, NULL, NULL));
    }
    d365_response_free(response);
}

static void soap_round(const char *name)
{
    static const char service[] = "/XRMServices/2011/Organization.svc/web";
    char body[2048];
    d365_response_t *response;
    const uint8_t *data;
    size_t len;
    snprintf(body, sizeof body, create_soap, name);
    response = call("create-soap", "POST", service, SERVICES "/IOrganizationService/Create", body,
                    name);
    if (response != NULL && d365_response_body(response, &data, &len) == D365_OK) {
        char *text = malloc(len + 1);
        if (text != NULL) {
            memcpy(text, data, len);
            text[len] = '\0';
            created(response, text, "<CreateResult>", "</CreateResult>", name);
        }
        free(text);
    }
    d365_response_free(response);
    d365_response_free(call("whoami-soap", "POST", service,
                            SERVICES "/IOrganizationService/Execute", whoami_soap, NULL));
}

/* Waits up to 20 ms; 0 when standard input has ended. */
#ifdef _WIN32
static DWORD WINAPI read_input(void *unused)
{
    (void)unused;
    while (getchar() != EOF)
        continue;
    return 0;
}

static int go_on(void)
{
    static HANDLE reader;
    if (reader == NULL)
        reader = CreateThread(NULL, 0, read_input, NULL, 0, NULL);
    return WaitForSingleObject(reader, 20) == WAIT_TIMEOUT;
}
#else
static int go_on(void)
{
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};
    char line[256];
    return poll(&input, 1, 20) <= 0 || read(STDIN_FILENO, line, sizeof line) > 0;
}
#endif

int main(void)
{
    const char *url = getenv("D365_URL"), *app = getenv("D365_APP");
    char *prefix = getenv("D365_TOKEN_PREFIX"), name[128];
    d365_settings_t *settings = NULL;
    d365_queue_t *queue = NULL;
    d365_error_t *error = NULL;
    unsigned long n;

    check(d365_settings_new(url, D365_NTS, &settings, &error), error);
    set(settings, "ca_bundle", "D365_CA_BUNDLE");
    set(settings, "connect_to", "D365_CONNECT_TO");
    set(settings, "preset", "D365_PRESET");
    set(settings, "attempt_timeout_ms", "D365_ATTEMPT_TIMEOUT_MS");
    set(settings, "write_grace_ms", "D365_WRITE_GRACE_MS");
    set(settings, "replication_window_ms", "D365_REPLICATION_WINDOW_MS");
    set(settings, "store", "D365_STORE");
    set(settings, "ledger_bodies", "D365_LEDGER_BODIES");
    if (prefix)
        check(d365_settings_set_token_provider(settings, provide_token, prefix, NULL, &error), error);
    check(d365_queue_new(0, &queue, &error), error);
    check(d365_queue_run(queue, on_item, NULL, NULL, &error), error);
    check(d365_settings_set_queue(settings, queue, NULL, &error), error);
    check(d365_client_open(settings, &client, &error), error);
    check(d365_client_subscribe(client, 1u << D365_EVENT_ENDPOINT_SWITCH_REQUIRED
                                | 1u << D365_EVENT_ENDPOINT_SWITCHED | 1u << D365_EVENT_WRITE_IN_DOUBT
                                | 1u << D365_EVENT_DATA_LOSS_SUSPECTED, &error), error);
    d365_settings_free(settings);
    printf("ready\n");
    fflush(stdout);

    for (n = 1; go_on(); n++) {
        snprintf(name, sizeof name, "%s-web-%lu", app ? app : "drill", n);
        web_round(name);
        snprintf(name, sizeof name, "%s-soap-%lu", app ? app : "drill", n);
        soap_round(name);
    }

    say_suspects();
    check(d365_client_shutdown(client, 10000, &error), error);
    d365_client_free(client);
    check(d365_queue_close(queue, 10000, &error), error);
    d365_queue_free(queue);
    printf("done %lu\n", calls);
    return 0;
}
