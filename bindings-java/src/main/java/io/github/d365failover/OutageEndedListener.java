package io.github.d365failover;

/**
 * Hears that an endpoint answers again.
 *
 * <p>Listeners run one at a time, on the client's event thread or on its {@code executor}. In it calls may be sent, which
 * may wait for the outage's end. An {@code EndpointSwitchRequired} that arises meanwhile is not waited for: the switch is
 * made. The event is never dropped. What it throws is logged.
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
