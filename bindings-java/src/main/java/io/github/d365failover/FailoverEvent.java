package io.github.d365failover;

import java.time.Instant;

/** What happened to a client that its application may want to hear of. Immutable, but for a veto. */
public abstract class FailoverEvent {
    private final Instant time;
    private final long epoch;
    private final String reason;
    private final String message;
    private final boolean planned;

    FailoverEvent(EventItem item) {
        this.time = item.time;
        this.epoch = item.epoch;
        this.reason = item.reason;
        this.message = item.message;
        this.planned = item.planned;
    }

    /**
     * When, in milliseconds.
     *
     * @return the time of day
     */
    public Instant time() {
        return time;
    }

    /**
     * The number of switches, with the one that the event is about.
     *
     * @return the epoch, from 0
     */
    public long epoch() {
        return epoch;
    }

    /**
     * Why.
     *
     * @return the {@link FaultKind#label() label} of a fault kind, or another word of the library's, such as {@code
     *     manual} for a switch by hand; may be empty
     */
    public String reason() {
        return reason;
    }

    /**
     * What happened, for a person. It has no credentials.
     *
     * @return a sentence
     */
    public String message() {
        return message;
    }

    /**
     * Whether it came in a time for which {@link FailoverClient#maintenance} has announced an interruption.
     *
     * @return true if it did
     */
    public boolean planned() {
        return planned;
    }

    @Override
    public String toString() {
        return message;
    }
}
