package io.github.d365failover;

import java.util.Locale;

/** What a write on record keeps of its body. */
public enum LedgerBodies {
    /** Its length. */
    OFF,
    /** Its length and its SHA-256. */
    DIGEST,
    /**
     * All of it, and the headers that say what is written, never one with a credential: so that its values can be compared
     * with the row's, and it can be sent again.
     */
    FULL;

    String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
