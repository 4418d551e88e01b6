package io.github.d365failover.impl;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;

class HandleTest {
    private final AtomicInteger freed = new AtomicInteger();

    private Handle handle() {
        return new Handle(7, value -> {
            assertEquals(7, value);
            freed.incrementAndGet();
        });
    }

    @Test
    void itIsFreedWhenTheLastUserHasReleasedIt() {
        Handle handle = handle();
        assertEquals(7, handle.acquire());
        handle.dispose();
        assertEquals(0, freed.get());
        assertEquals(Handle.GONE, handle.acquire());
        handle.release();
        assertEquals(1, freed.get());
        handle.dispose();
        assertEquals(1, freed.get());
    }

    @RepeatedTest(20)
    void itIsFreedOnceHoweverManyThreadsRace() throws Exception {
        Handle handle = handle();
        CountDownLatch start = new CountDownLatch(1);
        AtomicInteger usedAfterFree = new AtomicInteger();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            boolean closes = i % 4 == 0;
            Thread thread = new Thread(() -> {
                try {
                    start.await();
                } catch (InterruptedException e) {
                    return;
                }
                for (int n = 0; n < 1000; n++) {
                    if (handle.acquire() != Handle.GONE) {
                        usedAfterFree.addAndGet(freed.get());
                        handle.release();
                    }
                    if (closes && n == 500) {
                        handle.dispose();
                    }
                }
            });
            thread.start();
            threads.add(thread);
        }
        start.countDown();
        for (Thread thread : threads) {
            thread.join();
        }
        assertEquals(1, freed.get());
        assertEquals(0, usedAfterFree.get());
    }
}
