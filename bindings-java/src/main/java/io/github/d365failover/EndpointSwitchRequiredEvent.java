package io.github.d365failover;

/** A switch that is about to happen, and that waits for the listeners. */
public final class EndpointSwitchRequiredEvent extends EndpointSwitchEvent {
    private volatile boolean vetoed;

    EndpointSwitchRequiredEvent(EventItem item) {
        super(item);
    }

    /**
     * Keeps the client on its endpoint: the call gets the fault. It counts once all listeners have returned, within
     * {@code handlerTimeout}; later the switch has been made, and a warning is logged.
     */
    public void veto() {
        vetoed = true;
    }

    /**
     * Whether a listener has vetoed.
     *
     * @return true after {@link #veto()}
     */
    public boolean isVetoed() {
        return vetoed;
    }
}
