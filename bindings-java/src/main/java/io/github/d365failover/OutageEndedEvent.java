package io.github.d365failover;

import java.net.URI;
import java.time.Duration;
import java.util.Optional;

/**
 * An outage is over. The {@link #reason()} is {@code answered}: an endpoint answers. If calls do not go there yet, {@code
 * EndpointSwitchRequired} was raised before, and {@code EndpointSwitched} follows unless that was vetoed. Or it is {@code
 * manual}: the application has switched by hand; or {@code override}: the operator has; or {@code closed}: the client is.
 */
public final class OutageEndedEvent extends FailoverEvent {
    private final String newUrl;
    private final Role newRole;
    private final boolean automatic;
    private final Probed probed;
    private final Duration lasted;

    OutageEndedEvent(EventItem item) {
        super(item);
        this.newUrl = item.newUrl;
        this.newRole = item.newRole;
        this.automatic = item.automatic;
        this.probed = item.probed;
        this.lasted = item.lasted;
    }

    /**
     * The endpoint that answers.
     *
     * @return its base URL, without a slash at its end; empty where none does
     */
    public Optional<URI> newUrl() {
        return automatic ? Optional.of(URI.create(newUrl)) : Optional.empty();
    }

    /**
     * The role of the endpoint that answers.
     *
     * @return the role; empty where none does
     */
    public Optional<Role> newRole() {
        return automatic ? Optional.of(newRole) : Optional.empty();
    }

    /**
     * Whether an endpoint answers.
     *
     * @return false if the application has switched, by {@link FailoverClient#switchEndpoint()}, or the operator, or the
     *     client is closed
     */
    public boolean automatic() {
        return automatic;
    }

    /**
     * What a probe has found at {@link #newUrl()}.
     *
     * @return {@link Probed#SERVES} with credentials, {@link Probed#REACHABLE} without; empty where none does
     */
    public Optional<Probed> probed() {
        return Optional.ofNullable(probed);
    }

    /**
     * How long no endpoint has answered, in milliseconds.
     *
     * @return a duration
     */
    public Duration lasted() {
        return lasted;
    }
}
