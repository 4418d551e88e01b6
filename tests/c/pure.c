/* The functions that need no client: names, URLs, the classifier. */
#include "check.h"

static void names(void)
{
    CHECK(strcmp(d365_status_name(D365_OK), "ok") == 0);
    CHECK(strcmp(d365_status_name(D365_ENDPOINT_NOT_FOUND), "endpoint_not_found") == 0);
    CHECK(strcmp(d365_status_name(D365_WOULD_DEADLOCK), "would_deadlock") == 0);
    CHECK(strcmp(d365_status_name(12345), "unknown") == 0);
    CHECK(strcmp(d365_fault_kind_name(D365_FAULT_NONE), "none") == 0);
    CHECK(strcmp(d365_fault_kind_name(D365_FAULT_TIMEOUT), "timeout") == 0);
    CHECK(strcmp(d365_fault_kind_name(-1), "unknown") == 0);
    CHECK(strcmp(d365_event_kind_name(D365_EVENT_ENDPOINT_SWITCH_REQUIRED), "EndpointSwitchRequired") == 0);
    CHECK(strcmp(d365_event_kind_name(D365_EVENT_ENDPOINT_SWITCHED), "EndpointSwitched") == 0);
    CHECK(strcmp(d365_event_kind_name(D365_ITEM_COMPLETION), "Completion") == 0);
    CHECK(strcmp(d365_event_kind_name(D365_ITEM_BODY), "Body") == 0);
    CHECK(strcmp(d365_event_kind_name(D365_EVENT_WRITE_IN_DOUBT), "WriteInDoubt") == 0);
    CHECK(strcmp(d365_event_kind_name(D365_EVENT_DATA_LOSS_SUSPECTED), "DataLossSuspected") == 0);
    CHECK(strcmp(d365_event_kind_name(D365_EVENT_CALL_RETRIED), "CallRetried") == 0);
    CHECK(strcmp(d365_event_kind_name(D365_EVENT_THROTTLED), "Throttled") == 0);
    CHECK(strcmp(d365_event_kind_name(D365_EVENT_OUTAGE_STARTED), "OutageStarted") == 0);
    CHECK(strcmp(d365_event_kind_name(D365_EVENT_OUTAGE_ENDED), "OutageEnded") == 0);
    CHECK(strcmp(d365_event_kind_name(D365_EVENT_SETTLED), "Settled") == 0);
    CHECK(strcmp(d365_event_kind_name(D365_EVENT_STORE_FAILED + 1), "unknown") == 0);
    CHECK(strcmp(d365_probed_name(D365_PROBED_NONE), "none") == 0);
    CHECK(strcmp(d365_probed_name(D365_PROBED_REACHABLE), "reachable") == 0);
    CHECK(strcmp(d365_probed_name(D365_PROBED_SERVES), "serves") == 0);
    CHECK(strcmp(d365_probed_name(-1), "unknown") == 0);
    CHECK(strcmp(d365_resolution_name(D365_RESOLUTION_NONE), "none") == 0);
    CHECK(strcmp(d365_resolution_name(D365_RESOLUTION_CONFIRMED), "confirmed") == 0);
    CHECK(strcmp(d365_resolution_name(D365_RESOLUTION_REPLAYED), "replayed") == 0);
    CHECK(strcmp(d365_resolution_name(D365_RESOLUTION_LOST), "lost") == 0);
    CHECK(strcmp(d365_resolution_name(4), "unknown") == 0);
}

static int gives(d365_text_t *text, const char *wanted)
{
    d365_str_t view;
    int is_same = d365_text_view(text, &view) == D365_OK && view.len == strlen(wanted)
                  && memcmp(view.data, wanted, view.len + 1) == 0;
    if (!is_same)
        printf("     got %s\n", view.data);
    MUST(d365_text_free(text) == D365_OK);
    return is_same;
}

static void urls(void)
{
    static const char primary[] = "https://contoso.crm.dynamics.com/api/data/v9.2/accounts?$top=1";
    static const char alternate[] = "https://contoso--s.crm.dynamics.com/api/data/v9.2/accounts?$top=1";
    d365_text_t *text = NULL;
    int32_t is_alternate = -1;
    OK(d365_url_alternate(primary, D365_NTS, &text, NULL));
    CHECK(gives(text, alternate));
    OK(d365_url_alternate(alternate, sizeof alternate - 1, &text, NULL));
    CHECK(gives(text, alternate));
    OK(d365_url_shown("/api/accounts?$filter=secret", D365_NTS, &text, NULL));
    CHECK(gives(text, "/api/accounts?\xE2\x80\xA6"));
    OK(d365_url_primary(alternate, D365_NTS, &text, NULL));
    CHECK(gives(text, primary));
    OK(d365_url_is_alternate(alternate, D365_NTS, &is_alternate, NULL));
    CHECK(is_alternate == 1);
    OK(d365_url_is_alternate(primary, D365_NTS, &is_alternate, NULL));
    CHECK(is_alternate == 0);
}

static d365_header_t header(const char *name, const char *value)
{
    d365_header_t header;
    header.name = name;
    header.name_len = D365_NTS;
    header.value = value;
    header.value_len = strlen(value);
    return header;
}

/* What would be done, of a create that nobody could repeat. */
static void explanations(void)
{
    d365_header_t marked = header("OData-Version", "4.0");
    d365_request_t *request = NULL;
    d365_text_t *text = NULL;
    d365_str_t view;
    d365_error_t *error = NULL;
    OK(d365_request_new("POST", D365_NTS, "/api/data/v9.2/accounts", D365_NTS, &request, NULL));
    OK(d365_explain_response(request, D365_PRESET_SAFE, 503, NULL, 0, NULL, 0, &text, NULL));
    OK(d365_text_view(text, &view));
    CHECK(strstr(view.data, "\"effect\":\"unknown\"") != NULL);
    CHECK(strstr(view.data, "\"evidence\":\"weak\"") != NULL);
    OK(d365_text_free(text));
    OK(d365_explain_response(request, D365_PRESET_SAFE, 204, &marked, 1, NULL, 0, &text, NULL));
    OK(d365_text_view(text, &view));
    CHECK(strstr(view.data, "\"effect\":\"executed\"") != NULL);
    OK(d365_text_free(text));
    OK(d365_explain_fault(request, D365_PRESET_DOTNET, D365_CAUSE_REFUSED, D365_PHASE_NOT_SENT, &text, NULL));
    OK(d365_text_view(text, &view));
    CHECK(strstr(view.data, "\"switch\":\"at_once\"") != NULL);
    OK(d365_text_free(text));
    text = NULL;
    CHECK(d365_explain_fault(request, D365_PRESET_SAFE, 999, D365_PHASE_SENT, &text, &error) == D365_INVALID_ARGUMENT);
    OK(d365_error_free(error));
    CHECK(d365_explain_fault(request, D365_PRESET_SAFE, D365_CAUSE_RESET, D365_PHASE_RESPONDED, &text, NULL)
          == D365_INVALID_ARGUMENT);
    CHECK(d365_explain_response(request, 3, 503, NULL, 0, NULL, 0, &text, NULL) == D365_INVALID_ARGUMENT);
    CHECK(d365_explain_response(request, D365_PRESET_SAFE, 99, NULL, 0, NULL, 0, &text, NULL)
          == D365_INVALID_ARGUMENT);
    CHECK(text == NULL);
    /* As what it is sent, or refused as there. */
    OK(d365_request_set_guarded_create(request, 1, NULL));
    OK(d365_explain_response(request, D365_PRESET_SAFE, 503, NULL, 0, NULL, 0, &text, NULL));
    OK(d365_text_view(text, &view));
    CHECK(strstr(view.data, "\"operation\":\"guarded\"") != NULL);
    OK(d365_text_free(text));
    OK(d365_request_free(request));
    OK(d365_request_new_replay(1, 0, &request, NULL));
    STATUS(D365_INVALID_ARGUMENT,
           d365_explain_response(request, D365_PRESET_SAFE, 503, NULL, 0, NULL, 0, &text, NULL));
    STATUS(D365_INVALID_ARGUMENT,
           d365_explain_fault(request, D365_PRESET_SAFE, D365_CAUSE_RESET, D365_PHASE_SENT, &text, NULL));
    OK(d365_request_free(request));
}

static d365_fault_t *classify(int32_t status, const d365_header_t *headers, size_t count, const char *body)
{
    d365_fault_t *fault = NULL;
    MUST(d365_fault_from_response(status, headers, count, (const uint8_t *)body, strlen(body), &fault, NULL)
         == D365_OK);
    return fault;
}

static void expect(d365_fault_t *fault, int32_t kind, int32_t starts)
{
    int32_t got = -1;
    OK(d365_fault_kind(fault, &got));
    CHECK(got == kind);
    OK(d365_fault_starts_failover(fault, D365_PRESET_DOTNET, &got, NULL));
    CHECK(got == starts);
}

static void faults(void)
{
    d365_header_t json[2], xml[1];
    d365_fault_t *fault;
    d365_str_t message;
    int32_t code = 0;
    int64_t ms = 0;
    json[0] = header("Content-Type", "application/json");
    json[1] = header("Retry-After", "7");
    xml[0] = header("content-type", "text/xml; charset=utf-8");

    fault = classify(200, json, 1, "{}");
    expect(fault, D365_FAULT_NONE, 0);
    STATUS(D365_NOT_AVAILABLE, d365_fault_service_code(fault, &code));
    STATUS(D365_NOT_AVAILABLE, d365_fault_retry_after_ms(fault, &ms));
    OK(d365_fault_message(fault, &message));
    CHECK(message.len == 0 && message.data[0] == '\0');
    OK(d365_fault_free(fault));

    fault = classify(500, xml, 1,
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault>"
        "<faultcode>s:Client</faultcode><faultstring>no</faultstring><detail>"
        "<OrganizationServiceFault xmlns=\"http://schemas.microsoft.com/xrm/2011/Contracts\">"
        "<ErrorCode>-2147176347</ErrorCode><Message>away</Message></OrganizationServiceFault>"
        "</detail></s:Fault></s:Body></s:Envelope>");
    expect(fault, D365_FAULT_DATACENTER_NOT_AVAILABLE, 1);
    OK(d365_fault_service_code(fault, &code));
    CHECK(code == -2147176347);
    OK(d365_fault_message(fault, &message));
    CHECK(message.len > 0);
    OK(d365_fault_free(fault));

    fault = classify(429, json, 2, "{\"error\":{\"code\":\"0x80072322\",\"message\":\"slower\"}}");
    expect(fault, D365_FAULT_THROTTLED, 0);
    OK(d365_fault_retry_after_ms(fault, &ms));
    CHECK(ms == 7000);
    OK(d365_fault_free(fault));

    fault = classify(504, NULL, 0, "");
    expect(fault, D365_FAULT_TIMEOUT, 1);
    OK(d365_fault_free(fault));

    fault = classify(404, json, 1, "{\"error\":{\"code\":\"0x80040217\",\"message\":\"no such row\"}}");
    expect(fault, D365_FAULT_SERVICE, 0);
    OK(d365_fault_free(fault));

    fault = classify(404, NULL, 0, "");
    expect(fault, D365_FAULT_ENDPOINT_NOT_FOUND, 1);
    OK(d365_fault_free(fault));
}

int main(void)
{
    names();
    urls();
    faults();
    explanations();
    FINISH();
}
