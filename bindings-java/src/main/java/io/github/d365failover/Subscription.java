package io.github.d365failover;

/** A listener's registration. */
@FunctionalInterface
public interface Subscription extends AutoCloseable {
    /**
     * Removes the listener; allowed inside the listener too. It does not wait for one that is running. The second time
     * does nothing.
     */
    @Override
    void close();
}
