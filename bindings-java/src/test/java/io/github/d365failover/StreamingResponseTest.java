package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonParser;
import io.github.d365failover.support.Await;
import io.github.d365failover.support.PlainServer;
import io.github.d365failover.support.Tracked;
import io.github.d365failover.support.Twin;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.lang.ref.WeakReference;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class StreamingResponseTest {
    private static final FailoverRequest WHO_AM_I = FailoverRequest.get("/api/data/v9.2/WhoAmI");
    /** More than all buffers between the sides hold, so that the server still writes until somebody reads. */
    private static final FailoverRequest LARGE = FailoverRequest.get("/bulk/200000000");

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

    @Test
    void theBodyIsTheOneThatIsCollectedOtherwise() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            FailoverResponse collected = client.send(WHO_AM_I);
            try (FailoverStreamingResponse response = client.sendStreaming(WHO_AM_I)) {
                assertEquals(200, response.status());
                assertEquals(Effect.NONE, response.effect());
                assertEquals(1, response.attempts().size());
                assertEquals(collected.uri(), response.uri());
                assertEquals(collected.header("content-type"), response.header("Content-Type"));
                assertEquals(collected.headers().keySet(), response.headers().keySet());
                InputStream body = response.body();
                assertSame(body, response.body());
                assertEquals(collected.body()[0], body.read());
                byte[] rest = body.readAllBytes();
                assertEquals(collected.body().length, rest.length + 1);
                assertEquals(-1, body.read());
                assertEquals(-1, body.read(new byte[10]));
                assertEquals(0, body.read(new byte[0]));
            }
        }
    }

    @Test
    void largeBodiesAreWhole() throws Exception {
        for (String path : List.of("/bulk/3000001", "/bulk/3000001?chunked=1", "/bulk/0", "/bulk/1")) {
            try (FailoverClient client = twin.client().build()) {
                byte[] whole = client.send(FailoverRequest.get(path)).body();
                try (FailoverStreamingResponse response = client.sendStreaming(FailoverRequest.get(path))) {
                    assertArrayEquals(whole, response.body().readAllBytes(), path);
                }
            }
        }
    }

    @Test
    void anErrorStatusIsAResponseWithItsWholeBody() throws Exception {
        FailoverRequest nothing = FailoverRequest.get("/api/data/v9.2/accounts(00000000-0000-0000-0000-00000000beef)");
        try (FailoverClient client = twin.client().build();
                FailoverStreamingResponse response = client.sendStreaming(nothing)) {
            assertEquals(404, response.status());
            assertEquals("Not Found", response.reasonPhrase());
            assertTrue(response.elapsed().compareTo(Duration.ZERO) > 0);
            String body = new String(response.body().readAllBytes(), StandardCharsets.UTF_8);
            assertEquals(
                    "0x80040217",
                    JsonParser.parseString(body).getAsJsonObject().getAsJsonObject("error").get("code").getAsString());
        }
    }

    @Test
    void aSwitchComesBeforeTheHead() throws Exception {
        twin.fault("primary", "datacenter_not_available", "");
        Tracked body = new Tracked("{\"name\":\"both ways\"}");
        FailoverRequest request = FailoverRequest.builder("POST", "/api/data/v9.2/accounts")
                .header("Content-Type", "application/json")
                .header("Prefer", "return=representation")
                .body(body::open)
                .build();
        try (FailoverClient client = twin.client().build();
                FailoverStreamingResponse response = client.sendStreaming(request)) {
            assertEquals(201, response.status());
            assertTrue(response.switched());
            assertEquals(Effect.EXECUTED, response.effect());
            assertEquals(2, response.attempts().size());
            assertEquals(
                    "both ways",
                    JsonParser.parseReader(new InputStreamReader(response.body(), StandardCharsets.UTF_8))
                            .getAsJsonObject().get("name").getAsString());
        }
    }

    @Test
    void whatHasNoUsableAnswerThrowsAsOtherwise() throws Exception {
        twin.fault("primary", "datacenter_not_available", "");
        try (FailoverClient client = twin.client().autoSwitch(AutoSwitch.OFF).build()) {
            FailoverException e = assertThrows(FailoverException.class, () -> client.sendStreaming(WHO_AM_I));
            assertEquals(ErrorKind.DATACENTER_NOT_AVAILABLE, e.kind());
            assertEquals(503, e.response().orElseThrow().status());
        }
    }

    @Test
    void aBodyThatBreaksOffSaysWhatBecameOfTheWrite() throws Exception {
        twin.fault("primary", "cut_body", "");
        FailoverRequest request = FailoverRequest.builder("POST", "/api/data/v9.2/accounts")
                .header("Content-Type", "application/json")
                .header("Prefer", "return=representation")
                .body("{\"name\":\"cut\"}")
                .build();
        try (FailoverClient client = twin.client().build();
                FailoverStreamingResponse response = client.sendStreaming(request)) {
            assertEquals(201, response.status());
            for (int i = 0; i < 2; i++) {
                FailoverException e = assertThrows(FailoverException.class, () -> response.body().readAllBytes());
                assertEquals(ErrorKind.CONNECTION_LOST, e.kind());
                assertEquals(Effect.EXECUTED, e.effect());
                assertEquals(1, e.attempts().size());
                assertEquals(Phase.RESPONDED, e.attempts().get(0).phase());
            }
        }
        assertTrue(twin.hasRow("primary", "cut"));
    }

    @Test
    void aServerThatStopsInTheMiddleIsATimeout() throws Exception {
        CountDownLatch end = new CountDownLatch(1);
        try (PlainServer server = new PlainServer(exchange -> {
                    exchange.sendResponseHeaders(200, 1000);
                    exchange.getResponseBody().write("beginning".getBytes(StandardCharsets.UTF_8));
                    exchange.getResponseBody().flush();
                    end.await();
                });
                FailoverClient client = server.client().attemptTimeout(Duration.ofMillis(1500)).build();
                FailoverStreamingResponse response = client.sendStreaming(FailoverRequest.get("/"))) {
            assertEquals("beginning", new String(response.body().readNBytes(9), StandardCharsets.UTF_8));
            for (int i = 0; i < 2; i++) {
                FailoverTimeoutException e =
                        assertThrows(FailoverTimeoutException.class, () -> response.body().read());
                assertEquals(ErrorKind.TIMEOUT, e.kind());
                assertEquals(Phase.RESPONDED, e.attempts().get(0).phase());
            }
            end.countDown();
        }
    }

    @Test
    void closingOnAnotherThreadEndsAReadThatWaits() throws Exception {
        CountDownLatch end = new CountDownLatch(1);
        try (PlainServer server = new PlainServer(exchange -> {
                    exchange.sendResponseHeaders(200, 1000);
                    exchange.getResponseBody().write("beginning".getBytes(StandardCharsets.UTF_8));
                    exchange.getResponseBody().flush();
                    end.await();
                });
                FailoverClient client = server.client().build();
                FailoverStreamingResponse response = client.sendStreaming(FailoverRequest.get("/"))) {
            assertEquals("beginning", new String(response.body().readNBytes(9), StandardCharsets.UTF_8));
            CompletableFuture<Throwable> read = new CompletableFuture<>();
            Thread reader = new Thread(() -> {
                try {
                    read.complete(new AssertionError("read " + response.body().read()));
                } catch (Throwable e) {
                    read.complete(e);
                }
            });
            reader.start();
            Await.that(() -> inNative(reader));
            response.body().close();
            // Long before attemptTimeout, which is two minutes.
            Throwable ended = read.get(30, TimeUnit.SECONDS);
            assertEquals(ErrorKind.CANCELLED, ((FailoverException) ended).kind());
            end.countDown();
        }
    }

    private static boolean inNative(Thread thread) {
        StackTraceElement[] stack = thread.getStackTrace();
        return stack.length > 0 && stack[0].getMethodName().equals("responseRead");
    }

    @Test
    void closingEndsTheConnectionOfAnUnreadBody() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            FailoverStreamingResponse response = client.sendStreaming(LARGE);
            InputStream body = response.body();
            assertTrue(body.read() >= 0);
            twin.await("primary", "in_flight_at_least=1");
            response.close();
            response.close();
            twin.await("primary", "in_flight_at_most=0");
            assertThrows(IOException.class, body::read);
            assertThrows(IOException.class, () -> body.read(new byte[1 << 20]));
            FailoverStreamingResponse other = client.sendStreaming(LARGE);
            other.body().close();
            other.body().close();
            other.close();
            twin.await("primary", "in_flight_at_most=0");
            assertEquals(200, client.send(WHO_AM_I).status());
        }
    }

    @Test
    void closingTheClientEndsWhatIsReadFromIt() throws Exception {
        FailoverClient client = twin.client().build();
        FailoverStreamingResponse response = client.sendStreaming(LARGE);
        assertTrue(response.body().read() >= 0);
        client.close(Duration.ofMillis(50));
        FailoverException e = assertThrows(FailoverException.class, () -> response.body().readAllBytes());
        assertEquals(ErrorKind.CANCELLED, e.kind());
        response.close();
        twin.await("primary", "in_flight_at_most=0");
    }

    @Test
    void closingTheClientWaitsForABodyThatIsRead() throws Exception {
        FailoverClient client = twin.client().build();
        FailoverStreamingResponse response = client.sendStreaming(FailoverRequest.get("/bulk/30000000"));
        assertTrue(response.body().read() >= 0);
        CompletableFuture<Boolean> closing = CompletableFuture.supplyAsync(() -> client.close(Duration.ofSeconds(60)));
        long count = 1;
        byte[] buffer = new byte[1 << 16];
        for (int read = response.body().read(buffer); read >= 0; read = response.body().read(buffer)) {
            count += read;
        }
        assertEquals(30_000_000, count);
        assertTrue(closing.get(20, TimeUnit.SECONDS));
    }

    @Test
    void aForgottenResponseFreesItsConnection() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            WeakReference<InputStream> forgotten = forget(client);
            twin.await("primary", "in_flight_at_least=1");
            long end = System.nanoTime() + Await.BOUND.toNanos();
            while (forgotten.get() != null && System.nanoTime() < end) {
                System.gc();
            }
            assertEquals(null, forgotten.get());
            twin.await("primary", "in_flight_at_most=0");
        }
    }

    private static WeakReference<InputStream> forget(FailoverClient client) throws IOException {
        InputStream body = client.sendStreaming(LARGE).body();
        assertTrue(body.read() >= 0);
        return new WeakReference<>(body);
    }

    @Test
    void theStreamAloneKeepsResponseAndClient() throws Exception {
        InputStream body = twin.client().build().sendStreaming(FailoverRequest.get("/bulk/20000000")).body();
        long count = 0;
        byte[] buffer = new byte[1 << 16];
        for (int read = body.read(buffer); read >= 0; read = body.read(buffer)) {
            if (count == 0) {
                for (int i = 0; i < 3; i++) {
                    System.gc();
                    System.runFinalization();
                }
            }
            count += read;
        }
        assertEquals(20_000_000, count);
        body.close();
    }

    @Test
    void anInterruptStopsTheNextRead() throws Exception {
        try (FailoverClient client = twin.client().build();
                FailoverStreamingResponse response = client.sendStreaming(FailoverRequest.get("/bulk/1000000"))) {
            byte[] buffer = new byte[100_000];
            int read = response.body().read(buffer);
            Thread.currentThread().interrupt();
            FailoverException e = assertThrows(FailoverException.class, () -> response.body().readAllBytes());
            assertTrue(Thread.interrupted(), "the flag stays set");
            assertEquals(ErrorKind.CANCELLED, e.kind());
            assertEquals(1_000_000, read + response.body().readAllBytes().length);
        }
    }

    @Test
    void anInterruptedReadOfABatchSaysWhatIsKnownOfIt() throws Exception {
        String part = "--b\r\nContent-Type: application/http\r\n\r\nPOST /api/data/v9.2/accounts HTTP/1.1\r\n"
                + "Content-Type: application/json\r\n\r\n{}\r\n--b--\r\n";
        FailoverRequest batch = FailoverRequest.builder("POST", "/api/data/v9.2/$batch")
                .header("Content-Type", "multipart/mixed; boundary=b")
                .body(part)
                .tag("batch 7")
                .build();
        try (FailoverClient client = twin.client().build();
                FailoverStreamingResponse response = client.sendStreaming(batch)) {
            assertEquals("batch 7", response.tag().orElseThrow());
            for (Effect effect : List.of(Effect.UNKNOWN, Effect.EXECUTED)) {
                Thread.currentThread().interrupt();
                FailoverException e = assertThrows(FailoverException.class, () -> response.body().readAllBytes());
                assertTrue(Thread.interrupted(), "the flag stays set");
                assertEquals(effect, e.effect());
                assertEquals(effect == Effect.UNKNOWN, e instanceof WriteInDoubtException);
                assertEquals(response.ledgerId(), e.ledgerId());
                assertTrue(e.ledgerId().isPresent());
                assertEquals("batch 7", e.tag().orElseThrow());
                response.body().readAllBytes();
            }
        }
    }

    @Test
    void withoutWaiting() throws Exception {
        for (AttemptPreparer preparer : new AttemptPreparer[] {null, attempt -> {}}) {
            FailoverClientBuilder builder = twin.client();
            if (preparer != null) {
                builder.prepare(preparer);
            }
            try (FailoverClient client = builder.build()) {
                try (FailoverStreamingResponse response =
                        client.sendStreamingAsync(FailoverRequest.get("/bulk/1000000")).get(20, TimeUnit.SECONDS)) {
                    assertEquals(1_000_000, response.body().readAllBytes().length);
                }
                twin.fault("primary", "stall", "");
                long before = twin.received("primary");
                CompletableFuture<FailoverStreamingResponse> call = client.sendStreamingAsync(LARGE);
                twin.await("primary", "received_at_least=" + (before + 1));
                assertTrue(call.cancel(true));
                assertThrows(CancellationException.class, call::get);
                twin.clear();
                twin.await("primary", "in_flight_at_most=0");
            }
        }
    }

    /** Completed from outside at any time: no connection stays behind. */
    @Test
    void aResponseThatNobodyWantsIsClosed() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            List<CompletableFuture<FailoverStreamingResponse>> calls = new ArrayList<>();
            for (int i = 0; i < 40; i++) {
                CompletableFuture<FailoverStreamingResponse> call = client.sendStreamingAsync(LARGE);
                calls.add(call);
                if (i % 2 == 0) {
                    twin.await("primary", "in_flight_at_least=1");
                }
                call.cancel(true);
            }
            for (CompletableFuture<FailoverStreamingResponse> call : calls) {
                if (!call.isCancelled()) {
                    call.get(20, TimeUnit.SECONDS).close();
                }
            }
            // Not by its being collected: the futures are still there, and hold nothing.
            twin.await("primary", "in_flight_at_most=0");
            assertEquals(40, calls.size());
        }
    }

    @Test
    void manyThreadsReadAtOnce() throws Exception {
        AtomicReference<Throwable> unexpected = new AtomicReference<>();
        List<Thread> threads = new ArrayList<>();
        try (FailoverClient client = twin.client().build()) {
            byte[] whole = client.send(FailoverRequest.get("/bulk/500000")).body();
            for (int i = 0; i < 8; i++) {
                boolean wait = i % 2 == 0;
                Thread thread = new Thread(() -> {
                    try {
                        for (int call = 0; call < 20; call++) {
                            FailoverRequest request = FailoverRequest.get("/bulk/500000");
                            try (FailoverStreamingResponse response = wait
                                    ? client.sendStreaming(request)
                                    : client.sendStreamingAsync(request).get(20, TimeUnit.SECONDS)) {
                                assertArrayEquals(whole, response.body().readAllBytes());
                            }
                        }
                    } catch (Throwable e) {
                        unexpected.compareAndSet(null, e);
                    }
                });
                thread.start();
                threads.add(thread);
            }
            for (Thread thread : threads) {
                thread.join(60_000);
            }
        }
        if (unexpected.get() != null) {
            throw new AssertionError(unexpected.get());
        }
    }
}
