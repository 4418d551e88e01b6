package io.github.d365failover;

import java.util.Locale;

/** Whose {@code Authorization} a call carries that has two: its own, and the {@link TokenProvider}'s. */
public enum TokenPrecedence {
    /** The request's own. */
    APPLICATION,
    /** The provider's token for the endpoint that the attempt goes to, in the place of the request's own. */
    PROVIDER;

    String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
