package io.github.d365failover;

import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicLong;

/** Threads that do not keep the JVM from exiting, and inherit nothing from whoever happens to start them. */
final class DaemonThreads {
    private static final AtomicLong CLIENTS = new AtomicLong();

    private DaemonThreads() {}

    /** A name for the threads of one client. */
    static String nextClientName() {
        return "d365-failover-" + CLIENTS.incrementAndGet();
    }

    static ThreadFactory named(String name) {
        return task -> make(name, task);
    }

    static Thread make(String name, Runnable task) {
        Thread thread = new Thread(null, task, name, 0, false);
        thread.setDaemon(true);
        return thread;
    }
}
