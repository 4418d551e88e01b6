package io.github.d365failover;

import io.github.d365failover.impl.PacketReader;
import java.util.Optional;

/** What became of one write in a walk over those to verify. Immutable. */
public final class SettleStep {
    private final long id;
    private final Verified verified;
    private final boolean isFinal;
    private final Resolution resolution;
    private final String why;
    private final Settled settled;

    SettleStep(PacketReader in) {
        this.id = in.int64();
        this.verified = Verified.ofOptional(in.int64());
        this.isFinal = in.int64() != 0;
        this.resolution = Resolution.ofOptional(in.int64());
        this.settled = new Settled(in);
        this.why = in.text();
    }

    private SettleStep(SettleStep step, Verified verified, boolean isFinal, String why) {
        this.id = step.id;
        this.verified = verified;
        this.isFinal = isFinal;
        this.resolution = step.resolution;
        this.why = why;
        this.settled = step.settled;
    }

    /** The same with what was found by a read that the application has named. */
    SettleStep with(Verified verified, boolean isFinal, String why) {
        return new SettleStep(this, verified, isFinal, why);
    }

    /** Whether the walk is over, and this is no step of it. */
    boolean isOver() {
        return id < 0;
    }

    /**
     * The write's number.
     *
     * @return as {@link LedgerEntry#id()}
     */
    public long id() {
        return id;
    }

    /**
     * What was found.
     *
     * @return the verdict; empty where the service would not say, or it is in question no more
     */
    public Optional<Verified> verified() {
        return Optional.ofNullable(verified);
    }

    /**
     * Whether replication can change no more about that.
     *
     * @return true if so
     */
    public boolean isFinal() {
        return isFinal;
    }

    /**
     * What was done.
     *
     * @return {@link Resolution#CONFIRMED} or {@link Resolution#REPLAYED}; empty where it is left
     */
    public Optional<Resolution> resolution() {
        return Optional.ofNullable(resolution);
    }

    /**
     * One sentence: why nothing was done, or what the service has answered.
     *
     * @return for a person; may be empty
     */
    public String why() {
        return why;
    }

    /**
     * How far the walk has come with it.
     *
     * @return the numbers
     */
    public Settled settled() {
        return settled;
    }

    @Override
    public String toString() {
        return id + ": " + (verified == null ? "not known" : verified) + (resolution == null ? "" : ", " + resolution);
    }
}
