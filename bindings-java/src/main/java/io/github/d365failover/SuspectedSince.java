package io.github.d365failover;

import java.time.Instant;

/** What {@link FailoverClient#suspectSince} has put in question. Immutable. */
public final class SuspectedSince {
    private final long acknowledged;
    private final Instant onRecordSince;

    SuspectedSince(long acknowledged, Instant onRecordSince) {
        this.acknowledged = acknowledged;
        this.onRecordSince = onRecordSince;
    }

    /**
     * How many writes that were acknowledged since.
     *
     * @return a number from 0
     */
    public long acknowledged() {
        return acknowledged;
    }

    /**
     * From when on the record has all that was acknowledged. Later than the time that was asked for: there may have been
     * more, which are on record no more.
     *
     * @return the time of day, in milliseconds
     */
    public Instant onRecordSince() {
        return onRecordSince;
    }

    @Override
    public String toString() {
        return acknowledged + " writes to verify, on record since " + onRecordSince;
    }
}
