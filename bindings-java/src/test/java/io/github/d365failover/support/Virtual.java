package io.github.d365failover.support;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Callable;
import java.util.concurrent.ThreadFactory;

/** Virtual threads, for sources that an older JDK compiles. */
public final class Virtual {
    private Virtual() {}

    /** A thread that is not started yet, and what it will have come to. */
    public static Thread thread(Callable<?> deed, CompletableFuture<Object> end) throws Exception {
        Object builder = Thread.class.getMethod("ofVirtual").invoke(null);
        Class<?> type = Class.forName("java.lang.Thread$Builder");
        ThreadFactory threads = (ThreadFactory) type.getMethod("factory").invoke(builder);
        return threads.newThread(() -> {
            try {
                end.complete(deed.call());
            } catch (Throwable e) {
                end.completeExceptionally(e);
            }
        });
    }

    public static CompletableFuture<Object> start(Callable<?> deed) throws Exception {
        CompletableFuture<Object> end = new CompletableFuture<>();
        thread(deed, end).start();
        return end;
    }
}
