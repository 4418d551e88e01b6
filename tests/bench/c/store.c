/* store PORT MODE FILE THREADS WRITES
 *
 * So many writes of each thread, of 1 kB, one after the other, by one client: with no store (`none`), with the setting
 * `store` (`process`, `power`), or with what an application would do by itself (`naive`): a row of SQLite's inserted
 * before each call and updated after it. Prints one line of JSON: the microseconds of this process's CPU and of time
 * that all of them took.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "d365_failover.h"

static d365_client_t *client;
static sqlite3 *naive;
static sqlite3_stmt *insert, *update;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long writes;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void check(d365_status_t status, d365_error_t *error)
{
    d365_str_t message = {"", 0};
    if (status == D365_OK)
        return;
    d365_error_message(error, &message);
    die(d365_status_name(status), message.data);
}

static void set(d365_settings_t *settings, const char *key, const char *value)
{
    d365_error_t *error = NULL;
    check(d365_settings_set(settings, key, D365_NTS, value, D365_NTS, &error), error);
}

static void in_sqlite(int result)
{
    if (result != SQLITE_OK && result != SQLITE_DONE)
        die("sqlite", sqlite3_errmsg(naive));
}

static sqlite3_int64 run(sqlite3_stmt *statement, sqlite3_int64 number)
{
    sqlite3_int64 id;
    pthread_mutex_lock(&lock);
    in_sqlite(sqlite3_bind_int64(statement, 1, number));
    in_sqlite(sqlite3_step(statement));
    id = sqlite3_last_insert_rowid(naive);
    in_sqlite(sqlite3_reset(statement));
    pthread_mutex_unlock(&lock);
    return id;
}

static void open_naive(const char *file)
{
    in_sqlite(sqlite3_open(file, &naive));
    in_sqlite(sqlite3_exec(naive, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                                  "CREATE TABLE write (id INTEGER PRIMARY KEY, begun INTEGER, ended INTEGER, url TEXT)",
                           NULL, NULL, NULL));
    in_sqlite(sqlite3_prepare_v2(naive, "INSERT INTO write (begun, url) VALUES (?, '/api/data/v9.2/accounts')", -1,
                                 &insert, NULL));
    in_sqlite(sqlite3_prepare_v2(naive, "UPDATE write SET ended = 1 WHERE id = ?", -1, &update, NULL));
}

static void *work(void *unused)
{
    char body[1000]; /* What the server takes. */
    d365_request_t *request;
    d365_error_t *error = NULL;
    long n;
    (void)unused;
    memset(body, ' ', sizeof body);
    memcpy(body, "{\"name\":\"bench\"}", 16);
    check(d365_request_new("POST", D365_NTS, "/api/data/v9.2/accounts", D365_NTS, &request, &error), error);
    check(d365_request_add_header(request, "Content-Type", D365_NTS, "application/json", D365_NTS, &error), error);
    check(d365_request_set_body(request, (const uint8_t *)body, sizeof body, &error), error);
    for (n = 0; n < writes; n++) {
        sqlite3_int64 id = naive ? run(insert, n) : 0;
        d365_response_t *response;
        int32_t effect;
        check(d365_client_send(client, request, &response, &error), error);
        check(d365_response_effect(response, &effect), NULL);
        if (effect != D365_EFFECT_EXECUTED)
            die("a write", "was not executed");
        d365_response_free(response);
        if (naive)
            run(update, id);
    }
    d365_request_free(request);
    return NULL;
}

static double cpu_us(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return 1e6 * (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
        + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    d365_settings_t *settings;
    d365_error_t *error = NULL;
    pthread_t threads[256];
    char targets[256];
    double cpu, time;
    int count, n;
    if (argc != 6 || (count = atoi(argv[4])) < 1 || count > 256)
        die(argv[0], "PORT MODE FILE THREADS WRITES");
    snprintf(targets, sizeof targets, "contoso.crm.bench.test:80:127.0.0.1:%s,contoso--s.crm.bench.test:80:127.0.0.1:1",
             argv[1]);
    check(d365_settings_new("http://contoso.crm.bench.test", D365_NTS, &settings, &error), error);
    set(settings, "auto_switch", "on");
    set(settings, "connect_to", targets);
    if (!strcmp(argv[2], "naive")) {
        open_naive(argv[3]);
    } else if (strcmp(argv[2], "none") != 0) {
        set(settings, "store", argv[3]);
        set(settings, "store_durability", argv[2]);
    }
    check(d365_client_open(settings, &client, &error), error);
    d365_settings_free(settings);
    writes = 20;
    work(NULL);
    writes = atol(argv[5]);
    cpu = cpu_us();
    time = now_us();
    for (n = 0; n < count; n++)
        if (pthread_create(&threads[n], NULL, work, NULL) != 0)
            die("pthread_create", "no thread");
    for (n = 0; n < count; n++)
        pthread_join(threads[n], NULL);
    printf("{\"cpu_us\": %.0f, \"wall_us\": %.0f}\n", cpu_us() - cpu, now_us() - time);
    check(d365_client_shutdown(client, 5000, &error), error);
    d365_client_free(client);
    return 0;
}
