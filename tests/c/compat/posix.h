/* The few calls of POSIX's that the C tests make, over those of Windows. For the tests alone. */
#ifndef COMPAT_POSIX_H
#define COMPAT_POSIX_H

#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0a00
#endif
#include <winsock2.h>
#include <ws2tcpip.h>

#include <direct.h>
#include <fcntl.h>
#include <io.h>
#include <pthread.h>
#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>

/* Conditions of MinGW's threads wait by no other clock, and a time of this one is long over for them. */
#undef CLOCK_MONOTONIC
#define CLOCK_MONOTONIC CLOCK_REALTIME

/* Words that Windows' headers take from whoever includes them. */
#undef environ
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
    _setmode(1, _O_BINARY);
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
    /* A socket is a multiple of four. */
    return fd == 1 ? _write(fd, from, (unsigned)len) : send((SOCKET)fd, from, (int)len, 0);
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

/* A path is UTF-8, as for the library. */
static inline int compat_remove(const char *path)
{
    wchar_t wide[MAX_PATH];
    if (MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, MAX_PATH) == 0)
        abort();
    return _wremove(wide);
}

static inline char *compat_mkdtemp(char *path)
{
    return _mktemp(path) != NULL && _mkdir(path) == 0 ? path : NULL;
}

/* Nothing and an empty text are the same there. */
static inline int compat_setenv(const char *name, const char *value)
{
    return _putenv_s(name, value);
}

/* A process is its handle. */
static inline int compat_spawn(pid_t *process, const char *path, char *const *arguments)
{
    *process = (pid_t)_spawnv(_P_NOWAIT, path, (const char *const *)arguments);
    return *process == -1;
}

static inline int compat_kill(pid_t process)
{
    return TerminateProcess((HANDLE)(intptr_t)process, 137) ? 0 : -1;
}

static inline pid_t compat_wait(pid_t process, int *status)
{
    return _cwait(status, process, 0) == -1 ? -1 : process;
}

#define SIGKILL 9
#define WEXITSTATUS(status) (status)
#define WIFEXITED(status) ((status) < 128)
#define posix_spawn(process, path, actions, attributes, arguments, environment) \
    compat_spawn(process, path, arguments)
#define kill(process, signal) compat_kill(process)
#define waitpid(process, status, options) compat_wait(process, status)

#define mkdtemp compat_mkdtemp
#define rmdir _rmdir
#define setenv(name, value, overwrite) compat_setenv(name, value)
#define unsetenv(name) compat_setenv(name, "")

#define alarm compat_alarm
#define close compat_close
#define getline compat_getline
#define poll WSAPoll
#define read compat_read
#define remove compat_remove
#define shutdown compat_shutdown
#define write compat_write

#endif
