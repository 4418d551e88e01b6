package io.github.d365failover;

import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.PacketReader;
import java.net.URI;
import java.util.Objects;
import java.util.Optional;
import java.util.function.LongFunction;

/**
 * An attempt that was not sent yet, in the hands of an {@link AttemptPreparer}. What is changed holds for this attempt
 * only.
 *
 * <p>Every method throws {@link FailoverStateException} when the preparer has returned.
 */
public final class OutgoingAttempt {
    private final long handle;
    private final String url;
    private final String endpointUrl;
    private final String method;
    private final Role role;
    private final long epoch;
    private final int number;
    private boolean ended;

    OutgoingAttempt(long handle) {
        this.handle = handle;
        PacketReader in = Outcome.unchecked(Native.outgoing(handle));
        this.url = in.text();
        this.endpointUrl = in.present() ? in.text() : null;
        this.method = in.text();
        this.role = Role.ofOptional(in.int64());
        this.epoch = in.int64();
        this.number = (int) in.int64();
    }

    /** What the library shows of it ends with the callback: no thread may look at it later. */
    synchronized void end() {
        ended = true;
    }

    /**
     * Where it goes.
     *
     * @return the absolute URL
     */
    public URI uri() {
        return URI.create(valid(url));
    }

    /**
     * The base URL of the endpoint that it goes to.
     *
     * @return without a slash at its end; empty for a host of {@link FailoverClientBuilder#allowedHosts}
     */
    public Optional<URI> endpointUrl() {
        return Optional.ofNullable(valid(endpointUrl)).map(URI::create);
    }

    /**
     * Which endpoint it goes to.
     *
     * @return the endpoint's role; null for a host of {@link FailoverClientBuilder#allowedHosts}
     */
    public Role role() {
        return valid(role);
    }

    /**
     * How many switches there have been.
     *
     * @return the epoch, from 0
     */
    public long epoch() {
        return valid(epoch);
    }

    /**
     * Which attempt of its call it is.
     *
     * @return from 1
     */
    public int number() {
        return valid(number);
    }

    /**
     * The HTTP method.
     *
     * @return such as {@code GET}
     */
    public String method() {
        return valid(method);
    }

    /**
     * The first value of a header, also of one that the library adds.
     *
     * @param name the header's name, in any case
     * @return its value; empty if it is not sent
     */
    public Optional<String> header(String name) {
        byte[] utf8 = Arguments.utf8(name, "name");
        PacketReader in = call(attempt -> Native.outgoingHeader(attempt, utf8));
        return in.present() ? Optional.of(in.text()) : Optional.empty();
    }

    /**
     * Sets a header, in the place of all of its name.
     *
     * @param name the header's name
     * @param value the header's value
     * @throws FailoverUsageException one that HTTP does not allow, or that the library sets itself, such as {@code Host}
     */
    public void setHeader(String name, String value) {
        byte[] utf8 = Arguments.utf8(name, "name");
        byte[] content = Arguments.utf8(value, "value");
        call(attempt -> Native.outgoingSetHeader(attempt, utf8, content));
    }

    /**
     * Takes all headers of a name away; there may be none.
     *
     * @param name the header's name
     * @throws FailoverUsageException one that HTTP does not allow, or that the library sets itself, such as {@code Host}
     */
    public void removeHeader(String name) {
        byte[] utf8 = Arguments.utf8(name, "name");
        call(attempt -> Native.outgoingRemoveHeader(attempt, utf8));
    }

    /**
     * The body, as it would be sent.
     *
     * @return a copy; empty for one that is read while it is sent
     */
    public Optional<byte[]> body() {
        PacketReader in = call(Native::outgoingBody);
        return in.present() ? Optional.of(in.bytes()) : Optional.empty();
    }

    /**
     * Sends these bytes in the place of the request's body, also of one that would be read.
     *
     * @param body the bytes, which are copied
     */
    public void setBody(byte[] body) {
        byte[] bytes = Objects.requireNonNull(body, "body");
        call(attempt -> Native.outgoingSetBody(attempt, bytes));
    }

    @Override
    public String toString() {
        return "attempt " + number + ": " + method + " " + OrganizationUrls.shown(url);
    }

    private synchronized <T> T valid(T value) {
        if (ended) {
            throw new FailoverStateException(
                    ErrorKind.INVALID_HANDLE, "the preparer that this attempt was given to has returned");
        }
        return value;
    }

    private synchronized PacketReader call(LongFunction<byte[]> method) {
        return Outcome.unchecked(method.apply(valid(handle)));
    }
}
