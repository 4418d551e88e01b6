package io.github.d365failover;

import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.PacketReader;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;

/** A call that was submitted. Completing it from outside, by {@code cancel} or a timeout, cancels the call. */
final class PendingCall extends CompletableFuture<FailoverResponse> {
    /** Keeps the client from being collected while the call is under way. */
    private FailoverClient client;

    private long handle;
    private boolean ended;

    PendingCall(FailoverClient client) {
        this.client = client;
    }

    /** The handle may come after the completion, because that comes on another thread. */
    void submitted(long pending) {
        synchronized (this) {
            if (ended) {
                Native.pendingFree(pending);
                return;
            }
            handle = pending;
        }
        whenComplete((response, failure) -> abandon());
    }

    private synchronized void abandon() {
        if (!ended) {
            Native.pendingCancel(handle);
        }
    }

    /** The library is done with the call. */
    void ended(byte[] packet, Executor executor) {
        release();
        later(executor, () -> {
            PacketReader in = new PacketReader(packet);
            Failure failure = Outcome.failure(in);
            if (failure == null) {
                complete(Outcome.response(in));
            } else {
                fail(failure);
            }
        });
    }

    /** The library is done with the call, and its answer could not be had. */
    void failed(Throwable reason, Executor executor) {
        release();
        later(executor, () -> completeExceptionally(reason));
    }

    /** There will be no completion. */
    void lost(Failure failure, Executor executor) {
        release();
        later(executor, () -> fail(failure));
    }

    private void fail(Failure failure) {
        try {
            completeExceptionally(failure.checked());
        } catch (FailoverUsageException e) {
            completeExceptionally(e);
        }
    }

    private synchronized void release() {
        ended = true;
        client = null;
        if (handle != 0) {
            Native.pendingFree(handle);
            handle = 0;
        }
    }

    /**
     * A future always completes: where the executor does not take it, for whatever reason, here. One that took it and
     * failed all the same completes it a second time, which does nothing.
     */
    private void later(Executor executor, Runnable completion) {
        try {
            (executor == null ? defaultExecutor() : executor).execute(() -> certainly(completion));
        } catch (Throwable e) {
            certainly(completion);
        }
    }

    private void certainly(Runnable completion) {
        try {
            completion.run();
        } catch (Throwable e) {
            completeExceptionally(e);
        }
    }
}
