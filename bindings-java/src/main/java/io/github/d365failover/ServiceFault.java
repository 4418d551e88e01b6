package io.github.d365failover;

import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.NativeLoader;
import io.github.d365failover.impl.PacketReader;
import io.github.d365failover.impl.PacketWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;

/** What a response means: for applications with a transport of their own. Immutable. */
public final class ServiceFault {
    private final FaultKind kind;
    private final OptionalInt code;
    private final Optional<Duration> retryAfter;
    private final String message;
    private final Optional<String> cause;
    /** By the order of {@link Preset}. */
    private final boolean[] startsFailover = new boolean[Preset.values().length];

    private ServiceFault(FaultKind kind, PacketReader in) {
        this.kind = kind;
        this.code = in.present() ? OptionalInt.of(in.int32()) : OptionalInt.empty();
        this.retryAfter = Outcome.retryAfter(in);
        this.message = in.text();
        this.cause = Outcome.cause(in);
        for (int i = 0; i < startsFailover.length; i++) {
            startsFailover[i] = in.flag();
        }
    }

    /**
     * Classifies a response.
     *
     * @param status the HTTP status
     * @param headers the headers, in any case
     * @param body the body, or its beginning
     * @return the fault; empty if it is none
     */
    public static Optional<ServiceFault> classify(int status, Map<String, List<String>> headers, byte[] body) {
        Objects.requireNonNull(headers, "headers");
        Objects.requireNonNull(body, "body");
        NativeLoader.require();
        PacketReader in = Outcome.unchecked(Native.classify(status, packed(headers), body));
        int kind = in.int32();
        return kind == 0 ? Optional.empty() : Optional.of(new ServiceFault(FaultKind.ofNumber(kind), in));
    }

    private static byte[] packed(Map<String, List<String>> headers) {
        PacketWriter packet = new PacketWriter();
        packet.int32(headers.values().stream().mapToInt(ServiceFault::count).sum());
        headers.forEach((name, values) -> values.forEach(value -> {
            Arguments.pack(packet, Objects.requireNonNull(name, "headers: a null in it"));
            Arguments.pack(packet, Objects.requireNonNull(value, "headers: a null in it"));
        }));
        return packet.toBytes();
    }

    /**
     * Tells what a client with a preset and its settings would do about an answer to the first attempt of a request: by
     * the same rules, without a client and without I/O.
     *
     * @param request the request, as it would be sent; its body is no stream
     * @param preset whose rules
     * @param status the HTTP status
     * @param headers the answer's headers, in any case
     * @param body the answer's body, or its beginning
     * @return a JSON object: {@code fault}, {@code evidence}, {@code switch}, {@code effect}, {@code next},
     *     {@code ends_as} and others, as the C header tells of {@code d365_explain_response}; more may come in later
     *     versions
     */
    public static String explain(
            FailoverRequest request, Preset preset, int status, Map<String, List<String>> headers, byte[] body) {
        Objects.requireNonNull(headers, "headers");
        Objects.requireNonNull(body, "body");
        if (status == 0) {
            throw new FailoverUsageException(ErrorKind.INVALID_ARGUMENT, "status: 0 is none");
        }
        return explained(request, preset, status, 0, false, packed(headers), body);
    }

    /**
     * As {@link #explain(FailoverRequest, Preset, int, Map, byte[])}, of an attempt that ended before a status had come.
     *
     * @param request the request; its body is no stream
     * @param preset whose rules
     * @param cause what it ended with, as {@link #cause()} names it: {@code reset}
     * @param sent whether a byte of it had left
     * @return a JSON object
     */
    public static String explain(FailoverRequest request, Preset preset, String cause, boolean sent) {
        PacketWriter name = new PacketWriter();
        byte[] bytes = Objects.requireNonNull(cause, "cause").getBytes(StandardCharsets.UTF_8);
        NativeLoader.require();
        int number = Outcome.unchecked(Native.causeNumber(bytes)).int32();
        return explained(request, preset, 0, number, sent, name.int32(0).toBytes(), new byte[0]);
    }

    private static String explained(
            FailoverRequest request,
            Preset preset,
            int status,
            int cause,
            boolean sent,
            byte[] headers,
            byte[] body) {
        Objects.requireNonNull(request, "request");
        PacketWriter numbers = new PacketWriter();
        numbers.int32(Objects.requireNonNull(preset, "preset") == Preset.DOTNET ? 1 : 2);
        numbers.int32(status).int32(cause).int32(sent ? 1 : 0);
        if (request.streamed() != null) {
            throw new FailoverUsageException(ErrorKind.INVALID_ARGUMENT, "request: its body is a stream");
        }
        try {
            byte[] head = request.head();
            NativeLoader.require();
            return Outcome.unchecked(Native.explain(head, request.body(), numbers.toBytes(), headers, body))
                    .text();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static int count(List<String> values) {
        return Objects.requireNonNull(values, "headers: a null in it").size();
    }

    /**
     * Its kind.
     *
     * @return the kind
     */
    public FaultKind kind() {
        return kind;
    }

    /**
     * What exactly it is, finer than the kind, as {@link FailoverException#cause()}.
     *
     * @return the name, such as {@code bad_gateway}; empty if it has none
     */
    public Optional<String> cause() {
        return cause;
    }

    /**
     * The service's error code.
     *
     * @return the code, such as -2147176347 for 0x8004B065; empty without one
     */
    public OptionalInt code() {
        return code;
    }

    /**
     * How long the service asks to wait.
     *
     * @return the time; empty if it does not ask
     */
    public Optional<Duration> retryAfter() {
        return retryAfter;
    }

    /**
     * The service's message.
     *
     * @return the message; empty without one
     */
    public String message() {
        return message;
    }

    /**
     * Whether it makes a client turn to the other endpoint. In {@link Preset#SAFE} it then depends on probes whether the
     * client switches.
     *
     * @param preset whose rules
     * @return true if so
     */
    public boolean startsFailover(Preset preset) {
        return startsFailover[Objects.requireNonNull(preset, "preset").ordinal()];
    }

    @Override
    public String toString() {
        return kind.label() + (message.isEmpty() ? "" : ": " + message);
    }
}
