package io.github.d365failover;

/**
 * Hears that a walk over the writes to verify is over.
 *
 * <p>Listeners run one at a time, on the client's event thread or on its {@code executor}. In it calls may be sent. An
 * {@code EndpointSwitchRequired} that arises meanwhile is not waited for: the switch is made. The event is never dropped.
 * What it throws is logged.
 */
@FunctionalInterface
public interface SettledListener {
    /**
     * A walk is over.
     *
     * @param event what it has done
     */
    void settled(SettledEvent event);
}
