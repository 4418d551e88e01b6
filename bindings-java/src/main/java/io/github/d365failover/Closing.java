package io.github.d365failover;

import io.github.d365failover.impl.ClientHandles;
import io.github.d365failover.impl.Native;
import java.lang.ref.Cleaner;
import java.util.concurrent.TimeUnit;

/** How a client is closed: its calls first, then what brings their ends, then the listeners. */
final class Closing {
    /** Calls have ended and what is left is in memory: it takes longer only on a machine that is standing still. */
    private static final long DRAIN_NANOS = TimeUnit.SECONDS.toNanos(5);
    /** What was interrupted ends at once, unless it does not listen. */
    private static final long INTERRUPTED_NANOS = TimeUnit.SECONDS.toNanos(1);

    private final DaemonThreads daemons;
    private final FailoverClient client;
    private final ClientState state;
    private final ClientHandles handles;
    private final Cleaner.Cleanable cleanable;
    private final EventDispatcher events;
    private final PendingCalls calls;
    private final QueuePump pump;
    private final ThreadCalls threads;

    Closing(
            DaemonThreads daemons,
            FailoverClient client,
            ClientState state,
            ClientHandles handles,
            Cleaner.Cleanable cleanable,
            EventDispatcher events,
            PendingCalls calls,
            QueuePump pump,
            ThreadCalls threads) {
        this.daemons = daemons;
        this.client = client;
        this.state = state;
        this.handles = handles;
        this.cleanable = cleanable;
        this.events = events;
        this.calls = calls;
        this.pump = pump;
        this.threads = threads;
    }

    /** False if a listener is still running. */
    boolean within(long millis) {
        // A thread that was told to stop often closes its client: that must not lose what is known of its calls.
        boolean interrupted = Thread.interrupted();
        try {
            return close(millis);
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private boolean close(long millis) {
        long timeout = TimeUnit.MILLISECONDS.toNanos(millis);
        long deadline = System.nanoTime() + timeout;
        boolean parks = millis > 0 && VirtualThreads.isHere();
        byte[] packet = parks ? VirtualThreads.away(daemons.named("close"), () -> shutdown(millis)) : shutdown(millis);
        if (packet != null) {
            Outcome.unchecked(packet);
        }
        try {
            // A call that has ended has its completion on the way: with the queue closed it would be lost.
            boolean canWait = !pump.isCurrent();
            threads.close();
            if (canWait) {
                calls.awaitNone(DRAIN_NANOS);
                // They complete without the queue, and may be held up by the application's own code.
                threads.awaitNone(Math.max(deadline - System.nanoTime(), Math.min(timeout, INTERRUPTED_NANOS)));
            }
            handles.closeQueue();
            if (canWait) {
                pump.join(DRAIN_NANOS);
                // What was cancelled left events, such as that a write is in doubt, when the time was over.
                events.awaitTold(Math.max(deadline - System.nanoTime(), Math.min(timeout, DRAIN_NANOS)));
            }
            events.close();
            return events.awaitIdle(deadline - System.nanoTime());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            events.close();
            return events.isIdle();
        } finally {
            try {
                state.keep();
            } finally {
                cleanable.clean();
            }
        }
    }

    /** Null if it is closed already. */
    private byte[] shutdown(long millis) {
        return client.use(handle -> Native.shutdown(handle, millis));
    }
}
