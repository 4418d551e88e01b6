package io.github.d365failover;

/**
 * Hears that writes are to be verified, mostly after a switch. A row that the new endpoint lacks may still come, as long as the
 * old one's replication goes on.
 *
 * <p>Listeners run one at a time, on the client's event thread or on its {@code executor}. In it calls may be sent:
 * {@link FailoverClient#verify} each of {@link FailoverClient#suspects()}, then {@link FailoverClient#resolve}. An {@code
 * EndpointSwitchRequired} that arises meanwhile is not waited for: the switch is made. The event is never dropped. What
 * it throws is logged.
 */
@FunctionalInterface
public interface DataLossSuspectedListener {
    /**
     * Writes are to be verified.
     *
     * @param event how many
     */
    void dataLossSuspected(DataLossSuspectedEvent event);
}
