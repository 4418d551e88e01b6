package io.github.d365failover;

/** What the application has found out about a write that was in question. */
public enum Resolution {
    /** It was executed, and is there. */
    CONFIRMED,
    /** It was not there, and was sent again. */
    REPLAYED,
    /** It is not there, and will not be. */
    LOST;

    /** That of the C ABI. */
    int number() {
        return ordinal() + 1;
    }

    /** Null: none yet. */
    static Resolution ofOptional(long number) {
        return number >= 1 && number <= 3 ? values()[(int) number - 1] : null;
    }
}
