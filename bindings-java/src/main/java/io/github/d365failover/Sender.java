package io.github.d365failover;

import io.github.d365failover.impl.Answer;
import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.PacketReader;
import io.github.d365failover.impl.Upcalls;
import java.io.IOException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;

/**
 * Sends the requests of a client: on the caller's thread, submitted to the library, or, where the application is asked
 * for something meanwhile, on a thread of the call's own. For no thread of the library's enters the JVM. What a virtual
 * thread waits for is never sent on that: it would hold its carrier.
 */
final class Sender {
    /** Of its time a call has used nothing yet: it has waited for no thread, and is on the application's own. */
    private static final long WHOLE = 0;

    private final FailoverClient client;
    private final AttemptPreparer preparer;
    private final Executor executor;
    private final EventDispatcher events;
    private final Providing providing;
    private final QueuePump pump;
    private final PendingCalls submitted;
    private final ThreadCalls threads;
    private final long deadlineMillis;

    /** Without a preparer or an executor of the application's, null. */
    Sender(
            FailoverClient client,
            AttemptPreparer preparer,
            Executor executor,
            EventDispatcher events,
            Providing providing,
            QueuePump pump,
            PendingCalls submitted,
            ThreadCalls threads,
            long deadlineMillis) {
        this.client = client;
        this.preparer = preparer;
        this.executor = executor;
        this.events = events;
        this.providing = providing;
        this.pump = pump;
        this.submitted = submitted;
        this.threads = threads;
        this.deadlineMillis = deadlineMillis;
    }

    <T> T send(FailoverRequest request, ResponseKind<T> kind) throws FailoverException {
        take(request);
        return sendTaken(request, kind, WHOLE);
    }

    <T> FailoverFuture<T> sendAsync(FailoverRequest request, ResponseKind<T> kind) {
        if (providing.isHere()) {
            Failure failure = Failure.inProvider().of(request);
            return ClientFuture.failed(kind, failure.checked());
        }
        boolean asksNothing = preparer == null && request.streamed() == null;
        return asksNothing ? submitFuture(request, kind) : sendOnThread(request, kind);
    }

    /** From here on a stream that can be read once is this call's, which closes it. */
    private static void take(FailoverRequest request) {
        if (request.streamed() != null && !request.streamed().take()) {
            throw new FailoverUsageException(
                    ErrorKind.INVALID_ARGUMENT,
                    request + " has a stream as its body that can be read once, and was sent before: make another"
                            + " request, or give it a BodySource");
        }
    }

    private Asked asked(FailoverRequest request) {
        StreamedBody body = request.streamed();
        return preparer == null && body == null
                ? null
                : new Asked(body == null ? null : new BodyReader(body), preparer);
    }

    private <T> T sendTaken(FailoverRequest request, ResponseKind<T> kind, long leftMillis)
            throws FailoverException {
        try (Asked asked = asked(request)) {
            if (events.isDeciding()) {
                throw Failure.wouldDeadlock().of(request).checked();
            }
            if (providing.isHere()) {
                throw Failure.inProvider().of(request).checked();
            }
            if (Thread.currentThread().isInterrupted()) {
                throw interrupted(request).checked();
            }
            Answer answer = !VirtualThreads.isHere()
                    ? sendHere(request, kind, asked, leftMillis)
                    : asked == null ? sendParked(request, kind) : sendRelayed(request, kind, asked);
            PacketReader in = answer.packet();
            Failure failure = Outcome.failure(in);
            if (failure != null) {
                failure = providing.explain(failure);
                throw (asked == null ? failure : asked.explain(failure)).checked();
            }
            return kind.of(in, answer, client);
        }
    }

    private Answer sendHere(FailoverRequest request, ResponseKind<?> kind, Upcalls asked, long leftMillis)
            throws FailoverException {
        byte[] head = head(request, leftMillis);
        try (BlockingCall call = new BlockingCall(asked, leftMillis == WHOLE)) {
            Answer answer = client.use(handle -> call.send(handle, head, request.body(), kind.isStreaming()));
            if (answer == null) {
                throw Failure.closed().of(request).checked();
            }
            return answer;
        }
    }

    private Answer sendParked(FailoverRequest request, ResponseKind<?> kind) throws FailoverException {
        ParkedCall call = new ParkedCall();
        long pending = submit(call, request, kind);
        try {
            Answer answer = call.await(() -> Native.pendingCancel(pending));
            if (answer == null) {
                throw Failure.lost(request.effectUnsent(), request.tag(), pending).checked();
            }
            return answer;
        } finally {
            Native.pendingFree(pending);
        }
    }

    private Answer sendRelayed(FailoverRequest request, ResponseKind<?> kind, Asked asked) throws FailoverException {
        RelayedCall call = new RelayedCall(
                asked,
                request.timeoutMillis(deadlineMillis),
                (upcalls, left) -> sendHere(request, kind, upcalls, left));
        try {
            threads.start(call);
        } catch (RejectedExecutionException e) {
            throw Failure.closed().of(request).checked();
        }
        Answer answer = call.await();
        if (answer == null) {
            boolean isInterrupted = Thread.currentThread().isInterrupted();
            throw (isInterrupted ? interrupted(request) : late(request)).checked();
        }
        return answer;
    }

    private static Failure interrupted(FailoverRequest request) {
        String message = "the thread was interrupted before " + request + " was sent";
        return new Failure(ErrorKind.CANCELLED, message, Effect.NONE).of(request);
    }

    private static Failure late(FailoverRequest request) {
        String message = "the call's time was over before a thread was free for it";
        return new Failure(ErrorKind.TIMEOUT, message, Effect.NONE).of(request);
    }

    private static byte[] head(FailoverRequest request, long leftMillis) throws FailoverException {
        try {
            return leftMillis == WHOLE ? request.head() : request.head(leftMillis);
        } catch (IOException e) {
            throw new Failure(ErrorKind.LOCAL, "the length of the body cannot be had: " + e, Effect.NONE)
                    .of(request)
                    .with(ErrorKind.LOCAL, e)
                    .checked();
        }
    }

    private <T> FailoverFuture<T> submitFuture(FailoverRequest request, ResponseKind<T> kind) {
        PendingCall<T> call = new PendingCall<>(client, providing, kind, request);
        try {
            call.submitted(submit(call, request, kind));
            return call;
        } catch (FailoverException e) {
            return ClientFuture.failed(kind, e);
        }
    }

    /** The pending call's handle, to be freed. */
    private long submit(PendingCalls.Submitted call, FailoverRequest request, ResponseKind<?> kind)
            throws FailoverException {
        pump.start();
        byte[] head = head(request, WHOLE);
        byte[] packet = submitted.submit(
                call,
                id -> client.use(handle -> Native.submit(handle, head, request.body(), kind.isStreaming(), id)));
        if (packet == null) {
            throw Failure.closed().of(request).checked();
        }
        return Outcome.checked(packet).int64();
    }

    private <T> FailoverFuture<T> sendOnThread(FailoverRequest request, ResponseKind<T> kind) {
        take(request);
        long timeout = request.timeoutMillis(deadlineMillis);
        ThreadCall<T> call = new ThreadCall<>(
                kind, request.effectUnsent(), timeout, executor, left -> sendTaken(request, kind, left));
        try {
            threads.start(call);
            call.await(() -> late(request));
            return call;
        } catch (Throwable e) {
            // Never null here: the call would not need a thread.
            asked(request).close();
            if (e instanceof RejectedExecutionException) {
                return ClientFuture.failed(
                        kind, Failure.closed().of(request).checked());
            }
            throw e;
        }
    }
}
