package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.Await;
import io.github.d365failover.support.Twin;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the operator says, as Java sees it. */
class OverrideTest {
    private static Twin twin;

    @BeforeAll
    static void start() throws Exception {
        twin = Twin.start();
    }

    @AfterAll
    static void stop() throws Exception {
        twin.close();
    }

    @Test
    void theStoresOverrideIsHeardByThoseWhoRun(@TempDir Path folder) throws Exception {
        String store = folder.resolve("store").toString();
        BlockingQueue<EndpointSwitchEvent> events = new LinkedBlockingQueue<>();
        Instant end = Instant.now().plus(1, ChronoUnit.HOURS).truncatedTo(ChronoUnit.MILLIS);
        try (FailoverClient client = twin.safeClient().setting("store", store).build();
                FailoverClient other = twin.safeClient().setting("store", store).build()) {
            assertEquals(Optional.empty(), client.currentOverride());
            other.addEndpointSwitchedListener(events::add);
            client.setOverride(OperatorOverride.ALTERNATE, end);
            CurrentOverride current = client.currentOverride().orElseThrow();
            assertEquals(OperatorOverride.ALTERNATE, current.value());
            assertEquals(OverrideSource.STORE, current.source());
            assertEquals(Optional.of(end), current.until());
            assertFalse(client.isPrimary());
            EndpointSwitchEvent event = Await.next(events);
            assertEquals("override", event.reason());
            assertFalse(event.automatic());
            FailoverException refused = assertThrows(FailoverException.class, other::switchEndpoint);
            assertEquals(ErrorKind.OVERRIDDEN, refused.kind());
            assertTrue(refused.getMessage().contains("set_override lifts it"), refused.getMessage());
            assertThrows(
                    FailoverUsageException.class, () -> client.setOverride(OperatorOverride.OFF, Instant.EPOCH));
            client.setOverride(OperatorOverride.OFF);
            assertFalse(client.isEndpointAutoSwitchEnabled());
            assertEquals(
                    Optional.empty(), client.currentOverride().orElseThrow().until());
            client.clearOverride();
            assertEquals(Optional.empty(), client.currentOverride());
            client.switchEndpoint();
            assertTrue(client.isPrimary());
        }
    }

    @Test
    void withoutAStoreThereIsNowhereToPutOne() throws Exception {
        try (FailoverClient client = twin.safeClient().build()) {
            FailoverUsageException refused =
                    assertThrows(FailoverUsageException.class, () -> client.setOverride(OperatorOverride.OFF));
            assertEquals(ErrorKind.NOT_AVAILABLE, refused.kind());
        }
    }
}
