package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.Await;
import io.github.d365failover.support.Twin;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
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
    void aTokenForOnceIsAskedForEachTime() throws Exception {
        BlockingQueue<URI> asked = new LinkedBlockingQueue<>();
        try (FailoverClient client = twin.client()
                .tokenProvider(request -> {
                    asked.add(request.uri());
                    return Token.of("twin-token-for-" + request.uri().getHost());
                })
                .build()) {
            assertEquals(200, client.send(WHO_AM_I).status());
            assertEquals(200, client.send(WHO_AM_I).status());
        }
        assertEquals(2, asked.size());
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
