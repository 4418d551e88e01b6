package io.github.d365failover;

import java.net.URI;
import java.time.Duration;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/** What the service answered. Immutable but for the array that {@link #body()} gives. */
public final class FailoverResponse {
    private final ResponseHead head;
    private final byte[] body;

    FailoverResponse(ResponseHead head, byte[] body) {
        this.head = head;
        this.body = body;
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
     * How long the call took, with all attempts and pauses, to its end.
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
     * The body.
     *
     * @return the response's own array, which may be empty: not a copy
     */
    public byte[] body() {
        return body;
    }

    /**
     * The body as UTF-8 text.
     *
     * @return the text; what is no UTF-8 becomes U+FFFD
     */
    public String bodyString() {
        return new String(body, StandardCharsets.UTF_8);
    }

    /**
     * What is known of a write.
     *
     * @return {@link Effect#NONE} for a read
     */
    public Effect effect() {
        return head.effect;
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

    /**
     * What the answer to a {@code $batch} or an ExecuteMultiple says of the requests in it. A request that is not in it
     * was not executed, where the batch stops at the first that fails; or it was, where an ExecuteMultiple asked for no
     * responses.
     *
     * @return an unmodifiable list in the order of the answer; empty for other requests, and for an answer that cannot
     *     be read or is larger than 16 MiB
     */
    public List<BatchPart> parts() {
        return head.parts;
    }

    @Override
    public String toString() {
        return head.toString();
    }
}
