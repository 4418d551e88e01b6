package io.github.d365failover;

/**
 * Changes attempts before they are sent, when the endpoint and the token are known: for what depends on the endpoint,
 * such as signatures, or absolute URLs in bodies.
 *
 * <p>It runs on the thread that is inside of {@code send}; for {@code sendAsync} on a thread of the client's that
 * serves no other call meanwhile. Calls of several threads run it at the same time. It may block, which counts into the
 * call's times, and may use the client, which runs it again.
 */
@FunctionalInterface
public interface AttemptPreparer {
    /**
     * Prepares an attempt.
     *
     * @param attempt what is to be sent; of no use when this has returned
     * @throws Exception it is not to be sent: the call fails with {@link ErrorKind#LOCAL} and without failover, with
     *     this as its cause
     */
    void prepare(OutgoingAttempt attempt) throws Exception;
}
