package io.github.d365failover;

import java.util.Locale;

/** Why an operation failed. The numbers of the C ABI are beside the names; {@link #label()} is its name there. */
public enum ErrorKind {
    /** An argument that is not allowed. */
    INVALID_ARGUMENT(10),
    /** A null that is not allowed. */
    NULL_POINTER(11),
    /** A string with half of a surrogate pair. */
    INVALID_UTF8(12),
    /** A URL that cannot be used; the message says what to do. */
    INVALID_URL(13),
    /** A setting that does not exist. */
    UNKNOWN_SETTING(14),
    /** A setting with a value that it cannot have. */
    INVALID_SETTING(15),
    /** A handle that is gone. */
    INVALID_HANDLE(16),
    /** A handle of another type. */
    WRONG_HANDLE(17),
    /** The object has no such thing. */
    NOT_AVAILABLE(18),
    /** The client is closed. */
    CLOSED(30),
    /** A blocking call inside a listener that the switch waits for. */
    WOULD_DEADLOCK(31),
    /** The process was forked after the client was opened. */
    FORKED(32),
    /** The organization has no alternate, says its FailoverPolicy; or, of a switch by hand, that was not read yet. */
    NO_ALTERNATE(33),
    /** Nothing came in time. */
    EMPTY(34),
    /** In use. */
    BUSY(35),
    /** The decision was taken before. */
    LATE(36),
    /** No certificate store on this machine: set {@code caBundle}. */
    NO_CA_STORE(37),
    /** The client has no queue. */
    NO_QUEUE(38),
    /** This machine has no thread, no descriptor, no memory for it; the message says which. */
    NO_RESOURCES(39),
    /** The operator keeps calls where they are; the message says by what, and how it is lifted. */
    OVERRIDDEN(40),
    /** See {@link FaultKind#ENDPOINT_NOT_FOUND}. */
    ENDPOINT_NOT_FOUND(101),
    /** See {@link FaultKind#DATACENTER_NOT_AVAILABLE}. */
    DATACENTER_NOT_AVAILABLE(102),
    /** See {@link FaultKind#TIMEOUT}. */
    TIMEOUT(103),
    /** See {@link FaultKind#SERVER_UNAVAILABLE}. */
    SERVER_UNAVAILABLE(104),
    /** See {@link FaultKind#CONNECTION_LOST}. */
    CONNECTION_LOST(105),
    /** See {@link FaultKind#LOCAL}. */
    LOCAL(106),
    /** See {@link FaultKind#TLS}. */
    TLS(107),
    /** See {@link FaultKind#AUTHENTICATION}. */
    AUTHENTICATION(108),
    /** See {@link FaultKind#PROTOCOL}. */
    PROTOCOL(109),
    /** Cancelled, or the calling thread was interrupted. */
    CANCELLED(110),
    /** A defect of the library. */
    INTERNAL(200),
    /** A kind that a newer library knows. */
    OTHER(-1);

    private static final int LAST_USAGE = 29;

    private final int number;

    ErrorKind(int number) {
        this.number = number;
    }

    /**
     * The name that logs and the other languages use, such as {@code invalid_url}.
     *
     * @return the name in lower case
     */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** An argument that never works, whatever the state of the world is. */
    boolean isUsage() {
        return number >= INVALID_ARGUMENT.number && number <= LAST_USAGE && this != INVALID_HANDLE;
    }

    static ErrorKind ofNumber(int number) {
        for (ErrorKind kind : values()) {
            if (kind.number == number) {
                return kind;
            }
        }
        return OTHER;
    }
}
