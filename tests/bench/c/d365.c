/* The C ABI: one client for all threads, a request a thread, sent again and again. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "d365_failover.h"

static d365_client_t *client;

/* The error is looked at after the call that makes it. */
static void check(d365_status_t status, d365_error_t **error)
{
    d365_str_t message = {"", 0};
    if (status == D365_OK)
        return;
    d365_error_message(*error, &message);
    die(d365_status_name(status), message.data);
}

/* The URL names an organization, as it must. Its policy is given, so that nothing but the calls is measured, and its
 * alternate refuses, so that a switch ends the run. */
static void open(const struct target *target)
{
    d365_error_t *error = NULL;
    d365_settings_t *settings;
    int secret = !strncmp(target->origin, "https:", 6);
    int port = secret ? 443 : 80;
    char connect_to[256];

    snprintf(connect_to, sizeof connect_to, "contoso.crm.bench.test:%d:%s,contoso--s.crm.bench.test:%d:127.0.0.1:1", port,
             strstr(target->origin, "//") + 2, port);
    check(d365_settings_new(secret ? "https://contoso.crm.bench.test" : "http://contoso.crm.bench.test", D365_NTS,
                            &settings, &error), &error);
    check(d365_settings_set(settings, "connect_to", D365_NTS, connect_to, D365_NTS, &error), &error);
    check(d365_settings_set(settings, "ca_bundle", D365_NTS, target->ca_file, D365_NTS, &error), &error);
    check(d365_settings_set(settings, "auto_switch", D365_NTS, "on", D365_NTS, &error), &error);
    check(d365_client_open(settings, &client, &error), &error);
    d365_settings_free(settings);
}

static void *open_caller(const struct target *target)
{
    d365_error_t *error = NULL;
    d365_request_t *request;

    check(d365_request_new(target->body ? "POST" : "GET", D365_NTS, target->path, D365_NTS, &request, &error), &error);
    if (target->body) {
        check(d365_request_add_header(request, "Content-Type", D365_NTS, "application/json", D365_NTS, &error), &error);
        check(d365_request_set_body(request, target->body, target->body_length, &error), &error);
    }
    return request;
}

static void call(void *request, int *status, size_t *length)
{
    d365_error_t *error = NULL;
    d365_response_t *response;
    const uint8_t *body;
    int32_t code;

    check(d365_client_send(client, request, &response, &error), &error);
    check(d365_response_status(response, &code), NULL);
    check(d365_response_body(response, &body, length), NULL);
    *status = (int)code;
    check(d365_response_free(response), NULL);
}

static void close_caller(void *request)
{
    d365_request_free(request);
}

static void close(void)
{
    d365_error_t *error = NULL;
    check(d365_client_shutdown(client, 5000, &error), &error);
    d365_client_free(client);
}

const struct side d365_side = {"d365", d365_version, open, open_caller, call, close_caller, close};
