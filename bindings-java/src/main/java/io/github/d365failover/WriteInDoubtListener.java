package io.github.d365failover;

/**
 * Hears of writes in doubt: the service may have executed them or not. Such a call ends as it always does, with {@link
 * Effect#UNKNOWN}; the write stays on record until it is resolved.
 *
 * <p>Listeners run one at a time, on the client's event thread or on its {@code executor}. In it calls may be sent: {@link
 * FailoverClient#verify} it, then {@link FailoverClient#resolve}. An {@code EndpointSwitchRequired} that arises
 * meanwhile is not waited for: the switch is made. The event is never dropped. What it throws is logged.
 */
@FunctionalInterface
public interface WriteInDoubtListener {
    /**
     * A write is in doubt.
     *
     * @param event which one
     */
    void writeInDoubt(WriteInDoubtEvent event);
}
