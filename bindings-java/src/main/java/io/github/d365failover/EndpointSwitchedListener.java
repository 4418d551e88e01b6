package io.github.d365failover;

/**
 * Hears of a switch after it is made.
 *
 * <p>Listeners run one at a time, on the client's event thread or on its {@code executor}; in the preset {@code
 * dotnet} the calls to be sent again leave after them, or after {@code handlerTimeout}. In it calls may be sent: this is
 * where an application looks for lost data. What it throws is logged.
 */
@FunctionalInterface
public interface EndpointSwitchedListener {
    /**
     * A switch was made.
     *
     * @param event what it was
     */
    void endpointSwitched(EndpointSwitchEvent event);
}
