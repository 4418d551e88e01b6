package io.github.d365failover;

import java.time.Duration;

/** A call that waits, because the service asks for less. */
public final class ThrottledEvent extends CallEvent {
    private final Duration retryAfter;

    ThrottledEvent(EventItem item) {
        super(item);
        this.retryAfter = item.retryAfter;
    }

    /**
     * How long the call waits before it is sent again, in milliseconds.
     *
     * @return a duration
     */
    public Duration retryAfter() {
        return retryAfter;
    }
}
