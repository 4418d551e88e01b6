package io.github.d365failover;

/**
 * Writes are on record that the active endpoint may not have. Which ones says {@link FailoverClient#suspects()}. The
 * {@link #reason()} is {@code switched}: an endpoint was left, or one that was left has acknowledged a write; {@code
 * repeated}: a write was executed after an attempt in doubt, which may still come late; or {@code suspect_since}.
 */
public final class DataLossSuspectedEvent extends FailoverEvent {
    private final long inDoubt;
    private final long acknowledged;

    DataLossSuspectedEvent(EventItem item) {
        super(item);
        this.inDoubt = item.inDoubt;
        this.acknowledged = item.acknowledged;
    }

    /**
     * How many writes are in doubt.
     *
     * @return a number from 0
     */
    public long inDoubt() {
        return inDoubt;
    }

    /**
     * How many writes that were acknowledged are in question: within {@code replicationWindow} before their endpoint was
     * left, after an attempt in doubt, or since the time that {@link FailoverClient#suspectSince} was given.
     *
     * @return a number from 0
     */
    public long acknowledged() {
        return acknowledged;
    }
}
