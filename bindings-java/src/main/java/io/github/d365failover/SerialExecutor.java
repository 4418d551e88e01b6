package io.github.d365failover;

import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * One task at a time, in order, on an executor that may run many, and those that it does not take on another one. Each is
 * either run or discarded: once the other one has failed to take one, all those that wait are discarded with it.
 */
final class SerialExecutor {
    /** Neither of its methods throws. */
    interface Task {
        void run();

        /** It will be run elsewhere, because the executor threw this. */
        void refused(Throwable reason);

        /** It will not be run, because this was thrown where it was to be. */
        void discard(Throwable reason);
    }

    private final Executor executor;
    private final Executor other;
    /** Guarded by itself, as is {@code busy}. */
    private final Queue<Task> waiting = new ArrayDeque<>();

    private boolean busy;

    /**
     * @param other takes what the first does not; may be the same
     */
    SerialExecutor(Executor executor, Executor other) {
        this.executor = executor;
        this.other = other;
    }

    void execute(Task task) {
        synchronized (waiting) {
            if (busy) {
                waiting.add(task);
                return;
            }
            busy = true;
        }
        submit(task);
    }

    private void submit(Task task) {
        Throwable reason = submit(task, executor);
        if (reason != null && other != executor) {
            task.refused(reason);
            reason = submit(task, other);
        }
        if (reason != null) {
            discard(task, reason);
        }
    }

    /** Null if it was taken. */
    private Throwable submit(Task task, Executor to) {
        Turn turn = null;
        try {
            turn = new Turn(task);
            to.execute(turn);
            return null;
        } catch (Throwable e) {
            // An executor can fail after it has taken the task, or even run it.
            return turn == null || turn.claim() ? e : null;
        }
    }

    private void discard(Task first, Throwable reason) {
        for (Task task = first; task != null; task = next()) {
            task.discard(reason);
        }
    }

    /** Null: nothing waits, and the next task is submitted by who brings it. */
    private Task next() {
        synchronized (waiting) {
            Task task = waiting.poll();
            busy = task != null;
            return task;
        }
    }

    /** A task on the executor. */
    private final class Turn implements Runnable {
        private final Task task;
        private final AtomicBoolean claimed = new AtomicBoolean();

        Turn(Task task) {
            this.task = task;
        }

        /** True for one caller: the one who deals with the task, and with the next. */
        boolean claim() {
            return claimed.compareAndSet(false, true);
        }

        @Override
        public void run() {
            if (!claim()) {
                return;
            }
            task.run();
            Task next = next();
            if (next != null) {
                submit(next);
            }
        }
    }
}
