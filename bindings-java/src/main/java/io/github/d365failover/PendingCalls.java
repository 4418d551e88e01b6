package io.github.d365failover;

import io.github.d365failover.impl.Answer;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/** The submitted calls of a client, by the number that comes back with their completion. */
final class PendingCalls {
    private final Executor executor;
    private final Map<Long, PendingCall<?>> calls = new HashMap<>();
    private long last;
    private boolean closed;

    /** Without an executor of the application's, null. */
    PendingCalls(Executor executor) {
        this.executor = executor;
    }

    /** A number for the call; 0 if nobody will bring completions any more. */
    synchronized long add(PendingCall<?> call) {
        if (closed) {
            return 0;
        }
        calls.put(++last, call);
        return last;
    }

    synchronized void remove(long id) {
        calls.remove(id);
        notifyAll();
    }

    /** Waits for the completions of all calls; false if that took longer. */
    synchronized boolean awaitNone(long nanos) throws InterruptedException {
        long deadline = System.nanoTime() + nanos;
        while (!calls.isEmpty()) {
            long left = deadline - System.nanoTime();
            if (left <= 0) {
                return false;
            }
            // Rounded up: a wait of zero would be for ever.
            wait(TimeUnit.NANOSECONDS.toMillis(left) + 1);
        }
        return true;
    }

    void ended(long id, Answer answer) {
        PendingCall<?> call = take(id);
        if (call == null) {
            answer.discard();
        } else {
            call.ended(answer, executor);
        }
    }

    /** The call has ended, and how cannot be said in this JVM. */
    void failed(long id, Throwable reason) {
        PendingCall<?> call = take(id);
        if (call != null) {
            call.failed(reason, executor);
        }
    }

    private synchronized PendingCall<?> take(long id) {
        PendingCall<?> call = calls.remove(id);
        notifyAll();
        return call;
    }

    /** Nobody will bring completions any more. */
    void close() {
        List<PendingCall<?>> left;
        synchronized (this) {
            closed = true;
            left = List.copyOf(calls.values());
            calls.clear();
            notifyAll();
        }
        for (PendingCall<?> call : left) {
            call.lost(executor);
        }
    }
}
