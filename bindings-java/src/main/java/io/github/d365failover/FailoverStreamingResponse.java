package io.github.d365failover;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * What the service answered, with a body that is read from the connection. To be closed.
 *
 * <pre>{@code
 * try (FailoverStreamingResponse response = client.sendStreaming(FailoverRequest.get(url))) {
 *     Files.copy(response.body(), file);
 * }
 * }</pre>
 *
 * <p>Closing it closes its connection if the body was not read to the end, and gives it back to the client if it was.
 * One that was forgotten, with its stream, is closed when it is collected; until then {@link FailoverClient#close()}
 * waits for it, as for a call.
 */
public final class FailoverStreamingResponse implements AutoCloseable {
    /** What a reader without a buffer of its own reads at a time; larger reads go straight through. */
    private static final int BUFFER = 1 << 13;

    private final ResponseHead head;
    private final InputStream body;
    private final ResponseBody source;

    FailoverStreamingResponse(ResponseHead head, ResponseBody body) {
        this.head = head;
        this.source = body;
        this.body = new BufferedInputStream(body, BUFFER);
    }

    /**
     * The HTTP status.
     *
     * @return 200 and so on; error statuses that are the service's answer are responses too
     */
    public int status() {
        return head.status;
    }

    /**
     * What the status is called: as it came over HTTP/1.1 where the answer says anything, on one line and cut to 200
     * characters; else as the standard has it.
     *
     * @return {@code "Not Found"} and so on; empty for a status that the standard does not know
     */
    public String reasonPhrase() {
        return head.reasonPhrase;
    }

    /**
     * How long the call took, with all attempts and pauses, to the end of its head.
     *
     * @return in whole microseconds
     */
    public Duration elapsed() {
        return head.elapsed;
    }

    /**
     * Where the answer came from.
     *
     * @return the absolute URL on the endpoint that answered
     */
    public URI uri() {
        return head.uri();
    }

    /**
     * The headers.
     *
     * @return an unmodifiable map whose keys are found in any case and spelled as they came first, over HTTP/2 in lower
     *     case; values in the order in which they came
     */
    public Map<String, List<String>> headers() {
        return head.headers;
    }

    /**
     * The first value of a header.
     *
     * @param name the header's name, in any case
     * @return its value; empty if it did not come
     */
    public Optional<String> header(String name) {
        return head.header(name);
    }

    /**
     * The body, decoded as {@link FailoverClientBuilder#decompress} says. Closing it closes the response.
     *
     * <p>A read waits for the next byte for at most the {@code attemptTimeout} of request or client; the call's deadline has ended
     * with the call. What breaks off throws a {@link FailoverException}, now and with each further read: with the kind
     * of its fault, such as {@link ErrorKind#CONNECTION_LOST} or {@link ErrorKind#TIMEOUT}, the attempts of the call,
     * and its {@link #effect()}, for a write that was answered with 200 was executed, though its answer is not whole,
     * unless it is a {@code $batch} or an ExecuteMultiple.
     * Nothing is sent again. After {@link FailoverClient#close()} the kind is {@link ErrorKind#CANCELLED}.
     *
     * <p>An interrupt of the thread that waits in a read, or a close on another thread, ends the read at once, and with
     * it the body: this read and each further one throw with {@link ErrorKind#CANCELLED}, and the interrupt flag stays
     * set. A read that begins on a thread whose flag is set throws the same, and the stream can be read on when it is
     * cleared. A virtual thread parks in a read. To be read by one thread at a time.
     *
     * @return the same stream each time; not a copy
     */
    public InputStream body() {
        return body;
    }

    /**
     * What is known of a write. Of a {@code $batch} or an ExecuteMultiple only its parts tell: it is
     * {@link Effect#UNKNOWN} until the body was read to its end.
     *
     * @return {@link Effect#NONE} for a read
     */
    public Effect effect() {
        ResponseBody.Told told = source.told();
        return told == null ? head.effect : told.effect;
    }

    /**
     * As {@link FailoverResponse#parts()}.
     *
     * @return an unmodifiable list; empty until the body was read to its end
     */
    public List<BatchPart> parts() {
        ResponseBody.Told told = source.told();
        return told == null ? head.parts : told.parts;
    }

    /**
     * Its number in the ledger.
     *
     * @return the {@link LedgerEntry#id()} of a write; empty for a read
     */
    public OptionalLong ledgerId() {
        return head.ledgerId;
    }

    /**
     * The tag of its request.
     *
     * @return what {@link FailoverRequest.Builder#tag} was given; empty without one
     */
    public Optional<String> tag() {
        return head.tag;
    }

    /**
     * Whether the endpoint was switched during the call.
     *
     * @return true if so, whoever caused it
     */
    public boolean switched() {
        return head.switched;
    }

    /**
     * The attempts that the call took.
     *
     * @return an unmodifiable list, the last one is this response's
     */
    public List<Attempt> attempts() {
        return head.attempts;
    }

    /** Ends the body. The second time does nothing. */
    @Override
    public void close() {
        try {
            body.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public String toString() {
        return head.toString();
    }
}
