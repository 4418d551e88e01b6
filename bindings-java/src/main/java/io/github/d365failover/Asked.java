package io.github.d365failover;

import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.Upcalls;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What one call asks of the application, on the thread that sends. What the application throws must not come between
 * the library's frames: it is kept, and becomes the cause of the call's exception.
 */
final class Asked implements Upcalls, AutoCloseable {
    /** What the library says of a body that cannot be read: it knows no more. */
    private static final Pattern FAILED_FUNCTION = Pattern.compile("the (read|rewind) function answered " + FAILED);

    private final BodyReader body;
    private final AttemptPreparer preparer;
    private Throwable failure;

    /** Both may be null, then they are not asked. */
    Asked(BodyReader body, AttemptPreparer preparer) {
        this.body = body;
        this.preparer = preparer;
    }

    @Override
    public int read(ByteBuffer room) {
        try {
            return body.read(room);
        } catch (Throwable e) {
            return failed(e);
        }
    }

    @Override
    public int rewind() {
        try {
            body.rewind();
            return DONE;
        } catch (Throwable e) {
            return failed(e);
        }
    }

    @Override
    public int prepare(long outgoing) {
        try {
            OutgoingAttempt attempt = new OutgoingAttempt(outgoing);
            try {
                preparer.prepare(attempt);
            } finally {
                attempt.end();
            }
            return DONE;
        } catch (Throwable e) {
            try {
                // Not strict: a message with half of a surrogate pair is still a message.
                Native.outgoingFail(outgoing, e.toString().getBytes(StandardCharsets.UTF_8));
            } catch (Throwable reason) {
                e.addSuppressed(reason);
            }
            return failed(e);
        }
    }

    private int failed(Throwable e) {
        if (e instanceof InterruptedException) {
            // As everywhere in this package, the flag says it.
            Thread.currentThread().interrupt();
        }
        failure = e;
        return FAILED;
    }

    /** The failure of the call, with what the application has thrown. */
    Failure explain(Failure of) {
        if (failure == null) {
            return of;
        }
        // What an interrupt has broken off is a call that was cancelled.
        boolean cancelled = of.kind() == ErrorKind.LOCAL && Thread.currentThread().isInterrupted();
        String message = FAILED_FUNCTION.matcher(of.message()).replaceFirst(Matcher.quoteReplacement(shown(failure)));
        return of.with(cancelled ? ErrorKind.CANCELLED : of.kind(), failure, message);
    }

    private static String shown(Throwable e) {
        try {
            return e.toString();
        } catch (Throwable other) {
            // It has a message of its own making, and what is known of the call must not be lost by it.
            return e.getClass().getName();
        }
    }

    /** Whatever the call has come to: its streams are closed. */
    @Override
    public void close() {
        if (body == null) {
            return;
        }
        try {
            body.close();
        } catch (Throwable e) {
            // Whatever it is: what is known of the call must not be lost by it.
            Complaint.log(Level.DEBUG, "the body of a request cannot be closed", e);
        }
    }
}
