package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.Await;
import io.github.d365failover.support.PlainServer;
import io.github.d365failover.support.Throwing;
import io.github.d365failover.support.Tracked;
import io.github.d365failover.support.Twin;
import java.io.IOException;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.net.http.HttpClient;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

class PrepareTest {
    private static final FailoverRequest WHO_AM_I = FailoverRequest.get("/api/data/v9.2/WhoAmI");
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
        twin.tokens("off");
    }

    private static FailoverRequest create(String name) {
        return FailoverRequest.builder("POST", "/api/data/v9.2/accounts")
                .header("Content-Type", "application/json")
                .body("{\"name\":\"" + name + "\"}")
                .build();
    }

    private static void sign(OutgoingAttempt attempt) {
        attempt.setHeader("Authorization", "Bearer twin-token-for-" + attempt.uri().getHost());
    }

    @Test
    void eachAttemptIsSignedForItsEndpoint() throws Exception {
        twin.tokens("check");
        twin.fault("primary", "datacenter_not_available", "");
        List<String> seen = Collections.synchronizedList(new ArrayList<>());
        try (FailoverClient client = twin.client()
                .prepare(attempt -> {
                    seen.add(attempt.number() + " " + attempt.role() + " " + attempt.epoch() + " "
                            + attempt.endpointUrl().orElseThrow() + " " + attempt.method() + " "
                            + attempt.header("authorization").isPresent());
                    sign(attempt);
                })
                .build()) {
            FailoverResponse response = client.send(create("signed"));
            assertEquals(204, response.status());
            assertEquals(2, response.attempts().size());
        }
        assertEquals(
                List.of(
                        "1 PRIMARY 0 " + Twin.PRIMARY + " POST false",
                        "2 ALTERNATE 1 " + Twin.ALTERNATE + " POST false"),
                seen);
        assertTrue(twin.hasRow("alternate", "signed"));
    }

    @Test
    void whatIsChangedHoldsForTheAttempt() throws Exception {
        try (FailoverClient client = twin.client()
                .prepare(attempt -> {
                    if (!attempt.method().equals("POST")) {
                        return;
                    }
                    assertEquals(Optional.of("application/json"), attempt.header("Content-Type"));
                    assertEquals(Optional.empty(), attempt.header("X-None"));
                    attempt.setHeader("X-One", "grün 😀");
                    assertEquals(Optional.of("grün 😀"), attempt.header("x-one"));
                    attempt.removeHeader("X-One");
                    attempt.removeHeader("X-None");
                    assertEquals(Optional.empty(), attempt.header("X-One"));
                    Optional<byte[]> body = attempt.body();
                    String text = body.isPresent()
                            ? new String(body.get(), StandardCharsets.UTF_8)
                            : "{\"name\":\"changed\"}";
                    attempt.setBody(text.replace("changed", "is changed").getBytes(StandardCharsets.UTF_8));
                })
                .build()) {
            assertEquals(204, client.send(create("bytes to be changed")).status());
            Tracked streamed = new Tracked("not even JSON");
            assertEquals(
                    204,
                    client.send(FailoverRequest.builder("POST", "/api/data/v9.2/accounts")
                                    .header("Content-Type", "application/json")
                                    .body(streamed::open)
                                    .build())
                            .status());
            assertTrue(streamed.allClosed());
        }
        assertTrue(twin.hasRow("primary", "bytes to be is changed"));
        assertTrue(twin.hasRow("primary", "is changed"));
    }

    @Test
    void whatHttpDoesNotAllowIsRefused() throws Exception {
        List<ErrorKind> refused = new ArrayList<>();
        try (FailoverClient client = twin.client()
                .prepare(attempt -> {
                    for (Executable deed : List.<Executable>of(
                            () -> attempt.setHeader("na me", "v"),
                            () -> attempt.setHeader("name", "a\r\nb: c"),
                            () -> attempt.setHeader("Host", "elsewhere.test"),
                            () -> attempt.removeHeader("Content-Length"),
                            () -> attempt.setHeader("name", "\uD83D"))) {
                        refused.add(assertThrows(FailoverUsageException.class, deed).kind());
                    }
                    assertThrows(NullPointerException.class, () -> attempt.setHeader("name", null));
                    assertThrows(NullPointerException.class, () -> attempt.setBody(null));
                })
                .build()) {
            assertEquals(200, client.send(WHO_AM_I).status());
        }
        assertEquals(
                List.of(
                        ErrorKind.INVALID_ARGUMENT,
                        ErrorKind.INVALID_ARGUMENT,
                        ErrorKind.INVALID_ARGUMENT,
                        ErrorKind.INVALID_ARGUMENT,
                        ErrorKind.INVALID_UTF8),
                refused);
    }

    @Test
    void whatAPreparerThrowsIsTheCause() throws Exception {
        for (Throwable thrown : List.of(
                new IOException("no signature: kein Schlüssel 😀"),
                new IllegalStateException("thrown by a test"),
                new StackOverflowError("thrown by a test"))) {
            AtomicInteger asked = new AtomicInteger();
            long before = twin.received("primary");
            try (FailoverClient client = twin.client()
                    .prepare(attempt -> {
                        asked.incrementAndGet();
                        Throwing.<RuntimeException>sneakily(thrown);
                    })
                    .build()) {
                FailoverException e = assertThrows(FailoverException.class, () -> client.send(create("unprepared")));
                assertEquals(ErrorKind.LOCAL, e.kind());
                assertEquals(Effect.NOT_EXECUTED, e.effect());
                assertSame(thrown, e.getCause());
                assertTrue(e.getMessage().contains(thrown.getMessage()), e.getMessage());
                assertFalse(e.switched());
                ExecutionException later = assertThrows(
                        ExecutionException.class, () -> client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS));
                assertSame(thrown, later.getCause().getCause());
                assertThrows(FailoverException.class, () -> client.sendStreaming(WHO_AM_I));
            }
            assertEquals(3, asked.get());
            assertEquals(before, twin.received("primary"));
        }
    }

    @Test
    void anAttemptIsOfNoUseAfterTheCallback() throws Exception {
        AtomicReference<OutgoingAttempt> kept = new AtomicReference<>();
        try (FailoverClient client = twin.client().prepare(kept::set).build()) {
            assertEquals(200, client.send(WHO_AM_I).status());
            OutgoingAttempt attempt = kept.get();
            for (Executable deed : List.<Executable>of(
                    attempt::uri,
                    attempt::endpointUrl,
                    attempt::role,
                    attempt::epoch,
                    attempt::number,
                    attempt::method,
                    attempt::body,
                    () -> attempt.header("Accept"),
                    () -> attempt.setHeader("X", "y"),
                    () -> attempt.removeHeader("X"),
                    () -> attempt.setBody(new byte[0]))) {
                assertThrows(IllegalStateException.class, deed);
            }
            assertTrue(attempt.toString().contains("WhoAmI"));
        }
    }

    @Test
    void callsWithAPreparerHaveDaemonThreadsOfTheClients() throws Exception {
        BlockingQueue<Thread> threads = new LinkedBlockingQueue<>();
        try (FailoverClient client = twin.client()
                .prepare(attempt -> threads.add(Thread.currentThread()))
                .build()) {
            assertEquals(200, client.send(WHO_AM_I).status());
            assertSame(Thread.currentThread(), threads.remove());
            assertEquals(200, client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS).status());
            Thread thread = threads.remove();
            assertTrue(thread.isDaemon());
            assertTrue(thread.getName().matches("d365-failover-\\d+-calls"), thread.getName());
            assertNull(threads.poll());
        }
    }

    /** The application's code finds the same classes there, whoever made the client need a thread. */
    @Test
    void theClientsThreadsHaveTheContextClassLoaderOfWhoHasOpenedIt() throws Exception {
        Thread here = Thread.currentThread();
        ClassLoader before = here.getContextClassLoader();
        Map<String, ClassLoader> seen = new ConcurrentHashMap<>();
        try (URLClassLoader opener = new URLClassLoader(new URL[0], before);
                URLClassLoader user = new URLClassLoader(new URL[0], before)) {
            here.setContextClassLoader(opener);
            FailoverClient client = twin.client()
                    .prepare(attempt -> seen.put("prepare", Thread.currentThread().getContextClassLoader()))
                    .tokenProvider(request -> {
                        seen.put("token", Thread.currentThread().getContextClassLoader());
                        return Token.of("t");
                    })
                    .build();
            here.setContextClassLoader(user);
            client.addEndpointSwitchedListener(
                    event -> seen.put("event", Thread.currentThread().getContextClassLoader()));
            assertEquals(200, client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS).status());
            client.switchEndpoint();
            assertTrue(client.close(Await.BOUND));
            assertEquals(Map.of("prepare", opener, "token", opener, "event", opener), seen);
        } finally {
            here.setContextClassLoader(before);
        }
    }

    @Test
    void aRequestThatCannotBeSentIsToldByTheFuture() throws Exception {
        try (FailoverClient client = twin.client().prepare(attempt -> {}).build()) {
            FailoverRequest request = FailoverRequest.builder("P T", "/").build();
            assertThrows(FailoverUsageException.class, () -> client.send(request));
            CompletableFuture<FailoverResponse> call = client.sendAsync(request);
            assertInstanceOf(
                    FailoverUsageException.class,
                    assertThrows(ExecutionException.class, () -> call.get(20, TimeUnit.SECONDS)).getCause());
        }
    }

    @Test
    void aPreparerMayUseItsClient() throws Exception {
        AtomicReference<FailoverClient> own = new AtomicReference<>();
        try (FailoverClient client = twin.client()
                .prepare(attempt -> {
                    if (attempt.method().equals("POST")) {
                        int status = own.get().send(WHO_AM_I).status();
                        attempt.setBody(("{\"name\":\"after " + status + "\"}").getBytes(StandardCharsets.UTF_8));
                        // The view is still this attempt's, and not the inner one's.
                        assertEquals("POST", attempt.method());
                        assertTrue(attempt.body().isPresent());
                    }
                })
                .build()) {
            own.set(client);
            assertEquals(204, client.send(create("before")).status());
            assertEquals(204, client.sendAsync(create("before")).get(20, TimeUnit.SECONDS).status());
        }
        assertTrue(twin.hasRow("primary", "after 200"));
    }

    @Test
    void anInterruptEndsACallWhosePreparerWaits() throws Exception {
        CountDownLatch asked = new CountDownLatch(2);
        try (FailoverClient client = twin.client()
                .prepare(attempt -> {
                    asked.countDown();
                    new CountDownLatch(1).await();
                })
                .build()) {
            Thread caller = Thread.currentThread();
            CompletableFuture<FailoverResponse> async = client.sendAsync(WHO_AM_I);
            Thread interrupter = new Thread(() -> {
                try {
                    asked.await();
                } catch (InterruptedException e) {
                    throw new AssertionError(e);
                } finally {
                    caller.interrupt();
                }
            });
            interrupter.start();
            FailoverException e = assertThrows(FailoverException.class, () -> client.send(WHO_AM_I));
            assertTrue(Thread.interrupted(), "the flag stays set");
            interrupter.join();
            assertEquals(ErrorKind.CANCELLED, e.kind());
            assertInstanceOf(InterruptedException.class, e.getCause());
            client.close(Duration.ofMillis(20));
            FailoverException closed = assertInstanceOf(
                    FailoverException.class,
                    assertThrows(ExecutionException.class, () -> async.get(20, TimeUnit.SECONDS)).getCause());
            assertEquals(ErrorKind.CANCELLED, closed.kind());
        }
    }

    @Test
    void aClientCanBeClosedByItsPreparer() throws Exception {
        AtomicReference<FailoverClient> own = new AtomicReference<>();
        FailoverClient client = twin.client().prepare(attempt -> own.get().close(Duration.ofMillis(10))).build();
        own.set(client);
        FailoverException e = assertThrows(FailoverException.class, () -> client.send(WHO_AM_I));
        assertTrue(e.kind() == ErrorKind.CANCELLED || e.kind() == ErrorKind.CLOSED, e.kind().label());
        FailoverClient other = twin.client().prepare(attempt -> own.get().close(Duration.ofMillis(10))).build();
        own.set(other);
        CompletableFuture<FailoverResponse> call = other.sendAsync(WHO_AM_I);
        assertThrows(ExecutionException.class, () -> call.get(20, TimeUnit.SECONDS));
    }

    @Test
    void anAllowedHostIsNeitherEndpoint() throws Exception {
        BlockingQueue<String> received = new LinkedBlockingQueue<>();
        List<String> prepared = Collections.synchronizedList(new ArrayList<>());
        try (PlainServer server = new PlainServer(exchange -> {
                    received.add(exchange.getRequestURI() + " "
                            + exchange.getRequestHeaders().containsKey("Authorization"));
                    exchange.sendResponseHeaders(200, -1);
                });
                FailoverClient client = server.client()
                .allowedHosts("other.test:8080", PlainServer.FURTHER)
                .tokenProvider(request -> Token.of("twin-token-for-" + request.uri().getHost()))
                .prepare(attempt -> prepared.add(attempt.role() + " " + attempt.endpointUrl() + " " + attempt.uri()))
                .build()) {
            FailoverResponse response = client.send(FailoverRequest.get("http://further.test/one"));
            assertEquals(200, response.status());
            Attempt attempt = response.attempts().get(0);
            assertNull(attempt.role());
            assertEquals(Optional.of(HttpClient.Version.HTTP_1_1), attempt.httpVersion());
            assertEquals(URI.create("http://further.test/one"), attempt.uri());
            assertTrue(attempt.toString().contains("allowed host"), attempt.toString());
            assertEquals("/one false", received.poll(20, TimeUnit.SECONDS));
            assertEquals(List.of("null Optional.empty http://further.test/one"), prepared);
        }
    }
}
