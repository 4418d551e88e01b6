/* A place to wait for what happens on other threads. */
#ifndef THREADS_H
#define THREADS_H

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static inline void wait_until(const int *number, int at_least)
{
    pthread_mutex_lock(&lock);
    while (*number < at_least)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static inline void set(int *number, int value)
{
    pthread_mutex_lock(&lock);
    *number = value;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static inline void add(int *number, int more)
{
    pthread_mutex_lock(&lock);
    *number += more;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static inline int get(const int *number)
{
    int value;
    pthread_mutex_lock(&lock);
    value = *number;
    pthread_mutex_unlock(&lock);
    return value;
}

#endif
