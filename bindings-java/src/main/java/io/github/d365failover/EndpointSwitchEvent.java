package io.github.d365failover;

import java.net.URI;
import java.util.Optional;

/** A switch from one endpoint to the other, about to happen or done. */
public class EndpointSwitchEvent extends FailoverEvent {
    private final String previousUrl;
    private final String newUrl;
    private final Role previousRole;
    private final Role newRole;
    private final boolean automatic;
    private final Probed probed;

    EndpointSwitchEvent(EventItem item) {
        super(item);
        this.previousUrl = item.previousUrl;
        this.newUrl = item.newUrl;
        this.previousRole = item.previousRole;
        this.newRole = item.newRole;
        this.automatic = item.automatic;
        this.probed = item.probed;
    }

    /**
     * The endpoint that is left.
     *
     * @return its base URL, without a slash at its end
     */
    public URI previousUrl() {
        return URI.create(previousUrl);
    }

    /**
     * The endpoint that is gone to.
     *
     * @return its base URL, without a slash at its end
     */
    public URI newUrl() {
        return URI.create(newUrl);
    }

    /**
     * The role of the endpoint that is left.
     *
     * @return the role
     */
    public Role previousRole() {
        return previousRole;
    }

    /**
     * The role of the endpoint that is gone to.
     *
     * @return the role
     */
    public Role newRole() {
        return newRole;
    }

    /**
     * Whether the library caused it.
     *
     * @return false if the application did, by {@link FailoverClient#switchEndpoint()}, or the operator
     */
    public boolean automatic() {
        return automatic;
    }

    /**
     * What a probe has found at {@link #newUrl()}.
     *
     * @return {@link Probed#SERVES} with credentials, {@link Probed#REACHABLE} without; empty if it was not probed, as in
     *     the preset {@code dotnet} and for a switch by hand
     */
    public Optional<Probed> probed() {
        return Optional.ofNullable(probed);
    }

    @Override
    public String toString() {
        return previousUrl + " -> " + newUrl + " (" + reason() + ", epoch " + epoch() + ")";
    }
}
