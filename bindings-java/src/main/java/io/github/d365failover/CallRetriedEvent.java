package io.github.d365failover;

/** A call that is sent again, at the same endpoint or at the other. {@link #reason()} is the fault that it met. */
public final class CallRetriedEvent extends CallEvent {
    CallRetriedEvent(EventItem item) {
        super(item);
    }
}
