package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.Accounts;
import io.github.d365failover.support.Await;
import io.github.d365failover.support.Twin;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What became of a write, what a loss of data puts in question, and the application's names for both. */
class VerifyTest {
    private static final String NEVER_THERE = "(aaaaaaaa-0000-0000-0000-000000000001)";
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
    void aCreateIsPresentWhereItsRowIs() throws Exception {
        try (FailoverClient client = twin.safeClient().build()) {
            long id = create(client, "there");
            LedgerEntry before = only(client.ledger());
            assertEquals(Optional.empty(), before.verified());
            assertEquals(Optional.empty(), before.verifiedAt());
            assertFalse(before.isFinal());
            assertEquals(Verified.PRESENT, client.verify(id));
            LedgerEntry entry = only(client.ledger());
            assertEquals(Optional.of(Verified.PRESENT), entry.verified());
            assertFalse(entry.verifiedAt().orElseThrow().isBefore(entry.ended().orElseThrow()));
            assertTrue(entry.isFinal());
            assertEquals(Verified.PRESENT, get(client.verifyAsync(id)));
            assertEquals(id, only(client.ledger()).id(), "a read is not on record");
        }
    }

    @Test
    void whatTheOtherSideHasNotIsMissing() throws Exception {
        try (FailoverClient client = twin.safeClient().build()) {
            long id = create(client, "left behind");
            client.switchEndpoint();
            assertEquals(id, only(client.suspects()).id());
            assertEquals(Verified.MISSING, get(client.verifyAsync(id)));
            LedgerEntry entry = only(client.suspects());
            assertEquals(Optional.of(Verified.MISSING), entry.verified());
            assertFalse(entry.isFinal(), "it may still come over");
            assertEquals(Verified.MISSING, client.verify(id));
            client.resolve(id, Resolution.LOST);
            assertEquals(List.of(), client.suspects());
        }
        try (FailoverClient client = twin.safeClient().replicationWindow(Duration.ofMillis(1)).build()) {
            twin.fault("primary", "reset_after_request", ",\"method\":\"PATCH\",\"times\":1");
            FailoverRequest upsert = FailoverRequest.builder("PATCH", Accounts.PATH + NEVER_THERE)
                    .header("Content-Type", "application/json")
                    .header("If-None-Match", "*")
                    .body(Accounts.body("never there"))
                    .operation(Operation.UNSAFE)
                    .build();
            FailoverException e = assertThrows(FailoverException.class, () -> client.send(upsert));
            assertEquals(Verified.MISSING, client.verify(e.ledgerId().orElseThrow()));
        }
    }

    @Test
    void whatNoRowCouldTellIsNotAsked() throws Exception {
        twin.fault("primary", "reset_after_request", ",\"method\":\"POST\"");
        try (FailoverClient client = twin.safeClient().build()) {
            long id = leaveInDoubt(client, "").ledgerId().orElseThrow();
            long received = twin.received("primary");
            assertEquals(Verified.UNVERIFIABLE, client.verify(id));
            assertEquals(Verified.UNVERIFIABLE, get(client.verifyAsync(id)));
            assertEquals(received, twin.received("primary"));
            assertEquals(Optional.of(Verified.UNVERIFIABLE), only(client.suspects()).verified());
        }
    }

    @Test
    void anAnswerThatTellsNothingIsAnError() throws Exception {
        try (FailoverClient client = twin.safeClient().autoSwitch(AutoSwitch.OFF).build()) {
            long id = create(client, "there");
            twin.fault("primary", "status", ",\"status\":403,\"method\":\"GET\",\"times\":2");
            FailoverException e = assertThrows(FailoverException.class, () -> client.verify(id));
            assertEquals(ErrorKind.AUTHENTICATION, e.kind());
            assertEquals(403, e.status().orElseThrow());
            assertTrue(e.getMessage().contains("the write " + id), e.getMessage());
            ExecutionException later =
                    assertThrows(ExecutionException.class, () -> get(client.verifyAsync(id)));
            assertEquals(403, assertInstanceOf(FailoverException.class, later.getCause()).status().orElseThrow());
            assertEquals(Optional.empty(), only(client.ledger()).verified());
            assertEquals(Verified.PRESENT, client.verify(id));
        }
    }

    @Test
    void onlyAWriteThatHasEndedCanBeAskedAbout() throws Exception {
        twin.fault("primary", "stall", ",\"method\":\"POST\"");
        try (FailoverClient client = twin.safeClient().build()) {
            long before = twin.received("primary");
            CompletableFuture<FailoverResponse> call = client.sendAsync(Accounts.create("in flight").build());
            twin.await("primary", "received_at_least=" + (before + 1));
            long id = only(client.ledger()).id();
            for (long asked : new long[] {id, id + 1, 0, -1, Long.MAX_VALUE, Long.MIN_VALUE}) {
                notAvailable(asked, assertThrows(FailoverUsageException.class, () -> client.verify(asked)));
                notAvailable(asked, assertThrows(FailoverUsageException.class, () -> client.verifyAsync(asked)));
            }
            twin.clear();
            get(call);
            assertEquals(Verified.PRESENT, client.verify(id));
        }
        FailoverClient closed = twin.safeClient().build();
        closed.close();
        // As a call that is sent.
        FailoverException e = assertThrows(FailoverException.class, () -> closed.verify(1));
        assertEquals(ErrorKind.CLOSED, e.kind());
        assertThrows(FailoverStateException.class, () -> closed.suspectSince(Instant.EPOCH));
        assertThrows(FailoverStateException.class, closed::ledgerEvicted);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aWalkThatIsCancelledAfterItsFirstStepBeginsNothingMore(boolean byWhatDependsOnIt) throws Exception {
        try (FailoverClient client = twin.safeClient().probeAfter(Duration.ZERO).build()) {
            for (int i = 0; i < 12; i++) create(client, "walked " + i);
            client.suspectSince(Instant.EPOCH);
            long before = twin.received("primary");
            twin.fault("primary", "stall", ",\"method\":\"GET\",\"skip\":1");
            CompletableFuture<Settled> walk = client.settleAsync(SettlePolicy.VERIFY);
            CompletableFuture<Long> held = walk.thenApply(Settled::total);
            // Four at a time: the fifth is begun when the first step was told of.
            twin.await("primary", "received_at_least=" + (before + 5));
            assertTrue(byWhatDependsOnIt ? held.cancel(true) : walk.cancel(true));
            twin.clear();
            Await.that(() -> verified(client) >= 5);
            for (int i = 0; i < 50; i++) client.send(FailoverRequest.get(Accounts.PATH));
            assertEquals(5, verified(client));
        }
    }

    private static long verified(FailoverClient client) {
        return client.ledger().stream().filter(entry -> entry.verified().isPresent()).count();
    }

    @Test
    void theReadIsPreparedAndCanBeCancelled() throws Exception {
        List<String> prepared = Collections.synchronizedList(new ArrayList<>());
        try (FailoverClient client = twin.safeClient()
                .prepare(attempt -> prepared.add(attempt.method() + " " + attempt.uri().getPath()))
                .build()) {
            long id = create(client, "prepared");
            String row = Accounts.PATH + "(" + only(client.ledger()).rowUrl().orElseThrow().split("[()]")[1] + ")";
            assertEquals(Verified.PRESENT, get(client.verifyAsync(id)));
            assertEquals(List.of("POST " + Accounts.PATH, "GET " + row), List.copyOf(prepared));
            ExecutionException e =
                    assertThrows(ExecutionException.class, () -> get(client.verifyAsync(id + 1)));
            notAvailable(id + 1, assertInstanceOf(FailoverUsageException.class, e.getCause()));
        }
        try (FailoverClient client = twin.safeClient().build()) {
            long id = create(client, "asked");
            long before = twin.received("primary");
            twin.fault("primary", "stall", ",\"method\":\"GET\"");
            CompletableFuture<Verified> asked = client.verifyAsync(id);
            twin.await("primary", "received_at_least=" + (before + 1));
            assertTrue(asked.cancel(true));
            twin.await("primary", "in_flight_at_most=0");
            assertEquals(Optional.empty(), only(client.ledger()).verified());
        }
    }

    @Test
    void aLossOfDataPutsInQuestionWhatWasAcknowledgedSince() throws Exception {
        BlockingQueue<DataLossSuspectedEvent> events = new LinkedBlockingQueue<>();
        try (FailoverClient client = twin.safeClient().build()) {
            client.addDataLossSuspectedListener(events::add);
            Instant opened = Instant.now();
            long id = create(client, "acknowledged");
            SuspectedSince found = client.suspectSince(Instant.EPOCH);
            assertEquals(1, found.acknowledged());
            assertTrue(found.onRecordSince().isAfter(opened.minusSeconds(60)), found.toString());
            assertEquals(id, only(client.suspects()).id());
            DataLossSuspectedEvent event = Await.next(events);
            assertEquals("suspect_since", event.reason());
            assertEquals(1, event.acknowledged());
            assertEquals(0, event.inDoubt());
            assertEquals(Verified.PRESENT, client.verify(id));
            client.resolve(id, Resolution.CONFIRMED);
            assertEquals(0, client.suspectSince(Instant.EPOCH).acknowledged(), "what is resolved stays so");
            for (Instant never : new Instant[] {Instant.now().plusSeconds(3600), Instant.MAX, Instant.MIN}) {
                FailoverUsageException e =
                        assertThrows(FailoverUsageException.class, () -> client.suspectSince(never), never.toString());
                assertEquals(ErrorKind.INVALID_ARGUMENT, e.kind());
            }
            assertThrows(NullPointerException.class, () -> client.suspectSince(null));
        }
    }

    @Test
    void theRecordHasABound() throws Exception {
        try (FailoverClient client = twin.safeClient().ledgerEntries(1).build()) {
            create(client, "first");
            assertEquals(0, client.ledgerEvicted());
            create(client, "second");
            long third = create(client, "third");
            // What goes goes with the next write.
            assertTrue(client.ledgerEvicted() >= 1);
            assertEquals(third, only(client.ledger()).id());
            assertEquals(2, client.ledgerEvicted());
        }
    }

    @Test
    void aTagStandsInTheRecordTheEventAndTheException() throws Exception {
        String tag = "order 17 \u2713 \ud83d\ude00";
        BlockingQueue<WriteInDoubtEvent> events = new LinkedBlockingQueue<>();
        twin.fault("primary", "reset_after_request", ",\"method\":\"POST\"");
        try (FailoverClient client = twin.safeClient().build()) {
            client.addWriteInDoubtListener(events::add);
            assertEquals(Optional.of(tag), leaveInDoubt(client, tag).tag());
            assertEquals(Optional.of(tag), only(client.suspects()).tag());
            assertEquals(Optional.of(tag), Await.next(events).tag());
            assertEquals(Optional.empty(), leaveInDoubt(client, "").tag());
            assertEquals(Optional.empty(), Await.next(events).tag());
            for (String refused : new String[] {"a\nb", "\0", "x".repeat(257)}) {
                FailoverRequest request = Accounts.create("refused").tag(refused).build();
                FailoverUsageException e =
                        assertThrows(FailoverUsageException.class, () -> client.send(request));
                assertEquals(ErrorKind.INVALID_ARGUMENT, e.kind());
                assertTrue(e.getMessage().contains("tag"), e.getMessage());
            }
            assertEquals(2, client.ledger().size());
        }
    }

    private static long create(FailoverClient client, String name) throws IOException {
        return client.send(Accounts.create(name).build()).ledgerId().orElseThrow();
    }

    private static FailoverException leaveInDoubt(FailoverClient client, String tag) {
        FailoverRequest request = Accounts.create("in doubt").tag(tag).build();
        FailoverException e = assertThrows(FailoverException.class, () -> client.send(request));
        assertEquals(Effect.UNKNOWN, e.effect());
        return e;
    }

    private static void notAvailable(long id, FailoverUsageException e) {
        assertEquals(ErrorKind.NOT_AVAILABLE, e.kind());
        assertTrue(e.getMessage().contains(Long.toString(id)), e.getMessage());
    }

    private static <T> T get(CompletableFuture<T> future) throws Exception {
        return future.get(20, TimeUnit.SECONDS);
    }

    private static LedgerEntry only(List<LedgerEntry> entries) {
        assertEquals(1, entries.size(), entries.toString());
        return entries.get(0);
    }
}
