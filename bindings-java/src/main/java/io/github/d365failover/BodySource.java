package io.github.d365failover;

import java.io.IOException;
import java.io.InputStream;

/**
 * Gives the body of a request, from its first byte on, as often as it is wanted: once for each attempt that comes to
 * send it.
 *
 * <pre>{@code
 * FailoverRequest.builder("PATCH", url).body(() -> new GZIPInputStream(Files.newInputStream(file)))
 * }</pre>
 *
 * <p>It is asked, and its streams are read, on the thread that is inside of {@code send}; for {@code sendAsync} on a
 * thread of the client's that serves no other call meanwhile. It may block, and may use the client.
 */
@FunctionalInterface
public interface BodySource {
    /**
     * Opens the body.
     *
     * @return a stream at the body's first byte, which the client closes
     * @throws IOException it cannot be opened: the call fails with {@link ErrorKind#LOCAL}, with this as its cause
     */
    InputStream open() throws IOException;
}
