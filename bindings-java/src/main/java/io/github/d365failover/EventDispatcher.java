package io.github.d365failover;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * Runs listeners: decisions on the client's event thread, notifications there or on the application's executor.
 *
 * <p>The event thread is not the one that reads the queue, so that completions arrive while a listener waits for one.
 */
final class EventDispatcher {
    private static final Logger LOG = System.getLogger("io.github.d365failover");
    private static final long KEEP_THREAD_SECONDS = 60;

    final List<EndpointSwitchRequiredListener> required = new CopyOnWriteArrayList<>();
    final List<EndpointSwitchedListener> switched = new CopyOnWriteArrayList<>();
    private final ThreadPoolExecutor eventThread;
    private final Executor notifications;
    private volatile Thread deciding;

    /** Threads that run a listener now; guarded by this, as is {@code closed}. */
    private final Set<Thread> running = new HashSet<>();

    private boolean closed;

    /** Without an executor of the application's, null. */
    EventDispatcher(String name, Executor executor) {
        eventThread = new ThreadPoolExecutor(
                1, 1, KEEP_THREAD_SECONDS, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), DaemonThreads.named(name));
        eventThread.allowCoreThreadTimeOut(true);
        notifications = executor == null ? eventThread : new SerialExecutor(executor);
    }

    /** On the thread that reads the queue: must not run anything of the application's. */
    void dispatch(EventItem item) {
        try {
            if (item.kind == EventItem.SWITCH_REQUIRED) {
                eventThread.execute(() -> run(item, this::decide));
            } else if (item.kind == EventItem.SWITCHED) {
                notifications.execute(() -> run(item, this::notifySwitched));
            } else {
                item.free();
            }
        } catch (RejectedExecutionException e) {
            // Ours refuses after close; one of the application's, when the application says so.
            if (!eventThread.isShutdown()) {
                LOG.log(Level.WARNING, "the executor refused an event", e);
            }
            item.free();
        }
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

    private void run(EventItem item, Consumer<EventItem> listeners) {
        try {
            if (begin()) {
                try {
                    listeners.accept(item);
                } finally {
                    end();
                }
            }
        } finally {
            item.free();
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
                LOG.log(Level.WARNING, "a veto did not count: {0}", e.getMessage());
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
            LOG.log(Level.ERROR, "a listener failed; the switch goes on", e);
        }
    }
}
