package io.github.d365failover;

import java.net.http.HttpTimeoutException;

/**
 * A call that had no answer in time.
 *
 * <p>It is a {@link FailoverException}, because of a write that timed out {@link #effect()} is what matters; Java allows
 * one superclass, so that {@link HttpTimeoutException}, which code that looks for timeouts knows, is its cause.
 */
public class FailoverTimeoutException extends FailoverException {
    private static final long serialVersionUID = 1L;

    private static Throwable cause(Failure failure) {
        HttpTimeoutException cause = new HttpTimeoutException(failure.message());
        if (failure.cause() != null) {
            cause.initCause(failure.cause());
        }
        return cause;
    }

    FailoverTimeoutException(Failure failure) {
        super(failure.with(failure.kind(), cause(failure)));
    }
}
