package io.github.d365failover;

import io.github.d365failover.impl.PacketWriter;
import io.github.d365failover.impl.Utf8;
import java.nio.charset.CharacterCodingException;
import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;

/** Arguments, on their way to the native library. */
final class Arguments {
    private Arguments() {}

    /** {@code name}: the parameter's. */
    static byte[] utf8(String text, String name) {
        try {
            return Utf8.encode(Objects.requireNonNull(text, name));
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

    /** Its elements, none of which may be null, with commas between. */
    static String list(String[] elements, String name) {
        for (String element : Objects.requireNonNull(elements, name)) {
            Objects.requireNonNull(element, () -> name + ": a null in it");
        }
        return String.join(",", elements);
    }

    /** The native library opens it: it knows no other file systems. */
    static String file(Path file, String name) {
        if (Objects.requireNonNull(file, name).getFileSystem() != FileSystems.getDefault()) {
            throw new FailoverUsageException(
                    ErrorKind.INVALID_ARGUMENT, name + ": " + file.toUri() + " is no file of this machine's own");
        }
        return file.toString();
    }

    /** Whole milliseconds, rounded up, so that a short time does not become none. */
    static long millis(Duration duration, String name) {
        if (Objects.requireNonNull(duration, name).isNegative()) {
            throw new FailoverUsageException(ErrorKind.INVALID_ARGUMENT, "a negative duration: " + duration);
        }
        try {
            long millis = duration.toMillis();
            return duration.getNano() % 1_000_000 == 0 ? millis : Math.addExact(millis, 1);
        } catch (ArithmeticException e) {
            throw new FailoverUsageException(ErrorKind.INVALID_ARGUMENT, "a duration that is too long: " + duration);
        }
    }

    private static FailoverUsageException notUtf8() {
        return new FailoverUsageException(
                ErrorKind.INVALID_UTF8, "a string with half of a surrogate pair, which UTF-8 cannot say");
    }
}
