package io.github.d365failover;

/** Which endpoint of an organization. */
public enum Role {
    /** The one of every day. */
    PRIMARY,
    /** The one that takes over. */
    ALTERNATE,
    /** A role that a newer library knows. */
    OTHER;

    static Role ofNumber(long number) {
        return number == 1 ? PRIMARY : number == 2 ? ALTERNATE : OTHER;
    }

    /** Null for what went to neither endpoint. */
    static Role ofOptional(long number) {
        return number == 0 ? null : ofNumber(number);
    }
}
