package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.Await;
import io.github.d365failover.support.Mute;
import io.github.d365failover.support.Swallow;
import io.github.d365failover.support.Wait;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Whatever a call waits for, and by whatever means it is cancelled, it ends and its peer is told. What is waited for here
 * lasts for two minutes. What a case took is printed.
 */
class CancellingTest {
    private static final Duration SOON = Duration.ofSeconds(5);

    /** How the future of a call is had by whoever cancels it. */
    enum Way {
        ITSELF,
        /** What an adapter has made of it. */
        DEPENDENT
    }

    @ParameterizedTest
    @EnumSource(Wait.class)
    void anInterruptEndsIt(Wait wait) throws Exception {
        try (Mute mute = new Mute(); Wait.Call call = wait.at(mute)) {
            Callable<?> deed = call.deed();
            AtomicReference<Throwable> thrown = new AtomicReference<>();
            AtomicReference<Boolean> flag = new AtomicReference<>();
            Thread sender = new Thread(() -> {
                try {
                    deed.call();
                } catch (Throwable e) {
                    thrown.set(e);
                }
                flag.set(Thread.currentThread().isInterrupted());
            });
            sender.start();
            call.awaitArrival(sender);
            long begun = System.nanoTime();
            sender.interrupt();
            sender.join(Await.BOUND.toMillis());
            assertFalse(sender.isAlive(), "it still waits");
            isTold(wait, mute, "interrupt", begun);
            FailoverException failure = assertInstanceOf(FailoverException.class, thrown.get());
            assertEquals(ErrorKind.CANCELLED, failure.kind(), failure.toString());
            assertTrue(flag.get(), "the flag stays set");
        }
    }

    static List<Arguments> futures() {
        List<Arguments> cases = new ArrayList<>();
        for (Wait wait : List.of(Wait.ANSWER, Wait.BODY, Wait.HANDSHAKE, Wait.TOKEN, Wait.DECISION, Wait.UPLOAD)) {
            for (Way way : Way.values()) {
                cases.add(Arguments.of(wait, way));
            }
        }
        return cases;
    }

    @ParameterizedTest
    @MethodSource("futures")
    void cancellingItsFutureEndsIt(Wait wait, Way way) throws Exception {
        try (Mute mute = new Mute(); Wait.Call call = wait.at(mute)) {
            FailoverFuture<FailoverResponse> future = call.client().sendAsync(call.request());
            CompletableFuture<?> held = way == Way.ITSELF
                    ? future
                    : future.thenApply(FailoverResponse::status).exceptionally(e -> 0);
            call.awaitArrival();
            long begun = System.nanoTime();
            assertTrue(held.cancel(true));
            future.end().get(Await.BOUND.toSeconds(), TimeUnit.SECONDS);
            isTold(wait, mute, way.toString(), begun);
            assertThrows(CancellationException.class, held::join);
            assertTrue(future.isCancelled());
        }
    }

    /** As {@code java.net.http}: who does not want the call interrupted, cancels what depends on it alone. */
    @Test
    void cancellingWhatDependsOnItWithoutInterruptLeavesIt() throws Exception {
        try (Mute mute = new Mute(); Wait.Call call = Wait.ANSWER.at(mute)) {
            FailoverFuture<FailoverResponse> future = call.client().sendAsync(call.request());
            CompletableFuture<Integer> dependent = future.thenApply(FailoverResponse::status);
            call.awaitArrival();
            assertTrue(dependent.cancel(false));
            call.release();
            assertEquals(200, future.get(Await.BOUND.toSeconds(), TimeUnit.SECONDS).status());
        }
    }

    /** What an executor runs is cancelled by an interrupt. */
    @Test
    void cancellingATaskOfAnExecutorEndsIt() throws Exception {
        ExecutorService executor = Executors.newSingleThreadExecutor();
        try (Mute mute = new Mute(); Wait.Call call = Wait.ANSWER.at(mute)) {
            Future<?> task = executor.submit(call.deed());
            call.awaitArrival();
            long begun = System.nanoTime();
            assertTrue(task.cancel(true));
            isTold(Wait.ANSWER, mute, "a task", begun);
        } finally {
            executor.shutdownNow();
        }
    }

    @Test
    void closingTheResponseEndsARead() throws Exception {
        try (Mute mute = new Mute(); Wait.Call call = Wait.READ.at(mute)) {
            FailoverStreamingResponse response = call.client().sendStreaming(call.request());
            mute.arrived();
            assertEquals('x', response.body().read());
            CompletableFuture<Object> end = new CompletableFuture<>();
            Thread reader = new Thread(() -> {
                try {
                    end.complete(response.body().read());
                } catch (Exception e) {
                    end.complete(e);
                }
            });
            reader.start();
            call.awaitArrival(reader);
            long begun = System.nanoTime();
            response.close();
            isTold(Wait.READ, mute, "close", begun);
            Object ended = end.get(Await.BOUND.toSeconds(), TimeUnit.SECONDS);
            assertEquals(ErrorKind.CANCELLED, assertInstanceOf(FailoverException.class, ended).kind());
        }
    }

    /** An interrupt that comes while the application's own channel is waited for does not take the hearing away. */
    @Test
    void anInterruptIsHeardAfterAChannelOfTheApplications() throws Exception {
        try (Mute mute = new Mute(); FailoverClient client = mute.client().prepare(attempt -> {
                    try (FileChannel file = FileChannel.open(Path.of("pom.xml"), StandardOpenOption.READ)) {
                        file.read(ByteBuffer.allocate(1));
                    }
                }).build()) {
            AtomicReference<Throwable> thrown = new AtomicReference<>();
            Thread sender = new Thread(() ->
                    thrown.set(assertThrows(FailoverException.class, () -> client.send(FailoverRequest.get(Mute.SILENT)))));
            sender.start();
            mute.arrived();
            long begun = System.nanoTime();
            sender.interrupt();
            isTold(Wait.PREPARE, mute, "a channel", begun);
            mute.left();
            sender.join(Await.BOUND.toMillis());
            assertEquals(ErrorKind.CANCELLED, ((FailoverException) thrown.get()).kind());
        }
    }

    /** Its own code may have an interrupt of its own, such as that of a read which took too long. */
    @ParameterizedTest
    @EnumSource(Swallow.class)
    void anInterruptThatTheApplicationSwallowsCancelsNothing(Swallow swallow) throws Exception {
        try (Mute mute = new Mute()) {
            CountDownLatch asked = new CountDownLatch(1);
            FutureTask<Integer> task = new FutureTask<>(swallow.call(mute, asked));
            Thread sender = new Thread(task);
            sender.start();
            assertTrue(asked.await(Await.BOUND.toSeconds(), TimeUnit.SECONDS));
            sender.interrupt();
            assertEquals(200, task.get(Await.BOUND.toSeconds(), TimeUnit.SECONDS));
        }
    }

    private static void isTold(Wait wait, Mute mute, String way, long begun) throws Exception {
        if (wait.isOnTheWire) {
            mute.left();
        }
        Duration took = Duration.ofNanos(System.nanoTime() - begun);
        System.out.println(wait + " by " + way + ": " + took.toNanos() / 1000 + " us");
        assertTrue(took.compareTo(SOON) < 0, took.toString());
    }
}
