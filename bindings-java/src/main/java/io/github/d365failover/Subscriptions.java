package io.github.d365failover;

import io.github.d365failover.impl.Handle;
import io.github.d365failover.impl.Native;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/** Which events the library is asked for: those that somebody listens to, and log records. */
final class Subscriptions {
    private final Handle client;
    private final QueuePump pump;
    private final EventDispatcher events;

    Subscriptions(Handle client, QueuePump pump, EventDispatcher events) {
        this.client = client;
        this.pump = pump;
        this.events = events;
    }

    /** Asks for the kinds that there are listeners for now. */
    synchronized void ask() {
        // Before the library is asked: it would wait for listeners that nobody can reach.
        pump.start();
        if (!tell()) {
            throw Failure.closed().unchecked();
        }
    }

    <E> Subscription add(Audience<E> audience, Consumer<E> listener) {
        synchronized (this) {
            audience.add(listener);
            try {
                ask();
            } catch (Throwable e) {
                audience.remove(listener);
                throw e;
            }
        }
        AtomicBoolean open = new AtomicBoolean(true);
        return () -> {
            if (open.compareAndSet(true, false)) {
                remove(audience, listener);
            }
        };
    }

    private synchronized <E> void remove(Audience<E> audience, Consumer<E> listener) {
        audience.remove(listener);
        tell();
    }

    /** False if the client is closed. */
    private boolean tell() {
        long handle = client.acquire();
        if (handle == Handle.GONE) {
            return false;
        }
        try {
            Outcome.unchecked(Native.subscribe(handle, events.mask()));
            return true;
        } finally {
            client.release();
        }
    }
}
