package io.github.d365failover;

import io.github.d365failover.impl.Answer;
import io.github.d365failover.impl.PacketReader;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongFunction;

/** The submitted calls of a client, by the number that comes back with their completion. */
final class PendingCalls {
    /** One of them. It hears of one end, of whichever kind. */
    interface Submitted {
        /** The library is done with it. */
        void ended(Answer answer, Executor executor);

        /** The library is done with it, and its answer could not be had. */
        void failed(Throwable reason, Executor executor);

        /** There will be no completion. */
        void lost(Executor executor);
    }

    private static final long NONE = 0;

    private final Executor executor;
    private final Guard guard = new Guard();
    private final Map<Long, Submitted> calls = new HashMap<>();
    private long last;
    private boolean closed;

    /** Without an executor of the application's, null. */
    PendingCalls(Executor executor) {
        this.executor = executor;
    }

    /**
     * Has it submitted. Where that fails, by the packet or by a throw, it hears of no end.
     *
     * @param submit gets its number; gives the packet, or null where the client is closed
     * @return the packet; null where the client is closed
     */
    byte[] submit(Submitted call, LongFunction<byte[]> submit) {
        long id = add(call);
        if (id == NONE) {
            return null;
        }
        byte[] packet = null;
        try {
            packet = submit.apply(id);
        } finally {
            if (packet == null || Outcome.failure(new PacketReader(packet)) != null) {
                take(id);
            }
        }
        return packet;
    }

    private long add(Submitted call) {
        return guard.get(() -> {
            if (closed) {
                return NONE;
            }
            calls.put(++last, call);
            return last;
        });
    }

    /** Waits for the completions of all calls; false if that took longer. */
    boolean awaitNone(long nanos) throws InterruptedException {
        return guard.await(nanos, calls::isEmpty);
    }

    void ended(long id, Answer answer) {
        Submitted call = take(id);
        if (call == null) {
            answer.discard();
        } else {
            call.ended(answer, executor);
        }
    }

    /** The call has ended, and how cannot be said in this JVM. */
    void failed(long id, Throwable reason) {
        Submitted call = take(id);
        if (call != null) {
            call.failed(reason, executor);
        }
    }

    private Submitted take(long id) {
        AtomicReference<Submitted> taken = new AtomicReference<>();
        guard.change(() -> taken.set(calls.remove(id)));
        return taken.get();
    }

    /** Nobody will bring completions any more. */
    void close() {
        List<Submitted> left = new ArrayList<>();
        guard.change(() -> {
            closed = true;
            left.addAll(calls.values());
            calls.clear();
        });
        for (Submitted call : left) {
            call.lost(executor);
        }
    }
}
