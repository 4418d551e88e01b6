/* The twin datacenter that the file TWIN_JSON describes: its organizations, its faults, and clients of them. */
#ifndef TWIN_H
#define TWIN_H

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

struct org {
    char name[32], primary_url[128], alternate_url[128], connect_to[512];
};

static char ca_file[1024];
/* The rules of the clients that are opened. */
static const char *preset = "dotnet";
static int control_port;

static inline const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    MUST(text != NULL);
    return text;
}

static inline void read_side(struct org *org, const cJSON *side, char *url, size_t size)
{
    size_t used = strlen(org->connect_to);
    int is_https = strncmp(text_of(side, "url"), "https", 5) == 0;
    snprintf(url, size, "%s", text_of(side, "url"));
    snprintf(org->connect_to + used, sizeof org->connect_to - used, "%s%s:%d:127.0.0.1:%d", used ? "," : "",
             text_of(side, "host"), is_https ? 443 : 80,
             (int)cJSON_GetNumberValue(cJSON_GetObjectItem(side, "port")));
}

static inline struct org read_org(const cJSON *json)
{
    struct org org;
    memset(&org, 0, sizeof org);
    snprintf(org.name, sizeof org.name, "%s", text_of(json, "name"));
    read_side(&org, cJSON_GetObjectItem(json, "primary"), org.primary_url, sizeof org.primary_url);
    read_side(&org, cJSON_GetObjectItem(json, "alternate"), org.alternate_url, sizeof org.alternate_url);
    return org;
}

/* The organization that the twin was started with. */
static inline struct org read_twin(void)
{
    const char *path = getenv("TWIN_JSON");
    FILE *file = path ? fopen(path, "rb") : NULL;
    char *text = calloc(1, 1 << 20);
    struct org org;
    cJSON *twin;
    MUST(file != NULL && text != NULL && fread(text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    twin = cJSON_Parse(text);
    MUST(twin != NULL);
    MUST(sscanf(text_of(twin, "control_url"), "http://127.0.0.1:%d", &control_port) == 1);
    snprintf(ca_file, sizeof ca_file, "%s", text_of(twin, "ca_file"));
    org = read_org(cJSON_GetObjectItem(cJSON_GetObjectItem(twin, "organizations"), "contoso"));
    cJSON_Delete(twin);
    free(text);
    return org;
}

/* Asks the twin's control endpoint. The answer is the caller's. */
static inline cJSON *ask(const char *method, const char *path, const char *json)
{
    struct sockaddr_in address;
    size_t size = strlen(json) + 1024, used = 0;
    char *text = malloc(size);
    ssize_t got, len;
    cJSON *answer = NULL;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)control_port);
    MUST(text != NULL && fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    len = snprintf(text, size,
                   "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n"
                   "Content-Length: %d\r\n\r\n%s", method, path, (int)strlen(json), json);
    for (used = 0; used < (size_t)len; used += (size_t)got)
        MUST((got = write(fd, text + used, (size_t)len - used)) > 0);
    used = 0;
    while ((got = read(fd, text + used, size - used - 1)) > 0) {
        used += (size_t)got;
        if (used == size - 1)
            MUST((text = realloc(text, size *= 2)) != NULL);
    }
    close(fd);
    text[used] = '\0';
    if (strncmp(text, "HTTP/1.1 2", 10) != 0)
        printf("     %s\n", text);
    MUST(strncmp(text, "HTTP/1.1 2", 10) == 0 && strstr(text, "\r\n\r\n") != NULL);
    MUST((answer = cJSON_Parse(strstr(text, "\r\n\r\n") + 4)) != NULL);
    free(text);
    return answer;
}

static inline void control(const char *path, const char *json)
{
    cJSON_Delete(ask("POST", path, json));
}

/* One more organization; `more` are members of its JSON: "\"scheme\":\"http\"". */
static inline struct org new_org(const char *name, const char *more)
{
    char json[256];
    struct org org;
    cJSON *answer;
    snprintf(json, sizeof json, "{\"name\":\"%s\",%s}", name, more);
    answer = ask("POST", "/orgs", json);
    org = read_org(answer);
    cJSON_Delete(answer);
    return org;
}

static inline void fault(const struct org *org, const char *side, const char *rest)
{
    char json[256];
    MUST(snprintf(json, sizeof json, "{\"org\":\"%s\",\"side\":\"%s\",%s}", org->name, side, rest) < (int)sizeof json);
    control("/faults", json);
}

static inline d365_settings_t *settings_for(const struct org *org, d365_queue_t *queue, const char *auto_switch)
{
    d365_settings_t *settings = NULL;
    MUST(d365_settings_new(org->primary_url, D365_NTS, &settings, NULL) == D365_OK);
    MUST(d365_settings_set(settings, "ca_bundle", D365_NTS, ca_file, D365_NTS, NULL) == D365_OK);
    MUST(d365_settings_set(settings, "connect_to", D365_NTS, org->connect_to, D365_NTS, NULL) == D365_OK);
    MUST(d365_settings_set(settings, "preset", D365_NTS, preset, D365_NTS, NULL) == D365_OK);
    MUST(d365_settings_set(settings, "auto_switch", D365_NTS, auto_switch, D365_NTS, NULL) == D365_OK);
    MUST(d365_settings_set(settings, "handler_timeout_ms", D365_NTS, "60000", D365_NTS, NULL) == D365_OK);
    if (queue)
        MUST(d365_settings_set_queue(settings, queue, NULL, NULL) == D365_OK);
    return settings;
}

static inline d365_client_t *open_client(const struct org *org, d365_queue_t *queue, const char *auto_switch)
{
    d365_settings_t *settings = settings_for(org, queue, auto_switch);
    d365_client_t *client = NULL;
    MUST(d365_client_open(settings, &client, NULL) == D365_OK);
    MUST(d365_settings_free(settings) == D365_OK);
    return client;
}

static inline d365_request_t *new_request(const char *method, const char *url, const char *body)
{
    d365_request_t *request = NULL;
    MUST(d365_request_new(method, D365_NTS, url, D365_NTS, &request, NULL) == D365_OK);
    if (body) {
        MUST(d365_request_set_body(request, (const uint8_t *)body, strlen(body), NULL) == D365_OK);
        MUST(d365_request_add_header(request, "Content-Type", D365_NTS, "application/json", D365_NTS, NULL) == D365_OK);
    }
    return request;
}

static inline d365_status_t call(d365_client_t *client, const char *method, const char *url, const char *body,
                                 d365_response_t **response, d365_error_t **error)
{
    d365_request_t *request = new_request(method, url, body);
    d365_status_t status = d365_client_send(client, request, response, error);
    MUST(d365_request_free(request) == D365_OK);
    return status;
}

static inline int64_t number(const d365_attempts_t *attempts, size_t index, int32_t field)
{
    int64_t value = -999;
    OK(d365_attempts_number(attempts, index, field, &value));
    return value;
}

static inline size_t count_of(const d365_attempts_t *attempts)
{
    size_t count = 999;
    OK(d365_attempts_count(attempts, &count));
    return count;
}

static inline d365_item_t *next(d365_queue_t *queue, int32_t wanted)
{
    d365_item_t *item = NULL;
    int32_t kind = 0;
    MUST(d365_queue_next(queue, 60000, &item, NULL) == D365_OK);
    OK(d365_item_kind(item, &kind));
    CHECK(kind == wanted);
    return item;
}

/* Runs tests over plain HTTP, and unless `is_plain_only` over TLS, in HTTP/1.1 and in HTTP/2. */
static inline void each_world(const char *name, void (*test)(const struct org *org), int is_plain_only)
{
    static const char *const worlds[] = {"\"scheme\":\"http\"", "\"http2\":false", "\"http2\":true"};
    char own[32];
    int i;
    for (i = 0; i < (is_plain_only ? 1 : 3); i++) {
        struct org org;
        snprintf(own, sizeof own, "%s%d", name, i);
        org = new_org(own, worlds[i]);
        test(&org);
    }
}

/* The HTTP status; frees the response. */
static inline int32_t status_of(d365_response_t *response)
{
    int32_t status = -1;
    OK(d365_response_status(response, &status));
    OK(d365_response_free(response));
    return status;
}

/* 0: it has none, as a read. */
static inline int64_t ledger_id_of(const d365_response_t *response)
{
    int64_t id = 0;
    d365_status_t status = d365_response_ledger_id(response, &id);
    CHECK(status == (id == 0 ? D365_NOT_AVAILABLE : D365_OK));
    return id;
}

static inline int64_t item_number(const d365_item_t *item, int32_t field)
{
    int64_t value = -999;
    OK(d365_item_number(item, field, &value));
    return value;
}

static inline int item_text_is(const d365_item_t *item, int32_t field, const char *wanted)
{
    d365_str_t text = {"", 0};
    OK(d365_item_text(item, field, &text));
    if (strcmp(text.data, wanted) != 0)
        printf("     got %s, wanted %s\n", text.data, wanted);
    return strcmp(text.data, wanted) == 0;
}

static inline int says(d365_error_t *error, const char *text)
{
    d365_str_t message = {"", 0};
    OK(d365_error_message(error, &message));
    if (strstr(message.data, text) == NULL)
        printf("     %s\n", message.data);
    return strstr(message.data, text) != NULL;
}

/* How many rows of that name a side has, with a description of that many bytes; -1: with any. */
static inline int rows(const struct org *org, const char *side, const char *name, long description)
{
    char path[128];
    cJSON *all;
    const cJSON *row;
    int count = 0;
    snprintf(path, sizeof path, "/rows?org=%s", org->name);
    all = ask("GET", path, "");
    cJSON_ArrayForEach(row, all) {
        const char *known = cJSON_GetStringValue(cJSON_GetObjectItem(row, "name"));
        const cJSON *attributes = cJSON_GetObjectItem(row, "attributes");
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(attributes, "description"));
        count += known && strcmp(known, name) == 0 && cJSON_IsTrue(cJSON_GetObjectItem(row, side))
                 && (description < 0 || (text ? (long)strlen(text) : 0) == description);
    }
    cJSON_Delete(all);
    return count;
}

static const char whoami[] = "/api/data/v9.2/WhoAmI";
static const char accounts[] = "/api/data/v9.2/accounts";

#endif
