package io.github.d365failover;

/**
 * Hears of a switch before it is made.
 *
 * <p>It runs on the client's event thread, and calls wait for it, at most {@code handlerTimeout}. In it every getter
 * and setter of the client works, {@link FailoverClient#setEndpointAutoSwitchEnabled(boolean)} too, which counts for
 * this switch; blocking calls of the same client are refused with {@link ErrorKind#WOULD_DEADLOCK}. What it throws is
 * logged, and is no reason not to switch.
 */
@FunctionalInterface
public interface EndpointSwitchRequiredListener {
    /**
     * A switch is about to be made.
     *
     * @param event what it is; {@link EndpointSwitchRequiredEvent#veto()} prevents it
     */
    void endpointSwitchRequired(EndpointSwitchRequiredEvent event);
}
