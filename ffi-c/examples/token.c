/* Token: asks a command for the bearer token of each endpoint, then asks the service who we are.
 *
 * cc -std=c99 token.c -ld365_failover -o token
 * D365_URL=https://contoso.crm.dynamics.com \
 * D365_TOKEN_COMMAND="az account get-access-token --query accessToken -o tsv --resource" ./token
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
        fprintf(stderr, "the token of D365_TOKEN_COMMAND is not one for this endpoint, or is over\n");
    exit(1);
}

/* On a thread of the library's. The command's last argument is the origin of the endpoint that the token
 * is for. The Azure CLI's tokens are good for five minutes at least; the library keeps one for four. */
static void provide_token(void *command, d365_token_request_t *request)
{
    char line[1024], token[8192] = "";
    d365_str_t url = {"", 0};
    FILE *answer;
    d365_token_request_url(request, &url);
    snprintf(line, sizeof line, "%s %s", (const char *)command, url.data);
    answer = popen(line, "r");
    if (answer != NULL && fgets(token, sizeof token, answer) != NULL)
        token[strcspn(token, "\r\n")] = '\0';
    if (answer == NULL || pclose(answer) != 0)
        d365_token_request_fail(request, "D365_TOKEN_COMMAND has failed", D365_NTS, NULL);
    else if (d365_token_request_reply(request, token, D365_NTS, 240000, NULL) != D365_OK)
        d365_token_request_fail(request, "what D365_TOKEN_COMMAND printed is no token", D365_NTS, NULL);
    d365_token_request_free(request);
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
    d365_settings_t *settings;
    d365_client_t *client;
    d365_request_t *request;
    d365_response_t *response;
    const uint8_t *body;
    size_t len;
    int32_t status;
    const char *command = wanted("D365_TOKEN_COMMAND");

    check(d365_settings_new(wanted("D365_URL"), D365_NTS, &settings, &error));
    set(settings, "ca_bundle", "D365_CA_BUNDLE");
    set(settings, "connect_to", "D365_CONNECT_TO");
    check(d365_settings_set_token_provider(settings, provide_token, (void *)command, NULL, &error));
    check(d365_client_open(settings, &client, &error));

    check(d365_request_new("GET", D365_NTS, "/api/data/v9.2/WhoAmI", D365_NTS, &request, &error));
    check(d365_client_send(client, request, &response, &error));
    check_answer(response);
    check(d365_response_status(response, &status));
    check(d365_response_body(response, &body, &len));
    printf("%d %.*s\n", (int)status, (int)len, (const char *)body);

    d365_response_free(response);
    d365_request_free(request);
    check(d365_client_shutdown(client, 5000, &error));
    d365_client_free(client);
    d365_settings_free(settings);
    return 0;
}
