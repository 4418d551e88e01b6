package io.github.d365failover.support;

/** Throws what it is given, checked or not. */
public final class Throwing {
    private Throwing() {}

    @SuppressWarnings("unchecked")
    public static <E extends Throwable> void sneakily(Throwable failure) throws E {
        throw (E) failure;
    }

    /** As an expression of any type. */
    public static <T> T sneakilyGiven(Throwable failure) {
        Throwing.<RuntimeException>sneakily(failure);
        throw new AssertionError();
    }
}
