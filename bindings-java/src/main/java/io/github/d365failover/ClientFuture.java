package io.github.d365failover;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;

/** A call's future. It always completes, on the client's executor if there is one. */
class ClientFuture<T> extends CompletableFuture<T> {
    private final ResponseKind<T> kind;

    ClientFuture(ResponseKind<T> kind) {
        this.kind = kind;
    }

    final ResponseKind<T> kind() {
        return kind;
    }

    /** Completes it; if that was done from outside, nobody will close the response but this. */
    final void give(T response) {
        if (!complete(response)) {
            kind.discard(response);
        }
    }

    final void fail(Failure failure) {
        try {
            completeExceptionally(failure.checked());
        } catch (FailoverUsageException e) {
            completeExceptionally(e);
        }
    }

    /**
     * Completes it on the executor: where that does not take it, for whatever reason, here. One that took it and failed
     * all the same completes it a second time, which does nothing.
     *
     * @param executor null: the one of {@link CompletableFuture}
     */
    final void later(Executor executor, Runnable completion) {
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
