package io.github.d365failover;

import java.util.concurrent.Callable;

/**
 * A call that asks the application for something while it runs, and so has a thread of its own. Completing it from
 * outside, by {@code cancel} or a timeout, interrupts that thread, which cancels the call.
 */
final class ThreadCall<T> extends ClientFuture<T> {
    private Callable<T> work;
    private Thread thread;

    ThreadCall(ResponseKind<T> kind, Callable<T> work) {
        super(kind);
        this.work = work;
        whenComplete((response, failure) -> interrupt());
    }

    /** The thread is this call's until {@link #leave}: no other call hears the interrupt. */
    synchronized void interrupt() {
        if (thread != null) {
            thread.interrupt();
        }
    }

    synchronized boolean isCurrent() {
        return thread == Thread.currentThread();
    }

    /**
     * On a thread of the client's; also if it was cancelled meanwhile, because there may be a stream to be closed.
     *
     * @return what completes it
     */
    Runnable run() {
        enter();
        Runnable completion;
        try {
            T response = work.call();
            completion = () -> give(response);
        } catch (Throwable e) {
            completion = () -> completeExceptionally(e);
        }
        leave();
        return completion;
    }

    private synchronized void enter() {
        thread = Thread.currentThread();
        if (isDone()) {
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
