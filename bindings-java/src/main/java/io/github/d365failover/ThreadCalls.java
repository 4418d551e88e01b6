package io.github.d365failover;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * The calls of a client that have threads of their own. These are daemons of Java's, started when they are needed; where
 * all are taken, calls wait for one within their time.
 */
final class ThreadCalls {
    private static final long KEEP_THREAD_SECONDS = 10;
    private static final int MOST = 64;

    private final String name;
    private final ThreadPoolExecutor threads;
    private final Set<ThreadCall<?>> calls = new HashSet<>();

    ThreadCalls(String name) {
        this.name = name;
        threads = new ThreadPoolExecutor(
                MOST,
                MOST,
                KEEP_THREAD_SECONDS,
                TimeUnit.SECONDS,
                new LinkedBlockingQueue<>(),
                DaemonThreads.named(name));
        threads.allowCoreThreadTimeOut(true);
    }

    /**
     * Runs the call; throws what keeps a thread from being started, such as that the client is closed.
     *
     * @param executor where it completes; null without one of the application's
     */
    void start(ThreadCall<?> call, Executor executor) {
        // What a call's own code sends is not held back: that call has a thread already, and may wait for it.
        Executor where = isHere() ? task -> DaemonThreads.make(name, task).start() : threads;
        add(call);
        try {
            where.execute(() -> {
                Runnable completion = call.run();
                // Before what depends on it, which may close the client.
                remove(call);
                call.later(executor, completion);
            });
        } catch (Throwable e) {
            remove(call);
            throw e;
        }
    }

    /** Whether this thread is one of a call's. */
    private synchronized boolean isHere() {
        return calls.stream().anyMatch(ThreadCall::isCurrent);
    }

    private synchronized void add(ThreadCall<?> call) {
        calls.add(call);
    }

    private synchronized void remove(ThreadCall<?> call) {
        calls.remove(call);
        notifyAll();
    }

    /** Starts no further call, and tells those that still run that their client is closed. */
    void close() {
        threads.shutdown();
        List<ThreadCall<?>> left;
        synchronized (this) {
            left = List.copyOf(calls);
        }
        for (ThreadCall<?> call : left) {
            if (!call.isCurrent()) {
                call.interrupt();
            }
        }
    }

    /** Waits until no call runs but the one that asks; false if that took longer. */
    synchronized boolean awaitNone(long nanos) throws InterruptedException {
        long deadline = System.nanoTime() + nanos;
        while (!calls.stream().allMatch(ThreadCall::isCurrent)) {
            long left = deadline - System.nanoTime();
            if (left <= 0) {
                return false;
            }
            // Rounded up: a wait of zero would be for ever.
            wait(TimeUnit.NANOSECONDS.toMillis(left) + 1);
        }
        return true;
    }
}
