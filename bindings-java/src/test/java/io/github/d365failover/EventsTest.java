package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.Await;
import io.github.d365failover.support.Throwing;
import io.github.d365failover.support.Twin;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class EventsTest {
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

    @Test
    void bothEventsTellOfTheSwitchInOrder() throws Exception {
        twin.fault("primary", "refuse", "");
        List<EndpointSwitchEvent> events = new CopyOnWriteArrayList<>();
        try (FailoverClient client = twin.client().build()) {
            client.addEndpointSwitchRequiredListener(events::add);
            client.addEndpointSwitchedListener(events::add);
            FailoverResponse response = client.send(WHO_AM_I);
            assertEquals(200, response.status());
            // In this preset the retry leaves after the listeners.
            assertEquals(2, events.size());
        }
        assertTrue(events.get(0) instanceof EndpointSwitchRequiredEvent);
        for (EndpointSwitchEvent event : events) {
            assertEquals(URI.create(Twin.PRIMARY), event.previousUrl());
            assertEquals(URI.create(Twin.ALTERNATE), event.newUrl());
            assertEquals(Role.PRIMARY, event.previousRole());
            assertEquals(Role.ALTERNATE, event.newRole());
            assertEquals("endpoint_not_found", event.reason());
            assertEquals(1, event.epoch());
            assertTrue(event.automatic());
            assertTrue(event.time().toEpochMilli() > 0);
        }
    }

    @Test
    void aSwitchByHandIsNotAutomatic() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            client.addEndpointSwitchRequiredListener(event -> said.add("required"));
            client.addEndpointSwitchedListener(event -> said.add(event.reason() + " " + event.automatic()));
            client.switchEndpoint();
            assertEquals("manual false", Await.next(said));
        }
        assertTrue(said.isEmpty(), said.toString());
    }

    @Test
    void aVetoKeepsTheEndpointAndGivesTheFault() throws Exception {
        twin.fault("primary", "refuse", "");
        try (FailoverClient client = twin.client().build()) {
            client.addEndpointSwitchRequiredListener(event -> {
                assertFalse(event.isVetoed());
                event.veto();
                said.add("vetoed " + event.isVetoed());
            });
            client.addEndpointSwitchedListener(event -> said.add("switched"));
            FailoverException e = assertThrows(FailoverException.class, () -> client.send(WHO_AM_I));
            assertEquals(ErrorKind.ENDPOINT_NOT_FOUND, e.kind());
            assertTrue(client.isPrimary());
        }
        assertEquals(List.of("vetoed true"), List.copyOf(said));
    }

    @Test
    void autoSwitchSetInsideTheListenerCounts() throws Exception {
        twin.fault("primary", "refuse", "");
        try (FailoverClient client = twin.client().build()) {
            client.addEndpointSwitchRequiredListener(event -> client.setEndpointAutoSwitchEnabled(false));
            assertThrows(FailoverException.class, () -> client.send(WHO_AM_I));
            assertTrue(client.isPrimary());
        }
        try (FailoverClient client = twin.client().autoSwitch(AutoSwitch.OFF).build()) {
            client.addEndpointSwitchRequiredListener(event -> client.setEndpointAutoSwitchEnabled(true));
            assertEquals(200, client.send(WHO_AM_I).status());
            assertFalse(client.isPrimary());
        }
    }

    @Test
    void aListenerThatThrowsIsNoReasonNotToSwitch() throws Exception {
        twin.fault("primary", "refuse", "");
        try (FailoverClient client = twin.client().build()) {
            client.addEndpointSwitchRequiredListener(event -> {
                throw new IllegalStateException("thrown by a test, as an application's listener may");
            });
            client.addEndpointSwitchRequiredListener(event -> said.add("second"));
            client.addEndpointSwitchedListener(event -> {
                throw new AssertionError("thrown by a test, as an application's listener may");
            });
            client.addEndpointSwitchedListener(event -> said.add("fourth"));
            assertEquals(200, client.send(WHO_AM_I).status());
            assertEquals(List.of("second", "fourth"), List.copyOf(said));
            // The event thread is alive.
            client.switchEndpoint();
            assertEquals("second", Await.next(said));
            assertEquals("fourth", Await.next(said));
            assertEquals("fourth", Await.next(said));
        }
    }

    @Test
    void aListenerCanRemoveItselfWhileItRuns() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            AtomicReference<Subscription> own = new AtomicReference<>();
            own.set(client.addEndpointSwitchedListener(event -> {
                own.get().close();
                said.add("once " + event.epoch());
            }));
            client.addEndpointSwitchedListener(event -> said.add("always " + event.epoch()));
            client.switchEndpoint();
            client.switchEndpoint();
            assertEquals("once 1", Await.next(said));
            assertEquals("always 1", Await.next(said));
            assertEquals("always 2", Await.next(said));
        }
        assertTrue(said.isEmpty(), said.toString());
    }

    @Test
    void aListenerThatWasRemovedIsNotWaitedFor() throws Exception {
        twin.fault("primary", "refuse", "");
        try (FailoverClient client = twin.client().handlerTimeout(Duration.ofSeconds(60)).build()) {
            EndpointSwitchRequiredListener listener = event -> said.add("required");
            Subscription first = client.addEndpointSwitchRequiredListener(listener);
            Subscription second = client.addEndpointSwitchRequiredListener(listener);
            first.close();
            first.close();
            assertEquals(200, client.send(WHO_AM_I).status());
            assertEquals(List.of("required"), List.copyOf(said));
            second.close();
            twin.clear();
            twin.fault("alternate", "refuse", "");
            assertEquals(200, client.send(WHO_AM_I).status());
            assertEquals(2, client.epoch());
            assertEquals(List.of("required"), List.copyOf(said));
        }
    }

    @Test
    void aBlockingCallWhileTheSwitchWaitsIsRefusedAtOnce() throws Exception {
        twin.fault("primary", "refuse", "");
        // Far longer than the test's patience: a call that waited would not be seen as refused.
        try (FailoverClient client = twin.client().handlerTimeout(Duration.ofSeconds(300)).build()) {
            client.addEndpointSwitchRequiredListener(event -> {
                for (Blocking deed : List.<Blocking>of(() -> client.send(WHO_AM_I), client::discover, client::close)) {
                    try {
                        deed.run();
                        said.add("done");
                    } catch (FailoverException e) {
                        said.add(e.kind().label());
                    } catch (FailoverStateException e) {
                        said.add("state " + e.kind().label());
                    } catch (Exception e) {
                        said.add(e.toString());
                    }
                }
                // What does not block works.
                said.add(client.activeUrl() + " " + client.epoch());
            });
            assertEquals(200, client.send(WHO_AM_I).status());
        }
        assertEquals(
                List.of("would_deadlock", "would_deadlock", "state would_deadlock", Twin.PRIMARY + " 0"),
                List.copyOf(said));
    }

    private interface Blocking {
        void run() throws Exception;
    }

    @Test
    void callsWorkInsideSwitchedBothWays() throws Exception {
        twin.fault("primary", "refuse", "");
        try (FailoverClient client = twin.client().handlerTimeout(Duration.ofSeconds(300)).build()) {
            client.addEndpointSwitchedListener(event -> {
                try {
                    said.add("sync " + client.send(WHO_AM_I).status());
                    said.add("async " + client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS).status());
                } catch (Exception e) {
                    said.add(e.toString());
                }
            });
            assertEquals(200, client.send(WHO_AM_I).status());
        }
        assertEquals(List.of("sync 200", "async 200"), List.copyOf(said));
    }

    @Test
    void notificationsRunOnTheApplicationsExecutorOneAtATime() throws Exception {
        ExecutorService executor = Executors.newFixedThreadPool(4, task -> new Thread(task, "the application's"));
        try (FailoverClient client = twin.client().executor(executor).build()) {
            CountDownLatch open = new CountDownLatch(1);
            client.addEndpointSwitchedListener(event -> {
                said.add(Thread.currentThread().getName() + " " + event.epoch());
                if (event.epoch() == 1) {
                    try {
                        assertTrue(open.await(20, TimeUnit.SECONDS));
                    } catch (InterruptedException e) {
                        said.add(e.toString());
                    }
                    said.add("end of 1");
                }
            });
            client.switchEndpoint();
            assertEquals("the application's 1", Await.next(said));
            client.switchEndpoint();
            // A completion comes after both events were handed out: they were read from one queue.
            assertEquals(200, client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS).status());
            assertNull(said.peek());
            open.countDown();
            assertEquals("end of 1", Await.next(said));
            assertEquals("the application's 2", Await.next(said));
        } finally {
            executor.shutdown();
        }
    }

    @Test
    void anExecutorThatFailsLosesNothing() throws Exception {
        for (Throwable failure : List.of(
                new IllegalStateException("thrown by a test, as an executor may"),
                new OutOfMemoryError("thrown by a test: unable to create native thread"))) {
            AtomicBoolean failing = new AtomicBoolean(true);
            // Far longer than the test's patience: a call that waited for a lost event would not end.
            try (FailoverClient client = twin.client()
                    .handlerTimeout(Duration.ofSeconds(300))
                    .executor(task -> {
                        if (failing.get()) {
                            Throwing.sneakily(failure);
                        }
                        ForkJoinPool.commonPool().execute(task);
                    })
                    .build()) {
                client.addEndpointSwitchedListener(event -> said.add("switched " + event.epoch() + " on " + thread()));
                twin.fault("primary", "refuse", "");
                assertEquals(200, client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS).status());
                assertEquals("switched 1 on the client's", Await.next(said));
                failing.set(false);
                twin.clear();
                client.switchEndpoint();
                assertEquals("switched 2 on another", Await.next(said));
                vetoes(client, "primary");
            }
        }
    }

    private static String thread() {
        return Thread.currentThread().getName().matches("d365-failover-\\d+-events") ? "the client's" : "another";
    }

    @Test
    void anExecutorThatEndsBetweenTwoEventsLosesNothing() throws Exception {
        ExecutorService pool = Executors.newSingleThreadExecutor(task -> {
            Thread thread = new Thread(task);
            thread.setUncaughtExceptionHandler((ended, failure) -> said.add("escaped " + failure));
            return thread;
        });
        BlockingQueue<Runnable> tasks = new LinkedBlockingQueue<>();
        CountDownLatch open = new CountDownLatch(1);
        try (FailoverClient client = twin.client()
                .handlerTimeout(Duration.ofSeconds(300))
                .executor(task -> {
                    pool.execute(task);
                    tasks.add(task);
                })
                .build()) {
            client.addEndpointSwitchedListener(event -> {
                said.add("switched " + event.epoch() + " on " + thread());
                try {
                    assertTrue(open.await(20, TimeUnit.SECONDS));
                } catch (InterruptedException e) {
                    said.add(e.toString());
                }
            });
            client.switchEndpoint();
            assertEquals("switched 1 on another", Await.next(said));
            Await.next(tasks);
            client.switchEndpoint();
            client.switchEndpoint();
            // A completion comes after the events, which wait behind the first by now.
            CompletableFuture<FailoverResponse> call = client.sendAsync(WHO_AM_I);
            Await.next(tasks);
            pool.shutdown();
            open.countDown();
            assertEquals(200, call.get(20, TimeUnit.SECONDS).status());
            assertTrue(pool.awaitTermination(20, TimeUnit.SECONDS));
            assertEquals("switched 2 on the client's", Await.next(said));
            assertEquals("switched 3 on the client's", Await.next(said));
            assertTrue(said.isEmpty(), said.toString());
            vetoes(client, "alternate");
        } finally {
            pool.shutdown();
        }
    }

    /** A decision is still asked for: the library does not think that a listener is running. */
    private void vetoes(FailoverClient client, String active) throws Exception {
        client.addEndpointSwitchRequiredListener(event -> {
            event.veto();
            said.add("vetoed");
        });
        long epoch = client.epoch();
        twin.fault(active, "refuse", "");
        ExecutionException e = assertThrows(
                ExecutionException.class, () -> client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS));
        assertEquals(ErrorKind.ENDPOINT_NOT_FOUND, ((FailoverException) e.getCause()).kind());
        assertEquals("vetoed", Await.next(said));
        assertEquals(epoch, client.epoch());
        twin.clear();
    }

    @Test
    void listenersOfOneClientShareOneThread() throws Exception {
        BlockingQueue<Thread> threads = new LinkedBlockingQueue<>();
        twin.fault("primary", "refuse", "");
        try (FailoverClient client = twin.client().build()) {
            client.addEndpointSwitchRequiredListener(event -> threads.add(Thread.currentThread()));
            client.addEndpointSwitchedListener(event -> threads.add(Thread.currentThread()));
            assertEquals(200, client.send(WHO_AM_I).status());
            Thread first = Await.next(threads);
            assertTrue(first.isDaemon());
            assertSame(first, Await.next(threads));
        }
    }

    @Test
    void aListenerThatTakesTooLongIsNotWaitedForAnyLonger() throws Exception {
        twin.fault("primary", "refuse", "");
        CountDownLatch open = new CountDownLatch(1);
        FailoverClient client = twin.client().handlerTimeout(Duration.ofMillis(1000)).build();
        client.addEndpointSwitchRequiredListener(event -> {
            try {
                assertTrue(open.await(60, TimeUnit.SECONDS));
            } catch (InterruptedException e) {
                said.add(e.toString());
            }
            // Too late: it is logged, and nothing else comes of it.
            event.veto();
            said.add("returned");
        });
        assertEquals(200, client.send(WHO_AM_I).status());
        assertFalse(client.isPrimary());
        // Close says that a listener is still running.
        assertFalse(client.close(Duration.ZERO));
        open.countDown();
        assertEquals("returned", Await.next(said));
        assertTrue(client.close(Await.BOUND));
    }
}
