package io.github.d365failover;

/**
 * An endpoint was left, and writes are on record that the new one may not have. Which ones says {@link
 * FailoverClient#suspects()}.
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
     * How many writes the old endpoint has acknowledged within {@code replicationWindow} before it was left.
     *
     * @return a number from 0
     */
    public long acknowledged() {
        return acknowledged;
    }
}
