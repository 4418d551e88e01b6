package io.github.d365failover;

import java.util.Locale;

/** Whether a client switches by itself. */
public enum AutoSwitch {
    /** As the organization's policy says. */
    AUTO,
    /** Always. */
    ON,
    /** Never: {@code EndpointSwitchRequired} is raised, nothing moves. */
    OFF;

    String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
