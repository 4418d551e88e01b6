/* What the tests say about each check: a line, and at the end an exit status. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "d365_failover.h"

static int checks_failed;

static inline void checked(int is_true, const char *file, int line, const char *text)
{
    printf("%s %s:%d %s\n", is_true ? "ok  " : "FAIL", file, line, text);
    fflush(stdout);
    checks_failed += !is_true;
}

static inline void checked_status(d365_status_t got, d365_status_t wanted, const char *file, int line, const char *text)
{
    checked(got == wanted, file, line, text);
    if (got != wanted)
        printf("     got %d %s, wanted %d %s\n", (int)got, d365_status_name(got), (int)wanted,
               d365_status_name(wanted));
}

#define CHECK(condition) checked((condition) != 0, __FILE__, __LINE__, #condition)
#define STATUS(wanted, call) checked_status((call), (wanted), __FILE__, __LINE__, #call " gives " #wanted)
#define OK(call) STATUS(D365_OK, call)

/* For what the rest of a test cannot do without. */
#define MUST(condition)                                         \
    do {                                                        \
        if (!(condition)) {                                     \
            checked(0, __FILE__, __LINE__, #condition);         \
            exit(1);                                            \
        }                                                       \
    } while (0)

#define FINISH() return checks_failed == 0 ? 0 : 1

#endif
