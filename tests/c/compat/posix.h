/* The few calls of POSIX's that the C tests make, over those of Windows. For the tests alone. */
#ifndef COMPAT_POSIX_H
#define COMPAT_POSIX_H

#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0a00
#endif
#include <winsock2.h>
#include <ws2tcpip.h>

#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

/* Words that Windows' headers take from whoever includes them. */
#undef far
#undef interface
#undef near
#undef small

#define MSG_NOSIGNAL 0
#define SHUT_RDWR SD_BOTH
#define SHUT_WR SD_SEND

static __attribute__((constructor)) inline void compat_start(void)
{
    WSADATA data;
    if (WSAStartup(MAKEWORD(2, 2), &data) != 0)
        abort();
}

static inline int compat_close(int fd)
{
    return closesocket((SOCKET)fd);
}

static inline ssize_t compat_read(int fd, void *to, size_t len)
{
    return recv((SOCKET)fd, to, (int)len, 0);
}

static inline ssize_t compat_write(int fd, const void *from, size_t len)
{
    return send((SOCKET)fd, from, (int)len, 0);
}

/* One that listens cannot be shut down there; that it is closed ends an accept() that waits. */
static inline int compat_shutdown(int fd, int how)
{
    return shutdown((SOCKET)fd, how) == 0 ? 0 : closesocket((SOCKET)fd);
}

static inline ssize_t compat_getline(char **line, size_t *room, FILE *in)
{
    size_t used = 0;
    int c;
    while ((c = getc(in)) != EOF) {
        if (used + 2 > *room) {
            *room = *room == 0 ? 4096 : *room * 2;
            *line = realloc(*line, *room);
            if (*line == NULL)
                abort();
        }
        (*line)[used++] = (char)c;
        if (c == '\n')
            break;
    }
    if (used == 0)
        return -1;
    (*line)[used] = '\0';
    return (ssize_t)used;
}

static void CALLBACK compat_late(void *data, BOOLEAN fired)
{
    (void)data;
    (void)fired;
    TerminateProcess(GetCurrentProcess(), 142);
}

static inline unsigned compat_alarm(unsigned seconds)
{
    static HANDLE timer;
    if (!CreateTimerQueueTimer(&timer, NULL, compat_late, NULL, seconds * 1000, 0, WT_EXECUTEONLYONCE))
        abort();
    return 0;
}

#define alarm compat_alarm
#define close compat_close
#define getline compat_getline
#define poll WSAPoll
#define read compat_read
#define shutdown compat_shutdown
#define write compat_write

#endif
