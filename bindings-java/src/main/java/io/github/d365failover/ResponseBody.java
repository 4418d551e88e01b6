package io.github.d365failover;

import io.github.d365failover.impl.Answer;
import io.github.d365failover.impl.Handle;
import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.PacketReader;
import java.io.IOException;
import java.io.InputStream;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.List;
import java.util.Objects;

/** The body of a response, from the connection. It owns the native response, and gives it back when it is collected. */
final class ResponseBody extends InputStream {
    /** What is read at a time: the library has no larger pieces. */
    private static final int MOST = 1 << 16;

    private final Handle response;
    private final ResponseHead head;
    /** A client that is collected cancels what is read from it. */
    private final FailoverClient client;

    private final Cleaner.Cleanable cleanable;

    /** What the end of the body has told; null before. */
    private volatile Told told;

    /** What is known of a response whose body was read. */
    static final class Told {
        final Effect effect;
        final List<BatchPart> parts;

        private Told(PacketReader in) {
            effect = Effect.ofNumber(in.int32());
            parts = BatchPart.list(in);
        }
    }

    Told told() {
        return told;
    }

    ResponseBody(Handle response, ResponseHead head, FailoverClient client) {
        this.response = response;
        this.head = head;
        this.client = client;
        // The handle alone: what a cleaner runs must not keep this alive.
        this.cleanable = FailoverClient.CLEANER.register(this, response::dispose);
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] buffer, int offset, int length) throws IOException {
        Objects.checkFromIndexSize(offset, length, buffer.length);
        if (length == 0) {
            return 0;
        }
        if (Thread.currentThread().isInterrupted()) {
            throw interrupted();
        }
        long handle = response.acquire();
        if (handle == Handle.GONE) {
            throw new IOException("the response is closed");
        }
        try {
            int count = VirtualThreads.isHere()
                    ? readParked(handle, buffer, offset, length)
                    : readHere(handle, buffer, offset, length);
            if (count > 0) {
                return count;
            }
            told = new Told(Outcome.checked(Native.responseTold(handle)));
            return -1;
        } finally {
            response.release();
            Reference.reachabilityFence(client);
            Reference.reachabilityFence(this);
        }
    }

    private int readHere(long handle, byte[] buffer, int offset, int length) throws FailoverException {
        Interruptible thread = new Interruptible(() -> Native.responseCancel(handle));
        byte[] packet = thread.during(() -> Native.responseRead(handle, buffer, offset, length));
        return Outcome.checked(packet).int32();
    }

    private int readParked(long handle, byte[] buffer, int offset, int length) throws FailoverException {
        int most = Math.min(length, MOST);
        Answer answer = client.park(
                id -> Native.responseSubmitRead(handle, most, id), () -> Native.responseCancel(handle));
        if (answer == null) {
            // The client is closed: there is nothing to wait for.
            return readHere(handle, buffer, offset, length);
        }
        PacketReader in = answer.packet();
        Failure failure = Outcome.failure(in);
        if (failure != null) {
            throw failure.checked();
        }
        byte[] piece = in.bytes();
        System.arraycopy(piece, 0, buffer, offset, piece.length);
        return piece.length;
    }

    private FailoverException interrupted() {
        Failure.Details details = new Failure.Details(told == null ? head.effect : told.effect);
        details.ledgerId = head.ledgerId;
        details.tag = head.tag;
        details.switched = head.switched;
        details.attempts = head.attempts;
        return new Failure(ErrorKind.CANCELLED, "the thread was interrupted before it read on from "
                        + OrganizationUrls.shown(head.url), details)
                .checked();
    }

    /** Ends a read that waits on another thread, too. */
    @Override
    public void close() {
        long handle = response.acquire();
        if (handle != Handle.GONE) {
            Native.responseCancel(handle);
            response.release();
        }
        cleanable.clean();
    }
}
