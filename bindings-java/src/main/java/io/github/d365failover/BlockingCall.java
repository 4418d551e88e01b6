package io.github.d365failover;

import io.github.d365failover.impl.Answer;
import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.Upcalls;
import java.nio.ByteBuffer;
import java.util.function.IntSupplier;

/** A call that a thread waits for inside of the library; an interrupt of that thread cancels it at once. */
final class BlockingCall implements Upcalls, AutoCloseable {
    private final Upcalls asked;
    private final boolean isOwn;
    private final long pending = Native.pendingNew();
    private final Interruptible thread = new Interruptible(this::cancel);

    /**
     * @param asked may be null, then nothing is asked
     * @param isOwn whether the thread is the application's own. One of the client's is interrupted by whoever cancels the
     *     call, and whatever the application's code makes of that, the call is cancelled.
     */
    BlockingCall(Upcalls asked, boolean isOwn) {
        this.asked = asked;
        this.isOwn = isOwn;
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
        return ask(() -> asked.read(room));
    }

    @Override
    public int rewind() {
        return ask(asked::rewind);
    }

    @Override
    public int prepare(long outgoing) {
        return ask(() -> asked.prepare(outgoing));
    }

    private int ask(IntSupplier question) {
        if (isOwn) {
            return thread.except(question);
        }
        try {
            return question.getAsInt();
        } finally {
            // The application's code may have waited for a channel of its own.
            thread.listen();
        }
    }

    @Override
    public void close() {
        Native.pendingFree(pending);
    }
}
