/* A server that says exactly what a test gives it: plain HTTP/1.1 on loopback, one connection after the other, one
 * request on each, so that answers say `Connection: close`. For what no service says, and for looking at what a client
 * sends. */
#ifndef RAW_H
#define RAW_H

#include <pthread.h>

#include "local.h"

struct raw {
    /* Answers request `index`, counted from 0, on the server's thread. The body is not read yet. */
    void (*answer)(struct raw *raw, int fd, int index);
    int fd, port, requests;
    char head[4096];  /* of the last request */
    size_t body_len;  /* of the last body that was read, without the framing of chunks */
    char body[4096];  /* its beginning */
    pthread_t thread;
};

static inline int raw_has(const struct raw *raw, const char *text)
{
    return strstr(raw->head, text) != NULL;
}

static inline void raw_say(int fd, const void *data, size_t len)
{
    size_t done = 0;
    ssize_t n;
    while (done < len && (n = send(fd, (const char *)data + done, len - done, MSG_NOSIGNAL)) > 0)
        done += (size_t)n;
}

static inline int raw_byte(int fd)
{
    unsigned char byte;
    return recv(fd, &byte, 1, 0) == 1 ? byte : -1;
}

/* Up to and with `end`; 0 when the client has left before. */
static inline int raw_until(int fd, char *text, size_t size, const char *end)
{
    size_t len = 0, end_len = strlen(end);
    for (;;) {
        int byte = raw_byte(fd);
        if (byte < 0)
            return 0;
        MUST(len + 1 < size);
        text[len++] = (char)byte;
        text[len] = '\0';
        if (len >= end_len && strcmp(text + len - end_len, end) == 0)
            return 1;
    }
}

static inline int raw_take(struct raw *raw, int fd, size_t count)
{
    while (count-- > 0) {
        int byte = raw_byte(fd);
        if (byte < 0)
            return 0;
        if (raw->body_len + 1 < sizeof raw->body)
            raw->body[raw->body_len] = (char)byte;
        raw->body_len++;
    }
    return 1;
}

/* Reads the body of the request. 0: it did not come whole. */
static inline int raw_read_body(struct raw *raw, int fd)
{
    const char *length = strstr(raw->head, "content-length: ");
    char line[64];
    unsigned long size = 1;
    raw->body_len = 0;
    memset(raw->body, 0, sizeof raw->body);
    if (length != NULL)
        return raw_take(raw, fd, strtoul(length + 16, NULL, 10));
    if (!raw_has(raw, "transfer-encoding: chunked"))
        return 1;
    while (size > 0) {
        if (!raw_until(fd, line, sizeof line, "\r\n"))
            return 0;
        size = strtoul(line, NULL, 16);
        if (!raw_take(raw, fd, size) || !raw_until(fd, line, sizeof line, "\r\n"))
            return 0;
    }
    return 1;
}

static inline void *raw_serve(void *pointer)
{
    struct raw *raw = pointer;
    int fd;
    while ((fd = accept(raw->fd, NULL, NULL)) >= 0) {
        if (raw_until(fd, raw->head, sizeof raw->head, "\r\n\r\n"))
            raw->answer(raw, fd, raw->requests++);
        /* What was not read would turn the end into a reset, which takes the answer with it. */
        shutdown(fd, SHUT_WR);
        while (raw_byte(fd) >= 0)
            ;
        close(fd);
    }
    return NULL;
}

static inline void raw_start(struct raw *raw, void (*answer)(struct raw *, int, int))
{
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    memset(raw, 0, sizeof *raw);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    raw->answer = answer;
    raw->fd = socket(AF_INET, SOCK_STREAM, 0);
    MUST(raw->fd >= 0 && bind(raw->fd, (struct sockaddr *)&address, sizeof address) == 0);
    MUST(listen(raw->fd, 64) == 0 && getsockname(raw->fd, (struct sockaddr *)&address, &len) == 0);
    raw->port = ntohs(address.sin_port);
    MUST(pthread_create(&raw->thread, NULL, raw_serve, raw) == 0);
}

/* After the clients are gone. What the server has seen may be looked at then. */
static inline void raw_stop(struct raw *raw)
{
    MUST(shutdown(raw->fd, SHUT_RDWR) == 0 && pthread_join(raw->thread, NULL) == 0);
    close(raw->fd);
}

#endif
