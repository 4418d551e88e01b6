package io.github.d365failover;

import java.util.Locale;

/** What becomes of a write that cannot be put on record in the store. */
public enum StoreFailure {
    /** It ends as {@link FaultKind#LOCAL}, and nothing of it is sent. */
    REFUSE,
    /** It is sent, and {@link StoreFailedEvent} tells of it. */
    GO_ON;

    String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
