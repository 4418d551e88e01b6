package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.d365failover.support.Await;
import io.github.d365failover.support.Twin;
import java.io.InputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.ThrowingSupplier;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CloseTest {
    private static final FailoverRequest WHO_AM_I = FailoverRequest.get("/api/data/v9.2/WhoAmI");
    private static final FailoverRequest CREATE =
            FailoverRequest.builder("POST", "/api/data/v9.2/accounts").body("{}").build();
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

    /** Everything at once, on many threads, while one closes: each gives a result or says that the client is closed. */
    @RepeatedTest(5)
    void closingWhileManyThreadsUseTheClient() throws Exception {
        FailoverClient client = twin.client().build();
        client.addEndpointSwitchedListener(event -> {});
        AtomicReference<Throwable> unexpected = new AtomicReference<>();
        AtomicInteger answers = new AtomicInteger();
        CountDownLatch warm = new CountDownLatch(8);
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            int kind = i % 4;
            Thread thread = new Thread(() -> {
                try {
                    while (true) {
                        use(client, kind);
                        answers.incrementAndGet();
                        warm.countDown();
                    }
                } catch (Throwable e) {
                    ErrorKind why = kind(e);
                    if (why != ErrorKind.CLOSED && why != ErrorKind.CANCELLED) {
                        unexpected.compareAndSet(null, e);
                    }
                    warm.countDown();
                }
            });
            thread.start();
            threads.add(thread);
        }
        assertTrue(warm.await(20, TimeUnit.SECONDS));
        Thread second = new Thread(client::close);
        second.start();
        client.close(Duration.ofMillis(10));
        second.join();
        for (Thread thread : threads) {
            thread.join(Await.BOUND.toMillis());
            assertTrue(!thread.isAlive(), "a thread still believes that the client is open");
        }
        if (unexpected.get() != null) {
            throw new AssertionError(unexpected.get());
        }
        assertTrue(answers.get() >= 8);
    }

    private static void use(FailoverClient client, int kind) throws Exception {
        switch (kind) {
            case 0:
                assertEquals(200, client.send(WHO_AM_I).status());
                break;
            case 1:
                assertEquals(200, client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS).status());
                break;
            case 2:
                assertTrue(client.activeUrl().toString().startsWith("https://contoso"));
                client.alternateUrl();
                client.epoch();
                break;
            default:
                client.addEndpointSwitchRequiredListener(event -> {}).close();
        }
    }

    private static ErrorKind kind(Throwable e) {
        if (e instanceof ExecutionException) {
            return kind(e.getCause());
        }
        if (e instanceof FailoverException) {
            return ((FailoverException) e).kind();
        }
        return e instanceof FailoverStateException ? ((FailoverStateException) e).kind() : null;
    }

    @Test
    void closeWaitsForTheCallThatIsUnderWay() throws Exception {
        twin.fault("primary", "stall", ",\"path\":\"/api\"");
        FailoverClient client = twin.client().build();
        long before = twin.received("primary");
        CompletableFuture<FailoverResponse> call = client.sendAsync(WHO_AM_I);
        twin.await("primary", "received_at_least=" + (before + 1));
        CompletableFuture<Boolean> closing = CompletableFuture.supplyAsync(() -> client.close(Duration.ofSeconds(60)));
        twin.clear();
        assertTrue(closing.get(20, TimeUnit.SECONDS));
        assertEquals(200, call.get(20, TimeUnit.SECONDS).status());
    }

    @Test
    void whatWasCountedIsThereAfterClose() throws Exception {
        FailoverClient client = twin.client().build();
        assertEquals(200, client.send(WHO_AM_I).status());
        client.close();
        JsonObject calls =
                JsonParser.parseString(client.statistics()).getAsJsonObject().getAsJsonObject("calls");
        assertEquals(1, calls.get("answered").getAsInt());
        assertEquals(0, calls.get("in_flight").getAsInt());
    }

    /** Of a write that was not begun it is known that it was not executed. */
    @Test
    void aWriteThatIsNotBegunIsNotExecuted() throws Exception {
        FailoverClient client = twin.client().build();
        assertUnsent(ErrorKind.NO_RESOURCES, () -> client.send(CREATE), 1 << 16);
        client.close();
        for (ThrowingSupplier<Object> write : List.<ThrowingSupplier<Object>>of(
                () -> client.send(CREATE),
                () -> client.sendAsync(CREATE).get(),
                () -> client.replay(1),
                () -> client.replayAsWanted(1),
                () -> client.replayAsync(1).get())) {
            assertUnsent(ErrorKind.CLOSED, write, 0);
        }
    }

    /** What the client itself refuses is a write or none by what the library would read: headers and body too. */
    @Test
    void whatIsNotBegunIsAWriteByItsHeadersAndItsBody() throws Exception {
        FailoverClient client = twin.client().build();
        client.close();
        String accounts = "/api/data/v9.2/accounts";
        String soap = "/XRMServices/2011/Organization.svc/web";
        String services = "http://schemas.microsoft.com/xrm/2011/Contracts/Services";
        String reads = "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><RetrieveMultiple xmlns=\""
                + services + "\"/></s:Body></s:Envelope>";
        Map<FailoverRequest.Builder, Effect> rows = Map.of(
                FailoverRequest.builder("GET", accounts).header("D365-Failover-Operation", "unsafe"), Effect.NOT_EXECUTED,
                FailoverRequest.builder("POST", accounts).header("D365-Failover-Operation", "read"), Effect.NONE,
                FailoverRequest.builder("POST", soap)
                        .header("SOAPAction", "\"" + services + "/IOrganizationService/RetrieveMultiple\"")
                        .body(reads), Effect.NONE,
                FailoverRequest.builder("POST", accounts).body(() -> InputStream.nullInputStream()), Effect.NOT_EXECUTED,
                FailoverRequest.builder("GET", accounts), Effect.NONE);
        for (Map.Entry<FailoverRequest.Builder, Effect> row : rows.entrySet()) {
            FailoverRequest request = row.getKey().header("D365-Failover-Tag", "order 17").build();
            ExecutionException later = assertThrows(ExecutionException.class, () -> client.sendAsync(request).get());
            for (Throwable thrown : List.of(
                    assertThrows(FailoverException.class, () -> client.send(request)), later.getCause())) {
                FailoverException refused = assertInstanceOf(FailoverException.class, thrown);
                assertEquals(ErrorKind.CLOSED, refused.kind());
                assertEquals(row.getValue(), refused.effect(), request.toString());
                assertEquals(Optional.of("order 17"), refused.tag());
                assertTrue(refused.ledgerId().isEmpty());
            }
        }
    }

    private static void assertUnsent(ErrorKind kind, ThrowingSupplier<Object> write, long stackSize) throws Exception {
        AtomicReference<Throwable> thrown = new AtomicReference<>();
        Runnable body = () -> {
            try {
                write.get();
            } catch (Throwable e) {
                thrown.set(e instanceof ExecutionException ? e.getCause() : e);
            }
        };
        Thread thread = new Thread(null, body, "one that sends", stackSize);
        thread.start();
        thread.join(Await.BOUND.toMillis());
        FailoverException e = assertInstanceOf(FailoverException.class, thrown.get());
        assertEquals(kind, e.kind(), e.toString());
        assertEquals(Effect.NOT_EXECUTED, e.effect(), e.toString());
    }

    /** Who closes cancels what does not end in time, and its listeners are the ones who must hear of it. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void theWritesThatCloseLeavesInDoubtAreTold(boolean withExecutor) throws Exception {
        twin.fault("primary", "accept_never_answer", ",\"path\":\"/api\"");
        FailoverClientBuilder builder = twin.client();
        if (withExecutor) {
            builder.executor(ForkJoinPool.commonPool());
        }
        FailoverClient client = builder.build();
        List<OptionalLong> told = new CopyOnWriteArrayList<>();
        client.addWriteInDoubtListener(event -> told.add(event.ledgerId()));
        long before = twin.received("primary");
        FailoverFuture<FailoverResponse> call = client.sendAsync(CREATE);
        twin.await("primary", "received_at_least=" + (before + 1));
        assertTrue(client.close(Duration.ofSeconds(2)));
        assertEquals(Effect.UNKNOWN, call.end().get(20, TimeUnit.SECONDS));
        assertEquals(List.of(call.ledgerId()), told);
        assertTrue(call.ledgerId().isPresent());
    }

    @Test
    void aThreadThatWasInterruptedClosesAsWell() throws Exception {
        twin.fault("primary", "accept_never_answer", ",\"path\":\"/api\"");
        FailoverClient client = twin.client().build();
        long before = twin.received("primary");
        CompletableFuture<FailoverResponse> call = client.sendAsync(CREATE);
        twin.await("primary", "received_at_least=" + (before + 1));
        Thread.currentThread().interrupt();
        assertTrue(client.close(Duration.ofMillis(50)));
        assertTrue(Thread.interrupted(), "the flag stays set");
        Throwable cause = assertThrows(ExecutionException.class, () -> call.get(20, TimeUnit.SECONDS)).getCause();
        assertEquals(ErrorKind.CANCELLED, ((FailoverException) cause).kind());
        assertEquals(1, ((FailoverException) cause).attempts().size());
    }

    @Test
    void aForgottenClientIsClosedWhenItIsCollected() throws Exception {
        Set<Thread> before = queueThreads();
        forget();
        Set<Thread> of = queueThreads();
        of.removeAll(before);
        assertEquals(1, of.size());
        Thread queue = of.iterator().next();
        for (long end = System.nanoTime() + Await.BOUND.toNanos(); queue.isAlive() && System.nanoTime() < end; ) {
            System.gc();
            queue.join(50);
        }
        assertTrue(!queue.isAlive(), "nobody has closed the client's queue");
    }

    private static void forget() throws Exception {
        FailoverClient client = twin.client().build();
        client.addEndpointSwitchedListener(event -> {});
        assertEquals(200, client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS).status());
    }

    private static Set<Thread> queueThreads() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().matches("d365-failover-\\d+-queue"))
                .collect(Collectors.toCollection(HashSet::new));
    }

    @Test
    void aClientCanBeClosedInsideSwitched() throws Exception {
        BlockingQueue<String> said = new LinkedBlockingQueue<>();
        FailoverClient client = twin.client().build();
        client.addEndpointSwitchedListener(event -> {
            client.close();
            said.add("closed");
        });
        client.switchEndpoint();
        assertEquals("closed", Await.next(said));
        assertTrue(client.close(Await.BOUND));
    }

    @Test
    void noListenerStartsAfterClose() throws Exception {
        BlockingQueue<String> said = new LinkedBlockingQueue<>();
        AtomicReference<Thread> eventThread = new AtomicReference<>();
        CountDownLatch open = new CountDownLatch(1);
        FailoverClient client = twin.client().build();
        client.addEndpointSwitchedListener(event -> {
            eventThread.set(Thread.currentThread());
            said.add("epoch " + event.epoch());
            try {
                assertTrue(open.await(20, TimeUnit.SECONDS));
            } catch (InterruptedException e) {
                said.add(e.toString());
            }
        });
        client.switchEndpoint();
        assertEquals("epoch 1", Await.next(said));
        client.switchEndpoint();
        // The completion comes after the second event, which therefore waits for the event thread now.
        assertEquals(200, client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS).status());
        assertFalse(client.close(Duration.ZERO));
        open.countDown();
        assertTrue(client.close(Await.BOUND));
        eventThread.get().join(Await.BOUND.toMillis());
        assertFalse(eventThread.get().isAlive());
        assertNull(said.poll());
    }
}
