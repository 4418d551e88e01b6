package io.github.d365failover;

import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.NativeLoader;
import java.nio.charset.StandardCharsets;
import java.util.Objects;

/** The rule by which the URL of an organization's alternate is made: {@code --s} on the first label of the host. */
public final class OrganizationUrls {
    private static final int ALTERNATE = 0;
    private static final int PRIMARY = 1;
    private static final int SHOWN = 2;

    private OrganizationUrls() {}

    /**
     * The alternate's URL.
     *
     * @param url a URL of either endpoint
     * @return {@code https://contoso--s.crm.dynamics.com} of {@code https://contoso.crm.dynamics.com}
     * @throws FailoverUsageException it has none; the message says what to do
     */
    public static String alternate(String url) {
        return text(Arguments.utf8(url, "url"), ALTERNATE);
    }

    /**
     * The primary's URL.
     *
     * @param url a URL of either endpoint
     * @return {@code https://contoso.crm.dynamics.com} of {@code https://contoso--s.crm.dynamics.com}
     * @throws FailoverUsageException it has none; the message says what to do
     */
    public static String primary(String url) {
        return text(Arguments.utf8(url, "url"), PRIMARY);
    }

    /**
     * A URL as it may stand in logs and messages: origin and path, at most 200 characters; a query becomes {@code ?…},
     * since it may hold rows and signatures, user info {@code …@}.
     *
     * @param url any text
     * @return what may be shown of it
     */
    public static String shown(String url) {
        return text(Objects.requireNonNull(url, "url").getBytes(StandardCharsets.UTF_8), SHOWN);
    }

    /**
     * Whether a URL is an alternate's.
     *
     * @param url a URL of either endpoint
     * @return true if so
     * @throws FailoverUsageException it is no URL of an organization
     */
    public static boolean isAlternate(String url) {
        byte[] utf8 = Arguments.utf8(url, "url");
        NativeLoader.require();
        return Outcome.unchecked(Native.urlIsAlternate(utf8)).flag();
    }

    private static String text(byte[] url, int which) {
        NativeLoader.require();
        return Outcome.unchecked(Native.url(url, which)).text();
    }
}
