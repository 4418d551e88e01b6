package io.github.d365failover;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * A call that asks the application for something while it runs, and so has a thread of its own. Completing it from
 * outside, by {@code cancel} or a timeout, interrupts that thread, which cancels the call.
 */
final class ThreadCall<T> extends ClientFuture<T> implements ThreadCalls.Threaded {
    /** What sends the call, within the milliseconds that are left of its time. */
    @FunctionalInterface
    interface Work<T> {
        T send(long leftMillis) throws Exception;
    }

    private final long begun = System.nanoTime();
    private final long timeoutMillis;
    /** Where it completes; null without one of the application's. */
    private final Executor executor;

    private Work<T> work;
    private Thread thread;
    /** Ends the call when its time is over before it has a thread; null where it has one at once. */
    private CompletableFuture<Void> clock;
    /** What the call ends with, unsent, because its time was over first; null while it was not. */
    private Failure late;

    ThreadCall(ResponseKind<T> kind, Effect unsent, long timeoutMillis, Executor executor, Work<T> work) {
        super(kind, unsent);
        this.timeoutMillis = timeoutMillis;
        this.executor = executor;
        this.work = work;
        whenComplete((response, failure) -> interrupt());
    }

    /**
     * It is to wait for a thread.
     *
     * @param failure what it ends with when its time is over first
     */
    synchronized void await(Supplier<Failure> failure) {
        if (thread != null || work == null || isDone()) {
            return;
        }
        CompletableFuture<Void> timer = new CompletableFuture<>();
        clock = timer;
        timer.completeOnTimeout(null, timeoutMillis, TimeUnit.MILLISECONDS).thenRun(() -> {
            Failure told = failure.get();
            if (expire(told)) {
                fail(told);
            }
        });
    }

    /** From here on the call is not sent any more; false: it has its thread, and may be sent. */
    synchronized boolean expire(Failure failure) {
        if (clock == null) {
            return false;
        }
        clock = null;
        late = failure;
        return true;
    }

    /** The thread is this call's until {@link #leave}: no other call hears the interrupt. */
    @Override
    public synchronized void interrupt() {
        if (thread != null) {
            thread.interrupt();
        }
    }

    @Override
    public synchronized boolean isCurrent() {
        return thread == Thread.currentThread();
    }

    @Override
    public Runnable run() {
        enter();
        Runnable completion;
        try {
            long waited = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begun);
            T response = work.send(Math.max(timeoutMillis - waited, 1));
            completion = () -> give(response);
        } catch (Throwable e) {
            completion = () -> end(e);
        }
        leave();
        Runnable last = completion;
        return () -> later(executor, last);
    }

    private void end(Throwable e) {
        Failure failure = late();
        if (failure == null) {
            fail(e);
        } else {
            fail(failure);
        }
    }

    private synchronized Failure late() {
        return late;
    }

    private synchronized void enter() {
        thread = Thread.currentThread();
        if (clock != null) {
            clock.cancel(false);
            clock = null;
        }
        // What is interrupted before it is sent, is not sent.
        if (late != null || isDone()) {
            thread.interrupt();
        }
    }

    private synchronized void leave() {
        thread = null;
        // The client may be collected even if the future is kept.
        work = null;
        Thread.interrupted();
    }
}
