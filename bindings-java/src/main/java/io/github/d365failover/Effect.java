package io.github.d365failover;

/** What is known of a write when its call has ended, with or without a response. */
public enum Effect {
    /** It was a read, or no call at all. */
    NONE,
    /** The service has executed it. */
    EXECUTED,
    /** The service has not executed it; sending it again is safe. */
    NOT_EXECUTED,
    /** Nobody knows: ask the service before sending it again. */
    UNKNOWN;

    static Effect ofNumber(int number) {
        return number >= 0 && number < UNKNOWN.ordinal() ? values()[number] : UNKNOWN;
    }
}
