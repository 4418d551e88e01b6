package io.github.d365failover;

import io.github.d365failover.impl.Answer;
import io.github.d365failover.impl.Upcalls;
import java.nio.ByteBuffer;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.IntSupplier;

/**
 * The call of a virtual thread in which the application is asked for something: a thread of the client's waits for it
 * inside of the library, and what is asked there is relayed to the virtual thread, which parks meanwhile.
 */
final class RelayedCall implements Upcalls, ThreadCalls.Threaded {
    /** Sends, on the client's thread. */
    @FunctionalInterface
    interface Work {
        Answer send(Upcalls upcalls, long leftMillis) throws FailoverException;
    }

    private static final Runnable END = () -> {};

    private final Thread virtual = Thread.currentThread();
    private final long begun = System.nanoTime();
    private final Upcalls asked;
    private final long timeoutMillis;
    private final Work work;
    /** What the virtual thread is to do. */
    private final BlockingQueue<Runnable> turns = new LinkedBlockingQueue<>();

    private Answer answer;
    private Throwable failure;
    /** Guarded by this, as are the next two. */
    private Thread thread;

    private boolean hasBegun;
    private boolean isGivenUp;

    /**
     * @param asked answered on this thread, in {@link #await}
     */
    RelayedCall(Upcalls asked, long timeoutMillis, Work work) {
        this.asked = asked;
        this.timeoutMillis = timeoutMillis;
        this.work = work;
    }

    private long leftMillis() {
        return Math.max(timeoutMillis - TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begun), 1);
    }

    @Override
    public Runnable run() {
        if (enter()) {
            try {
                answer = work.send(this, leftMillis());
            } catch (Throwable e) {
                failure = e;
            }
            leave();
        }
        return () -> turns.add(END);
    }

    private synchronized boolean enter() {
        hasBegun = !isGivenUp;
        thread = hasBegun ? Thread.currentThread() : null;
        return hasBegun;
    }

    private synchronized void leave() {
        thread = null;
        Thread.interrupted();
    }

    @Override
    public synchronized void interrupt() {
        if (thread != null) {
            thread.interrupt();
        }
    }

    /** From here on it gets no thread; false: it has one, or had. */
    private synchronized boolean giveUp() {
        isGivenUp = !hasBegun;
        return isGivenUp;
    }

    @Override
    public synchronized boolean isCurrent() {
        return thread != null && (thread == Thread.currentThread() || virtual == Thread.currentThread());
    }

    /**
     * On the virtual thread: does what is asked of it until the call has ended. An interrupt cancels the call; the flag
     * stays set.
     *
     * @return null: it had no thread before its time was over, or before it was interrupted
     */
    Answer await() throws FailoverException {
        boolean interrupted = false;
        try {
            while (true) {
                Runnable turn;
                try {
                    turn = turns.poll(leftMillis(), TimeUnit.MILLISECONDS);
                } catch (InterruptedException e) {
                    interrupted = true;
                    interrupt();
                    turn = null;
                }
                if (turn == END) {
                    return ended();
                }
                if (turn == null) {
                    if (giveUp()) {
                        return null;
                    }
                    continue;
                }
                if (interrupted) {
                    Thread.currentThread().interrupt();
                }
                turn.run();
                if (Thread.interrupted()) {
                    interrupted = true;
                    interrupt();
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private Answer ended() throws FailoverException {
        if (failure instanceof FailoverException) {
            throw (FailoverException) failure;
        }
        if (failure instanceof RuntimeException) {
            throw (RuntimeException) failure;
        }
        if (failure != null) {
            throw (Error) failure;
        }
        return answer;
    }

    @Override
    public int read(ByteBuffer room) {
        return ask(() -> asked.read(room));
    }

    @Override
    public int rewind() {
        return ask(asked::rewind);
    }

    @Override
    public int prepare(long outgoing) {
        return ask(() -> asked.prepare(outgoing));
    }

    private int ask(IntSupplier question) {
        CompletableFuture<Integer> reply = new CompletableFuture<>();
        turns.add(() -> {
            try {
                reply.complete(Interruptible.asked(question));
            } catch (Throwable e) {
                reply.completeExceptionally(e);
            }
        });
        return reply.join();
    }
}
