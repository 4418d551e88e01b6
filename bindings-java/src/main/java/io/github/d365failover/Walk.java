package io.github.d365failover;

import io.github.d365failover.impl.Native;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;

/** A walk over the writes to verify, of which each call brings a step. */
final class Walk {
    private final long handle;
    private volatile CompletableFuture<SettleStep> step = new CompletableFuture<>();
    private volatile boolean stopped;

    Walk(SettlePolicy policy) {
        long made = Outcome.unchecked(Native.walkNew(Objects.requireNonNull(policy, "policy").flags())).int64();
        this.handle = made;
        FailoverClient.CLEANER.register(this, () -> Native.requestFree(made));
    }

    /** The request for its next step. The walk must be reachable until it was sent. */
    FailoverRequest next() {
        return FailoverRequest.settling(handle);
    }

    /** All steps, one after the other, until somebody completes what this gives. */
    CompletableFuture<Settled> toItsEnd(Sender sender) {
        CompletableFuture<Settled> settled = new Whole();
        onward(sender).whenComplete((numbers, failure) -> {
            if (failure == null) {
                settled.complete(numbers);
            } else {
                settled.completeExceptionally(failure);
            }
        });
        settled.whenComplete((numbers, failure) -> stop());
        return settled;
    }

    /** What depends on it cancels all of it, as with a call. */
    private static final class Whole extends CompletableFuture<Settled> {
        @Override
        public <U> CompletableFuture<U> newIncompleteFuture() {
            return new DependentFuture<>(this);
        }
    }

    private CompletableFuture<Settled> onward(Sender sender) {
        if (stopped) {
            return CompletableFuture.failedFuture(new CancellationException());
        }
        step = sender.sendAsync(next(), ResponseKind.STEP);
        if (stopped) {
            step.cancel(true);
        }
        return step.thenCompose(done ->
                done.isOver() ? CompletableFuture.completedFuture(done.settled()) : onward(sender));
    }

    private void stop() {
        stopped = true;
        step.cancel(true);
    }
}
