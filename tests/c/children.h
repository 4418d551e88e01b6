/* Cases that each run in a process of their own: this program again, with the case's name. What would end the process
 * or hang it is seen from outside. */
#ifndef CHILDREN_H
#define CHILDREN_H

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

struct child {
    const char *name;
    void (*run)(void);
    int ended_by; /* a signal; 0: it comes to its end */
};

/* With its name as argument the program is that case; without, it runs all. */
static inline int run_children(int argc, char **argv, const struct child *children, size_t count)
{
    const char *run = getenv("RUN");
    const unsigned longest = 60;
    size_t i;
    for (i = 0; argc > 1 && i < count; i++)
        if (strcmp(argv[1], children[i].name) == 0) {
            struct rlimit no_core = {0, 0};
            setrlimit(RLIMIT_CORE, &no_core);
            alarm(longest); /* a hang is a failure */
            children[i].run();
            FINISH();
        }
    MUST(argc == 1);
    for (i = 0; i < count; i++) {
        pid_t child;
        int status = -1;
        printf("     %s\n", children[i].name);
        fflush(stdout);
        child = fork();
        if (child == 0) {
            /* For another processor, whose programs the kernel cannot start: by what the Makefile runs this one by. */
            if (run != NULL && *run != 0)
                execl("/bin/sh", "sh", "-c", "exec $RUN \"$0\" \"$1\"", argv[0], children[i].name, (char *)NULL);
            else
                execl("/proc/self/exe", argv[0], children[i].name, (char *)NULL);
            _exit(127);
        }
        MUST(child > 0 && waitpid(child, &status, 0) == child);
        if (WIFSIGNALED(status))
            printf("     %s was ended by signal %d\n", children[i].name, WTERMSIG(status));
        if (children[i].ended_by != 0)
            checked(WIFSIGNALED(status) && WTERMSIG(status) == children[i].ended_by, __FILE__, __LINE__,
                    children[i].name);
        else
            checked(WIFEXITED(status) && WEXITSTATUS(status) == 0, __FILE__, __LINE__, children[i].name);
    }
    FINISH();
}

#endif
