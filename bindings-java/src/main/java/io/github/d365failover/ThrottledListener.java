package io.github.d365failover;

/**
 * Hears that the service asks for less, which an application may do.
 *
 * <p>Listeners run one at a time, on the client's event thread or on its {@code executor}; no call waits for them. Where
 * they are slow events are dropped, and how many is logged. A call that is sent in it may meet a switch, whose {@code
 * EndpointSwitchRequired} then waits for this listener, at most {@code handlerTimeout}. What it throws is logged.
 */
@FunctionalInterface
public interface ThrottledListener {
    /**
     * A call waits.
     *
     * @param event which one, and how long
     */
    void throttled(ThrottledEvent event);
}
