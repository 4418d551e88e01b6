package io.github.d365failover;

import java.util.Locale;

/** Where a URL names the organization. */
public enum UrlForm {
    /** In the first label of the host: {@code https://contoso.crm.dynamics.com}. */
    HOST,
    /** In the first segment of the path: {@code https://crm.contoso.com/sales}. */
    PATH;

    String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
