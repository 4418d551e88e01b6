package io.github.d365failover;

/** A client that is closed, a call that would deadlock, or an environment in which no client can be made. */
public class FailoverStateException extends IllegalStateException {
    private static final long serialVersionUID = 1L;

    /** What is in the way. */
    private final ErrorKind kind;

    FailoverStateException(ErrorKind kind, String message) {
        super(message);
        this.kind = kind;
    }

    /**
     * What is in the way.
     *
     * @return the kind
     */
    public ErrorKind kind() {
        return kind;
    }
}
