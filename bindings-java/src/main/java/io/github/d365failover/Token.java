package io.github.d365failover;

import java.time.Duration;
import java.util.Objects;

/** A bearer token. Immutable; its text is in no message and no {@link #toString()}. */
public final class Token {
    private final String value;
    private final long validMillis;

    private Token(String value, long validMillis) {
        this.value = Objects.requireNonNull(value, "value");
        this.validMillis = validMillis;
    }

    /**
     * A token for one attempt: the provider is asked again for the next.
     *
     * @param value what follows {@code Bearer} in the header
     * @return the token
     */
    public static Token of(String value) {
        return new Token(value, 0);
    }

    /**
     * A token that is kept until its time is over.
     *
     * @param value what follows {@code Bearer} in the header
     * @param validFor how long it is valid from now, in milliseconds; zero: for one attempt
     * @return the token
     */
    public static Token of(String value, Duration validFor) {
        return new Token(value, Arguments.millis(validFor));
    }

    String value() {
        return value;
    }

    long validMillis() {
        return validMillis;
    }

    @Override
    public String toString() {
        return "Token[valid for " + validMillis + " ms]";
    }
}
