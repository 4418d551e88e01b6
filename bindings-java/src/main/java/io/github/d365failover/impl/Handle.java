package io.github.d365failover.impl;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;

/**
 * A native handle that is freed once, when it has been released by its owner and by everyone who was using it. So
 * closing an object that other threads are using is safe: what they read does not vanish under them.
 */
public final class Handle {
    /** What {@link #acquire} answers when the handle is gone. */
    public static final long GONE = 0;

    private final AtomicLong value;
    private final LongConsumer free;
    /** The owner is one of them. */
    private final AtomicInteger users = new AtomicInteger(1);

    private volatile boolean released;

    Handle(long value, LongConsumer free) {
        this.value = new AtomicLong(value);
        this.free = free;
    }

    public static Handle ofClient(long value) {
        return new Handle(value, Native::clientFree);
    }

    public static Handle ofQueue(long value) {
        return new Handle(value, Native::queueFree);
    }

    public static Handle ofResponse(long value) {
        return new Handle(value, Native::responseFree);
    }

    /** The handle, until {@link #release}; {@link #GONE} if the owner has let it go, and then nothing to release. */
    public long acquire() {
        int seen = users.get();
        while (seen > 0 && !released) {
            if (users.compareAndSet(seen, seen + 1)) {
                return value.get();
            }
            seen = users.get();
        }
        return GONE;
    }

    public void release() {
        if (users.decrementAndGet() == 0) {
            free.accept(value.getAndSet(GONE));
        }
    }

    /** The owner lets go; the second time does nothing. */
    public void dispose() {
        synchronized (this) {
            if (released) {
                return;
            }
            released = true;
        }
        release();
    }
}
