/* A store that processes share: several make it at once; what one that is killed leaves is in doubt for who has it open
 * and for who opens it next, and what one that lives has in flight is not. */
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "raw.h"

#define LONGEST 120 /* seconds; a hang is a failure */
/* No code page of Windows has all of it. */
#define NAME "-\xc3\x9f-\xd0\xb6-\xe6\xbc\xa2.db"

#define IN_VAIN "in-vain"

extern char **environ;
static const char accounts[] = "/api/data/v9.2/accounts";
static char store[1024];

static d365_client_t *open_store(int port)
{
    d365_settings_t *settings = local_settings(port);
    MUST(d365_settings_set(settings, "store", D365_NTS, store, D365_NTS, NULL) == D365_OK);
    return local_open(settings);
}

static d365_status_t create(d365_client_t *client, const char *tag)
{
    d365_request_t *request = local_request("POST", accounts);
    d365_response_t *response = NULL;
    d365_status_t status;
    MUST(d365_request_set_tag(request, tag, D365_NTS, NULL) == D365_OK);
    status = d365_client_send(client, request, &response, NULL);
    d365_response_free(response);
    MUST(d365_request_free(request) == D365_OK);
    return status;
}

/* ---- processes of their own ---- */

/* Creates one row, and is told what `wanted` says; or is killed before. */
static int write_once(int port, const char *tag)
{
    d365_client_t *client = open_store(port);
    STATUS(D365_WRITE_IN_DOUBT, create(client, tag));
    OK(d365_client_free(client));
    FINISH();
}

/* Nobody listens: nothing of it stays on record. */
static int write_in_vain(int port)
{
    d365_client_t *client = open_store(port);
    int i;
    for (i = 0; i < 20; i++)
        STATUS(D365_ENDPOINT_NOT_FOUND, create(client, IN_VAIN));
    OK(d365_client_free(client));
    FINISH();
}

/* This program again. */
static pid_t start(const char *program, int port, const char *tag)
{
    /* For another processor, whose programs the kernel cannot start: by what the Makefile runs this one by. */
    const char *run = getenv("RUN");
    int is_run = run != NULL && *run != 0 && strncmp(run, "qemu-", 5) == 0;
    char number[16], path[1024];
    char *by_name[] = {path, number, (char *)tag, NULL};
    char *by_run[] = {"sh", "-c", "exec $RUN \"$0\" \"$1\" \"$2\"", path, number, (char *)tag, NULL};
    pid_t process = -1;
    snprintf(number, sizeof number, "%d", port);
    snprintf(path, sizeof path, "%s", program);
    MUST(posix_spawn(&process, is_run ? "/bin/sh" : path, NULL, NULL, is_run ? by_run : by_name, environ) == 0);
    return process;
}

static int result(pid_t process)
{
    int status = -1;
    MUST(waitpid(process, &status, 0) == process);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void kill_now(pid_t process)
{
    int status;
    MUST(kill(process, SIGKILL) == 0);
    MUST(waitpid(process, &status, 0) == process);
}

/* The connection of a write that was sent whole and is not answered. */
static int sent(int listener)
{
    char head[4096];
    int fd = accept(listener, NULL, NULL);
    MUST(fd >= 0 && raw_until(fd, head, sizeof head, "\r\n\r\n"));
    return fd;
}

/* ---- what is on record ---- */

static void expect_count(const d365_client_t *client, int32_t selection, size_t wanted)
{
    d365_ledger_t *ledger = NULL;
    size_t count = 999;
    MUST(d365_client_ledger(client, selection, &ledger, NULL) == D365_OK);
    OK(d365_ledger_count(ledger, &count));
    if (count != wanted)
        printf("     %u writes, wanted %u\n", (unsigned)count, (unsigned)wanted);
    CHECK(count == wanted);
    OK(d365_ledger_free(ledger));
}

/* Of the one write with a tag; its number. */
static int64_t expect(const d365_client_t *client, const char *tag, int64_t effect, int64_t is_suspect)
{
    d365_ledger_t *ledger = NULL;
    size_t count = 0, i;
    int found = 0;
    int64_t id = -1;
    MUST(d365_client_ledger(client, D365_LEDGER_ALL, &ledger, NULL) == D365_OK);
    OK(d365_ledger_count(ledger, &count));
    for (i = 0; i < count; i++) {
        d365_str_t text = {"", 0};
        int64_t its_effect = -9, its_suspect = -9;
        OK(d365_ledger_text(ledger, i, D365_LEDGER_TAG, &text));
        if (strcmp(text.data, tag) != 0)
            continue;
        found++;
        OK(d365_ledger_number(ledger, i, D365_LEDGER_ID, &id));
        OK(d365_ledger_number(ledger, i, D365_LEDGER_EFFECT, &its_effect));
        OK(d365_ledger_number(ledger, i, D365_LEDGER_IS_SUSPECT, &its_suspect));
        if (its_effect != effect || its_suspect != is_suspect)
            printf("     %s: effect %d, suspect %d\n", tag, (int)its_effect, (int)its_suspect);
        CHECK(its_effect == effect && its_suspect == is_suspect);
    }
    CHECK(found == 1);
    OK(d365_ledger_free(ledger));
    return id;
}

static int remove_file(const char *end)
{
    char path[1100];
    snprintf(path, sizeof path, "%s%s", store, end);
    return remove(path);
}

static void remove_beside(void)
{
    remove_file("-wal");
    remove_file("-shm");
    remove_file("-lock");
}

static void made_at_once(const char *program)
{
    pid_t processes[4];
    d365_client_t *client;
    int port = local_port(0);
    size_t i, count = sizeof processes / sizeof *processes;
    for (i = 0; i < count; i++)
        processes[i] = start(program, port, IN_VAIN);
    for (i = 0; i < count; i++)
        CHECK(result(processes[i]) == 0);
    client = open_store(port);
    expect_count(client, D365_LEDGER_ALL, 0);
    OK(d365_client_free(client));
}

static void left_by_the_dead(const char *program)
{
    int port, listener = local_socket(1, &port), first_fd, second_fd;
    pid_t ended, first, second;
    d365_client_t *client;
    ended = start(program, port, "ended");
    close(sent(listener));
    CHECK(result(ended) == 0);
    first = start(program, port, "first");
    first_fd = sent(listener);
    second = start(program, port, "second");
    second_fd = sent(listener);

    client = open_store(port);
    expect_count(client, D365_LEDGER_ALL, 3);
    expect_count(client, D365_LEDGER_MINE, 0);
    expect(client, "ended", D365_EFFECT_UNKNOWN, 1);
    expect(client, "first", -1, 0);
    expect(client, "second", -1, 0);
    kill_now(first);
    expect(client, "first", D365_EFFECT_UNKNOWN, 1);
    expect(client, "second", -1, 0);
    OK(d365_client_free(client));

    kill_now(second);
    client = open_store(port);
    OK(d365_client_resolve(client, expect(client, "first", D365_EFFECT_UNKNOWN, 1), D365_RESOLUTION_LOST,
                           NULL));
    expect(client, "second", D365_EFFECT_UNKNOWN, 1);
    expect_count(client, D365_LEDGER_ALL, 3);
    expect_count(client, D365_LEDGER_SUSPECTS, 2);
    OK(d365_client_free(client));
    close(first_fd);
    close(second_fd);
    close(listener);
}

int main(int argc, char **argv)
{
    alarm(LONGEST);
    MUST((size_t)snprintf(store, sizeof store, "%s" NAME, argv[0]) < sizeof store);
    if (argc == 3)
        return strcmp(argv[2], IN_VAIN) == 0 ? write_in_vain(atoi(argv[1])) : write_once(atoi(argv[1]), argv[2]);
    remove_file("");
    remove_beside();
    made_at_once(argv[0]);
    left_by_the_dead(argv[0]);
    remove_beside();
    CHECK(remove_file("") == 0); /* it was there, by the name that it was given */
    FINISH();
}
