package io.github.d365failover;

import io.github.d365failover.impl.Answer;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;

/**
 * What was submitted for a virtual thread, which parks until it has ended. The end is brought to the thread itself, past
 * any executor: that may be waiting for just this thread.
 */
final class ParkedCall implements PendingCalls.Submitted {
    private final CompletableFuture<Answer> end = new CompletableFuture<>();

    @Override
    public void ended(Answer answer, Executor executor) {
        if (!end.complete(answer)) {
            answer.discard();
        }
    }

    @Override
    public void failed(Throwable reason, Executor executor) {
        end.completeExceptionally(reason);
    }

    @Override
    public void lost(Executor executor) {
        end.complete(null);
    }

    /**
     * Waits for the end, also after an interrupt, which cancels; the flag stays set.
     *
     * @return null: there is none, because the client was closed
     */
    Answer await(Runnable cancel) {
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return end.get();
                } catch (InterruptedException e) {
                    interrupted = true;
                    cancel.run();
                } catch (ExecutionException e) {
                    throw unchecked(e.getCause());
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private static RuntimeException unchecked(Throwable reason) {
        if (reason instanceof Error) {
            throw (Error) reason;
        }
        return reason instanceof RuntimeException ? (RuntimeException) reason : new IllegalStateException(reason);
    }
}
