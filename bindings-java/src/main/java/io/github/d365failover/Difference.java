package io.github.d365failover;

import io.github.d365failover.impl.PacketReader;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** A value that a row has otherwise than a write has sent it. Immutable. */
public final class Difference {
    private final String name;
    private final String sent;
    private final String found;

    private Difference(PacketReader in) {
        this.name = in.text();
        this.sent = in.text();
        this.found = in.text();
    }

    static List<Difference> list(PacketReader in) {
        Difference[] differences = new Difference[in.int32()];
        for (int i = 0; i < differences.length; i++) {
            differences[i] = new Difference(in);
        }
        return Collections.unmodifiableList(Arrays.asList(differences));
    }

    /**
     * What the write calls it.
     *
     * @return a name such as {@code telephone1}
     */
    public String name() {
        return name;
    }

    /**
     * What was sent.
     *
     * @return JSON; one of more than 200 characters is cut
     */
    public String sent() {
        return sent;
    }

    /**
     * What the row has.
     *
     * @return JSON; one of more than 200 characters is cut
     */
    public String found() {
        return found;
    }

    /** Without the values, which are nobody's business in a log. */
    @Override
    public String toString() {
        return name;
    }
}
