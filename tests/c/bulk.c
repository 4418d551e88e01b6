/* A gigabyte in each direction: nothing of it is lost, and nothing of it is kept. */
#include <sys/resource.h>

#include "check.h"
#include "twin.h"

#define BYTES ((uint64_t)1000000000)

/* Under valgrind less, and what is kept is not looked at. */
static uint64_t bytes = BYTES;

struct source {
    uint64_t at;
    FILE *digest;
};

/* Any sequence whose period is no power of two. */
static int64_t read_source(void *user_data, uint8_t *buffer, size_t capacity)
{
    struct source *source = user_data;
    size_t count = capacity, i;
    if (source->at + count > bytes)
        count = (size_t)(bytes - source->at);
    for (i = 0; i < count; i++)
        buffer[i] = (uint8_t)((source->at + i) % 251);
    source->at += count;
    return fwrite(buffer, 1, count, source->digest) == count ? (int64_t)count : -1;
}

/* The SHA-256 of what is written to it goes to the file at `path`. */
static FILE *digest_to(const char *path)
{
    char command[128];
    FILE *pipe;
    snprintf(command, sizeof command, "sha256sum > %s", path);
    MUST((pipe = popen(command, "w")) != NULL);
    return pipe;
}

static void digest_of(FILE *pipe, const char *path, char hex[65])
{
    FILE *file;
    MUST(pclose(pipe) == 0);
    MUST((file = fopen(path, "r")) != NULL && fscanf(file, "%64s", hex) == 1);
    fclose(file);
    remove(path);
}

static void collected(d365_response_t *response, char *text, size_t size)
{
    const uint8_t *data;
    size_t len;
    OK(d365_response_body(response, &data, &len));
    MUST(len < size);
    memcpy(text, data, len);
    text[len] = '\0';
    OK(d365_response_free(response));
}

static void up(const struct org *org, d365_client_t *client, int64_t length)
{
    struct source source = {0, NULL};
    d365_request_t *request = new_request("PUT", "/bulk", NULL);
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    char path[64], hex[65], text[512];
    snprintf(path, sizeof path, "/tmp/d365-bulk-%d", (int)getpid());
    source.digest = digest_to(path);
    OK(d365_request_set_body_reader(request, read_source, NULL, length, &source, NULL, NULL));
    OK(d365_client_send(client, request, &response, &error));
    MUST(response != NULL);
    collected(response, text, sizeof text);
    digest_of(source.digest, path, hex);
    CHECK(strstr(text, hex) != NULL);
    CHECK(source.at == bytes);
    OK(d365_request_free(request));
    (void)org;
}

static void down(const struct org *org, d365_client_t *client)
{
    static uint8_t piece[1 << 16];
    d365_request_t *request;
    d365_response_t *response = NULL;
    char path[64], url[64], hex[65], text[512];
    uint64_t got = 0;
    size_t len = 0;
    FILE *digest;
    snprintf(path, sizeof path, "/tmp/d365-bulk-%d", (int)getpid());
    snprintf(url, sizeof url, "/bulk/%lu", (unsigned long)bytes);
    request = new_request("GET", url, NULL);
    OK(d365_request_set_streaming(request, 1, NULL));
    OK(d365_client_send(client, request, &response, NULL));
    digest = digest_to(path);
    do {
        MUST(d365_response_read(response, piece, sizeof piece, &len, NULL) == D365_OK);
        MUST(fwrite(piece, 1, len, digest) == len);
        got += len;
    } while (len > 0);
    CHECK(got == bytes);
    OK(d365_response_free(response));
    OK(d365_request_free(request));
    digest_of(digest, path, hex);
    snprintf(url, sizeof url, "/bulk/%lu/digest", (unsigned long)bytes);
    OK(call(client, "GET", url, NULL, &response, NULL));
    collected(response, text, sizeof text);
    CHECK(strstr(text, hex) != NULL);
    (void)org;
}

static void over(const struct org *org)
{
    static int worlds;
    d365_client_t *client = open_client(org, NULL, "on");
    struct rusage usage;
    /* With and without the length, in turns. */
    up(org, client, worlds++ % 2 ? (int64_t)bytes : -1);
    down(org, client);
    OK(d365_client_free(client));
    getrusage(RUSAGE_SELF, &usage);
    printf("     %s: %ld kB at most\n", org->primary_url, usage.ru_maxrss);
    /* A twentieth of what went through. */
    if (bytes == BYTES)
        CHECK(usage.ru_maxrss < 50000);
}

int main(int argc, char **argv)
{
    alarm(300); /* a hang is a failure */
    (void)argv;
    if (argc > 1)
        bytes = 3000000;
    read_twin();
    each_world("bulk", over, argc > 1);
    FINISH();
}
