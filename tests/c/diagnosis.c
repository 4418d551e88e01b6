/* What a client has counted, and what a look at each endpoint finds. */
#include "twin.h"

static struct org contoso;

static cJSON *counted(d365_client_t *client)
{
    d365_text_t *text = NULL;
    d365_str_t view;
    cJSON *json;
    MUST(d365_client_statistics(client, &text, NULL) == D365_OK);
    MUST(d365_text_view(text, &view) == D365_OK);
    json = cJSON_Parse(view.data);
    MUST(json != NULL);
    MUST(d365_text_free(text) == D365_OK);
    return json;
}

static double number_in(const cJSON *json, const char *one, const char *two, const char *three)
{
    json = cJSON_GetObjectItem(json, one);
    json = two == NULL ? json : cJSON_GetObjectItem(json, two);
    json = three == NULL ? json : cJSON_GetObjectItem(json, three);
    MUST(cJSON_IsNumber(json));
    return json->valuedouble;
}

static int verdict_is(d365_client_t *client, int32_t role, const char *wanted)
{
    d365_request_t *request = NULL;
    d365_response_t *response = NULL;
    const uint8_t *body = NULL;
    size_t len = 0;
    int32_t status = -1;
    cJSON *report;
    int is_same;
    OK(d365_request_new_check(role, &request, NULL));
    OK(d365_request_set_attempt_timeout_ms(request, 5000, NULL));
    OK(d365_client_send(client, request, &response, NULL));
    OK(d365_response_status(response, &status));
    CHECK(status == 0);
    OK(d365_response_body(response, &body, &len));
    report = cJSON_ParseWithLength((const char *)body, len);
    MUST(report != NULL);
    is_same = strcmp(text_of(report, "verdict"), wanted) == 0;
    if (!is_same)
        printf("     got %.*s\n", (int)len, (const char *)body);
    cJSON_Delete(report);
    OK(d365_response_free(response));
    OK(d365_request_free(request));
    return is_same;
}

int main(void)
{
    d365_client_t *client;
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    cJSON *json;
    alarm(240); /* a hang is a failure */
    contoso = read_twin();
    control("/clear", "{}");
    client = open_client(&contoso, NULL, "off");
    OK(call(client, "GET", whoami, NULL, &response, NULL));
    OK(d365_response_free(response));
    CHECK(verdict_is(client, D365_ROLE_PRIMARY, "serves"));
    CHECK(verdict_is(client, D365_ROLE_ALTERNATE, "serves"));
    fault(&contoso, "primary", "\"kind\":\"commit_then_reset\",\"method\":\"POST\",\"times\":1");
    STATUS(D365_WRITE_IN_DOUBT, call(client, "POST", accounts, "{\"name\":\"diagnosis\"}", &response, &error));
    OK(d365_error_free(error));
    fault(&contoso, "primary", "\"kind\":\"refuse\"");
    CHECK(verdict_is(client, D365_ROLE_PRIMARY, "failed"));

    json = counted(client);
    CHECK(number_in(json, "switches", NULL, NULL) == 0);
    CHECK(number_in(json, "calls", "answered", NULL) == 1);
    CHECK(number_in(json, "calls", "failed", NULL) == 1);
    CHECK(number_in(json, "writes", "in_doubt", NULL) == 1);
    CHECK(number_in(json, "writes", "suspects", NULL) == 1);
    CHECK(number_in(cJSON_GetObjectItem(json, "endpoints"), "primary", "attempts", NULL) == 2);
    CHECK(number_in(cJSON_GetObjectItem(json, "endpoints"), "primary", "failed", NULL) == 1);
    CHECK(number_in(cJSON_GetObjectItem(json, "endpoints"), "alternate", "attempts", NULL) == 0);
    CHECK(number_in(cJSON_GetObjectItem(json, "endpoints"), "alternate", "probes", "serves") == 1);
    cJSON_Delete(json);

    control("/clear", "{}");
    OK(d365_client_shutdown(client, 1000, NULL));
    json = counted(client);
    CHECK(number_in(json, "calls", "answered", NULL) == 1);
    cJSON_Delete(json);
    OK(d365_client_free(client));
    FINISH();
}
