package io.github.d365failover;

import java.util.Locale;

/** What a write on record in a store survives. */
public enum StoreDurability {
    /** The end of the process, by {@code kill -9} too. */
    PROCESS,
    /** A loss of power as well. Each write waits twice for the disk. */
    POWER;

    String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
