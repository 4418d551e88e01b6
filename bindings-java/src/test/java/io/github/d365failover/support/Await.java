package io.github.d365failover.support;

import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;

/** Waiting on conditions, with a bound that is only reached when a test fails. */
public final class Await {
    public static final Duration BOUND = Duration.ofSeconds(20);

    private Await() {}

    public static <T> T next(BlockingQueue<T> queue) throws InterruptedException {
        T next = queue.poll(BOUND.toSeconds(), TimeUnit.SECONDS);
        if (next == null) {
            throw new AssertionError("nothing came in time");
        }
        return next;
    }
}
