package io.github.d365failover;

import io.github.d365failover.impl.Answer;
import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.PacketReader;
import java.io.IOException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;

/**
 * Sends the requests of a client: on the caller's thread, submitted to the library, or, where the application is asked
 * for something meanwhile, on a thread of the call's own. For no thread of the library's enters the JVM.
 */
final class Sender {
    /** Of its time a call has used nothing yet. */
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
            Failure failure = Failure.inProvider(request.effectUnsent()).of(request);
            return ClientFuture.failed(kind, failure.checked());
        }
        return preparer == null && request.streamed() == null ? submit(request, kind) : sendOnThread(request, kind);
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
            Effect unsent = request.effectUnsent();
            if (events.isDeciding()) {
                throw Failure.wouldDeadlock(unsent).of(request).checked();
            }
            if (providing.isHere()) {
                throw Failure.inProvider(unsent).of(request).checked();
            }
            if (Thread.currentThread().isInterrupted()) {
                throw new Failure(
                                ErrorKind.CANCELLED, "the thread was interrupted before " + request + " was sent", unsent)
                        .of(request)
                        .checked();
            }
            byte[] head = head(request, leftMillis);
            Answer answer = client.use(handle -> Answer.of(response ->
                    Native.send(handle, head, request.body(), asked, kind.isStreaming() ? response : null)));
            if (answer == null) {
                throw Failure.closed(unsent).of(request).checked();
            }
            PacketReader in = answer.packet();
            Failure failure = Outcome.failure(in);
            if (failure != null) {
                failure = providing.explain(failure);
                throw (asked == null ? failure : asked.explain(failure)).checked();
            }
            return kind.of(in, answer, client);
        }
    }

    private static byte[] head(FailoverRequest request, long leftMillis) throws FailoverException {
        try {
            return leftMillis == WHOLE ? request.head() : request.head(leftMillis);
        } catch (IOException e) {
            throw new Failure(ErrorKind.LOCAL, "the length of the body cannot be had: " + e, request.effectUnsent())
                    .of(request)
                    .with(ErrorKind.LOCAL, e)
                    .checked();
        }
    }

    private <T> FailoverFuture<T> submit(FailoverRequest request, ResponseKind<T> kind) {
        PendingCall<T> call = new PendingCall<>(client, providing, kind, request);
        pump.start();
        long id = submitted.add(call);
        try {
            if (id == 0) {
                throw Failure.closed(request.effectUnsent()).of(request).checked();
            }
            byte[] head = head(request, WHOLE);
            byte[] packet =
                    client.use(handle -> Native.submit(handle, head, request.body(), kind.isStreaming(), id));
            if (packet == null) {
                throw Failure.closed(request.effectUnsent()).of(request).checked();
            }
            call.submitted(Outcome.checked(packet).int64());
            return call;
        } catch (FailoverException e) {
            submitted.remove(id);
            return ClientFuture.failed(kind, e);
        } catch (RuntimeException | Error e) {
            submitted.remove(id);
            throw e;
        }
    }

    private <T> FailoverFuture<T> sendOnThread(FailoverRequest request, ResponseKind<T> kind) {
        take(request);
        long timeout = request.timeoutMillis(deadlineMillis);
        ThreadCall<T> call =
                new ThreadCall<>(kind, request.effectUnsent(), timeout, left -> sendTaken(request, kind, left));
        try {
            threads.start(call, executor);
            call.await(new Failure(
                            ErrorKind.TIMEOUT,
                            "the call's time was over before a thread was free for it",
                            request.effectUnsent())
                    .of(request));
            return call;
        } catch (Throwable e) {
            // Never null here: the call would not need a thread.
            asked(request).close();
            if (e instanceof RejectedExecutionException) {
                return ClientFuture.failed(
                        kind, Failure.closed(request.effectUnsent()).of(request).checked());
            }
            throw e;
        }
    }
}
