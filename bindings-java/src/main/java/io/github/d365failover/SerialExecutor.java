package io.github.d365failover;

import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;

/** One task at a time, in order, on an executor that may run many. */
final class SerialExecutor implements Executor {
    private final Executor executor;
    private final Queue<Runnable> waiting = new ArrayDeque<>();
    private boolean busy;

    SerialExecutor(Executor executor) {
        this.executor = executor;
    }

    @Override
    public void execute(Runnable task) {
        synchronized (waiting) {
            if (busy) {
                waiting.add(task);
                return;
            }
            busy = true;
        }
        submit(task);
    }

    private void submit(Runnable task) {
        try {
            executor.execute(() -> {
                try {
                    task.run();
                } finally {
                    next();
                }
            });
        } catch (RejectedExecutionException e) {
            synchronized (waiting) {
                busy = false;
            }
            throw e;
        }
    }

    private void next() {
        Runnable task;
        synchronized (waiting) {
            task = waiting.poll();
            busy = task != null;
        }
        if (task != null) {
            submit(task);
        }
    }
}
