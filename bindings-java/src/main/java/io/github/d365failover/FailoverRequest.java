package io.github.d365failover;

import io.github.d365failover.impl.PacketWriter;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.io.InputStream;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * One request. Immutable; can be sent any number of times, also by several threads at once, unless its body is a stream
 * that can be read only once.
 */
public final class FailoverRequest {
    private static final long NO_TIMEOUT = -1;
    private static final int SENDS = 0;
    private static final int VERIFIES = 1;
    private static final int VERIFIES_WITH = 3;
    private static final int REPLAYS = 4;
    private static final int REPLAYS_AS_WANTED = 5;
    private static final int SETTLES = 6;
    private static final int DISCOVERS = 2;
    private static final int CHECKS = 7;
    private static final int NOT_STREAMED = 0;
    private static final int READ_ONCE = 1;
    private static final int READ_AGAIN = 2;

    private final String method;
    private final String url;
    private final Operation operation;
    private final Optional<String> tag;
    private final byte[] head;
    /** Where the timeout is in it. */
    private final int timeoutAt;
    private final long timeoutMillis;
    private final byte[] body;
    private final StreamedBody streamed;

    private FailoverRequest(Builder builder) {
        this.method = builder.method;
        this.url = builder.url;
        this.operation = builder.operation;
        this.tag = Arguments.optional(builder.tag);
        this.body = builder.body;
        this.streamed = builder.streamed;
        PacketWriter packet = new PacketWriter();
        packet.int32(builder.question).int64(builder.verifies);
        Arguments.pack(packet, builder.tag);
        Arguments.pack(packet, method);
        Arguments.pack(packet, url);
        packet.int32(builder.headers.size() / 2);
        for (String part : builder.headers) {
            Arguments.pack(packet, part);
        }
        this.timeoutAt = packet.toBytes().length;
        this.timeoutMillis = builder.timeoutMillis;
        packet.int64(timeoutMillis).int64(builder.connectMillis).int64(builder.attemptMillis).int64(builder.readMillis);
        packet.int32(operation.ordinal());
        packet.int32(builder.guardedCreate ? 1 : 0);
        packet.int32(builder.upsert ? 1 : 0);
        if (streamed == null) {
            packet.int32(NOT_STREAMED).int64(StreamedBody.UNKNOWN_LENGTH);
        }
        this.head = packet.toBytes();
    }

    /**
     * Starts a request.
     *
     * @param method the HTTP method; a standard one is sent in upper case
     * @param url on from the base URL ({@code /api/data/v9.2/accounts}), without a slash at its beginning on from the
     *     URL that the client was opened with, or absolute on either endpoint of the organization; it goes to the
     *     active one, as it is given: a {@code #} is refused ({@code %23} belongs there)
     * @return a builder
     */
    public static Builder builder(String method, String url) {
        return new Builder(method, url);
    }

    /**
     * Starts a request.
     *
     * @param method the HTTP method
     * @param uri as the URL of {@link #builder(String, String)}
     * @return a builder
     */
    public static Builder builder(String method, URI uri) {
        return new Builder(method, Objects.requireNonNull(uri, "uri").toString());
    }

    /**
     * A GET without headers.
     *
     * @param url as that of {@link #builder(String, String)}
     * @return the request
     */
    public static FailoverRequest get(String url) {
        return builder("GET", url).build();
    }

    /** Asks about a write on record; method and URL are the library's. */
    static FailoverRequest verifying(long id) {
        Builder builder = builder("GET", "");
        builder.question = VERIFIES;
        builder.verifies = id;
        return builder.build();
    }

    /** Asks about a write on record by a read that the application names. */
    static FailoverRequest verifying(long id, String url) {
        Builder builder = builder("GET", url);
        builder.question = VERIFIES_WITH;
        builder.verifies = id;
        return builder.build();
    }

    /** Sends a write on record again. */
    static FailoverRequest replaying(long id, boolean isWanted) {
        // A write, and that is how it is shown.
        Builder builder = builder("replay of", "write " + id);
        builder.question = isWanted ? REPLAYS_AS_WANTED : REPLAYS;
        builder.verifies = id;
        return builder.build();
    }

    /** Goes on with a walk. */
    static FailoverRequest settling(long walk) {
        Builder builder = builder("GET", "");
        builder.question = SETTLES;
        builder.verifies = walk;
        return builder.build();
    }

    /** Asks for the organization's failover policy. */
    static FailoverRequest discovering() {
        Builder builder = builder("GET", "");
        builder.question = DISCOVERS;
        return builder.build();
    }

    /** Looks at one endpoint. */
    static FailoverRequest checking(Role role) {
        Builder builder = builder("GET", "");
        builder.question = CHECKS;
        builder.verifies = role.ordinal() + 1L;
        return builder.build();
    }

    /** What is known of it before it is sent, by what costs nothing: a header or the body may say otherwise. */
    Effect effectUnsent() {
        boolean reads = operation == Operation.READ
                || operation == Operation.AUTO && (method.equalsIgnoreCase("GET") || method.equalsIgnoreCase("HEAD"));
        return reads ? Effect.NONE : Effect.NOT_EXECUTED;
    }

    Optional<String> tag() {
        return tag;
    }

    /**
     * All but the body.
     *
     * @throws IOException the length of the body cannot be had
     */
    byte[] head() throws IOException {
        if (streamed == null) {
            return head;
        }
        return withReader(streamed.canRewind() ? READ_AGAIN : READ_ONCE, streamed.length());
    }

    /** As {@link #head()}, of what is not to be sent: where the body would be read, there is none. */
    byte[] unread() {
        return streamed == null ? head : withReader(NOT_STREAMED, StreamedBody.UNKNOWN_LENGTH);
    }

    private byte[] withReader(int reader, long length) {
        byte[] tail = new PacketWriter().int32(reader).int64(length).toBytes();
        byte[] whole = Arrays.copyOf(head, head.length + tail.length);
        System.arraycopy(tail, 0, whole, head.length, tail.length);
        return whole;
    }

    /** As {@link #head()}, with what is left of the call's time. */
    byte[] head(long leftMillis) throws IOException {
        byte[] whole = head().clone();
        ByteBuffer.wrap(whole).putLong(timeoutAt, leftMillis);
        return whole;
    }

    /** The time for the call, or that of its client. */
    long timeoutMillis(long ofClient) {
        return timeoutMillis == NO_TIMEOUT ? ofClient : timeoutMillis;
    }

    /** Null without a body, and for one that is streamed. */
    byte[] body() {
        return body;
    }

    /** Null for a body of bytes. */
    StreamedBody streamed() {
        return streamed;
    }

    @Override
    public String toString() {
        return url.isEmpty() ? method : method + " " + OrganizationUrls.shown(url);
    }

    /** Makes a {@link FailoverRequest}. Not for use by several threads at a time. */
    public static final class Builder {
        private final String method;
        private final String url;
        private final List<String> headers = new ArrayList<>();
        private byte[] body;
        private StreamedBody streamed;
        private long timeoutMillis = NO_TIMEOUT;
        private long connectMillis = NO_TIMEOUT;
        private long attemptMillis = NO_TIMEOUT;
        private long readMillis = NO_TIMEOUT;
        private Operation operation = Operation.AUTO;
        private boolean guardedCreate;
        private boolean upsert;
        private String tag = "";
        private int question = SENDS;
        private long verifies;

        private Builder(String method, String url) {
            this.method = Objects.requireNonNull(method, "method");
            this.url = Objects.requireNonNull(url, "url");
        }

        /**
         * Adds a header; a name can be added several times. {@code Content-Length} is the library's: one that agrees
         * with the body is no error, and it tells the length of a source that does not know it; another one is a
         * {@link FailoverUsageException} when the request is sent. Names that begin with {@code D365-Failover-} speak to
         * the library, and are not sent: {@code Operation}, {@code Tag}, {@code Guarded-Create}, {@code Upsert}.
         *
         * @param name the header's name
         * @param value the header's value
         * @return this builder
         */
        public Builder header(String name, String value) {
            headers.add(Objects.requireNonNull(name, "name"));
            headers.add(Objects.requireNonNull(value, "value"));
            return this;
        }

        /**
         * Sets the body.
         *
         * @param body the bytes, which are copied; may be sent more than once
         * @return this builder
         */
        public Builder body(byte[] body) {
            return bytes(Objects.requireNonNull(body, "body").clone());
        }

        /**
         * Sets the body to text in UTF-8. It sets no {@code Content-Type}.
         *
         * @param body the text
         * @return this builder
         */
        public Builder body(String body) {
            return bytes(Arguments.utf8(body, "body"));
        }

        /**
         * Sets the body to a file, which is read anew for each attempt. Its length is asked for when the request is
         * sent.
         *
         * @param file a file, and no folder or pipe; one that cannot be read fails the call with {@link ErrorKind#LOCAL}
         * @return this builder
         */
        public Builder body(Path file) {
            return streamed(StreamedBody.of(file));
        }

        /**
         * Sets the body to what is read while it is sent, anew for each attempt. Its length is not known: HTTP/1.1
         * sends it in chunks.
         *
         * @param source opens the body; what it or a stream throws fails the call with {@link ErrorKind#LOCAL} and
         *     without failover, as the cause of its exception
         * @return this builder
         */
        public Builder body(BodySource source) {
            return streamed(StreamedBody.of(source, StreamedBody.UNKNOWN_LENGTH));
        }

        /**
         * As {@link #body(BodySource)}, of a known length.
         *
         * @param source opens the body
         * @param length in bytes, from 0; a stream that has more or fewer fails the call with {@link ErrorKind#LOCAL}
         * @return this builder
         * @throws FailoverUsageException a negative length
         */
        public Builder body(BodySource source, long length) {
            return streamed(StreamedBody.of(source, checked(length)));
        }

        /**
         * Sets the body to a stream that can be read once. So the request can be sent once: a second call fails with
         * {@link FailoverUsageException}. And a call that has begun to read the stream is not sent again: it ends with
         * the fault that it met, and says so; use {@link #body(BodySource)} where the bytes can be had again. With a
         * header {@code Expect: 100-continue} the server can refuse before the stream is begun.
         *
         * <p>The stream belongs to the call: it is closed when that has ended, whatever came of it. Its length is not
         * known: HTTP/1.1 sends it in chunks.
         *
         * @param stream read on the thread that is inside of {@code send}, or for {@code sendAsync} on a thread of the
         *     client's; what it throws fails the call with {@link ErrorKind#LOCAL} and without failover, as the cause
         *     of its exception
         * @return this builder
         */
        public Builder body(InputStream stream) {
            return streamed(StreamedBody.once(stream, StreamedBody.UNKNOWN_LENGTH));
        }

        /**
         * As {@link #body(InputStream)}, of a known length.
         *
         * @param stream can be read once
         * @param length in bytes, from 0; a stream that has more or fewer fails the call with {@link ErrorKind#LOCAL}
         * @return this builder
         * @throws FailoverUsageException a negative length
         */
        public Builder body(InputStream stream, long length) {
            return streamed(StreamedBody.once(stream, checked(length)));
        }

        private Builder bytes(byte[] bytes) {
            this.body = bytes;
            this.streamed = null;
            return this;
        }

        private Builder streamed(StreamedBody other) {
            this.body = null;
            this.streamed = other;
            return this;
        }

        private static long checked(long length) {
            if (length < 0) {
                throw new FailoverUsageException(ErrorKind.INVALID_ARGUMENT, "a negative length: " + length);
            }
            return length;
        }

        /**
         * How long the call may take with all its attempts and pauses, until the head of the answer where the body is
         * streamed. Without it, the client's {@code deadline}.
         *
         * @param timeout more than zero and at most 24 h, in milliseconds
         * @return this builder
         */
        public Builder timeout(Duration timeout) {
            this.timeoutMillis = positive(timeout, "timeout");
            return this;
        }

        /**
         * How long this call waits for a connection in one attempt: for the name, all addresses, the proxy, TLS, and for
         * a connection that other calls wait for as well, which goes on without it. Without it, each address has the
         * client's {@link FailoverClientBuilder#connectTimeout}. What it ends has the cause {@code connect_timeout}, and
         * is only a reason to probe the endpoint; with {@link Preset#DOTNET}, to leave it.
         *
         * @param timeout more than zero and at most 24 h, in milliseconds
         * @return this builder
         */
        public Builder connectTimeout(Duration timeout) {
            this.connectMillis = positive(timeout, "connectTimeout");
            return this;
        }

        /**
         * How long one attempt of this call may take, until the head of the answer where the body is streamed; each
         * further read of that waits as long. Without it, the client's {@link FailoverClientBuilder#attemptTimeout}.
         *
         * @param timeout more than zero and at most 24 h, in milliseconds
         * @return this builder
         */
        public Builder attemptTimeout(Duration timeout) {
            this.attemptMillis = positive(timeout, "attemptTimeout");
            return this;
        }

        /**
         * How long one attempt of this call may stand still once it has its connection: no byte of the request leaves and
         * none of the answer comes; where the body is streamed also how long each read of it waits. What most other
         * clients call so. Without it only {@link #attemptTimeout} holds, which does so besides.
         *
         * @param timeout more than zero and at most 24 h, in milliseconds
         * @return this builder
         */
        public Builder readTimeout(Duration timeout) {
            this.readMillis = positive(timeout, "readTimeout");
            return this;
        }

        private static long positive(Duration timeout, String what) {
            long millis = Arguments.millis(timeout, "timeout");
            if (millis == 0) {
                throw new FailoverUsageException(ErrorKind.INVALID_ARGUMENT, "a " + what + " of zero");
            }
            return millis;
        }

        /**
         * What sending the request twice does. Without it, {@link Operation#AUTO}.
         *
         * @param operation the class of the operation
         * @return this builder
         */
        public Builder operation(Operation operation) {
            this.operation = Objects.requireNonNull(operation, "operation");
            return this;
        }

        /**
         * Sends a create with an id that the library chooses, so that a repeat is detected and it may be sent again: of
         * the Web API, a {@code POST} of one row to an entity set, which then is {@code PATCH set(guid)} with {@code
         * If-None-Match: *}; of SOAP, a {@code Create} whose entity has an empty {@code Id}. What is neither is refused
         * when it is sent, with {@link FailoverUsageException} and {@link ErrorKind#INVALID_ARGUMENT}, which {@code
         * sendAsync} tells by its future; nothing was sent then. Without it, requests are sent as they are.
         *
         * @return this builder
         */
        public Builder guardedCreate() {
            this.guardedCreate = true;
            return this;
        }

        /**
         * Declares that a {@code PATCH} without {@code If-Match} may create its row. Without it, such a {@code PATCH}
         * gets {@code If-Match: *} shortly after a switch, as {@link FailoverClientBuilder#updateGuard} says.
         *
         * @return this builder
         */
        public Builder upsert() {
            this.upsert = true;
            return this;
        }

        /**
         * Names the request by a text of your own, which stands in its {@link LedgerEntry}, its events and its exception,
         * and leaves the process nowhere. Checked when it is sent.
         *
         * @param tag at most 256 characters, none of them a control character; empty: none
         * @return this builder
         */
        public Builder tag(String tag) {
            this.tag = Objects.requireNonNull(tag, "tag");
            return this;
        }

        /**
         * Makes the request. Method, URL, headers, and what is said of a create are checked when it is sent.
         *
         * @return the request
         * @throws FailoverUsageException a string that UTF-8 cannot say
         */
        public FailoverRequest build() {
            return new FailoverRequest(this);
        }
    }
}
