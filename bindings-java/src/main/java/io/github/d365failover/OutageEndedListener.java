package io.github.d365failover;

/**
 * Hears that an endpoint answers again.
 *
 * <p>Listeners run one at a time, on the client's event thread or on its {@code executor}; no call waits for them. The
 * event is never dropped. A call that is sent in it may wait for the outage's end, and may meet a switch, whose {@code
 * EndpointSwitchRequired} then waits for this listener, at most {@code handlerTimeout}. What it throws is logged.
 */
@FunctionalInterface
public interface OutageEndedListener {
    /**
     * An endpoint answers again, or the application has switched.
     *
     * @param event what is known of it
     */
    void outageEnded(OutageEndedEvent event);
}
