package io.github.d365failover;

import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.PacketReader;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/** A failure before it is known which exception it becomes: that depends on the method. */
final class Failure {
    /** What is known of the call. */
    static final class Details {
        final Effect effect;
        boolean switched;
        OptionalLong ledgerId = OptionalLong.empty();
        Optional<String> tag = Optional.empty();
        List<Attempt> attempts = List.of();
        OptionalInt status = OptionalInt.empty();
        OptionalInt code = OptionalInt.empty();
        Optional<Duration> retryAfter = Optional.empty();
        OptionalLong providerData = OptionalLong.empty();
        Optional<FailoverResponse> response = Optional.empty();
        Optional<String> cause = Optional.empty();

        Details(Effect effect) {
            this.effect = effect;
        }
    }

    private static final long NO_CLIENT = 0;

    private final ErrorKind kind;
    private final String message;
    private final Details details;
    private final Throwable cause;

    Failure(ErrorKind kind, String message, Details details) {
        this(kind, message, details, null);
    }

    private Failure(ErrorKind kind, String message, Details details, Throwable cause) {
        this.kind = kind;
        this.message = message;
        this.details = details;
        this.cause = cause;
    }

    /** A failure of this side's, before anything was sent. */
    Failure(ErrorKind kind, String message, Effect effect) {
        this(kind, message, new Details(effect));
    }

    static Failure wouldDeadlock() {
        return new Failure(
                ErrorKind.WOULD_DEADLOCK,
                "a blocking call inside an EndpointSwitchRequired listener, for which the calls are waiting:"
                        + " call from an EndpointSwitched listener, or from another thread after this one has returned",
                Effect.NONE);
    }

    static Failure inProvider() {
        return new Failure(
                ErrorKind.WOULD_DEADLOCK,
                "a call from the token provider would wait for the token that it has not given yet: get tokens with a"
                        + " client of their own",
                Effect.NONE);
    }

    static Failure closed() {
        return new Failure(ErrorKind.CLOSED, "the client is closed", Effect.NONE);
    }

    /**
     * Of a submitted call whose end was not brought.
     *
     * @param unsent what was known of it before it was sent
     * @param pending its handle; 0: it has none yet
     */
    static Failure lost(Effect unsent, Optional<String> tag, long pending) {
        OptionalLong id = pending == 0
                ? OptionalLong.empty()
                : Outcome.ledgerId(new PacketReader(Native.pendingLedgerId(pending)));
        boolean reads = unsent == Effect.NONE && id.isEmpty();
        Failure failure = new Failure(ErrorKind.CLOSED, "the client was closed", reads ? Effect.NONE : Effect.UNKNOWN);
        failure.details.ledgerId = id;
        failure.details.tag = tag;
        return failure;
    }

    /**
     * The same, of a call with this request of which nothing was sent. Whether that is a write, and under which tag, its
     * headers and its body may say: the library reads them, and submits nothing to no client.
     */
    Failure of(FailoverRequest request) {
        byte[] refused = Native.submit(NO_CLIENT, request.unread(), request.body(), false, 0);
        return new Failure(kind, message, Outcome.failure(new PacketReader(refused)).details, cause);
    }

    /** The same with what the application has thrown. */
    Failure with(ErrorKind otherKind, Throwable thrown) {
        return with(otherKind, thrown, message);
    }

    Failure with(ErrorKind otherKind, Throwable thrown, String otherMessage) {
        return new Failure(otherKind, otherMessage, details, thrown);
    }

    ErrorKind kind() {
        return kind;
    }

    String message() {
        return message;
    }

    Details details() {
        return details;
    }

    /** What the application has thrown, or null. */
    Throwable cause() {
        return cause;
    }

    /** For methods that do I/O, of which a {@link FailoverException} is the answer unless the argument is at fault. */
    FailoverException checked() {
        if (kind.isUsage()) {
            throw unchecked();
        }
        FailoverException fault =
                kind == ErrorKind.TIMEOUT ? new FailoverTimeoutException(this) : new FailoverException(this);
        return details.effect == Effect.UNKNOWN ? new WriteInDoubtException(this, fault) : fault;
    }

    /** For methods that do none. */
    RuntimeException unchecked() {
        return kind.isUsage()
                ? new FailoverUsageException(kind, message)
                : new FailoverStateException(kind, message);
    }
}
