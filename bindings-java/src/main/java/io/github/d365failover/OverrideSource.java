package io.github.d365failover;

/** Where an override of the operator's stands. */
public enum OverrideSource {
    /** In {@code D365_FAILOVER} of the environment, which is read when a client is opened. */
    ENVIRONMENT,
    /** In the store, where running clients hear of it. */
    STORE,
    /** One that a newer library knows. */
    OTHER;

    static OverrideSource ofNumber(int number) {
        return number == 1 ? ENVIRONMENT : number == 2 ? STORE : OTHER;
    }
}
