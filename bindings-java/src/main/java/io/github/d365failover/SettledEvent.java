package io.github.d365failover;

/** A walk over the writes to verify is over, which may do more than look: {@link FailoverClient#settle}. */
public final class SettledEvent extends FailoverEvent {
    private final long total;
    private final long confirmed;
    private final long replayed;
    private final long left;

    SettledEvent(EventItem item) {
        super(item);
        this.total = item.settledTotal;
        this.confirmed = item.settledConfirmed;
        this.replayed = item.settledReplayed;
        this.left = item.settledLeft;
    }

    /**
     * How many writes were to be verified.
     *
     * @return a number
     */
    public long total() {
        return total;
    }

    /**
     * How many were resolved as confirmed.
     *
     * @return a number
     */
    public long confirmed() {
        return confirmed;
    }

    /**
     * How many were sent again and executed.
     *
     * @return a number
     */
    public long replayed() {
        return replayed;
    }

    /**
     * How many are left to the application.
     *
     * @return a number
     */
    public long left() {
        return left;
    }
}
