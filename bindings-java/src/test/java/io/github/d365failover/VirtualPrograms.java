package io.github.d365failover;

import io.github.d365failover.support.Await;
import io.github.d365failover.support.Mute;
import io.github.d365failover.support.Swallow;
import io.github.d365failover.support.Virtual;
import io.github.d365failover.support.Wait;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;

/** The programs of {@link VirtualThreadsTest}, for a JVM that has two carriers and cannot have more. */
public final class VirtualPrograms {
    private VirtualPrograms() {}

    /** Twice as many calls as there are carriers wait, and another thread runs all the same. */
    public static final class Parks {
        private static final int CALLS = 4;

        private Parks() {}

        public static void main(String[] args) throws Exception {
            for (Wait wait : Wait.values()) {
                waits(wait);
            }
            closes();
            System.out.println("all parked");
        }

        private static void waits(Wait wait) throws Exception {
            try (Mute mute = new Mute()) {
                List<Wait.Call> calls = new ArrayList<>();
                List<CompletableFuture<Object>> ends = new ArrayList<>();
                for (int i = 0; i < CALLS; i++) {
                    Wait.Call call = wait.at(mute);
                    calls.add(call);
                    ends.add(Virtual.start(call.deed()));
                }
                for (Wait.Call call : calls) {
                    call.awaitArrival();
                }
                anotherRuns(wait.toString());
                for (Wait.Call call : calls) {
                    call.release();
                }
                for (CompletableFuture<Object> end : ends) {
                    System.out.println(wait + " ended: " + ended(end));
                }
                calls.forEach(Wait.Call::close);
            }
        }

        private static void closes() throws Exception {
            try (Mute mute = new Mute()) {
                List<CompletableFuture<Object>> ends = new ArrayList<>();
                List<Wait.Call> calls = new ArrayList<>();
                for (int i = 0; i < CALLS; i++) {
                    Wait.Call call = Wait.ANSWER.at(mute);
                    calls.add(call);
                    call.client().sendAsync(call.request());
                    mute.arrived();
                }
                CountDownLatch begun = new CountDownLatch(CALLS);
                for (Wait.Call call : calls) {
                    ends.add(Virtual.start(() -> {
                        begun.countDown();
                        return call.client().close(Duration.ofMinutes(2));
                    }));
                }
                // Where they hold their carriers, two of them never begin.
                if (!begun.await(Await.BOUND.toSeconds(), TimeUnit.SECONDS)) {
                    throw new AssertionError("CLOSE holds its carrier");
                }
                anotherRuns("CLOSE");
                mute.release();
                for (CompletableFuture<Object> end : ends) {
                    System.out.println("CLOSE ended: " + ended(end));
                }
            }
        }

        private static void anotherRuns(String what) throws Exception {
            try {
                Virtual.start(() -> null).get(Await.BOUND.toSeconds(), TimeUnit.SECONDS);
            } catch (java.util.concurrent.TimeoutException e) {
                throw new AssertionError(what + " holds its carrier");
            }
        }
    }

    /** An interrupt of a virtual thread ends what it waits for, and its flag stays set. */
    public static final class Interrupts {
        private Interrupts() {}

        public static void main(String[] args) throws Exception {
            for (Wait wait : Wait.values()) {
                try (Mute mute = new Mute(); Wait.Call call = wait.at(mute)) {
                    Callable<?> deed = call.deed();
                    CompletableFuture<Object> end = new CompletableFuture<>();
                    Thread thread = Virtual.thread(
                            () -> {
                                try {
                                    return deed.call();
                                } catch (FailoverException e) {
                                    return e.kind() + " " + Thread.currentThread().isInterrupted();
                                }
                            },
                            end);
                    thread.start();
                    call.awaitArrival(thread);
                    long begun = System.nanoTime();
                    thread.interrupt();
                    Object ended = ended(end);
                    if (wait.isOnTheWire) {
                        mute.left();
                    }
                    System.out.println(wait + " ended: " + ended);
                    System.out.println(wait + " took " + (System.nanoTime() - begun) / 1000 + " us");
                }
            }
        }
    }

    /** An interrupt that the application's code swallows leaves its call alone. */
    public static final class Swallows {
        private Swallows() {}

        public static void main(String[] args) throws Exception {
            for (Swallow swallow : Swallow.values()) {
                try (Mute mute = new Mute()) {
                    CountDownLatch asked = new CountDownLatch(1);
                    CompletableFuture<Object> end = new CompletableFuture<>();
                    Thread thread = Virtual.thread(swallow.call(mute, asked), end);
                    thread.start();
                    if (!asked.await(Await.BOUND.toSeconds(), TimeUnit.SECONDS)) {
                        throw new AssertionError(swallow + ": it was never asked");
                    }
                    thread.interrupt();
                    System.out.println(swallow + " ended: " + ended(end));
                }
            }
        }
    }

    /** A token provider waits for a virtual thread, as one that is made of blocking code does. */
    public static final class Provides {
        private static final int CALLS = 8;

        private Provides() {}

        public static void main(String[] args) throws Exception {
            try (Mute mute = new Mute();
                    FailoverClient client = mute.client()
                            .tokenProvider(request -> Token.of((String) Virtual.start(() -> "token").get(), Duration.ZERO))
                            .deadline(Duration.ofSeconds(10))
                            .build()) {
                mute.release();
                List<CompletableFuture<Object>> ends = new ArrayList<>();
                for (int i = 0; i < CALLS; i++) {
                    ends.add(Virtual.start(() -> client.send(FailoverRequest.get(Mute.SILENT)).status()));
                }
                for (CompletableFuture<Object> end : ends) {
                    System.out.println("status " + ended(end));
                }
            }
        }
    }

    /** What is asked of the application is asked on the virtual thread that sends, with what that has. */
    public static final class Asks {
        private Asks() {}

        public static void main(String[] args) throws Exception {
            ThreadLocal<String> mine = new ThreadLocal<>();
            try (Mute mute = new Mute();
                    FailoverClient client = mute.client()
                            .prepare(attempt -> System.out.println("prepared by " + mine.get()))
                            .build()) {
                mute.release();
                Virtual.start(() -> {
                            mine.set("the sender");
                            FailoverRequest request = FailoverRequest.builder("POST", Mute.SILENT)
                                    .body(() -> {
                                        System.out.println("opened by " + mine.get());
                                        return new java.io.ByteArrayInputStream(new byte[200_000]);
                                    })
                                    .build();
                            System.out.println("status " + client.send(request).status());
                            return null;
                        })
                        .get(Await.BOUND.toSeconds(), TimeUnit.SECONDS);
            }
        }
    }

    private static Object ended(CompletableFuture<Object> end) throws Exception {
        try {
            Object ended = end.get(Await.BOUND.toSeconds(), TimeUnit.SECONDS);
            return ended instanceof byte[] ? ((byte[]) ended).length + " bytes" : ended;
        } catch (ExecutionException e) {
            return e.getCause();
        }
    }
}
