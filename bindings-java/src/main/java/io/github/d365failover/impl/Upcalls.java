package io.github.d365failover.impl;

import java.nio.ByteBuffer;

/**
 * What the library asks during {@link Native#send}, on the thread that is inside of it. Nothing is thrown: a failure is
 * kept, and told when the call has ended.
 */
public interface Upcalls {
    int DONE = 0;
    int FAILED = -1;

    /**
     * Reads the next bytes of the request's body.
     *
     * @param room the library's memory, gone when this returns
     * @return how many; {@link #DONE} at the end
     */
    int read(ByteBuffer room);

    /** Goes back to the first byte of the request's body. */
    int rewind();

    /**
     * Prepares an attempt.
     *
     * @param outgoing its handle, gone when this returns
     */
    int prepare(long outgoing);
}
