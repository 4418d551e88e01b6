package io.github.d365failover;

/** How far an attempt came. */
public enum Phase {
    /** Nothing of the request left. */
    NOT_SENT,
    /** Something left, and perhaps arrived; no status line was seen. */
    SENT,
    /** A status line was seen. */
    RESPONDED,
    /** A phase that a newer library knows. */
    OTHER;

    static Phase ofNumber(long number) {
        return number >= 1 && number <= 3 ? values()[(int) number - 1] : OTHER;
    }
}
