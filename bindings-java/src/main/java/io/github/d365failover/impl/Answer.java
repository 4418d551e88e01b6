package io.github.d365failover.impl;

import java.util.function.Function;

/**
 * What came of a call: its packet and, of a response whose body is still to be read, the handle, which is owned by
 * whoever has this.
 */
public final class Answer {
    private final byte[] packet;
    private final long response;

    private Answer(byte[] packet, long response) {
        this.packet = packet;
        this.response = response;
    }

    /**
     * Calls a native method that hands out both.
     *
     * @param call gets the place for the handle
     */
    public static Answer of(Function<long[], byte[]> call) {
        long[] place = {Handle.GONE};
        try {
            return new Answer(call.apply(place), place[0]);
        } catch (Throwable e) {
            // Such as no memory for the packet.
            free(place[0]);
            throw e;
        }
    }

    public PacketReader packet() {
        return new PacketReader(packet);
    }

    /** The handle, which is the caller's now. */
    public Handle response() {
        return Handle.ofResponse(response);
    }

    /** Nobody wants it. */
    public void discard() {
        free(response);
    }

    private static void free(long response) {
        if (response != Handle.GONE) {
            Native.responseFree(response);
        }
    }
}
