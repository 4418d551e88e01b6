package io.github.d365failover;

import java.time.Instant;
import java.util.Optional;

/** An override of the operator's that is in force. Immutable. */
public final class CurrentOverride {
    private final OperatorOverride value;
    private final OverrideSource source;
    private final Instant until;

    CurrentOverride(OperatorOverride value, OverrideSource source, Instant until) {
        this.value = value;
        this.source = source;
        this.until = until;
    }

    /**
     * What it says.
     *
     * @return where calls go because of it
     */
    public OperatorOverride value() {
        return value;
    }

    /**
     * Where it stands.
     *
     * @return the environment or the store
     */
    public OverrideSource source() {
        return source;
    }

    /**
     * When it ends by itself.
     *
     * @return empty: no end was set
     */
    public Optional<Instant> until() {
        return Optional.ofNullable(until);
    }

    @Override
    public String toString() {
        return value + " (" + source + (until == null ? ")" : ", until " + until + ")");
    }
}
