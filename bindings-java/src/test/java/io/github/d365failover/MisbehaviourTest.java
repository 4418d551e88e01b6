package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.Accounts;
import io.github.d365failover.support.Await;
import io.github.d365failover.support.Throwing;
import io.github.d365failover.support.Twin;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Listeners that do what they should not, and what they may though it looks so: nothing of it hangs a call. */
class MisbehaviourTest {
    private static final FailoverRequest WHO_AM_I = FailoverRequest.get("/api/data/v9.2/WhoAmI");
    /** Far longer than the test's patience: what waited for a listener would be seen. */
    private static final Duration FOR_EVER = Duration.ofSeconds(300);

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

    static Stream<Arguments> kindsAndPresets() {
        return Stream.of(Kind.values())
                .flatMap(kind -> Stream.of(Preset.values()).map(preset -> Arguments.of(kind, preset)));
    }

    /** One that may switch as often as a test wants. */
    private static FailoverClientBuilder client(Preset preset) {
        return twin.client().preset(preset).holdDown(Duration.ZERO);
    }

    /** What a listener does, whatever it hears. */
    private interface Deed {
        void run() throws Exception;
    }

    /** The notifications that arise under every preset, and how to make each arise once. */
    enum Kind {
        SWITCHED {
            @Override
            Subscription listen(FailoverClient client, Deed deed) {
                return client.addEndpointSwitchedListener(event -> attempt(deed));
            }

            @Override
            void arise(FailoverClient client) throws Exception {
                client.switchEndpoint();
            }
        },
        WRITE_IN_DOUBT {
            @Override
            Subscription listen(FailoverClient client, Deed deed) {
                return client.addWriteInDoubtListener(event -> attempt(deed));
            }

            @Override
            void arise(FailoverClient client) throws Exception {
                String side = client.isPrimary() ? "primary" : "alternate";
                twin.fault(side, "reset_after_request", ",\"method\":\"POST\",\"times\":1");
                assertThrows(FailoverException.class, () -> client.send(Accounts.create("in doubt").build()));
            }
        },
        DATA_LOSS_SUSPECTED {
            @Override
            Subscription listen(FailoverClient client, Deed deed) {
                return client.addDataLossSuspectedListener(event -> attempt(deed));
            }

            @Override
            void arise(FailoverClient client) throws Exception {
                client.send(Accounts.create("acknowledged").build());
                client.switchEndpoint();
            }
        },
        CALL_RETRIED {
            @Override
            Subscription listen(FailoverClient client, Deed deed) {
                return client.addCallRetriedListener(event -> attempt(deed));
            }

            @Override
            void arise(FailoverClient client) throws Exception {
                String side = client.isPrimary() ? "primary" : "alternate";
                twin.fault(side, "datacenter_not_available", ",\"times\":1");
                assertEquals(2, client.send(WHO_AM_I).attempts().size());
            }
        };

        abstract Subscription listen(FailoverClient client, Deed deed);

        abstract void arise(FailoverClient client) throws Exception;

        private static void attempt(Deed deed) {
            try {
                deed.run();
            } catch (Exception e) {
                Throwing.sneakily(e);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("kindsAndPresets")
    void oneThatThrowsStopsNothing(Kind kind, Preset preset) throws Exception {
        try (FailoverClient client = client(preset).handlerTimeout(FOR_EVER).build()) {
            for (Throwable thrown : List.of(
                    new IOException("thrown by a test, as an application's listener may"),
                    new AssertionError("thrown by a test, as an application's listener may"))) {
                Subscription first = kind.listen(client, () -> Throwing.sneakily(thrown));
                Subscription second = kind.listen(client, () -> said.add("second"));
                kind.arise(client);
                assertEquals("second", Await.next(said));
                first.close();
                second.close();
            }
            assertEquals(200, client.send(WHO_AM_I).status());
        }
    }

    @ParameterizedTest
    @MethodSource("kindsAndPresets")
    void oneThatNeverReturnsHoldsUpNoCall(Kind kind, Preset preset) throws Exception {
        CountDownLatch open = new CountDownLatch(1);
        FailoverClient client = client(preset).handlerTimeout(Duration.ofMillis(100)).build();
        try {
            kind.listen(client, () -> {
                said.add("runs");
                assertTrue(open.await(60, TimeUnit.SECONDS));
                said.add("returned");
            });
            client.addEndpointSwitchRequiredListener(event -> said.add("required"));
            kind.arise(client);
            take("runs");
            // Calls go on, over a switch too, whose decision nobody can be asked for.
            String active = client.isPrimary() ? "primary" : "alternate";
            twin.fault(active, "refuse", "");
            long epoch = client.epoch();
            assertEquals(200, client.send(WHO_AM_I).status());
            assertEquals(epoch + 1, client.epoch());
            assertEquals(200, client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS).status());
            // Close says that a listener is still running.
            assertFalse(client.close(Duration.ZERO));
        } finally {
            open.countDown();
        }
        take("returned");
        assertTrue(client.close(Await.BOUND));
    }

    /** Listeners of the decision may have been told before. */
    private void take(String what) throws InterruptedException {
        for (String next = Await.next(said); !next.equals(what); next = Await.next(said)) {
            assertEquals("required", next);
        }
    }

    @ParameterizedTest
    @MethodSource("kindsAndPresets")
    void callsCanBeSentInIt(Kind kind, Preset preset) throws Exception {
        try (FailoverClient client = client(preset).handlerTimeout(FOR_EVER).build()) {
            kind.listen(client, () -> {
                said.add("sync " + client.send(WHO_AM_I).status());
                said.add("async " + client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS).status());
                said.add("suspects " + client.suspects().size());
                client.suspects().forEach(suspect -> client.resolve(suspect.id(), Resolution.CONFIRMED));
                said.add("suspects " + client.suspects().size());
            });
            kind.arise(client);
            assertEquals("sync 200", Await.next(said));
            assertEquals("async 200", Await.next(said));
            boolean hasOne = kind == Kind.WRITE_IN_DOUBT || kind == Kind.DATA_LOSS_SUSPECTED;
            assertEquals(hasOne ? "suspects 1" : "suspects 0", Await.next(said));
            assertEquals("suspects 0", Await.next(said));
        }
    }

    /** The call needs a decision of the very thread that waits for it. */
    @ParameterizedTest
    @MethodSource("kindsAndPresets")
    void aCallInItCanSwitch(Kind kind, Preset preset) throws Exception {
        // Of what may be dropped nobody knows that its listener runs, so that the decision waits until its time is over.
        Duration patience = kind == Kind.CALL_RETRIED ? Duration.ofMillis(100) : FOR_EVER;
        try (FailoverClient client = client(preset).handlerTimeout(patience).build()) {
            AtomicReference<Subscription> own = new AtomicReference<>();
            CountDownLatch arisen = new CountDownLatch(1);
            own.set(kind.listen(client, () -> {
                own.get().close();
                // What it arose from is not to meet the fault as well.
                assertTrue(arisen.await(20, TimeUnit.SECONDS));
                twin.fault(client.isPrimary() ? "primary" : "alternate", "refuse", "");
                client.addEndpointSwitchRequiredListener(event -> said.add("required"));
                long epoch = client.epoch();
                said.add("status " + client.send(WHO_AM_I).status() + ", switched " + (client.epoch() - epoch));
            }));
            kind.arise(client);
            arisen.countDown();
            assertEquals("status 200, switched 1", Await.next(said));
        }
    }

    @ParameterizedTest
    @MethodSource("kindsAndPresets")
    void oneCanRemoveItself(Kind kind, Preset preset) throws Exception {
        try (FailoverClient client = client(preset).build()) {
            AtomicReference<Subscription> own = new AtomicReference<>();
            own.set(kind.listen(client, () -> {
                own.get().close();
                said.add("once");
            }));
            kind.listen(client, () -> said.add("always"));
            kind.arise(client);
            kind.arise(client);
            assertEquals("once", Await.next(said));
            assertEquals("always", Await.next(said));
            assertEquals("always", Await.next(said));
        }
        assertEquals(List.of(), List.copyOf(said));
    }

    @ParameterizedTest
    @MethodSource("kindsAndPresets")
    void oneCanCloseTheClient(Kind kind, Preset preset) throws Exception {
        FailoverClient client = client(preset).build();
        kind.listen(client, () -> {
            client.close();
            said.add("closed");
        });
        kind.arise(client);
        assertEquals("closed", Await.next(said));
        assertTrue(client.close(Await.BOUND));
        assertEquals(
                ErrorKind.CLOSED, assertThrows(FailoverException.class, () -> client.send(WHO_AM_I)).kind());
    }

    @ParameterizedTest
    @EnumSource
    void whileTheSwitchWaitsOnlyWhatDoesNotBlockWorks(Preset preset) throws Exception {
        twin.fault("primary", "reset_after_request", ",\"method\":\"POST\"");
        try (FailoverClient client = client(preset).handlerTimeout(FOR_EVER).build()) {
            FailoverException inDoubt = assertThrows(
                    FailoverException.class, () -> client.send(Accounts.create("in doubt").build()));
            twin.clear();
            twin.fault("primary", "refuse", "");
            AtomicReference<Subscription> own = new AtomicReference<>();
            own.set(client.addEndpointSwitchRequiredListener(event -> {
                for (Deed deed : List.<Deed>of(
                        () -> client.send(WHO_AM_I),
                        () -> client.sendStreaming(WHO_AM_I),
                        () -> client.send(Accounts.create("refused").build()))) {
                    try {
                        deed.run();
                        said.add("done");
                    } catch (FailoverException e) {
                        said.add(e.kind().label() + " " + e.effect());
                    } catch (Exception e) {
                        said.add(e.toString());
                    }
                }
                client.resolve(inDoubt.ledgerId().orElseThrow(), Resolution.LOST);
                said.add("suspects " + client.suspects().size() + " of " + client.ledger().size());
                // Submitted, and not waited for: it ends when the switch is made.
                client.sendAsync(WHO_AM_I).thenAccept(response -> said.add("later " + response.status()));
                client.addWriteInDoubtListener(later -> {}).close();
                own.get().close();
            }));
            assertEquals(200, client.send(WHO_AM_I).status());
            assertEquals("would_deadlock NONE", Await.next(said));
            assertEquals("would_deadlock NONE", Await.next(said));
            assertEquals("would_deadlock NOT_EXECUTED", Await.next(said));
            assertEquals("suspects 0 of 1", Await.next(said));
            assertEquals("later 200", Await.next(said));
        }
    }

    @Test
    void whatOneIsTooSlowForIsDroppedAndCounted() throws Exception {
        twin.fault("primary", "datacenter_not_available", "");
        twin.fault("alternate", "datacenter_not_available", "");
        Logger logger = Logger.getLogger("io.github.d365failover");
        Handler handler = new Handler() {
            @Override
            public void publish(LogRecord record) {
                if (record.getMessage().contains("dropped")) {
                    said.add(record.getMessage());
                }
            }

            @Override
            public void flush() {
                // Nothing is kept.
            }

            @Override
            public void close() {
                // Nothing is held.
            }
        };
        logger.addHandler(handler);
        logger.setUseParentHandlers(false);
        CountDownLatch open = new CountDownLatch(1);
        AtomicInteger told = new AtomicInteger();
        // One for the listener, one for the completion.
        ExecutorService executor = Executors.newFixedThreadPool(2);
        try (FailoverClient client = twin.client().executor(executor).build()) {
            client.addCallRetriedListener(event -> {
                told.incrementAndGet();
                try {
                    assertTrue(open.await(60, TimeUnit.SECONDS));
                } catch (InterruptedException e) {
                    said.add(e.toString());
                }
            });
            int calls = 1024 + 26;
            for (int i = 0; i < calls; i++) {
                assertThrows(FailoverException.class, () -> client.send(WHO_AM_I));
            }
            // A completion comes after the events before it.
            twin.clear();
            client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS);
            open.countDown();
            Await.that(() -> told.get() == 1024);
            String dropped = Await.next(said);
            assertTrue(dropped.startsWith("26 events were dropped"), dropped);
            client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS);
            assertEquals(1024, told.get());
            assertEquals(List.of(), List.copyOf(said));
        } finally {
            open.countDown();
            executor.shutdown();
            logger.removeHandler(handler);
            logger.setUseParentHandlers(true);
        }
    }
}
