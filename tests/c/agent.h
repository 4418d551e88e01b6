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
/* {"ok":true,"response":{...}} or a refusal; frees the response or the error. */
cJSON *outcome(d365_status_t status, d365_response_t *response, d365_error_t *error);

/* {"do":"misuse","what":...} */
cJSON *do_misuse(const cJSON *json);

#endif
