package io.github.d365failover.support;

/** Throws what it is given, checked or not. */
public final class Throwing {
    private Throwing() {}

    @SuppressWarnings("unchecked")
    public static <E extends Throwable> void sneakily(Throwable failure) throws E {
        throw (E) failure;
    }
}
