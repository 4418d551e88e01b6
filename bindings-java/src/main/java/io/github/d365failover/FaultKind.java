package io.github.d365failover;

import java.util.Locale;

/** Why an attempt failed. */
public enum FaultKind {
    /** No such host, refused, unreachable, connect timeout, or a 404 or 410 that no service answered. */
    ENDPOINT_NOT_FOUND,
    /** The service says that its datacenter is not available (0x8004B065). */
    DATACENTER_NOT_AVAILABLE,
    /** No answer in time, or a 504. */
    TIMEOUT,
    /** 502, 503, a web page where a service should answer, an organization that is disabled or moving. */
    SERVER_UNAVAILABLE,
    /** The connection ended after something was sent. */
    CONNECTION_LOST,
    /** This machine's fault: no descriptors, no ports, no certificates, DNS that says "try again". */
    LOCAL,
    /** The TLS handshake failed. */
    TLS,
    /** 401, 403, or no token. */
    AUTHENTICATION,
    /** What came is not HTTP. */
    PROTOCOL,
    /** The application cancelled. */
    CANCELLED,
    /** 429 or a throttling code. */
    THROTTLED,
    /** Any other fault that the service answered. */
    SERVICE,
    /** A kind that a newer library knows. */
    OTHER;

    private static final FaultKind[] BY_NUMBER = values();

    /**
     * The name that logs, events and the other languages use, such as {@code endpoint_not_found}.
     *
     * @return the name in lower case
     */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Numbers of the C ABI start at 1; 0 is no fault. */
    static FaultKind ofNumber(long number) {
        return number >= 1 && number < BY_NUMBER.length ? BY_NUMBER[(int) number - 1] : OTHER;
    }
}
