package io.github.d365failover;

import io.github.d365failover.impl.PacketReader;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.OptionalInt;

/** What the answer to a {@code $batch} or an ExecuteMultiple says of one request in it. Immutable. */
public final class BatchPart {
    private final int index;
    private final int status;
    private final int code;

    private BatchPart(PacketReader in) {
        this.index = (int) in.int64();
        this.status = (int) in.int64();
        this.code = (int) in.int64();
    }

    static List<BatchPart> list(PacketReader in) {
        BatchPart[] parts = new BatchPart[in.int32()];
        for (int i = 0; i < parts.length; i++) {
            parts[i] = new BatchPart(in);
        }
        return Collections.unmodifiableList(Arrays.asList(parts));
    }

    /**
     * Which request of the batch it answers.
     *
     * @return its index, counted from 0, those in change sets one by one; of the one answer to a change set that has
     *     failed, that of its first request
     */
    public int index() {
        return index;
    }

    /**
     * The HTTP status.
     *
     * @return the status; empty in an ExecuteMultiple, whose parts have none
     */
    public OptionalInt status() {
        return status == 0 ? OptionalInt.empty() : OptionalInt.of(status);
    }

    /**
     * The service's error code.
     *
     * @return the code, such as -2147176347 for 0x8004B065; empty without one
     */
    public OptionalInt code() {
        return code == 0 ? OptionalInt.empty() : OptionalInt.of(code);
    }

    @Override
    public String toString() {
        return "part " + index + (status == 0 ? "" : ": HTTP " + status)
                + (code == 0 ? "" : String.format(" with code 0x%08X", code));
    }
}
