package io.github.d365failover;

import java.util.Locale;

/** What leads a client back from the alternate to the primary. */
public enum Failback {
    /** A fault at the alternate. */
    ON_FAULT,
    /** That as well; and good looks at the primary, where a fault had moved calls. */
    PROBE,
    /** {@link FailoverClient#switchEndpoint()} alone. */
    MANUAL;

    String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
