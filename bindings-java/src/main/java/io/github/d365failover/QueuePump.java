package io.github.d365failover;

import io.github.d365failover.impl.Answer;
import io.github.d365failover.impl.Handle;
import io.github.d365failover.impl.Native;
import java.lang.System.Logger.Level;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * The thread that reads a client's queue. It is a daemon of Java's that blocks in the library, because a thread of the
 * library's that calls into the JVM would keep it from exiting. It knows the client's parts and not the client, so that
 * a client that was forgotten can be collected.
 */
final class QueuePump implements Runnable {
    private static final long NONE = 0;

    private final DaemonThreads threads;
    private final Handle queue;
    private final PendingCalls calls;
    private final EventDispatcher events;
    private final CountDownLatch ended = new CountDownLatch(1);
    private Thread thread;
    private boolean closed;

    QueuePump(DaemonThreads threads, Handle queue, PendingCalls calls, EventDispatcher events) {
        this.threads = threads;
        this.queue = queue;
        this.calls = calls;
        this.events = events;
    }

    /** The first time it starts the thread. */
    synchronized void start() {
        if (thread == null && !closed) {
            Thread made = threads.make("queue", this);
            // One that could not be started is not the thread: the next call tries again.
            made.start();
            thread = made;
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
            ended.await(nanos, TimeUnit.NANOSECONDS);
        }
    }

    @Override
    public void run() {
        try {
            while (next()) {
                // Each round hands on one item.
            }
        } catch (Throwable e) {
            Complaint.log(Level.ERROR, "the client's queue is not read any more", e);
        } finally {
            calls.close();
            ended.countDown();
        }
    }

    private boolean next() {
        long handle = queue.acquire();
        if (handle == Handle.GONE) {
            return false;
        }
        long item;
        try {
            item = Native.queueNext(handle);
        } finally {
            queue.release();
        }
        if (item == NONE) {
            return false;
        }
        try {
            handOn(item);
        } catch (Throwable e) {
            // Whatever became of this item: the next ones are others' calls and listeners.
            Complaint.log(Level.ERROR, "an item of the client's queue is lost", e);
        }
        return true;
    }

    private void handOn(long item) {
        long call;
        try {
            call = Native.itemCall(item);
        } catch (Throwable e) {
            Native.itemFree(item);
            throw e;
        }
        if (call == NONE) {
            events.dispatch(item);
        } else {
            completion(item, call);
        }
    }

    private void completion(long item, long call) {
        Answer answer;
        try {
            answer = Answer.of(response -> Native.itemResult(item, response));
        } catch (Throwable e) {
            // There may be no memory for this answer, which says nothing of the next.
            calls.failed(call, e);
            return;
        } finally {
            Native.itemFree(item);
        }
        calls.ended(call, answer);
    }
}
