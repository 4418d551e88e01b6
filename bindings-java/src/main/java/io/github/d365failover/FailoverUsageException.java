package io.github.d365failover;

/** An argument that never works: a URL, a setting, a header that is not allowed. The message says what to do. */
public class FailoverUsageException extends IllegalArgumentException {
    private static final long serialVersionUID = 1L;

    /** What is wrong with it. */
    private final ErrorKind kind;

    FailoverUsageException(ErrorKind kind, String message) {
        super(message);
        this.kind = kind;
    }

    /**
     * What is wrong with it.
     *
     * @return the kind
     */
    public ErrorKind kind() {
        return kind;
    }
}
