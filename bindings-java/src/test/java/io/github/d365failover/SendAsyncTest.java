package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.Throwing;
import io.github.d365failover.support.Twin;
import java.io.ByteArrayInputStream;
import java.io.InterruptedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class SendAsyncTest {
    private static final FailoverRequest WHO_AM_I = FailoverRequest.get("/api/data/v9.2/WhoAmI");
    private static final String API = ",\"path\":\"/api\"";
    private static Twin twin;

    @BeforeAll
    static void start() throws Exception {
        twin = Twin.start();
    }

    @AfterAll
    static void stop() throws Exception {
        twin.close();
    }

    @AfterEach
    void clear() throws Exception {
        twin.clear();
    }

    private static FailoverRequest create(String name) {
        return FailoverRequest.builder("POST", "/api/data/v9.2/accounts")
                .header("Content-Type", "application/json")
                .body("{\"name\":\"" + name + "\"}")
                .build();
    }

    @Test
    void manyCallsCompleteOnceEachOverASwitch() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            AtomicInteger completions = new AtomicInteger();
            List<CompletableFuture<FailoverResponse>> calls = new ArrayList<>();
            for (int i = 0; i < 400; i++) {
                if (i == 200) {
                    twin.fault("primary", "datacenter_not_available", "");
                }
                CompletableFuture<FailoverResponse> call = client.sendAsync(create("async-" + i));
                call.whenComplete((response, failure) -> completions.incrementAndGet());
                calls.add(call);
            }
            for (CompletableFuture<FailoverResponse> call : calls) {
                assertEquals(204, call.get(60, TimeUnit.SECONDS).status());
            }
            assertEquals(400, completions.get());
            assertEquals(0, twin.duplicates());
        }
    }

    @Test
    void uploadsShareABoundedNumberOfThreads() throws Exception {
        CountDownLatch open = new CountDownLatch(1);
        AtomicInteger asked = new AtomicInteger();
        FailoverRequest.Builder upload = FailoverRequest.builder("POST", "/api/data/v9.2/accounts")
                .header("Content-Type", "application/json")
                .body(() -> {
                    // Names of their own: the twin counts duplicates.
                    String row = "{\"name\":\"upload-" + asked.incrementAndGet() + "\"}";
                    try {
                        assertTrue(open.await(60, TimeUnit.SECONDS));
                    } catch (InterruptedException e) {
                        throw new InterruptedIOException(e.getMessage());
                    }
                    return new ByteArrayInputStream(row.getBytes(StandardCharsets.UTF_8));
                });
        try (FailoverClient client = twin.client().build()) {
            List<CompletableFuture<FailoverResponse>> calls = new ArrayList<>();
            for (int i = 0; i < 500; i++) {
                calls.add(client.sendAsync(upload.build()));
            }
            while (asked.get() < 64) {
                Thread.onSpinWait();
            }
            long threads = callThreads().count();
            assertTrue(threads <= 64, threads + " threads");
            // All threads are taken: what waits for one can end all the same.
            CompletableFuture<FailoverResponse> cancelled = client.sendAsync(upload.build());
            assertTrue(cancelled.cancel(true));
            CompletableFuture<FailoverResponse> late =
                    client.sendAsync(upload.timeout(Duration.ofMillis(200)).build());
            ExecutionException e = assertThrows(ExecutionException.class, () -> late.get(30, TimeUnit.SECONDS));
            FailoverTimeoutException timeout = assertInstanceOf(FailoverTimeoutException.class, e.getCause());
            assertEquals(Effect.NOT_EXECUTED, timeout.effect());
            assertEquals(200, client.send(WHO_AM_I).status());
            open.countDown();
            for (CompletableFuture<FailoverResponse> call : calls) {
                assertEquals(204, call.get(60, TimeUnit.SECONDS).status());
            }
            assertEquals(500, asked.get());
        }
    }

    @Test
    void uploadsOneAfterTheOtherTakeOneThread() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            for (int i = 0; i < 5; i++) {
                byte[] row = ("{\"name\":\"in-turn-" + i + "\"}").getBytes(StandardCharsets.UTF_8);
                FailoverRequest upload = FailoverRequest.builder("POST", "/api/data/v9.2/accounts")
                        .header("Content-Type", "application/json")
                        .body(() -> new ByteArrayInputStream(row))
                        .build();
                assertEquals(204, client.sendAsync(upload).get(60, TimeUnit.SECONDS).status());
                // The thread is done with the call a little after who waits for it.
                while (callThreads().anyMatch(thread -> thread.getState() != Thread.State.TIMED_WAITING)) {
                    Thread.onSpinWait();
                }
                assertEquals(1, callThreads().count());
            }
        }
    }

    private static Stream<Thread> callThreads() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().endsWith("-calls"));
    }

    @Test
    void cancellingTheFutureCancelsTheCall() throws Exception {
        twin.fault("primary", "accept_never_answer", API);
        try (FailoverClient client = twin.client().build()) {
            long before = twin.received("primary");
            CompletableFuture<FailoverResponse> call = client.sendAsync(WHO_AM_I);
            twin.await("primary", "received_at_least=" + (before + 1));
            assertTrue(call.cancel(true));
            assertThrows(CancellationException.class, call::get);
            // Its connection is closed: the server sees nobody waiting any more.
            twin.await("primary", "in_flight_at_most=0");
        }
    }

    @Test
    void whatBecameOfACancelledWriteIsToldByItsFuture() throws Exception {
        twin.fault("primary", "accept_never_answer", API);
        try (FailoverClient client = twin.client().build()) {
            FailoverFuture<FailoverResponse> cancelled = client.sendAsync(create("cancelled"));
            FailoverFuture<FailoverResponse> late = client.sendAsync(create("late"));
            twin.await("primary", "in_flight_at_least=2");
            assertTrue(cancelled.ledgerId().isPresent());
            assertFalse(cancelled.end().isDone());
            assertTrue(cancelled.cancel(true));
            late.orTimeout(1, TimeUnit.MILLISECONDS);
            for (FailoverFuture<FailoverResponse> call : List.of(cancelled, late)) {
                assertEquals(Effect.UNKNOWN, call.end().get(20, TimeUnit.SECONDS));
                long id = call.ledgerId().orElseThrow();
                assertTrue(client.ledger().stream().anyMatch(entry -> entry.id() == id && entry.isSuspect()));
            }
            FailoverFuture<FailoverResponse> read = client.sendAsync(WHO_AM_I);
            read.cancel(true);
            assertEquals(Effect.NONE, read.end().get(20, TimeUnit.SECONDS));
            assertTrue(read.ledgerId().isEmpty());
        }
        twin.clear();
        try (FailoverClient client = twin.client().build()) {
            FailoverFuture<FailoverResponse> done = client.sendAsync(create("done"));
            assertEquals(Effect.EXECUTED, done.end().get(20, TimeUnit.SECONDS));
            assertEquals(done.get().ledgerId(), done.ledgerId());
        }
        try (FailoverClient client = twin.client().prepare(attempt -> {}).build()) {
            // On a thread of its own: what is wrong with it comes with the future.
            for (FailoverRequest wrong : List.of(
                    FailoverRequest.builder("POST", "/api/data/v9.2/accounts#row").body("{}").build(),
                    FailoverRequest.builder("POST", "/api/data/v9.2/$batch").body("{}").guardedCreate().build())) {
                FailoverFuture<FailoverResponse> refused = client.sendAsync(wrong);
                assertEquals(Effect.NOT_EXECUTED, refused.end().get(20, TimeUnit.SECONDS));
                ExecutionException e = assertThrows(ExecutionException.class, refused::get);
                assertInstanceOf(FailoverUsageException.class, e.getCause());
            }
            assertEquals(List.of(), client.ledger());
        }
        FailoverClient closed = twin.client().build();
        closed.close();
        assertEquals(Effect.NOT_EXECUTED, closed.sendAsync(create("no")).end().get(20, TimeUnit.SECONDS));
    }

    /** Whether its time is over or it has its thread is decided once. */
    @Test
    void aCallThatIsLateIsNotSent() throws Exception {
        Failure failure = new Failure(ErrorKind.TIMEOUT, "late", Effect.NOT_EXECUTED);
        long hour = TimeUnit.HOURS.toMillis(1);
        AtomicInteger sent = new AtomicInteger();
        ThreadCall.Work<FailoverResponse> work = left -> {
            // As the sender does.
            if (Thread.interrupted()) {
                throw new InterruptedIOException();
            }
            sent.incrementAndGet();
            return null;
        };
        ThreadCall<FailoverResponse> late =
                new ThreadCall<>(ResponseKind.COLLECTED, Effect.NOT_EXECUTED, hour, null, work);
        late.await(() -> failure);
        assertTrue(late.expire(failure));
        late.run().run();
        assertEquals(0, sent.get());
        assertEquals(Effect.NOT_EXECUTED, late.end().get(20, TimeUnit.SECONDS));
        assertInstanceOf(
                FailoverTimeoutException.class, assertThrows(ExecutionException.class, late::get).getCause());

        AtomicBoolean expired = new AtomicBoolean(true);
        List<ThreadCall<FailoverResponse>> begun = new ArrayList<>();
        begun.add(new ThreadCall<>(ResponseKind.COLLECTED, Effect.NOT_EXECUTED, hour, null, left -> {
            begun.get(0).await(() -> failure);
            expired.set(begun.get(0).expire(failure));
            return work.send(left);
        }));
        begun.get(0).await(() -> failure);
        begun.get(0).run();
        assertFalse(expired.get());
        assertEquals(1, sent.get());
    }

    @Test
    void aTimeoutOfTheFutureCancelsTheCall() throws Exception {
        twin.fault("primary", "accept_never_answer", API);
        try (FailoverClient client = twin.client().build()) {
            CompletableFuture<FailoverResponse> call = client.sendAsync(WHO_AM_I).orTimeout(200, TimeUnit.MILLISECONDS);
            assertInstanceOf(
                    TimeoutException.class, assertThrows(ExecutionException.class, call::get).getCause());
            twin.await("primary", "in_flight_at_most=0");
        }
    }

    @Test
    void closingTheClientCompletesWhatIsUnderWay() throws Exception {
        twin.fault("primary", "accept_never_answer", API);
        FailoverClient client = twin.client().build();
        long before = twin.received("primary");
        List<CompletableFuture<FailoverResponse>> calls = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            calls.add(client.sendAsync(create("closed-" + i)));
        }
        twin.await("primary", "received_at_least=" + (before + 20));
        client.close(Duration.ofMillis(50));
        for (CompletableFuture<FailoverResponse> call : calls) {
            Throwable cause =
                    assertThrows(ExecutionException.class, () -> call.get(20, TimeUnit.SECONDS)).getCause();
            FailoverException e = assertInstanceOf(WriteInDoubtException.class, cause);
            assertTrue(e.kind() == ErrorKind.CANCELLED || e.kind() == ErrorKind.CLOSED, e.kind().label());
            assertEquals(Effect.UNKNOWN, e.effect());
        }
    }

    @Test
    void aForgottenClientStaysOpenForItsCalls() throws Exception {
        twin.fault("primary", "stall", API);
        long before = twin.received("primary");
        CompletableFuture<FailoverResponse> call = twin.client().build().sendAsync(WHO_AM_I);
        twin.await("primary", "received_at_least=" + (before + 1));
        for (int i = 0; i < 3; i++) {
            System.gc();
            System.runFinalization();
        }
        twin.clear();
        assertEquals(200, call.get(20, TimeUnit.SECONDS).status());
    }

    @Test
    void anExecutorThatFailsFailsNoCall() throws Exception {
        for (Throwable failure : List.of(
                new IllegalStateException("thrown by a test, as an executor may"),
                new OutOfMemoryError("thrown by a test: unable to create native thread"))) {
            AtomicBoolean failing = new AtomicBoolean(true);
            try (FailoverClient client = twin.client()
                    .executor(task -> {
                        if (failing.get()) {
                            Throwing.sneakily(failure);
                        }
                        ForkJoinPool.commonPool().execute(task);
                    })
                    .build()) {
                assertEquals(200, client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS).status());
                assertEquals(200, client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS).status());
                failing.set(false);
                assertEquals(200, client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS).status());
            }
        }
    }

    @Test
    void whatDependsOnACallRunsOnTheApplicationsExecutor() throws Exception {
        ExecutorService executor = Executors.newSingleThreadExecutor(task -> new Thread(task, "the application's"));
        try (FailoverClient client = twin.client().executor(executor).build()) {
            twin.fault("primary", "stall", API);
            long before = twin.received("primary");
            CompletableFuture<String> thread =
                    client.sendAsync(WHO_AM_I).thenApply(response -> Thread.currentThread().getName());
            twin.await("primary", "received_at_least=" + (before + 1));
            twin.clear();
            assertEquals("the application's", thread.get(20, TimeUnit.SECONDS));
            executor.shutdown();
            // An executor that takes nothing any more does not keep a future from completing.
            assertEquals(200, client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS).status());
            // What depends on it may close the client, wherever it runs.
            assertEquals(
                    true,
                    client.sendAsync(WHO_AM_I)
                            .thenApply(response -> client.close(Duration.ofSeconds(20)))
                            .get(20, TimeUnit.SECONDS));
        } finally {
            executor.shutdown();
        }
    }
}
