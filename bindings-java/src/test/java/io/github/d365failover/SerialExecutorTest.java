package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.RejectedExecutionException;
import org.junit.jupiter.api.Test;

class SerialExecutorTest {
    private final Queue<Runnable> taken = new ArrayDeque<>();
    private final List<String> said = new ArrayList<>();
    private boolean takes = true;
    private boolean throwsWhatItTook;

    private final SerialExecutor serial = new SerialExecutor(task -> {
        if (takes) {
            taken.add(task);
        }
        if (!takes || throwsWhatItTook) {
            throw new RejectedExecutionException("by a test");
        }
    });

    private void execute(String name) {
        serial.execute(new SerialExecutor.Task() {
            @Override
            public void run() {
                said.add("run " + name);
            }

            @Override
            public void discard(Throwable reason) {
                said.add("discard " + name);
            }
        });
    }

    @Test
    void oneAtATimeInOrder() {
        execute("a");
        execute("b");
        assertEquals(1, taken.size());
        taken.remove().run();
        assertEquals(1, taken.size());
        taken.remove().run();
        execute("c");
        taken.remove().run();
        assertEquals(List.of("run a", "run b", "run c"), said);
    }

    @Test
    void whatIsNotTakenIsDiscardedWithAllThatWaits() {
        execute("a");
        execute("b");
        execute("c");
        takes = false;
        taken.remove().run();
        execute("d");
        assertEquals(List.of("run a", "discard b", "discard c", "discard d"), said);
        takes = true;
        execute("e");
        taken.remove().run();
        assertEquals("run e", said.get(4));
    }

    @Test
    void whatIsTakenAndRefusedAtOnceIsDiscardedOnly() {
        throwsWhatItTook = true;
        execute("a");
        throwsWhatItTook = false;
        execute("b");
        taken.remove().run();
        assertEquals(List.of("discard a"), said);
        taken.remove().run();
        assertEquals(List.of("discard a", "run b"), said);
    }

    @Test
    void whatFailsAfterItRanIsNotDiscarded() {
        SerialExecutor direct = new SerialExecutor(task -> {
            task.run();
            throw new IllegalStateException("by a test");
        });
        direct.execute(new SerialExecutor.Task() {
            @Override
            public void run() {
                said.add("run");
            }

            @Override
            public void discard(Throwable reason) {
                said.add("discard");
            }
        });
        assertEquals(List.of("run"), said);
    }
}
