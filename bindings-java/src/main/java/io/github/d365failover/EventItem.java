package io.github.d365failover;

import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.PacketReader;
import java.time.Duration;
import java.time.Instant;

/** An event as the queue has it. Once made, whoever holds it must free it: the library may wait for that. */
final class EventItem {
    static final int SWITCH_REQUIRED = 1;
    static final int SWITCHED = 2;
    static final int WRITE_IN_DOUBT = 3;
    static final int DATA_LOSS_SUSPECTED = 4;
    static final int CALL_RETRIED = 5;
    static final int THROTTLED = 6;
    static final int LOG = 7;
    static final int OUTAGE_STARTED = 8;
    static final int OUTAGE_ENDED = 9;
    static final int SETTLED = 10;
    static final int STORE_FAILED = 11;
    private static final int VETO = 2;

    final int kind;
    final Instant time;
    final long epoch;
    final Role previousRole;
    final Role newRole;
    final boolean automatic;
    final int level;
    /** How many items the queue has dropped before this one. */
    final long dropped;

    final Probed probed;
    final long ledgerId;
    final long inDoubt;
    final long acknowledged;
    final Duration retryAfter;
    final Duration lasted;
    final boolean planned;
    final long settledTotal;
    final long settledConfirmed;
    final long settledReplayed;
    final long settledLeft;
    final String previousUrl;
    final String newUrl;
    final String reason;
    final String message;
    final String method;
    final String url;
    final String tag;
    private final long handle;

    /** What the event has not is 0, or empty. */
    EventItem(long handle) {
        PacketReader in = Outcome.unchecked(Native.itemEvent(handle));
        this.handle = handle;
        this.kind = in.int32();
        this.time = Instant.ofEpochMilli(in.int64());
        this.epoch = in.int64();
        this.previousRole = Role.ofNumber(in.int64());
        this.newRole = Role.ofNumber(in.int64());
        this.automatic = in.int64() != 0;
        this.level = (int) in.int64();
        this.dropped = in.int64();
        this.probed = Probed.ofOptional(in.int64());
        this.ledgerId = in.int64();
        this.inDoubt = in.int64();
        this.acknowledged = in.int64();
        this.retryAfter = Duration.ofMillis(in.int64());
        this.lasted = Duration.ofMillis(in.int64());
        this.planned = in.int64() != 0;
        this.settledTotal = in.int64();
        this.settledConfirmed = in.int64();
        this.settledReplayed = in.int64();
        this.settledLeft = in.int64();
        this.previousUrl = in.text();
        this.newUrl = in.text();
        this.reason = in.text();
        this.message = in.text();
        this.method = in.text();
        this.url = in.text();
        this.tag = in.text();
    }

    /** Whether it may be dropped when nobody takes it, and nobody waits for its listeners. */
    boolean isChatty() {
        return kind == CALL_RETRIED || kind == THROTTLED || kind == LOG || kind == STORE_FAILED;
    }

    void veto() {
        Outcome.unchecked(Native.itemReply(handle, VETO));
    }

    void free() {
        Native.itemFree(handle);
    }
}
