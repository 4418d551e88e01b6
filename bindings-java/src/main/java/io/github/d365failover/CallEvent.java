package io.github.d365failover;

/** What happened to one call. */
public abstract class CallEvent extends FailoverEvent {
    private final String method;
    private final String url;

    CallEvent(EventItem item) {
        super(item);
        this.method = item.method;
        this.url = item.url;
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
     * The call's URL, for a person and for logs: it may lack what does not belong there.
     *
     * @return the absolute URL on the endpoint that it is about
     */
    public String url() {
        return url;
    }

    @Override
    public String toString() {
        return method + " " + url + ": " + message();
    }
}
