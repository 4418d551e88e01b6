package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.Await;
import io.github.d365failover.support.Twin;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What the library has to say comes to the application's log, whoever listens to events or not. */
class LogRecordsTest {
    /** What {@link System.Logger} writes to in a JVM without another log. */
    private static final Logger LOGGER = Logger.getLogger("io.github.d365failover");

    private static final FailoverRequest WHO_AM_I = FailoverRequest.get("/api/data/v9.2/WhoAmI");

    private final BlockingQueue<String> said = new LinkedBlockingQueue<>();
    private Handler handler;

    private void handle(Handler other) {
        handler = other;
        LOGGER.addHandler(other);
    }

    @BeforeEach
    void quiet() {
        LOGGER.setUseParentHandlers(false);
    }

    @AfterEach
    void restore() {
        LOGGER.removeHandler(handler);
        LOGGER.setUseParentHandlers(true);
        LOGGER.setLevel(null);
    }

    @Test
    void aSwitchIsLoggedThoughNobodyListens() throws Exception {
        handle(new Sink() {
            @Override
            public void publish(LogRecord record) {
                String thread = Thread.currentThread().getName().replaceAll("-[0-9]+-", "-N-");
                said.add(record.getLevel() + " " + thread + " " + record.getMessage());
            }
        });
        try (Twin twin = Twin.start(); FailoverClient client = twin.client().build()) {
            twin.fault("primary", "refuse", "");
            assertEquals(200, client.send(WHO_AM_I).status());
            String record = Await.next(said);
            assertEquals("INFO d365-failover-N-events switched from the primary to the alternate", record);
        }
    }

    @Test
    void whatIsNotWantedIsNotLogged() throws Exception {
        handle(new Sink() {
            @Override
            public void publish(LogRecord record) {
                said.add(record.getLevel() + " " + record.getMessage());
            }
        });
        LOGGER.setLevel(Level.SEVERE);
        try (Twin twin = Twin.start(); FailoverClient client = twin.client().build()) {
            client.addEndpointSwitchedListener(event -> said.add("switched " + event.epoch()));
            client.switchEndpoint();
            client.switchEndpoint();
            assertEquals("switched 1", Await.next(said));
            // The record of the first switch came between them, and is not there.
            assertEquals("switched 2", Await.next(said));
            LOGGER.setLevel(null);
            client.switchEndpoint();
            Set<String> rest = new HashSet<>();
            Await.that(() -> {
                said.drainTo(rest);
                return rest.contains("INFO switched from the primary to the alternate");
            });
            assertTrue(rest.contains("switched 3"), rest.toString());
        }
    }

    @Test
    void aLogThatThrowsOrUsesTheClientStopsNothing() throws Exception {
        BlockingQueue<FailoverClient> clients = new LinkedBlockingQueue<>();
        handle(new Sink() {
            @Override
            public void publish(LogRecord record) {
                try {
                    FailoverClient client = Await.next(clients);
                    said.add("sent " + client.sendAsync(WHO_AM_I).get().status());
                } catch (Exception e) {
                    said.add(e.toString());
                }
                throw new IllegalStateException("thrown by a test, as an application's log may");
            }
        });
        try (Twin twin = Twin.start(); FailoverClient client = twin.client().build()) {
            client.switchEndpoint();
            clients.add(client);
            assertEquals("sent 200", Await.next(said));
            client.switchEndpoint();
            clients.add(client);
            assertEquals("sent 200", Await.next(said));
            assertTrue(client.close(Await.BOUND));
        }
    }

    private abstract static class Sink extends Handler {
        @Override
        public void flush() {
            // Nothing is kept.
        }

        @Override
        public void close() {
            // Nothing is held.
        }
    }
}
