package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.Await;
import io.github.d365failover.support.Throwing;
import io.github.d365failover.support.Tracked;
import io.github.d365failover.support.Twin;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RequestBodyTest {
    private static final String API = ",\"path\":\"/api\"";
    private static Twin twin;

    @TempDir
    Path temporary;

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

    private static FailoverRequest.Builder create() {
        return FailoverRequest.builder("POST", "/api/data/v9.2/accounts").header("Content-Type", "application/json");
    }

    private static String row(String name) {
        return "{\"name\":\"" + name + "\"}";
    }

    @Test
    void everyKindOfBodyArrives() throws Exception {
        Path file = temporary.resolve("body.json");
        Files.writeString(file, row("of a file"));
        Tracked known = new Tracked(row("of a source, known length"));
        Tracked unknown = new Tracked(row("of a source"));
        Tracked.Stream once = new Tracked(row("of a stream")).open();
        Tracked.Stream onceKnown = new Tracked(row("of a stream, known length")).open();
        try (FailoverClient client = twin.client().build()) {
            for (FailoverRequest request : List.of(
                    create().body(file).build(),
                    create().body(known::open, known.length()).build(),
                    create().body(unknown::open).build(),
                    create().body(once).build(),
                    create().body(onceKnown, row("of a stream, known length").length()).build())) {
                assertEquals(204, client.send(request).status());
            }
        }
        for (String name : List.of(
                "of a file", "of a source, known length", "of a source", "of a stream", "of a stream, known length")) {
            assertTrue(twin.hasRow("primary", name), name);
        }
        assertEquals(1, known.opened());
        assertTrue(known.allClosed());
        assertTrue(unknown.allClosed());
        assertEquals(1, once.closed());
        assertEquals(1, onceKnown.closed());
    }

    @Test
    void aLengthThatIsRightIsNoError() throws Exception {
        String length = String.valueOf(row("told").length());
        try (FailoverClient client = twin.client().build()) {
            for (FailoverRequest.Builder request : List.of(
                    create().body(row("told")),
                    create().body(new Tracked(row("told"))::open),
                    create().body(new Tracked(row("told"))::open, row("told").length()))) {
                FailoverRequest right = request.header("Content-Length", length).build();
                assertEquals(204, client.send(right).status());
            }
            FailoverRequest wrong = create().body(row("too long")).header("Content-Length", length).build();
            FailoverUsageException thrown = assertThrows(FailoverUsageException.class, () -> client.send(wrong));
            assertTrue(thrown.getMessage().contains("Content-Length says " + length), thrown.getMessage());
        }
        assertFalse(twin.hasRow("primary", "too long"));
    }

    @Test
    void aSourceIsReadAnewOnASwitch() throws Exception {
        twin.fault("primary", "datacenter_not_available", "");
        Tracked body = new Tracked(row("read anew"));
        try (FailoverClient client = twin.client().build()) {
            FailoverResponse response = client.send(create().body(body::open).build());
            assertEquals(204, response.status());
            assertTrue(response.switched());
        }
        assertEquals(2, body.opened());
        assertTrue(body.allClosed());
        assertTrue(twin.hasRow("alternate", "read anew"));
        assertFalse(twin.hasRow("primary", "read anew"));
    }

    @Test
    void aStreamThatWasBegunIsNotSentAgain() throws Exception {
        twin.fault("primary", "datacenter_not_available", "");
        Tracked.Stream body = new Tracked(row("begun")).open();
        try (FailoverClient client = twin.client().build()) {
            FailoverException e =
                    assertThrows(FailoverException.class, () -> client.send(create().body(body).build()));
            assertEquals(ErrorKind.DATACENTER_NOT_AVAILABLE, e.kind());
            assertEquals(Effect.NOT_EXECUTED, e.effect());
            assertEquals(1, e.attempts().size());
        }
        assertEquals(1, body.closed());
        assertFalse(twin.hasRow("alternate", "begun"));
    }

    @Test
    void aStreamThatWasNotBegunIsSentToTheOtherEndpoint() throws Exception {
        twin.fault("primary", "refuse", "");
        Tracked.Stream body = new Tracked(row("not begun")).open();
        try (FailoverClient client = twin.client().build()) {
            FailoverResponse response = client.send(create().body(body).build());
            assertEquals(204, response.status());
            assertEquals(2, response.attempts().size());
        }
        assertEquals(1, body.closed());
        assertTrue(twin.hasRow("alternate", "not begun"));
    }

    @Test
    void aServerThatRefusesAtTheHeadGetsNothingOfTheStream() throws Exception {
        twin.fault("primary", "answer_at_head", ",\"answer\":{\"kind\":\"datacenter_not_available\"}");
        Tracked.Stream body = new Tracked(row("expected")).open();
        try (FailoverClient client = twin.client().build()) {
            FailoverResponse response =
                    client.send(create().header("Expect", "100-continue").body(body).build());
            assertEquals(204, response.status());
            assertEquals(2, response.attempts().size());
            assertEquals(503, response.attempts().get(0).httpStatus().orElseThrow());
        }
        assertTrue(twin.hasRow("alternate", "expected"));
    }

    @Test
    void aStreamServesOneCallOnly() throws Exception {
        FailoverRequest request = create().body(new Tracked(row("once")).open()).build();
        try (FailoverClient client = twin.client().build()) {
            assertEquals(204, client.send(request).status());
            assertThrows(FailoverUsageException.class, () -> client.send(request));
            assertThrows(FailoverUsageException.class, () -> client.sendAsync(request));
            FailoverRequest again = create().body(new Tracked(row("again"))::open).build();
            assertEquals(204, client.send(again).status());
            assertEquals(204, client.sendAsync(again).get(20, TimeUnit.SECONDS).status());
        }
    }

    @Test
    void whatAStreamThrowsIsTheCause() throws Exception {
        for (Throwable thrown : List.of(
                new IOException("thrown by a test: kein Anschluss 😀"),
                new IllegalStateException("thrown by a test"),
                // No interrupt, whatever its class: some streams say so that they waited too long.
                new InterruptedIOException("thrown by a test: timeout"),
                new StackOverflowError("thrown by a test"))) {
            Tracked.Stream body = new Tracked.Stream(new InputStream() {
                private int given;

                @Override
                public int read() {
                    if (given++ < 1000) {
                        return ' ';
                    }
                    Throwing.<RuntimeException>sneakily(thrown);
                    return -1;
                }

                @Override
                public int read(byte[] buffer, int offset, int length) {
                    buffer[offset] = (byte) read();
                    return 1;
                }
            });
            try (FailoverClient client = twin.client().build()) {
                FailoverException e =
                        assertThrows(FailoverException.class, () -> client.send(create().body(body).build()));
                assertEquals(ErrorKind.LOCAL, e.kind(), e.getMessage());
                assertSame(thrown, e.getCause().getCause());
                assertTrue(e.getMessage().contains("the body's reader failed: " + thrown), e.getMessage());
                assertFalse(e.switched());
                assertEquals(1, body.closed());
                FailoverRequest request = create().body(() -> Throwing.sneakilyGiven(thrown)).build();
                Throwable later = assertThrows(
                                ExecutionException.class, () -> client.sendAsync(request).get(20, TimeUnit.SECONDS))
                        .getCause();
                assertSame(thrown, later.getCause().getCause());
                // The client has come to no harm.
                assertEquals(204, client.send(create().body(row("unharmed")).build()).status());
            }
        }
    }

    /** What is known of the write does not go because of it: languages without checked exceptions close so as well. */
    @Test
    void whatAStreamThrowsWhenItIsClosedChangesNothing() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            for (Throwable thrown : List.of(
                    new IOException("thrown by a test"),
                    new IllegalStateException("thrown by a test"),
                    new Exception("thrown by a test, and not declared"),
                    new AssertionError("thrown by a test"))) {
                BodySource source = () -> new ByteArrayInputStream(row("closed badly").getBytes(StandardCharsets.UTF_8)) {
                    @Override
                    public void close() {
                        Throwing.<RuntimeException>sneakily(thrown);
                    }
                };
                assertEquals(Effect.EXECUTED, client.send(create().body(source).build()).effect());
                assertEquals(
                        Effect.EXECUTED,
                        client.sendAsync(create().body(source.open()).build())
                                .get(20, TimeUnit.SECONDS)
                                .effect());
            }
        }
    }

    @Test
    void aSourceThatFailsTheSecondTimeEndsTheCall() throws Exception {
        twin.fault("primary", "datacenter_not_available", "");
        Tracked body = new Tracked(row("gone the second time"));
        IOException gone = new IOException("gone");
        try (FailoverClient client = twin.client().build()) {
            FailoverException e = assertThrows(
                    FailoverException.class,
                    () -> client.send(create()
                            .body(() -> {
                                if (body.opened() > 0) {
                                    throw gone;
                                }
                                return body.open();
                            })
                            .build()));
            assertSame(gone, e.getCause().getCause());
            assertTrue(body.allClosed());
            assertFalse(twin.hasRow("alternate", "gone the second time"));
        }
    }

    @Test
    void aSourceThatGivesNothingIsALocalFailure() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            FailoverException e = assertThrows(
                    FailoverException.class, () -> client.send(create().body(() -> null).build()));
            assertEquals(ErrorKind.LOCAL, e.kind());
            assertInstanceOf(NullPointerException.class, e.getCause().getCause());
        }
    }

    @Test
    void aLengthThatIsNotTheStreamsIsALocalFailure() throws Exception {
        Tracked body = new Tracked(row("wrong length"));
        try (FailoverClient client = twin.client().build()) {
            for (int length : new int[] {1, body.length() - 1, body.length() + 1}) {
                FailoverException e = assertThrows(
                        FailoverException.class, () -> client.send(create().body(body::open, length).build()), "" + length);
                assertEquals(ErrorKind.LOCAL, e.kind(), e.getMessage());
                assertFalse(e.switched());
                assertTrue(body.allClosed());
            }
            assertThrows(FailoverUsageException.class, () -> create().body(body::open, -1));
            assertThrows(FailoverUsageException.class, () -> create().body(body.open(), -1));
        }
        assertFalse(twin.hasRow("primary", "wrong length"));
    }

    @Test
    void whatIsNoFileIsNotSent() throws Exception {
        Map<Path, Class<?>> causes = Map.of(
                temporary.resolve("nothing"), NoSuchFileException.class,
                temporary, FileSystemException.class,
                Path.of("/dev/null"), FileSystemException.class);
        for (Path file : causes.keySet()) {
            FailoverRequest request = create().body(file).build();
            try (FailoverClient client = twin.client().build()) {
                FailoverException e = assertThrows(FailoverException.class, () -> client.send(request));
                assertEquals(ErrorKind.LOCAL, e.kind());
                assertEquals(Effect.NOT_EXECUTED, e.effect());
                assertEquals(causes.get(file), e.getCause().getClass());
                Throwable later = assertThrows(
                                ExecutionException.class, () -> client.sendAsync(request).get(20, TimeUnit.SECONDS))
                        .getCause();
                assertEquals(causes.get(file), later.getCause().getClass());
            }
        }
    }

    @Test
    void aStreamThatHasNothingAtTheMomentIsNotAtItsEnd() throws Exception {
        InputStream hesitating = new ByteArrayInputStream(row("hesitating").getBytes(StandardCharsets.UTF_8)) {
            private boolean hesitates = true;

            @Override
            public synchronized int read(byte[] buffer, int offset, int length) {
                hesitates = !hesitates;
                return hesitates ? super.read(buffer, offset, Math.min(length, 3)) : 0;
            }
        };
        try (FailoverClient client = twin.client().build()) {
            assertEquals(204, client.send(create().body(hesitating).build()).status());
        }
        assertTrue(twin.hasRow("primary", "hesitating"));
    }

    @Test
    void theStreamIsClosedWhenTheCallIsNotEvenBegun() throws Exception {
        Tracked body = new Tracked(row("not begun at all"));
        FailoverClient client = twin.client().build();
        Thread.currentThread().interrupt();
        assertThrows(FailoverException.class, () -> client.send(create().body(body.open()).build()));
        assertTrue(Thread.interrupted());
        assertThrows(
                FailoverUsageException.class,
                () -> client.send(FailoverRequest.builder("P T", "/").body(body.open()).build()));
        client.close();
        assertThrows(FailoverException.class, () -> client.send(create().body(body.open()).build()));
        CompletableFuture<FailoverResponse> call = client.sendAsync(create().body(body.open()).build());
        FailoverException e = assertInstanceOf(
                FailoverException.class,
                assertThrows(ExecutionException.class, () -> call.get(20, TimeUnit.SECONDS)).getCause());
        assertEquals(ErrorKind.CLOSED, e.kind());
        assertEquals(4, body.opened());
        assertTrue(body.allClosed());
    }

    /** Gives nothing until it is interrupted or opened. */
    private static final class Blocked extends InputStream {
        final CountDownLatch asked = new CountDownLatch(1);
        final CountDownLatch closed = new CountDownLatch(1);
        private final CountDownLatch never = new CountDownLatch(1);

        @Override
        public int read() throws IOException {
            asked.countDown();
            try {
                never.await();
                return -1;
            } catch (InterruptedException e) {
                return Throwing.sneakilyGiven(e);
            }
        }

        @Override
        public int read(byte[] buffer, int offset, int length) throws IOException {
            return read();
        }

        @Override
        public void close() {
            closed.countDown();
        }
    }

    @Test
    void anInterruptEndsACallWhoseStreamWaits() throws Exception {
        Blocked body = new Blocked();
        AtomicReference<Throwable> thrown = new AtomicReference<>();
        try (FailoverClient client = twin.client().build()) {
            Thread caller = new Thread(() -> {
                try {
                    client.send(create().body(body).build());
                } catch (Throwable e) {
                    assertTrue(Thread.interrupted(), "the flag stays set");
                    thrown.set(e);
                }
            });
            caller.start();
            assertTrue(body.asked.await(20, TimeUnit.SECONDS));
            caller.interrupt();
            caller.join(20_000);
            FailoverException e = assertInstanceOf(FailoverException.class, thrown.get());
            assertEquals(ErrorKind.CANCELLED, e.kind());
            assertInstanceOf(InterruptedException.class, e.getCause().getCause());
            assertEquals(0, body.closed.getCount());
        }
    }

    /** A pipe of Java's clears the flag, and throws. */
    @Test
    void anInterruptEndsACallWhoseStreamClearsTheFlag() throws Exception {
        PipedInputStream pipe = new PipedInputStream(new PipedOutputStream());
        AtomicReference<Throwable> thrown = new AtomicReference<>();
        AtomicReference<Boolean> flag = new AtomicReference<>();
        try (FailoverClient client = twin.client().build()) {
            Thread caller = new Thread(() -> {
                try {
                    client.send(create().body(pipe).build());
                } catch (Throwable e) {
                    flag.set(Thread.interrupted());
                    thrown.set(e);
                }
            });
            caller.start();
            Await.that(() -> List.of(caller.getStackTrace()).stream()
                    .anyMatch(frame -> frame.getClassName().equals(PipedInputStream.class.getName())));
            caller.interrupt();
            caller.join(20_000);
            FailoverException e = assertInstanceOf(FailoverException.class, thrown.get());
            assertEquals(ErrorKind.CANCELLED, e.kind(), e.toString());
            assertInstanceOf(InterruptedIOException.class, e.getCause().getCause());
            assertTrue(flag.get(), "the flag stays set");
        }
    }

    @Test
    void cancellingTheFutureEndsACallWhoseStreamWaits() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            Blocked body = new Blocked();
            CompletableFuture<FailoverResponse> call = client.sendAsync(create().body(body).build());
            assertTrue(body.asked.await(20, TimeUnit.SECONDS));
            assertTrue(call.cancel(true));
            assertTrue(body.closed.await(20, TimeUnit.SECONDS));
            // The thread serves others again, and hears nothing of that interrupt.
            assertEquals(
                    204,
                    client.sendAsync(create().body(new Tracked(row("after a cancel"))::open).build())
                            .get(20, TimeUnit.SECONDS)
                            .status());
        }
    }

    @Test
    void cancellingTheFutureEndsACallThatWaitsForItsAnswer() throws Exception {
        twin.fault("primary", "accept_never_answer", API);
        try (FailoverClient client = twin.client().build()) {
            long before = twin.received("primary");
            CompletableFuture<FailoverResponse> call =
                    client.sendAsync(create().body(new Tracked(row("never answered"))::open).build());
            twin.await("primary", "received_at_least=" + (before + 1));
            assertTrue(call.cancel(true));
            twin.await("primary", "in_flight_at_most=0");
        }
    }

    @Test
    void closingTheClientEndsACallWhoseStreamWaits() throws Exception {
        FailoverClient client = twin.client().build();
        Blocked body = new Blocked();
        CompletableFuture<FailoverResponse> call = client.sendAsync(create().body(body).build());
        assertTrue(body.asked.await(20, TimeUnit.SECONDS));
        client.close(Duration.ofMillis(50));
        FailoverException e = assertInstanceOf(
                FailoverException.class,
                assertThrows(ExecutionException.class, () -> call.get(20, TimeUnit.SECONDS)).getCause());
        assertEquals(ErrorKind.CANCELLED, e.kind());
        assertEquals(0, body.closed.getCount());
    }

    @Test
    void aBodyMayUseTheClientThatReadsIt() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            BodySource nested = () -> {
                FailoverResponse inner = client.send(create().body(new Tracked(row("inner"))::open).build());
                return new Tracked(row("outer after " + inner.status())).open();
            };
            assertEquals(204, client.send(create().body(nested).build()).status());
        }
        assertTrue(twin.hasRow("primary", "inner"));
        assertTrue(twin.hasRow("primary", "outer after 204"));
    }

    @Test
    void manyThreadsOverASwitch() throws Exception {
        List<Thread> threads = new ArrayList<>();
        // Other tests send the same row twice.
        int duplicates = twin.duplicates();
        AtomicReference<Throwable> unexpected = new AtomicReference<>();
        CountDownLatch half = new CountDownLatch(8 * 20);
        try (FailoverClient client = twin.client().build()) {
            for (int i = 0; i < 8; i++) {
                int number = i;
                Thread thread = new Thread(() -> {
                    try {
                        for (int call = 0; call < 40; call++) {
                            Tracked body = new Tracked(row("thread-" + number + "-" + call));
                            FailoverRequest request = create().body(body::open).build();
                            FailoverResponse response = number % 2 == 0
                                    ? client.send(request)
                                    : client.sendAsync(request).get(60, TimeUnit.SECONDS);
                            assertEquals(204, response.status());
                            assertTrue(body.allClosed());
                            half.countDown();
                        }
                    } catch (Throwable e) {
                        unexpected.compareAndSet(null, e);
                    }
                });
                thread.start();
                threads.add(thread);
            }
            half.await(20, TimeUnit.SECONDS);
            twin.fault("primary", "datacenter_not_available", "");
            for (Thread thread : threads) {
                thread.join(60_000);
                assertFalse(thread.isAlive());
            }
        }
        if (unexpected.get() != null) {
            throw new AssertionError(unexpected.get());
        }
        assertEquals(duplicates, twin.duplicates());
    }
}
