package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

class EventDispatcherTest {
    private static final long LOG_ONLY = 1L << EventItem.LOG;

    private final EventDispatcher events = new EventDispatcher(new DaemonThreads(), null);

    @Test
    void onlyKindsThatSomebodyListensToAreAskedFor() {
        assertEquals(LOG_ONLY, events.mask());
        List<Audience<?>> kinds = List.of(
                events.required,
                events.switched,
                events.inDoubt,
                events.dataLoss,
                events.retried,
                events.throttled,
                events.outageStarted,
                events.outageEnded);
        int[] numbers = {1, 2, 3, 4, 5, 6, 8, 9};
        long all = LOG_ONLY;
        for (int i = 0; i < kinds.size(); i++) {
            // The kinds of the C ABI, in its order.
            assertEquals(numbers[i], kinds.get(i).kind());
            comesAndGoes(kinds.get(i));
            all |= 1L << numbers[i];
        }
        kinds.forEach(kind -> kind.add(event -> {}));
        assertEquals(all, events.mask());
    }

    private <E> void comesAndGoes(Audience<E> kind) {
        Consumer<E> listener = event -> {};
        kind.add(listener);
        kind.add(listener);
        assertEquals(LOG_ONLY | 1L << kind.kind(), events.mask());
        kind.remove(listener);
        assertEquals(LOG_ONLY | 1L << kind.kind(), events.mask());
        kind.remove(listener);
        assertEquals(LOG_ONLY, events.mask());
    }

    @Test
    void aBacklogThatIsFullCountsWhatItDrops() {
        Backlog backlog = new Backlog(2);
        assertTrue(backlog.enter());
        assertTrue(backlog.enter());
        assertFalse(backlog.enter());
        assertFalse(backlog.enter());
        backlog.add(3);
        assertEquals(5, backlog.takeDropped());
        assertEquals(0, backlog.takeDropped());
        backlog.leave();
        assertTrue(backlog.enter());
        assertFalse(backlog.enter());
        assertEquals(1, backlog.takeDropped());
    }
}
