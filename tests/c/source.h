/* What a loop of the application's own waits for: of a queue, the one that the system has. */
#ifndef SOURCE_H
#define SOURCE_H

#include "check.h"

#ifdef _WIN32

#include <windows.h>

typedef void *source_t;

static source_t source_of(const d365_queue_t *queue)
{
    void *source = NULL;
    int32_t none = -1;
    OK(d365_queue_wait_handle(queue, &source, NULL));
    STATUS(D365_NOT_AVAILABLE, d365_queue_descriptor(queue, &none, NULL));
    CHECK(source != NULL && none == -1);
    return source;
}

static int is_ready(source_t source, int timeout_ms)
{
    return WaitForSingleObject(source, (DWORD)timeout_ms) == WAIT_OBJECT_0;
}

#else

#include <poll.h>

typedef int source_t;

static source_t source_of(const d365_queue_t *queue)
{
    int32_t source = -1;
    void *none = NULL;
    OK(d365_queue_descriptor(queue, &source, NULL));
    STATUS(D365_NOT_AVAILABLE, d365_queue_wait_handle(queue, &none, NULL));
    CHECK(source >= 0 && none == NULL);
    return source;
}

static int is_ready(source_t source, int timeout_ms)
{
    struct pollfd polled;
    polled.fd = source;
    polled.events = POLLIN;
    polled.revents = 0;
    return poll(&polled, 1, timeout_ms) == 1;
}

#endif
#endif
