package io.github.d365failover;

import java.util.Optional;

/** What happened to one call. */
public abstract class CallEvent extends FailoverEvent {
    private final String method;
    private final String url;
    private final String tag;

    CallEvent(EventItem item) {
        super(item);
        this.method = item.method;
        this.url = item.url;
        this.tag = item.tag;
    }

    /**
     * The call's HTTP method.
     *
     * @return such as {@code POST}
     */
    public String method() {
        return method;
    }

    /**
     * The call's URL, for a person and for logs, as {@link OrganizationUrls#shown} shows it.
     *
     * @return the absolute URL on the endpoint that it is about
     */
    public String url() {
        return url;
    }

    /**
     * The tag of the call's request.
     *
     * @return what {@link FailoverRequest.Builder#tag} was given; empty without one
     */
    public Optional<String> tag() {
        return Arguments.optional(tag);
    }

    @Override
    public String toString() {
        return method + " " + url + ": " + message();
    }
}
