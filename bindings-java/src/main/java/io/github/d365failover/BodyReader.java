package io.github.d365failover;

import io.github.d365failover.impl.Upcalls;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.Objects;

/** Reads the body of one call, and closes the streams that it is read from. Used by the thread that sends only. */
final class BodyReader implements AutoCloseable {
    private static final int PIECE = 1 << 16;

    private final StreamedBody body;
    private InputStream in;
    private byte[] piece;

    BodyReader(StreamedBody body) {
        this.body = body;
    }

    int read(ByteBuffer room) throws IOException {
        if (in == null) {
            in = Objects.requireNonNull(body.open(), "the body's source has given no stream");
        }
        if (piece == null) {
            piece = new byte[PIECE];
        }
        int count = in.read(piece, 0, Math.min(piece.length, room.remaining()));
        if (count == 0) {
            // A stream may not answer that, and some do when there is nothing yet: to the library it would be the end.
            int one = in.read();
            if (one >= 0) {
                piece[0] = (byte) one;
                count = 1;
            }
        }
        if (count <= 0) {
            return Upcalls.DONE;
        }
        room.put(piece, 0, count);
        return count;
    }

    void rewind() throws IOException {
        close();
    }

    /** A stream that can be read once is closed even if no byte of it was wanted. */
    @Override
    public void close() throws IOException {
        InputStream open = in == null && !body.canRewind() ? body.open() : in;
        in = null;
        if (open != null) {
            open.close();
        }
    }
}
