package io.github.d365failover;

/**
 * Hears that the store has failed and a call went on.
 *
 * <p>Listeners run one at a time, on the client's event thread or on its {@code executor}. In it calls may be sent. The
 * event may be dropped when listeners do not follow. What it throws is logged.
 */
@FunctionalInterface
public interface StoreFailedListener {
    /**
     * The store has failed.
     *
     * @param event what is not on record
     */
    void storeFailed(StoreFailedEvent event);
}
