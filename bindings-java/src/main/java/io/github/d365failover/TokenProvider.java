package io.github.d365failover;

/**
 * Gives tokens to a client, which puts them into {@code Authorization}.
 *
 * <p>It runs on daemon threads of the client's, several at a time if several tokens are wanted; the call that needs the
 * token waits within its own time. For one endpoint it is asked again only when it has returned, or when the calls that
 * waited have given up: then at most three more times at once, and later once in a while. Calls of the client that asks
 * fail at once with {@link ErrorKind#WOULD_DEADLOCK}, those that are sent without waiting as well: get tokens with another
 * client.
 */
@FunctionalInterface
public interface TokenProvider {
    /**
     * Gets a token.
     *
     * @param request which endpoint it is for
     * @return the token
     * @throws Exception there is none: the call fails with {@link ErrorKind#AUTHENTICATION}, the exception's message, and the
     *     exception as its cause; so do all calls that have waited
     */
    Token token(TokenRequest request) throws Exception;
}
