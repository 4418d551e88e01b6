package io.github.d365failover;

/**
 * No endpoint answers. Calls that may be sent again, and those that begin, wait until one does, at most for {@code
 * outageWait}. The {@link #reason()} is the kind of the fault that has begun it, {@link #message()} says what probes have
 * found.
 */
public final class OutageStartedEvent extends FailoverEvent {
    OutageStartedEvent(EventItem item) {
        super(item);
    }
}
