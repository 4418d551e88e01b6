/* What a C program can do wrong: the part of it that the scenarios ask for. */
#include "agent.h"

static d365_status_t on_closed_client(void)
{
    d365_settings_t *settings = NULL;
    d365_client_t *client = NULL;
    d365_request_t *request = NULL;
    d365_response_t *response;
    d365_status_t status;
    CHECK(d365_settings_new("http://contoso.crm.twin.test", D365_NTS, &settings, NULL) == D365_OK);
    CHECK(d365_client_open(settings, &client, NULL) == D365_OK);
    CHECK(d365_client_shutdown(client, 0, NULL) == D365_OK);
    CHECK(d365_request_new("GET", 3, "/", 1, &request, NULL) == D365_OK);
    status = d365_client_send(client, request, &response, NULL);
    d365_request_free(request);
    d365_client_free(client);
    d365_settings_free(settings);
    return status;
}

cJSON *do_misuse(const cJSON *json)
{
    const char *what = text_of(json, "what");
    d365_text_t *text = NULL;
    d365_settings_t *settings = NULL;
    d365_str_t view;
    d365_status_t got = D365_OK;
    cJSON *answer = fine();

    CHECK(what != NULL);
    CHECK(d365_url_alternate("https://contoso.crm.dynamics.com", D365_NTS, &text, NULL) == D365_OK);
    CHECK(d365_settings_new("https://contoso.crm.dynamics.com", D365_NTS, &settings, NULL) == D365_OK);
    if (strcmp(what, "null_pointer") == 0)
        got = d365_text_view(text, NULL);
    else if (strcmp(what, "stale_handle") == 0)
        got = d365_text_free(text) == D365_OK ? d365_text_view(text, &view) : D365_OK;
    else if (strcmp(what, "double_free") == 0)
        got = d365_text_free(text) == D365_OK ? d365_text_free(text) : D365_OK;
    else if (strcmp(what, "wrong_handle") == 0)
        got = d365_text_view((const d365_text_t *)settings, &view);
    else if (strcmp(what, "bad_utf8") == 0)
        got = d365_settings_set(settings, "user_agent", D365_NTS, "\xff\xfe", 2, NULL);
    else if (strcmp(what, "bad_url") == 0)
        got = d365_url_alternate("not a url", D365_NTS, &text, NULL);
    else if (strcmp(what, "unknown_setting") == 0)
        got = d365_settings_set(settings, "no_such_setting", D365_NTS, "1", 1, NULL);
    else if (strcmp(what, "closed_client") == 0)
        got = on_closed_client();
    else
        CHECK(!"a misuse that this agent knows");
    d365_text_free(text);
    d365_settings_free(settings);
    cJSON_AddStringToObject(answer, "got", d365_status_name(got));
    return answer;
}
