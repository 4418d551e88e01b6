package io.github.d365failover;

import java.net.URI;
import java.time.Instant;

/** A switch from one endpoint to the other, about to happen or done. */
public class EndpointSwitchEvent {
    private final String previousUrl;
    private final String newUrl;
    private final Role previousRole;
    private final Role newRole;
    private final long epoch;
    private final String reason;
    private final Instant time;
    private final boolean automatic;

    EndpointSwitchEvent(EventItem item) {
        this.previousUrl = item.previousUrl;
        this.newUrl = item.newUrl;
        this.previousRole = item.previousRole;
        this.newRole = item.newRole;
        this.epoch = item.epoch;
        this.reason = item.reason;
        this.time = item.time;
        this.automatic = item.automatic;
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
     * The number of switches, this one included.
     *
     * @return the epoch after the switch
     */
    public long epoch() {
        return epoch;
    }

    /**
     * Why.
     *
     * @return the {@link FaultKind#label() label} of a fault kind, or {@code manual}
     */
    public String reason() {
        return reason;
    }

    /**
     * When, in milliseconds.
     *
     * @return the time of day
     */
    public Instant time() {
        return time;
    }

    /**
     * Whether a fault caused it.
     *
     * @return false if the application did, by {@link FailoverClient#switchEndpoint()}
     */
    public boolean automatic() {
        return automatic;
    }

    @Override
    public String toString() {
        return previousUrl + " -> " + newUrl + " (" + reason + ", epoch " + epoch + ")";
    }
}
