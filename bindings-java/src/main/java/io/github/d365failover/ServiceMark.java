package io.github.d365failover;

import java.util.Locale;

/** Whether a success of a write must bear a mark of its service. */
public enum ServiceMark {
    /** Without one it is nobody's answer, and whether the write was executed is not known. */
    REQUIRED,
    /** Any 2xx is a success: for gateways that take the marks off. */
    ANY;

    String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
