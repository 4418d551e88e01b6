package io.github.d365failover.support;

import io.github.d365failover.FailoverRequest;

/** Requests that write accounts into the twin. */
public final class Accounts {
    public static final String PATH = "/api/data/v9.2/accounts";

    private Accounts() {}

    /** A create that a repeat would do twice. */
    public static FailoverRequest.Builder create(String name) {
        return FailoverRequest.builder("POST", PATH)
                .header("Content-Type", "application/json")
                .body(body(name));
    }

    public static String body(String name) {
        return "{\"name\":\"" + name + "\"}";
    }
}
