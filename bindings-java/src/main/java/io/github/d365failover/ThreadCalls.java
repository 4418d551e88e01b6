package io.github.d365failover;

import java.lang.System.Logger.Level;
import java.util.ArrayDeque;
import java.util.HashSet;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * The calls of a client that have threads of their own. These are daemons of Java's, started when they are needed; where
 * all are taken, calls wait for one within their time.
 */
final class ThreadCalls {
    private static final long KEEP_THREAD_SECONDS = 10;
    private static final int MOST = 64;
    private static final String DUTY = "calls";

    /** One of them. */
    interface Threaded {
        /**
         * On the call's thread; also if nobody wants it any more, because there may be a stream to be closed.
         *
         * @return what tells of its end
         */
        Runnable run();

        /** The client is closed: it is to end. */
        void interrupt();

        /** Whether this thread runs the call, or the application's code for it. */
        boolean isCurrent();
    }

    private final DaemonThreads daemons;
    private final ThreadPoolExecutor threads;
    private final Guard guard = new Guard();
    private final Set<Threaded> calls = new HashSet<>();
    private final Queue<Runnable> waiting = new ArrayDeque<>();
    private int busy;

    ThreadCalls(DaemonThreads daemons) {
        this.daemons = daemons;
        // One with a queue of its own starts a thread for each call until it has all, although others are idle.
        threads = new ThreadPoolExecutor(
                0,
                Integer.MAX_VALUE,
                KEEP_THREAD_SECONDS,
                TimeUnit.SECONDS,
                new SynchronousQueue<>(),
                daemons.named(DUTY));
    }

    /** Runs the call; throws what keeps a thread from being started, such as that the client is closed. */
    void start(Threaded call) {
        // What a call's own code sends is not held back: that call has a thread already, and may wait for it.
        Executor where = isHere() ? task -> daemons.make(DUTY, task).start() : this::queue;
        guard.change(() -> calls.add(call));
        try {
            where.execute(() -> {
                Runnable completion = call.run();
                // Before what depends on it, which may close the client.
                remove(call);
                completion.run();
            });
        } catch (Throwable e) {
            remove(call);
            throw e;
        }
    }

    private void queue(Runnable call) {
        if (!guard.get(() -> takesThread(call))) {
            return;
        }
        try {
            threads.execute(() -> work(call));
        } catch (Throwable e) {
            guard.change(() -> busy--);
            throw e;
        }
    }

    private boolean takesThread(Runnable call) {
        if (busy == MOST && !threads.isShutdown()) {
            waiting.add(call);
            return false;
        }
        busy++;
        return true;
    }

    private void work(Runnable first) {
        for (Runnable call = first; call != null; call = guard.get(this::next)) {
            try {
                call.run();
            } catch (Throwable e) {
                Complaint.log(Level.ERROR, "a call's thread has failed", e);
            }
        }
    }

    private Runnable next() {
        Runnable call = waiting.poll();
        if (call == null) {
            busy--;
        }
        return call;
    }

    /** Whether this thread is one of a call's. */
    private boolean isHere() {
        return guard.get(() -> calls.stream().anyMatch(Threaded::isCurrent));
    }

    private void remove(Threaded call) {
        guard.change(() -> calls.remove(call));
    }

    /** Starts no further call, and tells those that still run that their client is closed. */
    void close() {
        threads.shutdown();
        for (Threaded call : guard.get(() -> List.copyOf(calls))) {
            if (!call.isCurrent()) {
                call.interrupt();
            }
        }
    }

    /** Waits until no call runs but the one that asks; false if that took longer. */
    boolean awaitNone(long nanos) throws InterruptedException {
        return guard.await(nanos, () -> calls.stream().allMatch(Threaded::isCurrent));
    }
}
