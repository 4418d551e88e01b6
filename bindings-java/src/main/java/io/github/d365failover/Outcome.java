package io.github.d365failover;

import io.github.d365failover.impl.PacketReader;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;

/** What native methods answer, as objects. */
final class Outcome {
    private static final int OK = 0;

    private Outcome() {}

    /** For methods that do I/O: the contents of a packet that says OK. */
    static PacketReader checked(byte[] packet) throws FailoverException {
        PacketReader in = new PacketReader(packet);
        Failure failure = failure(in);
        if (failure != null) {
            throw failure.checked();
        }
        return in;
    }

    /** For methods that do none. */
    static PacketReader unchecked(byte[] packet) {
        PacketReader in = new PacketReader(packet);
        Failure failure = failure(in);
        if (failure != null) {
            throw failure.unchecked();
        }
        return in;
    }

    /** Reads the status, and what follows one that is not OK; null if it is. */
    static Failure failure(PacketReader in) {
        int status = in.int32();
        if (status == OK) {
            return null;
        }
        ErrorKind kind = ErrorKind.ofNumber(status);
        String name = in.text();
        if (!in.present()) {
            return new Failure(kind, name, Effect.NONE);
        }
        String message = in.text();
        Failure.Details details = new Failure.Details(Effect.ofNumber(in.int32()));
        details.switched = in.flag();
        details.ledgerId = ledgerId(in);
        details.tag = Arguments.optional(in.text());
        details.status = in.present() ? OptionalInt.of(in.int32()) : OptionalInt.empty();
        details.code = in.present() ? OptionalInt.of(in.int32()) : OptionalInt.empty();
        details.retryAfter = retryAfter(in);
        details.attempts = attempts(in);
        details.response = in.present() ? Optional.of(response(in)) : Optional.empty();
        details.providerData = in.present() ? OptionalLong.of(in.int64()) : OptionalLong.empty();
        details.cause = cause(in);
        return new Failure(kind, message.isEmpty() ? name : message, details);
    }

    static Optional<Duration> retryAfter(PacketReader in) {
        return in.present() ? Optional.of(Duration.ofMillis(in.int64())) : Optional.empty();
    }

    /** A fault's cause by its name; an empty text is none. */
    static Optional<String> cause(PacketReader in) {
        return Optional.of(in.text()).filter(name -> !name.isEmpty());
    }

    static OptionalLong ledgerId(PacketReader in) {
        return in.present() ? OptionalLong.of(in.int64()) : OptionalLong.empty();
    }

    static FailoverResponse response(PacketReader in) {
        ResponseHead head = new ResponseHead(in);
        return new FailoverResponse(head, in.bytes());
    }

    static List<Attempt> attempts(PacketReader in) {
        Attempt[] attempts = new Attempt[in.int32()];
        for (int i = 0; i < attempts.length; i++) {
            Role role = Role.ofOptional(in.int64());
            long epoch = in.int64();
            Phase phase = Phase.ofNumber(in.int64());
            long fault = in.int64();
            int httpStatus = (int) in.int64();
            int serviceCode = (int) in.int64();
            Instant started = Instant.ofEpochMilli(in.int64());
            Duration took = Duration.ofNanos(in.int64() * 1000);
            long httpVersion = in.int64();
            attempts[i] = new Attempt(
                    role,
                    epoch,
                    phase,
                    fault == 0 ? null : FaultKind.ofNumber(fault),
                    httpStatus,
                    serviceCode,
                    started,
                    took,
                    httpVersion,
                    in.text(),
                    in.text(),
                    cause(in));
        }
        return Collections.unmodifiableList(Arrays.asList(attempts));
    }
}
