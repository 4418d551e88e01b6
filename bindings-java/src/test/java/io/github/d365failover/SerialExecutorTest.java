package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import org.junit.jupiter.api.Test;

class SerialExecutorTest {
    private final Queue<Runnable> taken = new ArrayDeque<>();
    private final List<String> said = new ArrayList<>();
    private boolean takes = true;
    private boolean throwsWhatItTook;
    private boolean otherTakes;

    private final SerialExecutor serial = new SerialExecutor(
            task -> take(task, takes, throwsWhatItTook), task -> take(task, otherTakes, false));

    private void take(Runnable task, boolean takes, boolean throwsWhatItTook) {
        if (takes) {
            taken.add(task);
        }
        if (!takes || throwsWhatItTook) {
            throw new RejectedExecutionException("by a test");
        }
    }

    private void execute(String name) {
        serial.execute(new SerialExecutor.Task() {
            @Override
            public void run() {
                said.add("run " + name);
            }

            @Override
            public void refused(Throwable reason) {
                said.add("refused " + name);
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
        assertEquals(List.of("run a", "refused b", "discard b", "discard c", "refused d", "discard d"), said);
        takes = true;
        execute("e");
        taken.remove().run();
        assertEquals("run e", said.get(6));
    }

    @Test
    void whatIsNotTakenRunsOnTheOther() {
        otherTakes = true;
        execute("a");
        execute("b");
        execute("c");
        takes = false;
        taken.remove().run();
        // One at a time there as well.
        assertEquals(1, taken.size());
        taken.remove().run();
        takes = true;
        taken.remove().run();
        execute("d");
        taken.remove().run();
        assertEquals(List.of("run a", "refused b", "run b", "refused c", "run c", "run d"), said);
    }

    @Test
    void whatIsTakenAndRefusedAtOnceIsDiscardedOnly() {
        throwsWhatItTook = true;
        execute("a");
        throwsWhatItTook = false;
        execute("b");
        taken.remove().run();
        assertEquals(List.of("refused a", "discard a"), said);
        taken.remove().run();
        assertEquals(List.of("refused a", "discard a", "run b"), said);
    }

    @Test
    void whatFailsAfterItRanIsNotDiscarded() {
        Executor runs = task -> {
            task.run();
            throw new IllegalStateException("by a test");
        };
        SerialExecutor direct = new SerialExecutor(runs, runs);
        direct.execute(new SerialExecutor.Task() {
            @Override
            public void run() {
                said.add("run");
            }

            @Override
            public void refused(Throwable reason) {
                said.add("refused");
            }

            @Override
            public void discard(Throwable reason) {
                said.add("discard");
            }
        });
        assertEquals(List.of("run"), said);
    }
}
