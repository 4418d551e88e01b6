package io.github.d365failover;

import java.net.URI;
import java.net.http.HttpClient;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.OptionalInt;

/** One attempt of a call. Immutable. */
public final class Attempt {
    private final Role role;
    private final long epoch;
    private final Phase phase;
    private final FaultKind fault;
    private final int httpStatus;
    private final int serviceCode;
    private final Instant started;
    private final Duration took;
    private final long httpVersion;
    private final String url;
    private final String message;
    private final Optional<String> cause;

    Attempt(
            Role role,
            long epoch,
            Phase phase,
            FaultKind fault,
            int httpStatus,
            int serviceCode,
            Instant started,
            Duration took,
            long httpVersion,
            String url,
            String message,
            Optional<String> cause) {
        this.role = role;
        this.epoch = epoch;
        this.phase = phase;
        this.fault = fault;
        this.httpStatus = httpStatus;
        this.serviceCode = serviceCode;
        this.started = started;
        this.took = took;
        this.httpVersion = httpVersion;
        this.url = url;
        this.message = message;
        this.cause = cause;
    }

    /**
     * Which endpoint it went to.
     *
     * @return the endpoint's role; null for a host of {@link FailoverClientBuilder#allowedHosts}, which is neither
     */
    public Role role() {
        return role;
    }

    /**
     * How many switches there had been when it started.
     *
     * @return the epoch, from 0
     */
    public long epoch() {
        return epoch;
    }

    /**
     * How far it came.
     *
     * @return the phase
     */
    public Phase phase() {
        return phase;
    }

    /**
     * Why it failed.
     *
     * @return the fault's kind; empty if it did not fail
     */
    public Optional<FaultKind> fault() {
        return Optional.ofNullable(fault);
    }

    /**
     * What exactly made it fail, finer than the kind, as {@link FailoverException#cause()}.
     *
     * @return the name, such as {@code refused}; empty if it did not fail
     */
    public Optional<String> cause() {
        return cause;
    }

    /**
     * The HTTP status that was answered.
     *
     * @return the status; empty without an answer
     */
    public OptionalInt httpStatus() {
        return httpStatus == 0 ? OptionalInt.empty() : OptionalInt.of(httpStatus);
    }

    /**
     * The service's error code.
     *
     * @return the code, such as -2147176347 for 0x8004B065; empty without one
     */
    public OptionalInt serviceCode() {
        return serviceCode == 0 ? OptionalInt.empty() : OptionalInt.of(serviceCode);
    }

    /**
     * When it started, in milliseconds.
     *
     * @return the time of day
     */
    public Instant started() {
        return started;
    }

    /**
     * How long it took, in microseconds.
     *
     * @return the time from its start to its end
     */
    public Duration took() {
        return took;
    }

    /**
     * Which version of HTTP was spoken.
     *
     * @return the version; empty if it came to no connection
     */
    public Optional<HttpClient.Version> httpVersion() {
        switch ((int) httpVersion) {
            case 11:
                return Optional.of(HttpClient.Version.HTTP_1_1);
            case 20:
                return Optional.of(HttpClient.Version.HTTP_2);
            default:
                return Optional.empty();
        }
    }

    /**
     * Where it went.
     *
     * @return the absolute URL
     */
    public URI uri() {
        return URI.create(url);
    }

    /**
     * What went wrong, for a person.
     *
     * @return a message; empty if nothing did
     */
    public String message() {
        return message;
    }

    @Override
    public String toString() {
        return (role == null ? "an allowed host" : role) + " (epoch " + epoch + ") " + OrganizationUrls.shown(url) + ": " + phase
                + (fault == null ? "" : ", " + fault.label())
                + (httpStatus == 0 ? "" : ", HTTP " + httpStatus);
    }
}
