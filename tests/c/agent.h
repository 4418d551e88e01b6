/* What the parts of the agent share. */
#ifndef AGENT_H
#define AGENT_H

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "d365_failover.h"

/* The agent has no way to go on after a surprise: the runner sees its end and this line. */
#define CHECK(condition)                                                                   \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                     \
            exit(70);                                                                      \
        }                                                                                  \
    } while (0)

/* A member's text, or NULL. */
const char *text_of(const cJSON *object, const char *key);

/* {"ok":true} */
cJSON *fine(void);
/* {"ok":false,"error":{...}}; frees the error. */
cJSON *refusal(d365_status_t status, d365_error_t *error);
/* The one or the other. */
cJSON *done(d365_status_t status, d365_error_t *error);

/* How the bodies of one call flow, where they are not bytes; it stays where it is as long as the call. */
struct flow {
    /* The request's: byte i is (i * 31 + 7) & 0xff. */
    int has_reader;
    uint64_t size, chunk, fail_at, at, given, rewinds;
    /* The answer's; 0: it is collected. */
    size_t read;
    uint64_t stop_after;
    int is_submitted;
};

/* Reads "body_reader" and "stream" of a call. */
d365_status_t set_flow(struct flow *flow, const cJSON *call, d365_request_t *request, d365_error_t **error);
/* "body_reads", if there was a reader. */
void add_body_reads(cJSON *object, const struct flow *flow);
/* Bytes as JSON can hold them: those that are no UTF-8 become question marks. `text` has room for one more than `len`. */
void add_text(cJSON *object, const char *key, char *text, size_t len);
/* "read" and "body": reads the stream as far as it is wanted. Not on the queue's thread. */
void add_stream(cJSON *object, d365_response_t *response, const struct flow *flow);
/* An item D365_ITEM_BODY, on the queue's thread. */
void take_piece(d365_item_t *item);

/* {"ok":true,"response":{...}} or a refusal; frees the response or the error. */
cJSON *outcome(d365_status_t status, d365_response_t *response, d365_error_t *error, const struct flow *flow);

/* "role", null for neither. */
void add_role(cJSON *object, int64_t role);
cJSON *number_or_null(int64_t number, int is_there);
/* The names of D365_OPERATION_... and D365_EFFECT_.... */
const char *operation_name(int64_t operation);
const char *effect_name(int64_t effect);

/* The bits of the kinds in an array of their names. */
uint64_t mask_of(const cJSON *events);
/* An event with what it has. */
cJSON *event_record(const d365_item_t *item);

/* {"ok":true,"ledger":[...]} or a refusal. `selection` is "all" or "suspects". */
cJSON *list_ledger(const d365_client_t *client, const char *selection);
/* {"ok":true,"verified":...} */
cJSON *verified_answer(int32_t verified);
/* The same or a refusal. */
cJSON *verify(d365_client_t *client, int64_t id);
cJSON *replayed_answer(d365_response_t *response);
cJSON *settled_answer(d365_response_t *response);
/* {"do":"maintenance","start_ms":...,"end_ms":...} */
cJSON *maintenance(d365_client_t *client, const cJSON *request);

/* {"do":"override","value":...,"until_ms":...} */
cJSON *set_override(d365_client_t *client, const cJSON *request);
/* "current_override" of a state. */
void add_override(cJSON *state, const d365_client_t *client);
/* {"do":"suspect_since","since_ms":...} */
cJSON *suspect_since(d365_client_t *client, const cJSON *request);
/* {"do":"resolve","id":...,"resolution":...} */
cJSON *resolve(d365_client_t *client, const cJSON *request);

/* The prepare function of a client, whose settings and client own it; none without orders. */
struct hook;
d365_status_t set_hook(struct hook **hook, const cJSON *orders, d365_settings_t *settings, d365_error_t **error);
/* "prepared": what it has seen. */
void add_prepared(cJSON *answer, struct hook *hook);

/* {"do":"misuse","what":...} */
cJSON *do_misuse(const cJSON *json);

#endif
