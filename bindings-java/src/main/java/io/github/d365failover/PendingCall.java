package io.github.d365failover;

import io.github.d365failover.impl.Answer;
import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.PacketReader;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.Executor;

/** A call that was submitted. Completing it from outside, by {@code cancel} or a timeout, cancels the call. */
final class PendingCall<T> extends ClientFuture<T> implements PendingCalls.Submitted {
    /** Keeps the client from being collected while the call is under way. */
    private FailoverClient client;

    private final Providing providing;
    private final Optional<String> tag;
    private long handle;
    private boolean ended;

    PendingCall(FailoverClient client, Providing providing, ResponseKind<T> kind, FailoverRequest request) {
        super(kind, request.effectUnsent());
        this.tag = request.tag();
        this.client = client;
        this.providing = providing;
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

    @Override
    public void ended(Answer answer, Executor executor) {
        FailoverClient of = release();
        later(executor, () -> {
            PacketReader in = answer.packet();
            Failure failure = Outcome.failure(in);
            if (failure == null) {
                give(kind().of(in, answer, of));
            } else {
                fail(providing.explain(failure));
            }
        });
    }

    @Override
    public void failed(Throwable reason, Executor executor) {
        release();
        later(executor, () -> fail(reason));
    }

    @Override
    public void lost(Executor executor) {
        Failure failure = lost();
        release();
        later(executor, () -> fail(failure));
    }

    private synchronized Failure lost() {
        return Failure.lost(effectUnsent(), tag, handle);
    }

    @Override
    public synchronized OptionalLong ledgerId() {
        if (handle != 0) {
            recorded(Outcome.ledgerId(new PacketReader(Native.pendingLedgerId(handle))));
        }
        return super.ledgerId();
    }

    private synchronized FailoverClient release() {
        FailoverClient of = client;
        ended = true;
        client = null;
        if (handle != 0) {
            ledgerId();
            Native.pendingFree(handle);
            handle = 0;
        }
        return of;
    }
}
