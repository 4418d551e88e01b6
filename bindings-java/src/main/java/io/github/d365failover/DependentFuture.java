package io.github.d365failover;

import java.util.concurrent.CompletableFuture;

/** What depends on a call's future, or a walk's, directly or not. */
final class DependentFuture<T> extends CompletableFuture<T> {
    private final CompletableFuture<?> call;

    DependentFuture(CompletableFuture<?> call) {
        this.call = call;
    }

    @Override
    public <U> CompletableFuture<U> newIncompleteFuture() {
        return new DependentFuture<>(call);
    }

    @Override
    public boolean cancel(boolean mayInterruptIfRunning) {
        boolean isCancelled = super.cancel(mayInterruptIfRunning);
        if (isCancelled && mayInterruptIfRunning) {
            // After this one, so that it tells of the cancellation, and not of what became of the call.
            call.cancel(true);
        }
        return isCancelled;
    }
}
