package io.github.d365failover;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * A call that ended without a usable response, or an operation that the client's state does not allow.
 *
 * <p>Of a write, {@link #effect()} says whether it may be sent again, and {@link #ledgerId()} where it is on record. An
 * interrupt of the calling thread ends a call with kind {@link ErrorKind#CANCELLED}; the thread's interrupt flag stays
 * set. (It is not an {@link java.io.InterruptedIOException}, because what is known of the write would be lost with it.)
 *
 * <p>What a request's body, an {@link AttemptPreparer} or the {@link TokenProvider} has thrown is the cause of the
 * exception of its call.
 *
 * <p>Of a write that may have been executed it is always a {@link WriteInDoubtException}, whose cause is the exception
 * that has the other cause.
 */
public class FailoverException extends IOException {
    private static final long serialVersionUID = 1L;

    /** Why it failed. */
    private final ErrorKind kind;

    /** What is known of a write. */
    private final Effect effect;

    /** Whether the endpoint was switched during the call. */
    private final boolean switched;

    /** Its number in the ledger, or null. */
    private final Long ledgerId;

    /** The tag of its request, or null. */
    private final String tag;

    /** What exactly made the call fail, or null. */
    private final String cause;

    /** The HTTP status of the last answer, or null. */
    private final Integer status;

    /** The code of a service fault, or null. */
    private final Integer code;

    /** How long the server asked to wait, or null. */
    private final Duration retryAfter;

    private final transient Failure.Details details;

    FailoverException(Failure failure) {
        super(failure.message(), failure.cause());
        this.kind = failure.kind();
        this.details = failure.details();
        this.effect = details.effect;
        this.switched = details.switched;
        this.ledgerId = details.ledgerId.isPresent() ? details.ledgerId.getAsLong() : null;
        this.tag = details.tag.orElse(null);
        this.cause = details.cause.orElse(null);
        this.status = boxed(details.status);
        this.code = boxed(details.code);
        this.retryAfter = details.retryAfter.orElse(null);
    }

    /**
     * Why it failed.
     *
     * @return the kind
     */
    public ErrorKind kind() {
        return kind;
    }

    /**
     * What exactly made the call fail, finer than {@link #kind()}: {@code no_such_name}, {@code refused}, {@code
     * connect_timeout}, {@code reset}, … The names are those of the C constants {@code D365_CAUSE_…}, in lower case.
     * ({@link #getCause()} is Java's: the exception that this one comes from.)
     *
     * @return the name; empty where no call failed
     */
    public Optional<String> cause() {
        return Optional.ofNullable(cause);
    }

    /**
     * What is known of a write.
     *
     * @return {@link Effect#NONE} for a read, and for what is no call; {@link Effect#NOT_EXECUTED} also for a write that
     *     was refused before it was begun, as by a closed client
     */
    public Effect effect() {
        return effect;
    }

    /**
     * Its number in the ledger.
     *
     * @return the {@link LedgerEntry#id()} of a write; empty for a read, and for what was refused before it was sent
     */
    public OptionalLong ledgerId() {
        return ledgerId == null ? OptionalLong.empty() : OptionalLong.of(ledgerId);
    }

    /**
     * The tag of its request.
     *
     * @return what {@link FailoverRequest.Builder#tag} was given; empty without one, and for what is no call
     */
    public Optional<String> tag() {
        return Optional.ofNullable(tag);
    }

    /**
     * Whether the endpoint was switched during the call.
     *
     * @return true if so, whoever caused it
     */
    public boolean switched() {
        return switched;
    }

    /**
     * The attempts that the call took.
     *
     * @return an unmodifiable list; empty if there was none, or after deserialization
     */
    public List<Attempt> attempts() {
        return details == null ? List.of() : details.attempts;
    }

    /**
     * The HTTP status of the last answer.
     *
     * @return the status; empty without an answer
     */
    public OptionalInt status() {
        return unboxed(status);
    }

    /**
     * The service's error code.
     *
     * @return the code, such as -2147176347 for 0x8004B065; empty without one
     */
    public OptionalInt code() {
        return unboxed(code);
    }

    /**
     * How long the service asked to wait before the next call.
     *
     * @return the time; empty if it did not ask
     */
    public Optional<Duration> retryAfter() {
        return Optional.ofNullable(retryAfter);
    }

    /**
     * The answer that was not usable.
     *
     * @return what came of it; empty without an answer, or after deserialization
     */
    public Optional<FailoverResponse> response() {
        return details == null ? Optional.empty() : details.response;
    }

    private static Integer boxed(OptionalInt number) {
        return number.isPresent() ? number.getAsInt() : null;
    }

    private static OptionalInt unboxed(Integer number) {
        return number == null ? OptionalInt.empty() : OptionalInt.of(number);
    }
}
