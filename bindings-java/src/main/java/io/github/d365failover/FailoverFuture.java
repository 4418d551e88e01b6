package io.github.d365failover;

import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;

/**
 * The future of a call. Completing it from outside, by {@code cancel}, {@code orTimeout} or {@code complete}, cancels the
 * call at once, whatever it waits for; what became of it is then told here, because the future's own exception cannot. So
 * does {@code cancel(true)} of what depends on it.
 *
 * @param <T> the response
 */
public abstract class FailoverFuture<T> extends CompletableFuture<T> {
    private final CompletableFuture<Effect> end = new CompletableFuture<>();
    private volatile OptionalLong ledgerId = OptionalLong.empty();

    FailoverFuture() {}

    /**
     * The write on record, from before it is sent, whatever the future was completed with.
     *
     * @return the {@link LedgerEntry#id()}; empty for a read, for what was not begun, and for a moment after the call was
     *     submitted. A call that has a thread of its own ({@link FailoverClient#sendAsync}) has it only at its {@link
     *     #end()}
     */
    public OptionalLong ledgerId() {
        return ledgerId;
    }

    /**
     * Completes when the library is done with the call, with what is then known of its write: also where this future was
     * completed from outside, which is done a moment later then. Never completes exceptionally.
     *
     * @return a future of its own for each call of this method
     */
    public CompletableFuture<Effect> end() {
        return end.copy();
    }

    /**
     * What depends on this future, such as what {@link #thenApply} gives. Cancelling that with {@code true} cancels the
     * call too, as with {@code java.net.http}: whoever has wrapped the call has nothing else of it.
     */
    @Override
    public <U> CompletableFuture<U> newIncompleteFuture() {
        return new DependentFuture<>(this);
    }

    final void recorded(OptionalLong id) {
        if (id.isPresent()) {
            ledgerId = id;
        }
    }

    final void ended(Effect effect, OptionalLong id) {
        recorded(id);
        end.complete(effect);
    }
}
