package io.github.d365failover;

import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.PacketReader;
import java.time.Instant;

/** An event as the queue has it. Once made, whoever holds it must free it: the library waits for that. */
final class EventItem {
    static final int SWITCH_REQUIRED = 1;
    static final int SWITCHED = 2;
    private static final int VETO = 2;

    final int kind;
    final Instant time;
    final long epoch;
    final Role previousRole;
    final Role newRole;
    final boolean automatic;
    final String previousUrl;
    final String newUrl;
    final String reason;
    private final long handle;

    EventItem(long handle) {
        PacketReader in = Outcome.unchecked(Native.itemEvent(handle));
        this.handle = handle;
        this.kind = in.int32();
        // The sequence number: the queue has put the events in order.
        in.int64();
        this.time = Instant.ofEpochMilli(in.int64());
        this.epoch = in.int64();
        this.previousRole = Role.ofNumber(in.int64());
        this.newRole = Role.ofNumber(in.int64());
        this.automatic = in.int64() != 0;
        this.previousUrl = in.text();
        this.newUrl = in.text();
        this.reason = in.text();
    }

    void veto() {
        Outcome.unchecked(Native.itemReply(handle, VETO));
    }

    void free() {
        Native.itemFree(handle);
    }
}
