package io.github.d365failover;

import io.github.d365failover.impl.Native;
import java.lang.System.Logger.Level;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * Runs listeners: decisions on the client's event thread, notifications there or on the application's executor.
 *
 * <p>The event thread is not the one that reads the queue, so that completions arrive while a listener waits for one.
 */
final class EventDispatcher {
    private static final long KEEP_THREAD_SECONDS = 60;

    final List<EndpointSwitchRequiredListener> required = new CopyOnWriteArrayList<>();
    final List<EndpointSwitchedListener> switched = new CopyOnWriteArrayList<>();
    private final ThreadPoolExecutor eventThread;
    private final SerialExecutor decisions;
    private final SerialExecutor notifications;
    private volatile Thread deciding;

    /** Threads that run a listener now; guarded by this, as is {@code closed}. */
    private final Set<Thread> running = new HashSet<>();

    private boolean closed;

    /** Without an executor of the application's, null. */
    EventDispatcher(String name, Executor executor) {
        eventThread = new ThreadPoolExecutor(
                1, 1, KEEP_THREAD_SECONDS, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), DaemonThreads.named(name));
        eventThread.allowCoreThreadTimeOut(true);
        decisions = new SerialExecutor(eventThread);
        notifications = executor == null ? decisions : new SerialExecutor(executor);
    }

    /** On the thread that reads the queue; the item's handle is now this one's to free. */
    void dispatch(long handle) {
        Delivery delivery;
        SerialExecutor executor;
        try {
            EventItem item = new EventItem(handle);
            if (item.kind == EventItem.SWITCH_REQUIRED) {
                executor = decisions;
                delivery = new Delivery(item, this::decide);
            } else if (item.kind == EventItem.SWITCHED) {
                executor = notifications;
                delivery = new Delivery(item, this::notifySwitched);
            } else {
                item.free();
                return;
            }
        } catch (Throwable e) {
            Native.itemFree(handle);
            throw e;
        }
        executor.execute(delivery);
    }

    /** Whether the caller is a listener that a switch waits for. */
    boolean isDeciding() {
        return deciding == Thread.currentThread();
    }

    /** From now on no listener starts. */
    synchronized void close() {
        closed = true;
        eventThread.shutdown();
    }

    /** Waits until no other thread runs a listener; false if one still does. */
    synchronized boolean awaitIdle(long nanos) throws InterruptedException {
        long deadline = System.nanoTime() + nanos;
        while (!othersIdle()) {
            long left = deadline - System.nanoTime();
            if (left <= 0) {
                return false;
            }
            // Rounded up: a wait of zero would be for ever.
            wait(TimeUnit.NANOSECONDS.toMillis(left) + 1);
        }
        return true;
    }

    /** Whether no other thread runs a listener now. */
    synchronized boolean isIdle() {
        return othersIdle();
    }

    private boolean othersIdle() {
        return running.isEmpty() || running.size() == 1 && running.contains(Thread.currentThread());
    }

    /** An event on its way to its listeners. In the end its item is freed: until then the library waits for them. */
    private final class Delivery implements SerialExecutor.Task {
        private final EventItem item;
        private final Consumer<EventItem> listeners;

        Delivery(EventItem item, Consumer<EventItem> listeners) {
            this.item = item;
            this.listeners = listeners;
        }

        @Override
        public void run() {
            try {
                if (begin()) {
                    try {
                        listeners.accept(item);
                    } finally {
                        end();
                    }
                }
            } catch (Throwable e) {
                Complaint.log(Level.ERROR, "an event did not reach its listeners", e);
            } finally {
                item.free();
            }
        }

        @Override
        public void discard(Throwable reason) {
            item.free();
            // Ours refuses after close; one of the application's, when the application says so.
            if (!eventThread.isShutdown()) {
                Complaint.log(Level.WARNING, "the executor refused an event, which is lost", reason);
            }
        }
    }

    private synchronized boolean begin() {
        return !closed && running.add(Thread.currentThread());
    }

    private synchronized void end() {
        running.remove(Thread.currentThread());
        notifyAll();
    }

    private void decide(EventItem item) {
        EndpointSwitchRequiredEvent event = new EndpointSwitchRequiredEvent(item);
        deciding = Thread.currentThread();
        try {
            for (EndpointSwitchRequiredListener listener : required) {
                guarded(() -> listener.endpointSwitchRequired(event));
            }
        } finally {
            deciding = null;
        }
        if (event.isVetoed()) {
            try {
                item.veto();
            } catch (IllegalStateException e) {
                Complaint.log(Level.WARNING, "a veto did not count", e);
            }
        }
    }

    private void notifySwitched(EventItem item) {
        EndpointSwitchEvent event = new EndpointSwitchEvent(item);
        for (EndpointSwitchedListener listener : switched) {
            guarded(() -> listener.endpointSwitched(event));
        }
    }

    /** Errors too: an assertion that fails in a listener must not stop the event thread. */
    private static void guarded(Runnable listener) {
        try {
            listener.run();
        } catch (Throwable e) {
            Complaint.log(Level.ERROR, "a listener failed; the switch goes on", e);
        }
    }
}
