package io.github.d365failover;

/**
 * Hears of calls that are sent again, for counters and logs.
 *
 * <p>Listeners run one at a time, on the client's event thread or on its {@code executor}; no call waits for them. Where
 * they are slow events are dropped, and how many is logged. A call that is sent in it may meet a switch, whose {@code
 * EndpointSwitchRequired} then waits for this listener, at most {@code handlerTimeout}. What it throws is logged.
 */
@FunctionalInterface
public interface CallRetriedListener {
    /**
     * A call is sent again.
     *
     * @param event which one
     */
    void callRetried(CallRetriedEvent event);
}
