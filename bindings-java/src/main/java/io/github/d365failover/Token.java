package io.github.d365failover;

import java.time.Duration;
import java.util.Objects;

/** A bearer token. Immutable; its text is in no message and no {@link #toString()}. */
public final class Token {
    /** Some say the longest of a token that does not end. */
    private static final Duration LONGEST = Duration.ofDays(3650);

    private final String value;
    private final long validMillis;

    private Token(String value, long validMillis) {
        this.value = Objects.requireNonNull(value, "value");
        this.validMillis = validMillis;
    }

    /**
     * A token of which nobody knows how long it is valid: it is kept for 5 seconds, and not after an answer 401.
     *
     * @param value what follows {@code Bearer} in the header, without that word; checked when it is used
     * @return the token
     */
    public static Token of(String value) {
        return new Token(value, 0);
    }

    /**
     * A token that is kept until its time is over.
     *
     * @param value what follows {@code Bearer} in the header
     * @param validFor how long it is valid from now, in milliseconds, ten years at most; zero or less: for the calls
     *     that wait now
     * @return the token
     */
    public static Token of(String value, Duration validFor) {
        Duration life = Objects.requireNonNull(validFor, "validFor").compareTo(LONGEST) > 0 ? LONGEST : validFor;
        // Zero, to the library, says that nobody knows.
        boolean isOver = life.isZero() || life.isNegative();
        return new Token(value, isOver ? -1 : Arguments.millis(life, "validFor"));
    }

    String value() {
        return value;
    }

    long validMillis() {
        return validMillis;
    }

    @Override
    public String toString() {
        return validMillis == 0 ? "Token[]" : "Token[valid for " + Math.max(validMillis, 0) + " ms]";
    }
}
