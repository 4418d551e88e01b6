package io.github.d365failover;

import io.github.d365failover.impl.Answer;
import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.Upcalls;
import java.nio.ByteBuffer;

/** A call that a thread waits for inside of the library; an interrupt of that thread cancels it at once. */
final class BlockingCall implements Upcalls, AutoCloseable {
    private final Upcalls asked;
    private final long pending = Native.pendingNew();
    private final Interruptible thread = new Interruptible(this::cancel);

    /**
     * @param asked may be null, then nothing is asked
     */
    BlockingCall(Upcalls asked) {
        this.asked = asked;
    }

    Answer send(long client, byte[] head, byte[] body, boolean isStreaming) {
        Upcalls upcalls = asked == null ? null : this;
        return thread.during(() -> Answer.of(response ->
                Native.send(client, head, body, upcalls, pending, isStreaming ? response : null)));
    }

    private void cancel() {
        Native.pendingCancel(pending);
    }

    @Override
    public int read(ByteBuffer room) {
        try {
            return asked.read(room);
        } finally {
            thread.listen();
        }
    }

    @Override
    public int rewind() {
        try {
            return asked.rewind();
        } finally {
            thread.listen();
        }
    }

    @Override
    public int prepare(long outgoing) {
        try {
            return asked.prepare(outgoing);
        } finally {
            thread.listen();
        }
    }

    @Override
    public void close() {
        Native.pendingFree(pending);
    }
}
