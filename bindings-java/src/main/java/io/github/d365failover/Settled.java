package io.github.d365failover;

import io.github.d365failover.impl.PacketReader;

/** How far a walk over the writes to verify has come. Immutable. */
public final class Settled {
    private final long total;
    private final long done;
    private final long present;
    private final long missing;
    private final long conflicting;
    private final long unverifiable;
    private final long confirmed;
    private final long replayed;
    private final long left;

    Settled(PacketReader in) {
        this.total = in.int64();
        this.done = in.int64();
        this.present = in.int64();
        this.missing = in.int64();
        this.conflicting = in.int64();
        this.unverifiable = in.int64();
        this.confirmed = in.int64();
        this.replayed = in.int64();
        this.left = in.int64();
    }

    /**
     * How many writes were to be verified when it began.
     *
     * @return a number
     */
    public long total() {
        return total;
    }

    /**
     * How many it is done with.
     *
     * @return a number
     */
    public long done() {
        return done;
    }

    /**
     * How many of these are {@link Verified#PRESENT}.
     *
     * @return a number
     */
    public long present() {
        return present;
    }

    /**
     * How many are {@link Verified#MISSING}.
     *
     * @return a number
     */
    public long missing() {
        return missing;
    }

    /**
     * How many are {@link Verified#CONFLICTING}.
     *
     * @return a number
     */
    public long conflicting() {
        return conflicting;
    }

    /**
     * How many are {@link Verified#UNVERIFIABLE}.
     *
     * @return a number
     */
    public long unverifiable() {
        return unverifiable;
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
     * How many of those that are done are left to the application.
     *
     * @return a number
     */
    public long left() {
        return left;
    }

    @Override
    public String toString() {
        return done + " of " + total + ": " + confirmed + " confirmed, " + replayed + " replayed, " + left + " left";
    }
}
