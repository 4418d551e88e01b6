/* Files: uploads a file into a file column and downloads it again, in pieces. Neither direction ever
 * has the file in memory. The upload begins anew at the alternate if the primary fails within it.
 *
 * cc -std=c99 files.c -ld365_failover -o files
 * D365_URL=https://contoso.crm.dynamics.com ./files accounts(7c6f6d0a-...)/new_contract from.pdf to.pdf
 */
#include <stdio.h>
#include <stdlib.h>

#include "d365_failover.h"

static d365_error_t *error;

static void check(d365_status_t status)
{
    d365_str_t message = {"", 0};
    if (status == D365_OK)
        return;
    d365_error_message(error, &message);
    fprintf(stderr, "%s: %s\n", d365_status_name(status), message.data);
    exit(1);
}

/* What the service refuses is an answer as well; it says why. */
static void check_answer(const d365_response_t *response)
{
    d365_attempts_t *attempts;
    d365_str_t why = {"", 0};
    size_t count;
    int32_t status;
    check(d365_response_status(response, &status));
    if (status < 400)
        return;
    check(d365_response_attempts(response, &attempts));
    check(d365_attempts_count(attempts, &count));
    d365_attempts_text(attempts, count - 1, D365_ATTEMPT_MESSAGE, &why);
    fprintf(stderr, "the service answered %d: %s\n", (int)status, why.data);
    if (status == 401)
        fprintf(stderr, "it wants a token, and this program has none: token.c shows how to give one\n");
    exit(1);
}

/* Both on the thread that sends. */
static int64_t read_file(void *file, uint8_t *buffer, size_t capacity)
{
    size_t count = fread(buffer, 1, capacity, file);
    return ferror((FILE *)file) ? -1 : (int64_t)count;
}

static int32_t rewind_file(void *file)
{
    return fseek(file, 0, SEEK_SET);
}

static const char *wanted(const char *variable)
{
    const char *value = getenv(variable);
    if (value == NULL) {
        fprintf(stderr, "%s is not set\n", variable);
        exit(2);
    }
    return value;
}

static void set(d365_settings_t *settings, const char *key, const char *variable)
{
    const char *value = getenv(variable);
    if (value != NULL)
        check(d365_settings_set(settings, key, D365_NTS, value, D365_NTS, &error));
}

static FILE *must_open(const char *name, const char *mode)
{
    FILE *file = fopen(name, mode);
    if (file == NULL) {
        perror(name);
        exit(1);
    }
    return file;
}

int main(int argc, char **argv)
{
    d365_settings_t *settings;
    d365_client_t *client;
    d365_request_t *upload, *download;
    d365_response_t *response;
    int32_t status;
    size_t len, total = 0;
    uint8_t piece[65536];
    char url[512];
    FILE *from, *to;

    if (argc != 4) {
        fprintf(stderr, "usage: files accounts(ID)/COLUMN FROM TO\n");
        return 2;
    }
    check(d365_settings_new(wanted("D365_URL"), D365_NTS, &settings, &error));
    set(settings, "ca_bundle", "D365_CA_BUNDLE");
    set(settings, "connect_to", "D365_CONNECT_TO");
    check(d365_client_open(settings, &client, &error));

    from = must_open(argv[2], "rb");
    snprintf(url, sizeof url, "/api/data/v9.2/%s", argv[1]);
    check(d365_request_new("PATCH", D365_NTS, url, D365_NTS, &upload, &error));
    check(d365_request_add_header(upload, "Content-Type", D365_NTS, "application/octet-stream",
                                  D365_NTS, &error));
    check(d365_request_add_header(upload, "x-ms-file-name", D365_NTS, "file.bin", D365_NTS, &error));
    check(d365_request_set_body_reader(upload, read_file, rewind_file, -1, from, NULL, &error));
    check(d365_client_send(client, upload, &response, &error));
    check_answer(response);
    check(d365_response_status(response, &status));
    d365_response_free(response);
    d365_request_free(upload);
    fclose(from);
    printf("uploaded: %d\n", (int)status);

    snprintf(url, sizeof url, "/api/data/v9.2/%s/$value", argv[1]);
    check(d365_request_new("GET", D365_NTS, url, D365_NTS, &download, &error));
    check(d365_request_set_streaming(download, 1, &error));
    check(d365_client_send(client, download, &response, &error));
    check_answer(response);
    to = must_open(argv[3], "wb");
    do {
        check(d365_response_read(response, piece, sizeof piece, &len, &error));
        total += fwrite(piece, 1, len, to);
    } while (len > 0);
    d365_response_free(response);
    d365_request_free(download);
    if (fclose(to) != 0) {
        perror(argv[3]);
        return 1;
    }
    printf("downloaded: %lu bytes\n", (unsigned long)total);

    check(d365_client_shutdown(client, 5000, &error));
    d365_client_free(client);
    d365_settings_free(settings);
    return 0;
}
