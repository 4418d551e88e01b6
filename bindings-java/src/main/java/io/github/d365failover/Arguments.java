package io.github.d365failover;

import io.github.d365failover.impl.PacketWriter;
import io.github.d365failover.impl.Utf8;
import java.nio.charset.CharacterCodingException;
import java.time.Duration;
import java.util.Optional;

/** Arguments, on their way to the native library. */
final class Arguments {
    private Arguments() {}

    static byte[] utf8(String text) {
        try {
            return Utf8.encode(text);
        } catch (CharacterCodingException e) {
            throw notUtf8();
        }
    }

    /** What the C ABI says with an empty text is not there. */
    static Optional<String> optional(String text) {
        return text.isEmpty() ? Optional.empty() : Optional.of(text);
    }

    static void pack(PacketWriter out, String text) {
        try {
            out.text(text);
        } catch (CharacterCodingException e) {
            throw notUtf8();
        }
    }

    /** Whole milliseconds, rounded up, so that a short time does not become none. */
    static long millis(Duration duration) {
        if (duration.isNegative()) {
            throw new FailoverUsageException(ErrorKind.INVALID_ARGUMENT, "a negative duration: " + duration);
        }
        try {
            long millis = duration.toMillis();
            return duration.getNano() % 1_000_000 == 0 ? millis : millis + 1;
        } catch (ArithmeticException e) {
            throw new FailoverUsageException(ErrorKind.INVALID_ARGUMENT, "a duration that is too long: " + duration);
        }
    }

    private static FailoverUsageException notUtf8() {
        return new FailoverUsageException(
                ErrorKind.INVALID_UTF8, "a string with half of a surrogate pair, which UTF-8 cannot say");
    }
}
