package io.github.d365failover;

/** What a probe has found at an endpoint before calls went there. */
public enum Probed {
    /** A living front end answers; without credentials more cannot be known. */
    REACHABLE,
    /** The organization answers an authenticated request. */
    SERVES,
    /** A finding that a newer library knows. */
    OTHER;

    /** Null: it was not probed. */
    static Probed ofOptional(long number) {
        return number == 0 ? null : number == 1 ? REACHABLE : number == 2 ? SERVES : OTHER;
    }
}
