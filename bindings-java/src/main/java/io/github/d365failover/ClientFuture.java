package io.github.d365failover;

import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;

/** A call's future. It always completes, on the client's executor if there is one. */
class ClientFuture<T> extends FailoverFuture<T> {
    private final ResponseKind<T> kind;
    private final Effect unsent;

    /**
     * @param unsent what is known of the call before it is sent
     */
    ClientFuture(ResponseKind<T> kind, Effect unsent) {
        this.kind = kind;
        this.unsent = unsent;
    }

    final Effect effectUnsent() {
        return unsent;
    }

    /** What is known of a call of which nothing is heard. */
    private Effect untold() {
        return unsent == Effect.NONE && ledgerId().isEmpty() ? Effect.NONE : Effect.UNKNOWN;
    }

    final ResponseKind<T> kind() {
        return kind;
    }

    /** Completes it; if that was done from outside, nobody will close the response but this. */
    final void give(T response) {
        Effect effect = kind.effect(response);
        OptionalLong id = kind.ledgerId(response);
        recorded(id);
        if (!complete(response)) {
            kind.discard(response);
        }
        ended(effect, id);
    }

    final void fail(Failure failure) {
        try {
            fail(failure.checked());
        } catch (FailoverUsageException e) {
            fail(e);
        }
    }

    /** Without the library's word on it, the effect is that of what was not known; an argument at fault is not sent. */
    final void fail(Throwable e) {
        FailoverException told = e instanceof FailoverException ? (FailoverException) e : null;
        OptionalLong id = told == null ? OptionalLong.empty() : told.ledgerId();
        recorded(id);
        completeExceptionally(e);
        if (told != null) {
            ended(told.effect(), id);
        } else {
            ended(e instanceof FailoverUsageException ? unsent : untold(), id);
        }
    }

    /** One that has failed before it was begun. */
    static <T> ClientFuture<T> failed(ResponseKind<T> kind, FailoverException e) {
        ClientFuture<T> future = new ClientFuture<>(kind, e.effect());
        future.fail(e);
        return future;
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
            fail(e);
        }
    }
}
