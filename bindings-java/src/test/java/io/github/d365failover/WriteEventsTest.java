package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.Accounts;
import io.github.d365failover.support.Await;
import io.github.d365failover.support.Twin;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The events beside those of a switch, each with what it says. */
class WriteEventsTest {
    private static final FailoverRequest WHO_AM_I = FailoverRequest.get("/api/data/v9.2/WhoAmI");
    private static Twin twin;

    private final BlockingQueue<String> said = new LinkedBlockingQueue<>();

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

    private static FailoverException leaveInDoubt(FailoverClient client) {
        FailoverException e = assertThrows(
                FailoverException.class, () -> client.send(Accounts.create("in doubt").build()));
        assertEquals(Effect.UNKNOWN, e.effect());
        return e;
    }

    @Test
    void aWriteInDoubtIsNamed() throws Exception {
        twin.fault("primary", "reset_after_request", ",\"method\":\"POST\"");
        BlockingQueue<WriteInDoubtEvent> events = new LinkedBlockingQueue<>();
        try (FailoverClient client = twin.client().build()) {
            client.addWriteInDoubtListener(events::add);
            FailoverException e = leaveInDoubt(client);
            WriteInDoubtEvent event = Await.next(events);
            assertEquals(e.ledgerId(), event.ledgerId());
            assertTrue(event.ledgerId().isPresent());
            assertEquals("connection_lost", event.reason());
            assertEquals(0, event.epoch());
            assertTrue(event.time().toEpochMilli() > 0);
            assertFalse(event.message().isEmpty());
            assertTrue(event.toString().contains(event.message()), event.toString());
            // Neither a read nor a write that was answered is in doubt.
            twin.clear();
            client.send(WHO_AM_I);
            client.send(Accounts.create("answered").build());
            // A completion comes after the events before it.
            client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS);
        }
        assertEquals(List.of(), List.copyOf(events));
    }

    @Test
    void aWriteThatIsOnNoRecordIsInDoubtAllTheSame(@TempDir Path folder) throws Exception {
        BlockingQueue<WriteInDoubtEvent> events = new LinkedBlockingQueue<>();
        Path store = folder.resolve("store");
        try (FailoverClient client =
                twin.client().store(store).storeFailure(StoreFailure.GO_ON).build()) {
            client.addWriteInDoubtListener(events::add);
            Files.delete(store);
            // That the file is gone is found within a second.
            while (client.send(Accounts.create("a").build()).ledgerId().isPresent()) {}
            twin.fault("primary", "reset_after_request", ",\"method\":\"POST\"");
            assertEquals(OptionalLong.empty(), leaveInDoubt(client).ledgerId());
            WriteInDoubtEvent event = Await.next(events);
            assertEquals(OptionalLong.empty(), event.ledgerId());
            assertEquals("connection_lost", event.reason());
        }
    }

    @Test
    void aSwitchTellsHowManyWritesAreToBeVerified() throws Exception {
        BlockingQueue<DataLossSuspectedEvent> events = new LinkedBlockingQueue<>();
        try (FailoverClient client = twin.client().build()) {
            client.addDataLossSuspectedListener(events::add);
            // Nothing was written: nothing can be lost.
            client.switchEndpoint();
            client.switchEndpoint();
            client.send(Accounts.create("acknowledged 1").build());
            client.send(Accounts.create("acknowledged 2").build());
            twin.fault("primary", "reset_after_request", ",\"method\":\"POST\"");
            leaveInDoubt(client);
            client.switchEndpoint();
            DataLossSuspectedEvent event = Await.next(events);
            assertEquals(1, event.inDoubt());
            assertEquals(2, event.acknowledged());
            assertEquals(3, event.epoch());
            assertTrue(event.time().toEpochMilli() > 0);
            assertFalse(event.message().isEmpty());
            assertEquals(3, client.suspects().size());
        }
        assertEquals(List.of(), List.copyOf(events));
    }

    @Test
    void aCallThatIsSentAgainIsTold() throws Exception {
        twin.fault("primary", "refuse", "");
        BlockingQueue<CallRetriedEvent> events = new LinkedBlockingQueue<>();
        try (FailoverClient client = twin.client().build()) {
            client.addCallRetriedListener(events::add);
            assertEquals(2, client.send(WHO_AM_I).attempts().size());
            CallRetriedEvent event = Await.next(events);
            assertEquals("endpoint_not_found", event.reason());
            assertEquals(1, event.epoch());
            assertFalse(event.message().isEmpty());
            // Not sent again: nothing is told.
            assertEquals(1, client.send(WHO_AM_I).attempts().size());
            client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS);
        }
        assertEquals(List.of(), List.copyOf(events));
    }

    @Test
    void eventsOfACallNameItsMethodAndItsUrl() throws Exception {
        twin.fault("primary", "refuse", "");
        twin.fault("alternate", "reset_after_request", ",\"method\":\"POST\"");
        BlockingQueue<CallEvent> events = new LinkedBlockingQueue<>();
        try (FailoverClient client = twin.client().build()) {
            client.addCallRetriedListener(events::add);
            client.addWriteInDoubtListener(events::add);
            leaveInDoubt(client);
            CallEvent retried = Await.next(events);
            assertEquals("POST", retried.method());
            assertTrue(retried.url().endsWith(Accounts.PATH), retried.url());
            CallEvent inDoubt = Await.next(events);
            assertEquals("POST", inDoubt.method());
            assertEquals(Twin.ALTERNATE + Accounts.PATH, inDoubt.url());
        }
    }

    @Test
    void withoutProbesASwitchSaysNothingOfThem() throws Exception {
        BlockingQueue<EndpointSwitchEvent> events = new LinkedBlockingQueue<>();
        twin.fault("primary", "refuse", "");
        try (FailoverClient client = twin.client().build()) {
            client.addEndpointSwitchRequiredListener(events::add);
            client.addEndpointSwitchedListener(events::add);
            assertEquals(200, client.send(WHO_AM_I).status());
            assertEquals(Optional.empty(), Await.next(events).probed());
            EndpointSwitchEvent switched = Await.next(events);
            assertEquals(Optional.empty(), switched.probed());
            assertFalse(switched.message().isEmpty());
        }
    }

    @Test
    void allNotificationsRunOnTheApplicationsExecutorInTheirOrder() throws Exception {
        ExecutorService executor = Executors.newFixedThreadPool(4, task -> new Thread(task, "the application's"));
        try (FailoverClient client = twin.client().executor(executor).build()) {
            client.addEndpointSwitchRequiredListener(event -> say("required"));
            client.addEndpointSwitchedListener(event -> say("switched"));
            client.addDataLossSuspectedListener(event -> say("data loss"));
            client.addCallRetriedListener(event -> say("retried"));
            client.addWriteInDoubtListener(event -> say("in doubt"));
            client.send(Accounts.create("acknowledged").build());
            twin.fault("primary", "refuse", "");
            twin.fault("alternate", "reset_after_request", ",\"method\":\"POST\"");
            leaveInDoubt(client);
            String required = Await.next(said);
            assertTrue(required.startsWith("required on d365-failover-"), required);
            assertEquals("switched on the application's", Await.next(said));
            assertEquals("data loss on the application's", Await.next(said));
            assertEquals("retried on the application's", Await.next(said));
            assertEquals("in doubt on the application's", Await.next(said));
        } finally {
            executor.shutdown();
        }
    }

    private void say(String what) {
        said.add(what + " on " + Thread.currentThread().getName());
    }

    @Test
    void whatIsNotListenedToAnyMoreIsNotTold() throws Exception {
        twin.fault("primary", "reset_after_request", ",\"method\":\"POST\"");
        try (FailoverClient client = twin.client().build()) {
            Subscription first = client.addWriteInDoubtListener(event -> said.add("first"));
            Subscription second = client.addWriteInDoubtListener(event -> said.add("second"));
            leaveInDoubt(client);
            assertEquals("first", Await.next(said));
            assertEquals("second", Await.next(said));
            first.close();
            first.close();
            leaveInDoubt(client);
            assertEquals("second", Await.next(said));
            second.close();
            leaveInDoubt(client);
            client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS);
        }
        assertEquals(List.of(), List.copyOf(said));
    }
}
