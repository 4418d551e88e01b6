package io.github.d365failover;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;

/** The log, for threads that must not end by it: what stands behind a logger is the application's. */
final class Complaint {
    private static final Logger LOG = System.getLogger("io.github.d365failover");

    private Complaint() {}

    static void log(Level level, String message, Throwable reason) {
        try {
            LOG.log(level, message, reason);
        } catch (Throwable e) {
            // There is nowhere left to say it.
        }
    }
}
