package io.github.d365failover;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalLong;

/** A client's token provider at work: which threads are inside of it, and what it has thrown of late. */
final class Providing {
    /** The errors of the calls that have waited come at once, or not at all. */
    private static final int KEPT = 64;

    private final ThreadLocal<Boolean> inside = new ThreadLocal<>();
    private final Map<Long, Throwable> failures = new LinkedHashMap<>();
    private long last;

    Token ask(TokenProvider provider, TokenRequest request) throws Exception {
        inside.set(true);
        try {
            return provider.token(request);
        } finally {
            inside.remove();
        }
    }

    /** Whether this thread is inside of the provider. */
    boolean isHere() {
        return inside.get() != null;
    }

    /** Keeps what was thrown, and gives the number by which the failures of calls name it. */
    synchronized long keep(Throwable thrown) {
        last++;
        failures.put(last, thrown);
        failures.remove(last - KEPT);
        return last;
    }

    /** The failure of a call, with what the provider has thrown where it comes from that. */
    Failure explain(Failure of) {
        OptionalLong number = of.details().providerData;
        Throwable thrown = number.isPresent() ? kept(number.getAsLong()) : null;
        return thrown == null ? of : of.with(of.kind(), thrown);
    }

    private synchronized Throwable kept(long number) {
        return failures.get(number);
    }
}
