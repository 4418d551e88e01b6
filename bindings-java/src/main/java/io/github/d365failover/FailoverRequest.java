package io.github.d365failover;

import io.github.d365failover.impl.PacketWriter;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** One request. Immutable; can be sent any number of times. */
public final class FailoverRequest {
    private static final long NO_TIMEOUT = -1;

    private final String method;
    private final String url;
    private final Operation operation;
    private final byte[] head;
    private final byte[] body;

    private FailoverRequest(Builder builder) {
        this.method = builder.method;
        this.url = builder.url;
        this.operation = builder.operation;
        this.body = builder.body;
        PacketWriter packet = new PacketWriter();
        Arguments.pack(packet, method);
        Arguments.pack(packet, url);
        packet.int32(builder.headers.size() / 2);
        for (String part : builder.headers) {
            Arguments.pack(packet, part);
        }
        packet.int64(builder.timeoutMillis);
        packet.int32(operation.ordinal());
        this.head = packet.toBytes();
    }

    /**
     * Starts a request.
     *
     * @param method the HTTP method
     * @param url relative ({@code /api/data/v9.2/accounts}), or absolute on either endpoint of the organization; it is
     *     sent to the active one
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
        return new Builder(method, uri.toString());
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

    /** What is known of a write that was refused before anything was sent. */
    Effect effectUnsent() {
        boolean reads = operation == Operation.READ
                || operation == Operation.AUTO && (method.equals("GET") || method.equals("HEAD"));
        return reads ? Effect.NONE : Effect.NOT_EXECUTED;
    }

    byte[] head() {
        return head;
    }

    /** Null without a body. */
    byte[] body() {
        return body;
    }

    @Override
    public String toString() {
        return method + " " + url;
    }

    /** Makes a {@link FailoverRequest}. Not for use by several threads at a time. */
    public static final class Builder {
        private final String method;
        private final String url;
        private final List<String> headers = new ArrayList<>();
        private byte[] body;
        private long timeoutMillis = NO_TIMEOUT;
        private Operation operation = Operation.AUTO;

        private Builder(String method, String url) {
            this.method = Objects.requireNonNull(method, "method");
            this.url = Objects.requireNonNull(url, "url");
        }

        /**
         * Adds a header; a name can be added several times.
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
            this.body = body.clone();
            return this;
        }

        /**
         * Sets the body to text in UTF-8. It sets no {@code Content-Type}.
         *
         * @param body the text
         * @return this builder
         */
        public Builder body(String body) {
            this.body = Arguments.utf8(body);
            return this;
        }

        /**
         * How long the call may take with all its attempts and pauses. Without it, the client's {@code deadline}.
         *
         * @param timeout more than zero, in milliseconds
         * @return this builder
         */
        public Builder timeout(Duration timeout) {
            long millis = Arguments.millis(timeout);
            if (millis == 0) {
                throw new FailoverUsageException(ErrorKind.INVALID_ARGUMENT, "a timeout of zero");
            }
            this.timeoutMillis = millis;
            return this;
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
         * Makes the request. Method, URL and headers are checked when it is sent.
         *
         * @return the request
         * @throws FailoverUsageException a string that UTF-8 cannot say
         */
        public FailoverRequest build() {
            return new FailoverRequest(this);
        }
    }
}
