package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.Accounts;
import io.github.d365failover.support.Await;
import io.github.d365failover.support.Twin;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What only the preset {@code safe} does, as Java sees it. */
class SafeTest {
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
        twin.tokens("off");
        twin.clear();
    }

    @Test
    void aCallThatIsThrottledWaitsAndTells() throws Exception {
        twin.fault(
                "primary",
                "status",
                ",\"path\":\"/api\",\"times\":1,\"status\":429,\"headers\":{\"Retry-After\":\"1\"},\"body\":\"\"");
        BlockingQueue<ThrottledEvent> events = new LinkedBlockingQueue<>();
        try (FailoverClient client = twin.safeClient().build()) {
            client.addThrottledListener(events::add);
            FailoverResponse response = client.send(WHO_AM_I);
            assertEquals(200, response.status());
            assertEquals(2, response.attempts().size());
            ThrottledEvent event = Await.next(events);
            assertTrue(event.retryAfter().compareTo(Duration.ofSeconds(1)) >= 0, event.retryAfter().toString());
            assertEquals("GET", event.method());
            assertEquals(Twin.PRIMARY + "/api/data/v9.2/WhoAmI", event.url());
        }
    }

    @Test
    void aSwitchSaysWhatItsProbeHasFound() throws Exception {
        twin.tokens("check");
        twin.fault("primary", "refuse", "");
        BlockingQueue<Optional<Probed>> found = new LinkedBlockingQueue<>();
        try (FailoverClient client = twin.safeClient().build()) {
            client.addEndpointSwitchedListener(event -> found.add(event.probed()));
            assertEquals(401, client.send(WHO_AM_I).status());
            assertEquals(Optional.of(Probed.REACHABLE), Await.next(found));
        }
        try (FailoverClient client = twin.safeClient()
                .tokenProvider(request -> Token.of("twin-token-for-" + request.uri().getHost()))
                .build()) {
            client.addEndpointSwitchedListener(event -> found.add(event.probed()));
            assertEquals(200, client.send(WHO_AM_I).status());
            assertEquals(Optional.of(Probed.SERVES), Await.next(found));
        }
    }

    @Test
    void aGuardedCreateIsSentAgainWithoutADuplicate() throws Exception {
        twin.fault("primary", "commit_then_close", ",\"path_contains\":\"accounts\",\"times\":1");
        try (FailoverClient client = twin.safeClient().build()) {
            FailoverResponse response = client.send(Accounts.create("guarded").guardedCreate().build());
            assertEquals(Effect.EXECUTED, response.effect());
            assertTrue(response.attempts().size() >= 2, response.attempts().toString());
            LedgerEntry entry = client.ledger().get(0);
            assertEquals("PATCH", entry.method());
            assertEquals(Operation.GUARDED, entry.operation());
            assertTrue(twin.hasRow("primary", "guarded"));
            assertEquals(0, twin.duplicates());
        }
    }

    @Test
    void whatIsKnownOfAWriteInDoubtOutlivesItsProcess() throws Exception {
        twin.fault("primary", "commit_then_close", ",\"path_contains\":\"accounts\",\"times\":1");
        try (FailoverClient client = twin.safeClient().build()) {
            WriteInDoubtException told = assertThrows(
                    WriteInDoubtException.class,
                    () -> client.send(Accounts.create("elsewhere").tag("a tag").build()));
            assertEquals(client.suspects().get(0).id(), told.ledgerId().orElseThrow());
            WriteInDoubtException read = (WriteInDoubtException) copied(told);
            for (FailoverException e : List.of(read, (FailoverException) read.getCause())) {
                assertEquals(told.getMessage(), e.getMessage());
                assertEquals(
                        List.of(told.kind(), told.effect(), told.ledgerId(), told.tag(), told.cause(), told.status()),
                        List.of(e.kind(), e.effect(), e.ledgerId(), e.tag(), e.cause(), e.status()));
                assertEquals(List.of(told.code(), told.retryAfter()), List.of(e.code(), e.retryAfter()));
                assertEquals(List.of(List.of(), Optional.empty()), List.of(e.attempts(), e.response()));
            }
        }
    }

    private static Object copied(Object told) throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
            out.writeObject(told);
        }
        try (ObjectInputStream in = new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
            return in.readObject();
        }
    }

    @Test
    void aRequestThatIsNoCreateCannotBeAGuardedOne() throws Exception {
        try (FailoverClient client = twin.safeClient().build()) {
            for (FailoverRequest request : new FailoverRequest[] {
                FailoverRequest.builder("GET", Accounts.PATH).guardedCreate().build(),
                FailoverRequest.builder("DELETE", Accounts.PATH + "(1)").guardedCreate().build(),
                FailoverRequest.builder("POST", "/api/data/v9.2/$batch").body("x").guardedCreate().build(),
            }) {
                refused(assertThrows(FailoverUsageException.class, () -> client.send(request), request::toString));
                ExecutionException e = assertThrows(
                        ExecutionException.class, () -> client.sendAsync(request).get(20, TimeUnit.SECONDS));
                refused(e.getCause());
            }
            assertEquals(0, client.ledger().size());
        }
    }

    private static void refused(Throwable e) {
        assertEquals(ErrorKind.INVALID_ARGUMENT, assertInstanceOf(FailoverUsageException.class, e).kind());
    }

    @Test
    void anUpdateShortlyAfterASwitchCreatesNoFragment() throws Exception {
        String row = Accounts.PATH + "(00000000-0000-0000-0000-00000000abcd)";
        FailoverRequest.Builder patch = FailoverRequest.builder("PATCH", row)
                .header("Content-Type", "application/json")
                .body(Accounts.body("fragment"));
        try (FailoverClient client = twin.safeClient().build()) {
            client.switchEndpoint();
            assertEquals(404, client.send(patch.build()).status());
            assertFalse(twin.hasRow("alternate", "fragment"));
            assertEquals(Effect.EXECUTED, client.send(patch.upsert().build()).effect());
            assertTrue(twin.hasRow("alternate", "fragment"));
        }
    }
}
