/* libcurl's easy interface: one handle a thread, made ready once and performed again and again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "bench.h"

struct caller {
    CURL *easy;
    struct curl_slist *headers;
    size_t length;
    char answer[4096];
};

static size_t take(char *data, size_t size, size_t count, void *into)
{
    struct caller *caller = into;
    size_t length = size * count;
    if (length > sizeof caller->answer - caller->length)
        return 0;
    memcpy(caller->answer + caller->length, data, length);
    caller->length += length;
    return length;
}

static void check(CURLcode code)
{
    if (code != CURLE_OK)
        die("libcurl", curl_easy_strerror(code));
}

static const char *version(void)
{
    return curl_version();
}

static void open(const struct target *target)
{
    (void)target;
    check(curl_global_init(CURL_GLOBAL_DEFAULT));
}

static void *open_caller(const struct target *target)
{
    struct caller *caller = calloc(1, sizeof *caller);
    char url[256];

    snprintf(url, sizeof url, "%s%s", target->origin, target->path);
    caller->easy = curl_easy_init();
    check(curl_easy_setopt(caller->easy, CURLOPT_URL, url));
    check(curl_easy_setopt(caller->easy, CURLOPT_CAINFO, target->ca_file));
    check(curl_easy_setopt(caller->easy, CURLOPT_NOSIGNAL, 1L));
    check(curl_easy_setopt(caller->easy, CURLOPT_WRITEFUNCTION, take));
    check(curl_easy_setopt(caller->easy, CURLOPT_WRITEDATA, caller));
    if (target->body) {
        caller->headers = curl_slist_append(NULL, "Content-Type: application/json");
        check(curl_easy_setopt(caller->easy, CURLOPT_HTTPHEADER, caller->headers));
        check(curl_easy_setopt(caller->easy, CURLOPT_POSTFIELDS, target->body));
        check(curl_easy_setopt(caller->easy, CURLOPT_POSTFIELDSIZE, (long)target->body_length));
    }
    return caller;
}

static void call(void *opened, int *status, size_t *length)
{
    struct caller *caller = opened;
    long code = 0;
    caller->length = 0;
    check(curl_easy_perform(caller->easy));
    check(curl_easy_getinfo(caller->easy, CURLINFO_RESPONSE_CODE, &code));
    *status = (int)code;
    *length = caller->length;
}

static void close_caller(void *opened)
{
    struct caller *caller = opened;
    curl_easy_cleanup(caller->easy);
    curl_slist_free_all(caller->headers);
    free(caller);
}

const struct side libcurl_side = {"libcurl", version, open, open_caller, call, close_caller, curl_global_cleanup};
