/* What the two sides of the benchmark in C have in common. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>

/* One request, made again and again, and the only answer to it that is right. */
struct target {
    const char *origin; /* http://127.0.0.1:8080 */
    const char *path;
    const char *ca_file; /* PEM, trusted instead of the system's */
    const void *body;       /* NULL: GET, else POST */
    size_t body_length;
    int right_status;
    size_t right_length;
};

/* A way to make blocking calls. What goes wrong ends the program. */
struct side {
    const char *name;
    const char *(*version)(void);
    /* Once, before the threads. */
    void (*open)(const struct target *target);
    /* For each thread. */
    void *(*open_caller)(const struct target *target);
    void (*call)(void *caller, int *status, size_t *length);
    void (*close_caller)(void *caller);
    void (*close)(void);
};

extern const struct side libcurl_side, d365_side;

void die(const char *what, const char *why);

#endif
