package io.github.d365failover;

import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The threads of one client. They do not keep the JVM from exiting, and inherit nothing from whoever happens to start
 * them: the application's code runs there with the context class loader of who has opened the client.
 */
final class DaemonThreads {
    private static final AtomicLong CLIENTS = new AtomicLong();

    private final String client = "d365-failover-" + CLIENTS.incrementAndGet();
    private final ClassLoader loader = Thread.currentThread().getContextClassLoader();

    /** {@code duty}: what they are for. */
    ThreadFactory named(String duty) {
        return task -> make(duty, task);
    }

    Thread make(String duty, Runnable task) {
        Thread thread = new Thread(null, task, client + "-" + duty, 0, false);
        thread.setDaemon(true);
        thread.setContextClassLoader(loader);
        return thread;
    }
}
