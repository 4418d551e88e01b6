package io.github.d365failover;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ThreadFactory;
import java.util.function.Supplier;

/** Whether a thread is a virtual one, which must not wait inside of the library: it would hold its carrier. */
final class VirtualThreads {
    /** {@code Thread.isVirtual}; null before JDK 21. */
    private static final MethodHandle IS_VIRTUAL = isVirtual();

    private VirtualThreads() {}

    private static MethodHandle isVirtual() {
        try {
            return MethodHandles.publicLookup()
                    .findVirtual(Thread.class, "isVirtual", MethodType.methodType(boolean.class));
        } catch (ReflectiveOperationException e) {
            return null;
        }
    }

    /** Whether this thread is one. */
    static boolean isHere() {
        if (IS_VIRTUAL == null) {
            return false;
        }
        try {
            return (boolean) IS_VIRTUAL.invokeExact(Thread.currentThread());
        } catch (Throwable e) {
            // A preview of JDK 19 or 20 that was not switched on: there are none.
            return false;
        }
    }

    /**
     * Has something waited for on a thread of its own, while this one parks.
     *
     * @param wait throws nothing that is to be caught
     */
    static <R> R away(ThreadFactory threads, Supplier<R> wait) {
        CompletableFuture<R> end = new CompletableFuture<>();
        Thread thread = threads.newThread(() -> {
            try {
                end.complete(wait.get());
            } catch (Throwable e) {
                end.completeExceptionally(e);
            }
        });
        try {
            thread.start();
        } catch (OutOfMemoryError e) {
            // No thread is to be had: this one waits itself.
            return wait.get();
        }
        try {
            // Does not end with an interrupt, whose flag stays set.
            return end.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof Error) {
                throw (Error) e.getCause();
            }
            throw (RuntimeException) e.getCause();
        }
    }
}
