package io.github.d365failover;

/**
 * Hears that no endpoint answers.
 *
 * <p>Listeners run one at a time, on the client's event thread or on its {@code executor}; no call waits for them. The
 * event is never dropped. A call that is sent in it may wait for the outage's end, and may meet a switch, whose {@code
 * EndpointSwitchRequired} then waits for this listener, at most {@code handlerTimeout}. What it throws is logged.
 */
@FunctionalInterface
public interface OutageStartedListener {
    /**
     * No endpoint answers.
     *
     * @param event what is known of it
     */
    void outageStarted(OutageStartedEvent event);
}
