package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.Accounts;
import io.github.d365failover.support.Twin;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class LedgerTest {
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
    }

    @Test
    void aWriteIsOnRecordAndAReadIsNot() throws Exception {
        String name = "on record 😀";
        try (FailoverClient client = twin.client().build()) {
            assertEquals(OptionalLong.empty(), client.send(WHO_AM_I).ledgerId());
            assertEquals(List.of(), client.ledger());
            FailoverResponse response = client.send(Accounts.create(name).build());
            LedgerEntry entry = only(client.ledger());
            assertEquals(response.ledgerId(), OptionalLong.of(entry.id()));
            assertEquals("POST", entry.method());
            assertEquals(Twin.PRIMARY + Accounts.PATH, entry.url());
            assertEquals(Operation.UNSAFE, entry.operation());
            assertEquals(Optional.of(Effect.EXECUTED), entry.effect());
            assertFalse(entry.isSuspect());
            assertEquals(Optional.empty(), entry.resolution());
            assertEquals(Optional.of(Role.PRIMARY), entry.role());
            assertEquals(0, entry.epoch());
            assertEquals(1, entry.attempts());
            assertEquals(response.attempts().get(0).started().toEpochMilli(), entry.started().toEpochMilli(), 20_000);
            assertFalse(entry.ended().orElseThrow().isBefore(entry.started()));
            byte[] body = Accounts.body(name).getBytes(StandardCharsets.UTF_8);
            assertEquals(OptionalLong.of(body.length), entry.bodyLength());
            assertEquals(Optional.of(sha256(body)), entry.bodyDigest());
            assertEquals(response.header("OData-EntityId"), entry.rowUrl());
            assertTrue(entry.toString().contains(entry.url()), entry.toString());
            assertThrows(UnsupportedOperationException.class, () -> client.ledger().clear());
            assertEquals(List.of(), client.suspects());
        }
    }

    @Test
    void everyWayOfSendingSaysItsNumber() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            long first = client.sendAsync(Accounts.create("async").build())
                    .get(20, TimeUnit.SECONDS).ledgerId().orElseThrow();
            try (FailoverStreamingResponse response = client.sendStreaming(Accounts.create("streaming").build())) {
                assertEquals(first + 1, response.ledgerId().orElseThrow());
            }
            FailoverRequest streamed = Accounts.create("streamed")
                    .body(new ByteArrayInputStream(Accounts.body("streamed").getBytes(StandardCharsets.UTF_8)))
                    .build();
            assertEquals(first + 2, client.send(streamed).ledgerId().orElseThrow());
            assertEquals(List.of(first, first + 1, first + 2), ids(client.ledger()));
            LedgerEntry last = client.ledger().get(2);
            assertEquals(OptionalLong.empty(), last.bodyLength());
            assertEquals(Optional.empty(), last.bodyDigest());
        }
    }

    @Test
    void aWriteIsThereBeforeItsAnswer() throws Exception {
        twin.fault("primary", "stall", ",\"method\":\"POST\"");
        try (FailoverClient client = twin.client().build()) {
            long before = twin.received("primary");
            CompletableFuture<FailoverResponse> call = client.sendAsync(Accounts.create("in flight").build());
            twin.await("primary", "received_at_least=" + (before + 1));
            LedgerEntry entry = only(client.ledger());
            assertEquals(Optional.empty(), entry.effect());
            assertEquals(Optional.empty(), entry.ended());
            assertEquals(Optional.empty(), entry.role());
            assertEquals(Optional.empty(), entry.rowUrl());
            assertEquals(0, entry.attempts());
            assertFalse(entry.isSuspect());
            twin.clear();
            call.get(20, TimeUnit.SECONDS);
            assertEquals(Optional.of(Effect.EXECUTED), only(client.ledger()).effect());
        }
    }

    @Test
    void whatIsInDoubtIsASuspectUntilItIsResolved() throws Exception {
        twin.fault("primary", "reset_after_request", ",\"method\":\"POST\"");
        try (FailoverClient client = twin.client().build()) {
            for (Resolution resolution : Resolution.values()) {
                FailoverException e = assertThrows(
                        FailoverException.class, () -> client.send(Accounts.create("in doubt").build()));
                assertEquals(Effect.UNKNOWN, e.effect());
                long id = e.ledgerId().orElseThrow();
                LedgerEntry suspect = only(client.suspects());
                assertEquals(id, suspect.id());
                assertTrue(suspect.isSuspect());
                assertEquals(Optional.of(Effect.UNKNOWN), suspect.effect());
                client.resolve(id, resolution);
                assertEquals(List.of(), client.suspects());
                LedgerEntry resolved = last(client.ledger());
                assertEquals(id, resolved.id());
                assertFalse(resolved.isSuspect());
                assertEquals(Optional.of(resolution), resolved.resolution());
                // Once is enough.
                notAvailable(client, id);
            }
        }
    }

    @Test
    void aCallThatFailsAsynchronouslySaysItsNumberToo() throws Exception {
        twin.fault("primary", "reset_after_request", ",\"method\":\"POST\"");
        try (FailoverClient client = twin.client().build()) {
            ExecutionException e = assertThrows(
                    ExecutionException.class,
                    () -> client.sendAsync(Accounts.create("in doubt").build()).get(20, TimeUnit.SECONDS));
            long id = ((FailoverException) e.getCause()).ledgerId().orElseThrow();
            assertEquals(List.of(id), ids(client.suspects()));
        }
    }

    @Test
    void whatWasNotExecutedIsNotOnRecord() throws Exception {
        twin.fault("primary", "refuse", "");
        try (FailoverClient client = twin.client().autoSwitch(AutoSwitch.OFF).build()) {
            FailoverException e = assertThrows(
                    FailoverException.class, () -> client.send(Accounts.create("not executed").build()));
            assertEquals(Effect.NOT_EXECUTED, e.effect());
            assertEquals(List.of(), client.ledger());
        }
    }

    @Test
    void onlyASuspectOnRecordCanBeResolved() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            long executed = client.send(Accounts.create("executed").build()).ledgerId().orElseThrow();
            for (long id : new long[] {executed, executed + 1, 0, -1, Long.MAX_VALUE, Long.MIN_VALUE}) {
                notAvailable(client, id);
            }
            assertEquals(Optional.empty(), only(client.ledger()).resolution());
        }
    }

    @Test
    void aSwitchMakesSuspectsOfWhatWasJustAcknowledged() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            long id = client.send(Accounts.create("acknowledged").build()).ledgerId().orElseThrow();
            client.switchEndpoint();
            LedgerEntry suspect = only(client.suspects());
            assertEquals(id, suspect.id());
            assertEquals(Optional.of(Effect.EXECUTED), suspect.effect());
            // Of the new endpoint.
            client.send(Accounts.create("after").build());
            assertEquals(List.of(id), ids(client.suspects()));
            client.resolve(id, Resolution.REPLAYED);
            assertEquals(List.of(), client.suspects());
        }
    }

    private static void notAvailable(FailoverClient client, long id) {
        FailoverUsageException e =
                assertThrows(FailoverUsageException.class, () -> client.resolve(id, Resolution.LOST));
        assertEquals(ErrorKind.NOT_AVAILABLE, e.kind());
        assertTrue(e.getMessage().contains(Long.toString(id)), e.getMessage());
    }

    private static LedgerEntry only(List<LedgerEntry> entries) {
        assertEquals(1, entries.size(), entries.toString());
        return entries.get(0);
    }

    private static LedgerEntry last(List<LedgerEntry> entries) {
        return entries.get(entries.size() - 1);
    }

    private static List<Long> ids(List<LedgerEntry> entries) {
        return entries.stream().map(LedgerEntry::id).collect(Collectors.toList());
    }

    private static String sha256(byte[] bytes) throws Exception {
        StringBuilder hex = new StringBuilder();
        for (byte one : MessageDigest.getInstance("SHA-256").digest(bytes)) {
            hex.append(String.format("%02x", one));
        }
        return hex.toString();
    }
}
