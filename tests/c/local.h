/* Clients of servers that need no twin: one that refuses, one that never answers. Loopback only. */
#ifndef LOCAL_H
#define LOCAL_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

/* A port that is bound: without listening it refuses, with it connects succeed and nothing is ever answered. It stays
 * bound as long as the program lives, so that nobody else gets it. */
static inline int local_socket(int is_listening, int *port)
{
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    MUST(!is_listening || listen(fd, 64) == 0);
    MUST(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static inline int local_port(int is_listening)
{
    int port;
    local_socket(is_listening, &port);
    return port;
}

/* Both endpoints go to the port; faults are returned, not acted on. */
static inline d365_settings_t *local_settings(int port)
{
    d365_settings_t *settings = NULL;
    char connect_to[256];
    snprintf(connect_to, sizeof connect_to,
             "contoso.crm.twin.test:80:127.0.0.1:%d,contoso--s.crm.twin.test:80:127.0.0.1:%d", port, port);
    MUST(d365_settings_new("http://contoso.crm.twin.test", D365_NTS, &settings, NULL) == D365_OK);
    MUST(d365_settings_set(settings, "connect_to", D365_NTS, connect_to, D365_NTS, NULL) == D365_OK);
    MUST(d365_settings_set(settings, "preset", D365_NTS, "dotnet", D365_NTS, NULL) == D365_OK);
    MUST(d365_settings_set(settings, "auto_switch", D365_NTS, "off", 3, NULL) == D365_OK);
    return settings;
}

/* Frees the settings. */
static inline d365_client_t *local_open(d365_settings_t *settings)
{
    d365_client_t *client = NULL;
    d365_error_t *error = NULL;
    d365_str_t message;
    if (d365_client_open(settings, &client, &error) != D365_OK) {
        MUST(d365_error_message(error, &message) == D365_OK);
        printf("     %s\n", message.data);
        MUST(!"a client");
    }
    MUST(d365_settings_free(settings) == D365_OK);
    return client;
}

static inline d365_client_t *local_client(int port, d365_queue_t *queue, void *user_data)
{
    d365_settings_t *settings = local_settings(port);
    if (queue != NULL)
        MUST(d365_settings_set_queue(settings, queue, user_data, NULL) == D365_OK);
    return local_open(settings);
}

static inline d365_request_t *local_request(const char *method, const char *url)
{
    d365_request_t *request = NULL;
    MUST(d365_request_new(method, D365_NTS, url, D365_NTS, &request, NULL) == D365_OK);
    return request;
}

#endif
