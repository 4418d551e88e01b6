package io.github.d365failover;

import io.github.d365failover.impl.Native;
import java.lang.System.Logger.Level;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * Runs listeners: decisions on the client's event thread, notifications there or on the application's executor. Log
 * records are written on the event thread, because what stands behind a logger is the application's.
 *
 * <p>The event thread is not the one that reads the queue, so that completions arrive while a listener waits for one.
 */
final class EventDispatcher {
    private static final long KEEP_THREAD_SECONDS = 60;

    /** As many as the library's queue holds. */
    private static final int MOST_CHATTY = 1024;

    private static final Level[] LEVELS = {Level.ERROR, Level.WARNING, Level.INFO, Level.DEBUG};

    final Audience<EndpointSwitchRequiredEvent> required =
            new Audience<>(EventItem.SWITCH_REQUIRED, EndpointSwitchRequiredEvent::new);
    final Audience<EndpointSwitchEvent> switched = new Audience<>(EventItem.SWITCHED, EndpointSwitchEvent::new);
    final Audience<WriteInDoubtEvent> inDoubt = new Audience<>(EventItem.WRITE_IN_DOUBT, WriteInDoubtEvent::new);
    final Audience<DataLossSuspectedEvent> dataLoss =
            new Audience<>(EventItem.DATA_LOSS_SUSPECTED, DataLossSuspectedEvent::new);
    final Audience<CallRetriedEvent> retried = new Audience<>(EventItem.CALL_RETRIED, CallRetriedEvent::new);
    final Audience<ThrottledEvent> throttled = new Audience<>(EventItem.THROTTLED, ThrottledEvent::new);
    final Audience<OutageStartedEvent> outageStarted =
            new Audience<>(EventItem.OUTAGE_STARTED, OutageStartedEvent::new);
    final Audience<OutageEndedEvent> outageEnded = new Audience<>(EventItem.OUTAGE_ENDED, OutageEndedEvent::new);
    final Audience<SettledEvent> settled = new Audience<>(EventItem.SETTLED, SettledEvent::new);
    final Audience<StoreFailedEvent> storeFailed = new Audience<>(EventItem.STORE_FAILED, StoreFailedEvent::new);
    private final List<Audience<?>> notified = List.of(
            switched, inDoubt, dataLoss, retried, throttled, outageStarted, outageEnded, settled, storeFailed);
    /** One each, so that a listener that hangs on the application's executor takes nothing from the log. */
    private final Backlog records = new Backlog(MOST_CHATTY);

    private final Backlog chatter = new Backlog(MOST_CHATTY);
    private final ThreadPoolExecutor eventThread;
    private final SerialExecutor decisions;
    private final SerialExecutor notifications;
    private volatile Thread deciding;

    private final Guard guard = new Guard();
    /** Threads that run a listener now; guarded, as is {@code closed}. */
    private final Set<Thread> running = new HashSet<>();
    /** Threads that write a log record, which is no listener. */
    private final Set<Thread> logging = new HashSet<>();

    /** Events that nobody may miss, and that their listeners have not heard of yet. */
    private int untold;

    private boolean closed;

    /** Without an executor of the application's, null. */
    EventDispatcher(DaemonThreads threads, Executor executor) {
        eventThread = new ThreadPoolExecutor(
                1, 1, KEEP_THREAD_SECONDS, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), threads.named("events"));
        eventThread.allowCoreThreadTimeOut(true);
        decisions = new SerialExecutor(eventThread, eventThread);
        notifications = executor == null ? decisions : new SerialExecutor(executor, eventThread);
    }

    /** On the thread that reads the queue; the item's handle is now this one's to free. */
    void dispatch(long handle) {
        Delivery delivery;
        SerialExecutor executor;
        try {
            EventItem item = new EventItem(handle);
            records.add(item.dropped);
            Consumer<EventItem> listeners = listeners(item.kind);
            Backlog backlog = !item.isChatty() ? null : item.kind == EventItem.LOG ? records : chatter;
            if (listeners == null || backlog != null && !backlog.enter()) {
                item.free();
                return;
            }
            boolean isNotification = item.kind != EventItem.SWITCH_REQUIRED && item.kind != EventItem.LOG;
            executor = isNotification ? notifications : decisions;
            delivery = new Delivery(item, listeners, backlog);
            if (backlog != null) {
                // Nobody waits for its listeners.
                item.free();
            } else {
                guard.change(() -> untold++);
            }
        } catch (Throwable e) {
            Native.itemFree(handle);
            throw e;
        }
        executor.execute(delivery);
    }

    /** Who hears of it; null: nobody. */
    private Consumer<EventItem> listeners(int kind) {
        if (kind == EventItem.SWITCH_REQUIRED) {
            return this::decide;
        }
        if (kind == EventItem.LOG) {
            return EventDispatcher::log;
        }
        for (Audience<?> audience : notified) {
            if (audience.kind() == kind) {
                return audience::tell;
            }
        }
        return null;
    }

    /** One bit a kind that is wanted. */
    long mask() {
        long mask = 1L << EventItem.LOG | required.bit();
        for (Audience<?> audience : notified) {
            mask |= audience.bit();
        }
        return mask;
    }

    /** Whether the caller is a listener that a switch waits for. */
    boolean isDeciding() {
        return deciding == Thread.currentThread();
    }

    /** Waits until the listeners have heard of all that nobody may miss, unless the caller is one of them. */
    void awaitTold(long nanos) throws InterruptedException {
        guard.await(nanos, () -> untold == 0 || running.contains(Thread.currentThread()));
    }

    /** From now on no listener starts. */
    void close() {
        guard.change(() -> closed = true);
        eventThread.shutdown();
    }

    /** Waits until no other thread runs a listener, or writes a log record; false if one still runs a listener. */
    boolean awaitIdle(long nanos) throws InterruptedException {
        guard.await(nanos, () -> othersIdle() && logging.isEmpty());
        return isIdle();
    }

    /** Whether no other thread runs a listener now. */
    boolean isIdle() {
        return guard.get(this::othersIdle);
    }

    private boolean othersIdle() {
        return running.isEmpty() || running.size() == 1 && running.contains(Thread.currentThread());
    }

    /** An event on its way to its listeners. In the end its item is freed: until then the library may wait for them. */
    private final class Delivery implements SerialExecutor.Task {
        private final EventItem item;
        private final Consumer<EventItem> listeners;
        /** Where it waits, and then it is freed already; null: in none. */
        private final Backlog backlog;

        Delivery(EventItem item, Consumer<EventItem> listeners, Backlog backlog) {
            this.item = item;
            this.listeners = listeners;
            this.backlog = backlog;
        }

        @Override
        public void run() {
            try {
                Set<Thread> busy = item.kind == EventItem.LOG ? logging : running;
                if (begin(busy)) {
                    try {
                        tellOfDropped();
                        listeners.accept(item);
                    } finally {
                        end(busy);
                    }
                } else {
                    logLate();
                }
            } catch (Throwable e) {
                Complaint.log(Level.ERROR, "an event did not reach its listeners", e);
            } finally {
                done();
            }
        }

        @Override
        public void refused(Throwable reason) {
            if (!eventThread.isShutdown()) {
                String message = "the executor refused an event: its listeners run on the client's event thread";
                Complaint.log(Level.WARNING, message, reason);
            }
        }

        /** Ours refuses after close, or where there is no memory for its thread. */
        @Override
        public void discard(Throwable reason) {
            logLate();
            done();
            if (!eventThread.isShutdown()) {
                Complaint.log(Level.WARNING, "no thread takes an event, which is lost", reason);
            }
        }

        /** What the client's end says is for the log all the same: it has no listener. */
        private void logLate() {
            if (item.kind == EventItem.LOG) {
                log(item);
            }
        }

        /** Where it has waited: so a listener that hangs is complained of once, when it has returned. */
        private void tellOfDropped() {
            long dropped = backlog == null ? 0 : backlog.takeDropped();
            if (dropped > 0) {
                Complaint.log(Level.WARNING, dropped + " events were dropped: listeners take too long for them", null);
            }
        }

        private void done() {
            if (backlog == null) {
                item.free();
                guard.change(() -> untold--);
            } else {
                backlog.leave();
            }
        }
    }

    private boolean begin(Set<Thread> busy) {
        return guard.get(() -> !closed && busy.add(Thread.currentThread()));
    }

    private void end(Set<Thread> busy) {
        guard.change(() -> busy.remove(Thread.currentThread()));
    }

    private void decide(EventItem item) {
        EndpointSwitchRequiredEvent event;
        deciding = Thread.currentThread();
        try {
            event = required.tell(item);
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

    private static void log(EventItem item) {
        boolean isKnown = item.level >= 1 && item.level <= LEVELS.length;
        Complaint.log(isKnown ? LEVELS[item.level - 1] : Level.INFO, item.message, null);
    }
}
