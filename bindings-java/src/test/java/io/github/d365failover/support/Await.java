package io.github.d365failover.support;

import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/** Waiting on conditions, with a bound that is only reached when a test fails. */
public final class Await {
    public static final Duration BOUND = Duration.ofSeconds(20);

    private Await() {}

    public static void that(BooleanSupplier condition) {
        long end = System.nanoTime() + BOUND.toNanos();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > end) {
                throw new AssertionError("it did not come about in time");
            }
            Thread.onSpinWait();
        }
    }

    public static <T> T next(BlockingQueue<T> queue) throws InterruptedException {
        T next = queue.poll(BOUND.toSeconds(), TimeUnit.SECONDS);
        if (next == null) {
            throw new AssertionError("nothing came in time");
        }
        return next;
    }
}
