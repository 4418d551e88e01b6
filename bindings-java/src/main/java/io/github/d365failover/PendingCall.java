package io.github.d365failover;

import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.PacketReader;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;

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

    /** The library is done with the call. Nothing of the application's runs on the caller's thread. */
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

    /** A future always completes: on an executor that takes nothing any more, here. */
    private void later(Executor executor, Runnable completion) {
        Runnable certain = () -> {
            try {
                completion.run();
            } catch (Throwable e) {
                completeExceptionally(e);
            }
        };
        try {
            (executor == null ? defaultExecutor() : executor).execute(certain);
        } catch (RejectedExecutionException e) {
            certain.run();
        }
    }
}
