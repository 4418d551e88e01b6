package io.github.d365failover;

import java.net.URI;

/** What a token is asked for. Immutable. */
public final class TokenRequest {
    private final String url;
    private final Role role;

    TokenRequest(String url, Role role) {
        this.url = url;
        this.role = role;
    }

    /**
     * The endpoint that the token is for.
     *
     * @return its origin, such as {@code https://contoso--s.crm.dynamics.com}; with {@code /.default} after it, the
     *     scope for Microsoft's identity platform
     */
    public URI uri() {
        return URI.create(url);
    }

    /**
     * The endpoint's role.
     *
     * @return primary or alternate
     */
    public Role role() {
        return role;
    }
}
