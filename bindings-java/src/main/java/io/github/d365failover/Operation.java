package io.github.d365failover;

/** What sending a request twice does. */
public enum Operation {
    /** The library looks at the request. */
    AUTO,
    /** Changes nothing. */
    READ,
    /** Has the same effect when repeated. */
    IDEMPOTENT,
    /** A repeat is detected by the service. */
    GUARDED,
    /** A repeat does it twice. */
    UNSAFE;

    /** What a newer library knows is taken as the worst. */
    static Operation ofNumber(long number) {
        return number >= 0 && number < UNSAFE.ordinal() ? values()[(int) number] : UNSAFE;
    }
}
