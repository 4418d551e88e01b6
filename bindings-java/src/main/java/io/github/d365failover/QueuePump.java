package io.github.d365failover;

import io.github.d365failover.impl.Handle;
import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.PacketReader;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.concurrent.TimeUnit;

/**
 * The thread that reads a client's queue. It is a daemon of Java's that blocks in the library, because a thread of the
 * library's that calls into the JVM would keep it from exiting. It knows the client's parts and not the client, so that
 * a client that was forgotten can be collected.
 */
final class QueuePump implements Runnable {
    private static final Logger LOG = System.getLogger("io.github.d365failover");
    private static final int COMPLETION = 32;
    private static final long FOR_EVER = -1;

    private final String name;
    private final Handle queue;
    private final PendingCalls calls;
    private final EventDispatcher events;
    private Thread thread;
    private boolean closed;

    QueuePump(String name, Handle queue, PendingCalls calls, EventDispatcher events) {
        this.name = name;
        this.queue = queue;
        this.calls = calls;
        this.events = events;
    }

    /** The first time it starts the thread. */
    synchronized void start() {
        if (thread == null && !closed) {
            thread = DaemonThreads.make(name, this);
            thread.start();
        }
    }

    /** Whether the caller is this thread, on which nothing can be waited for that it brings. */
    synchronized boolean isCurrent() {
        return thread == Thread.currentThread();
    }

    /** The queue is closed: waits until what is left in it is handed on. */
    void join(long nanos) throws InterruptedException {
        Thread started;
        synchronized (this) {
            closed = true;
            started = thread;
        }
        if (started == null) {
            calls.close();
        } else {
            TimeUnit.NANOSECONDS.timedJoin(started, nanos);
        }
    }

    @Override
    public void run() {
        try {
            while (next()) {
                // Each round hands on one item.
            }
        } catch (Throwable e) {
            LOG.log(Level.ERROR, "the client's queue is not read any more", e);
        } finally {
            calls.close();
        }
    }

    private boolean next() {
        long handle = queue.acquire();
        if (handle == Handle.GONE) {
            return false;
        }
        byte[] packet;
        try {
            packet = Native.queueNext(handle, FOR_EVER);
        } finally {
            queue.release();
        }
        PacketReader in = new PacketReader(packet);
        Failure failure = Outcome.failure(in);
        if (failure != null) {
            if (failure.kind() != ErrorKind.CLOSED) {
                LOG.log(Level.ERROR, "the client''s queue is not read any more: {0}", failure.message());
            }
            return false;
        }
        int kind = in.int32();
        if (kind == COMPLETION) {
            long id = in.int64();
            calls.ended(id, in.bytes());
        } else {
            events.dispatch(new EventItem(kind, in));
        }
        return true;
    }
}
