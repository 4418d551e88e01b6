/* The agent's bodies: one that is read while it is sent, one that is read after the call. */
#include <pthread.h>

#include "agent.h"

/* How much of a stream is told as text. */
enum { TOLD = 64 << 10 };

/* A submitted read. */
struct piece {
    d365_status_t status;
    d365_error_t *error;
    uint8_t *data;
    size_t len;
    int is_there;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static uint8_t pattern(uint64_t i)
{
    return (uint8_t)(i * 31 + 7);
}

static int64_t read_body(void *user_data, uint8_t *buffer, size_t capacity)
{
    struct flow *flow = user_data;
    uint64_t count = flow->size - flow->at, i;
    if (count > flow->chunk)
        count = flow->chunk;
    if (count > capacity)
        count = capacity;
    if (flow->at <= flow->fail_at && flow->fail_at < flow->at + count)
        return -1;
    for (i = 0; i < count; i++)
        buffer[i] = pattern(flow->at++);
    flow->given += count;
    return (int64_t)count;
}

static int32_t rewind_body(void *user_data)
{
    struct flow *flow = user_data;
    flow->at = 0;
    flow->rewinds++;
    return 0;
}

static uint64_t number_of(const cJSON *object, const char *key, uint64_t otherwise)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(number) ? (uint64_t)number->valuedouble : otherwise;
}

d365_status_t set_flow(struct flow *flow, const cJSON *call, d365_request_t *request, d365_error_t **error)
{
    const cJSON *reader = cJSON_GetObjectItemCaseSensitive(call, "body_reader");
    const cJSON *stream = cJSON_GetObjectItemCaseSensitive(call, "stream");
    d365_status_t status = D365_OK;
    memset(flow, 0, sizeof *flow);
    if (cJSON_IsObject(stream)) {
        const char *reads = text_of(stream, "reads");
        flow->read = (size_t)number_of(stream, "read", 0);
        flow->stop_after = number_of(stream, "stop_after", UINT64_MAX);
        flow->is_submitted = reads && strcmp(reads, "submitted") == 0;
        CHECK(flow->read > 0);
        status = d365_request_set_streaming(request, 1, error);
    }
    if (cJSON_IsObject(reader) && status == D365_OK) {
        int is_told = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(reader, "length"));
        const char *kind = text_of(reader, "kind");
        flow->has_reader = 1;
        flow->size = number_of(reader, "size", 0);
        flow->chunk = number_of(reader, "chunk", 1);
        flow->fail_at = number_of(reader, "fail_at", UINT64_MAX);
        CHECK(kind != NULL);
        status = d365_request_set_body_reader(
            request, read_body, strcmp(kind, "rewindable") == 0 ? rewind_body : NULL,
            (int64_t)number_of(reader, "claims", is_told ? flow->size : UINT64_MAX), flow, NULL, error);
    }
    return status;
}

void add_body_reads(cJSON *object, const struct flow *flow)
{
    if (flow->has_reader) {
        cJSON *reads = cJSON_AddObjectToObject(object, "body_reads");
        cJSON_AddNumberToObject(reads, "bytes", (double)flow->given);
        cJSON_AddNumberToObject(reads, "rewinds", (double)flow->rewinds);
    }
}

void take_piece(d365_item_t *item)
{
    struct piece *piece;
    void *user_data;
    const uint8_t *data = NULL;
    CHECK(d365_item_user_data(item, &user_data) == D365_OK);
    piece = user_data;
    pthread_mutex_lock(&lock);
    piece->status = d365_item_body(item, &data, &piece->len, &piece->error);
    if (piece->status == D365_OK)
        memcpy(piece->data, data, piece->len);
    piece->is_there = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static d365_status_t read_submitted(d365_response_t *response, uint8_t *buffer, size_t most, size_t *len,
                                    d365_error_t **error)
{
    struct piece piece;
    d365_status_t status;
    memset(&piece, 0, sizeof piece);
    piece.data = buffer;
    status = d365_response_submit_read(response, most, &piece, error);
    if (status != D365_OK)
        return status;
    pthread_mutex_lock(&lock);
    while (!piece.is_there)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    *len = piece.len;
    *error = piece.error;
    return piece.status;
}

/* How long the character is that begins there; 0: there is none (the well-formed byte sequences of Unicode, table 3-7). */
static size_t character(const unsigned char *at, size_t left)
{
    static const struct {
        unsigned char first, last, from, to;
        size_t len;
    } table[] = {
        {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    size_t i, k;
    for (i = 0; i < sizeof table / sizeof *table; i++) {
        if (at[0] < table[i].first || at[0] > table[i].last || left < table[i].len)
            continue;
        if (table[i].len > 1 && (at[1] < table[i].from || at[1] > table[i].to))
            return 0;
        for (k = 2; k < table[i].len; k++)
            if ((at[k] & 0xc0) != 0x80)
                return 0;
        return table[i].len;
    }
    return 0;
}

void add_text(cJSON *object, const char *key, char *text, size_t len)
{
    size_t i = 0;
    while (i < len) {
        size_t n = character((const unsigned char *)text + i, len - i);
        if (n == 0)
            text[i] = '?';
        i += n > 0 ? n : 1;
    }
    text[len] = '\0';
    cJSON_AddStringToObject(object, key, text);
}

void add_stream(cJSON *object, d365_response_t *response, const struct flow *flow)
{
    uint8_t *buffer = malloc(flow->read);
    char *told = malloc(TOLD + 1);
    uint64_t total = 0, sum = 0;
    size_t len, i;
    int is_pattern = 1;
    d365_error_t *error = NULL;
    d365_status_t status = D365_OK;
    cJSON *read = cJSON_AddObjectToObject(object, "read");
    CHECK(buffer != NULL && told != NULL);
    while (total < flow->stop_after) {
        len = 0;
        status = flow->is_submitted ? read_submitted(response, buffer, flow->read, &len, &error)
                                    : d365_response_read(response, buffer, flow->read, &len, &error);
        if (status != D365_OK || len == 0)
            break;
        for (i = 0; i < len; i++, total++) {
            is_pattern = is_pattern && buffer[i] == pattern(total);
            sum += buffer[i];
            if (total < TOLD)
                told[total] = (char)buffer[i];
        }
    }
    add_text(object, "body", told, total < TOLD ? (size_t)total : TOLD);
    cJSON_AddNumberToObject(read, "bytes", (double)total);
    cJSON_AddBoolToObject(read, "pattern", is_pattern);
    cJSON_AddNumberToObject(read, "sum", (double)sum);
    if (status == D365_OK) {
        cJSON_AddNullToObject(read, "error");
    } else {
        cJSON *refused = refusal(status, error);
        cJSON_AddItemToObject(read, "error", cJSON_DetachItemFromObject(refused, "error"));
        cJSON_Delete(refused);
    }
    free(buffer);
    free(told);
}
