package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.Await;
import io.github.d365failover.support.Twin;
import java.net.URI;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class TokenProviderTest {
    private static final FailoverRequest WHO_AM_I = FailoverRequest.get("/api/data/v9.2/WhoAmI");
    private static Twin twin;

    @BeforeAll
    static void start() throws Exception {
        twin = Twin.start();
        twin.tokens("check");
    }

    @AfterAll
    static void stop() throws Exception {
        twin.close();
    }

    @AfterEach
    void clear() throws Exception {
        twin.clear();
    }

    private static Token tokenFor(TokenRequest request) {
        return Token.of("twin-token-for-" + request.uri().getHost(), Duration.ofHours(1));
    }

    @Test
    void eachEndpointGetsATokenOfItsOwn() throws Exception {
        List<String> asked = new CopyOnWriteArrayList<>();
        try (FailoverClient client = twin.client()
                .tokenProvider(request -> {
                    asked.add(request.role() + " " + request.uri());
                    return tokenFor(request);
                })
                .build()) {
            assertEquals(200, client.send(WHO_AM_I).status());
            assertEquals(200, client.send(WHO_AM_I).status());
            twin.fault("primary", "refuse", "");
            assertEquals(200, client.send(WHO_AM_I).status());
        }
        assertEquals(List.of("PRIMARY " + Twin.PRIMARY, "ALTERNATE " + Twin.ALTERNATE), List.copyOf(asked));
    }

    @Test
    void aProviderThatThrowsFailsTheCall() throws Exception {
        for (TokenProvider provider : List.<TokenProvider>of(
                request -> {
                    throw new IllegalStateException("der Schlüssel 😀 fehlt");
                },
                request -> {
                    throw new StackOverflowError("der Schlüssel 😀 fehlt");
                },
                request -> {
                    throw new InterruptedException("der Schlüssel 😀 fehlt");
                })) {
            try (FailoverClient client = twin.client().tokenProvider(provider).build()) {
                FailoverException e = assertThrows(FailoverException.class, () -> client.send(WHO_AM_I));
                assertEquals(ErrorKind.AUTHENTICATION, e.kind());
                assertTrue(e.getMessage().contains("der Schlüssel 😀 fehlt"), e.getMessage());
                assertEquals("der Schlüssel 😀 fehlt", e.getCause().getMessage());
                // The next call asks again.
                assertThrows(FailoverException.class, () -> client.send(WHO_AM_I));
            }
        }
    }

    @Test
    void aProviderWithoutATokenFailsTheCall() throws Exception {
        try (FailoverClient client = twin.client().tokenProvider(request -> null).build()) {
            FailoverException e = assertThrows(FailoverException.class, () -> client.send(WHO_AM_I));
            assertEquals(ErrorKind.AUTHENTICATION, e.kind());
        }
        try (FailoverClient client = twin.client().tokenProvider(request -> Token.of("a\0b")).build()) {
            FailoverException e = assertThrows(FailoverException.class, () -> client.send(WHO_AM_I));
            assertEquals(ErrorKind.AUTHENTICATION, e.kind());
        }
    }

    @Test
    void anEmptyTokenFailsTheCallAndSaysSo() throws Exception {
        try (FailoverClient client = twin.client().tokenProvider(request -> Token.of("")).build()) {
            FailoverException e = assertThrows(FailoverException.class, () -> client.send(WHO_AM_I));
            assertEquals(ErrorKind.AUTHENTICATION, e.kind());
            assertTrue(e.getMessage().contains("empty"), e.getMessage());
        }
    }

    @Test
    void aTokenIsKeptAsLongAsIsSaidAndAFewSecondsWhereNobodySays() throws Exception {
        Duration[] lives = {
            null,
            Duration.ofHours(1),
            ChronoUnit.FOREVER.getDuration(),
            Duration.ZERO,
            Duration.ofSeconds(-1),
            Duration.ofSeconds(Long.MIN_VALUE)
        };
        for (Duration life : lives) {
            BlockingQueue<URI> asked = new LinkedBlockingQueue<>();
            try (FailoverClient client = twin.client()
                    .tokenProvider(request -> {
                        asked.add(request.uri());
                        String value = "twin-token-for-" + request.uri().getHost();
                        return life == null ? Token.of(value) : Token.of(value, life);
                    })
                    .build()) {
                for (int i = 0; i < 20; i++) {
                    assertEquals(200, client.send(WHO_AM_I).status());
                }
            }
            boolean isKept = life == null || life.compareTo(Duration.ZERO) > 0;
            assertTrue(isKept ? asked.size() < 10 : asked.size() == 20, asked.size() + " times for " + life);
        }
    }

    @Test
    void whatCannotBeATokenIsRefused() throws Exception {
        for (String value : List.of("Bearer secret", "bearer secret", "secret\n", " secret", "secret".repeat(100_000))) {
            try (FailoverClient client =
                    twin.client().tokenProvider(request -> Token.of(value)).build()) {
                FailoverException e = assertThrows(FailoverException.class, () -> client.send(WHO_AM_I));
                assertEquals(ErrorKind.AUTHENTICATION, e.kind());
                assertTrue(e.getMessage().matches("(?s).*(Bearer|white space|longer).*"), e.getMessage());
                assertFalse(e.getMessage().contains("secret"), e.getMessage());
                assertTrue(e.getCause() instanceof FailoverUsageException, String.valueOf(e.getCause()));
            }
        }
    }

    @Test
    void whatAProviderThrowsIsTheCauseOfAllThatWaited() throws Exception {
        IllegalStateException thrown = new IllegalStateException("no credentials here");
        CountDownLatch open = new CountDownLatch(1);
        try (FailoverClient client = twin.client()
                .tokenProvider(request -> {
                    assertTrue(open.await(60, TimeUnit.SECONDS));
                    throw thrown;
                })
                .build()) {
            List<CompletableFuture<?>> calls = new ArrayList<>();
            for (int i = 0; i < 10; i++) {
                calls.add(client.sendAsync(WHO_AM_I));
                calls.add(client.sendStreamingAsync(WHO_AM_I));
            }
            open.countDown();
            for (CompletableFuture<?> call : calls) {
                ExecutionException e =
                        assertThrows(ExecutionException.class, () -> call.get(20, TimeUnit.SECONDS));
                assertSame(thrown, e.getCause().getCause());
            }
            FailoverException e = assertThrows(FailoverException.class, () -> client.send(WHO_AM_I));
            assertSame(thrown, e.getCause());
        }
    }

    @Test
    void aProviderThatCallsItsOwnClientIsRefusedAtOnce() throws Exception {
        AtomicReference<FailoverClient> own = new AtomicReference<>();
        List<ErrorKind> refused = new CopyOnWriteArrayList<>();
        try (FailoverClient client = twin.client()
                .tokenProvider(request -> {
                    FailoverClient of = own.get();
                    refused.add(assertThrows(FailoverException.class, () -> of.send(WHO_AM_I))
                            .kind());
                    refused.add(assertThrows(FailoverException.class, of::discover).kind());
                    Throwable e = assertThrows(
                                    ExecutionException.class,
                                    () -> of.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS))
                            .getCause();
                    refused.add(((FailoverException) e).kind());
                    return tokenFor(request);
                })
                .build()) {
            own.set(client);
            assertEquals(200, client.send(WHO_AM_I).status());
            assertEquals(List.of(ErrorKind.WOULD_DEADLOCK, ErrorKind.WOULD_DEADLOCK, ErrorKind.WOULD_DEADLOCK), refused);
        }
    }

    @Test
    void whoseTokenWinsIsASetting() throws Exception {
        for (TokenPrecedence precedence : TokenPrecedence.values()) {
            try (FailoverClient client = twin.client()
                    .tokenProvider(TokenProviderTest::tokenFor)
                    .tokenPrecedence(precedence)
                    .build()) {
                client.switchEndpoint();
                FailoverRequest request = FailoverRequest.builder("GET", "/api/data/v9.2/WhoAmI")
                        .header("Authorization", "Bearer twin-token-for-" + URI.create(Twin.PRIMARY).getHost())
                        .build();
                assertEquals(precedence == TokenPrecedence.PROVIDER ? 200 : 401, client.send(request).status());
            }
        }
    }

    @Test
    void aProviderThatHangsDoesNotKeepTheOtherEndpointsTokenWaiting() throws Exception {
        CountDownLatch open = new CountDownLatch(1);
        BlockingQueue<Role> asked = new LinkedBlockingQueue<>();
        try (FailoverClient client = twin.client()
                .tokenProvider(request -> {
                    asked.add(request.role());
                    if (request.role() == Role.PRIMARY) {
                        assertTrue(open.await(60, TimeUnit.SECONDS));
                    }
                    return tokenFor(request);
                })
                .build()) {
            var stuck = client.sendAsync(WHO_AM_I);
            assertEquals(Role.PRIMARY, Await.next(asked));
            client.switchEndpoint();
            assertEquals(200, client.send(WHO_AM_I).status());
            assertFalse(stuck.isDone());
            open.countDown();
            stuck.get(20, TimeUnit.SECONDS);
        }
    }

    @Test
    void aTokenIsInNoText() {
        assertFalse(Token.of("secret", Duration.ofSeconds(1)).toString().contains("secret"));
    }
}
