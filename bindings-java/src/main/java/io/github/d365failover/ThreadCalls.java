package io.github.d365failover;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** The calls of a client that have threads of their own. These are daemons of Java's, started when they are needed. */
final class ThreadCalls {
    private static final long KEEP_THREAD_SECONDS = 10;

    private final ThreadPoolExecutor threads;
    private final Set<ThreadCall<?>> calls = new HashSet<>();

    ThreadCalls(String name) {
        threads = new ThreadPoolExecutor(
                0,
                Integer.MAX_VALUE,
                KEEP_THREAD_SECONDS,
                TimeUnit.SECONDS,
                new SynchronousQueue<>(),
                DaemonThreads.named(name));
    }

    /**
     * Runs the call; throws what keeps a thread from being started, such as that the client is closed.
     *
     * @param executor where it completes; null without one of the application's
     */
    void start(ThreadCall<?> call, Executor executor) {
        add(call);
        try {
            threads.execute(() -> {
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
