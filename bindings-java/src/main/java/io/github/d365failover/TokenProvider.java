package io.github.d365failover;

/**
 * Gives tokens to a client, which puts them into {@code Authorization}.
 *
 * <p>It runs on daemon threads of the client's, several at a time if several tokens are wanted; the call that needs the
 * token waits within its own time. It must not use the client that asks.
 */
@FunctionalInterface
public interface TokenProvider {
    /**
     * Gets a token.
     *
     * @param request which endpoint it is for
     * @return the token
     * @throws Exception there is none: the call fails with {@link ErrorKind#AUTHENTICATION} and the exception's message
     */
    Token token(TokenRequest request) throws Exception;
}
