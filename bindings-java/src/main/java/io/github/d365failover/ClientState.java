package io.github.d365failover;

import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.PacketReader;
import java.net.URI;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.function.LongFunction;

/** What a client says of itself, without I/O. */
final class ClientState {
    private static final int PRIMARY_URL = 0;
    private static final int ALTERNATE_URL = 1;
    private static final int ACTIVE_URL = 2;
    private static final int STATISTICS = 3;
    private static final int IS_PRIMARY = 0;
    private static final int EPOCH = 1;
    private static final int AUTO_SWITCH = 2;
    private static final int EVICTED = 3;
    private static final int LEDGER_ALL = 0;
    private static final int LEDGER_SUSPECTS = 1;
    private static final int LEDGER_MINE = 2;

    private static final byte[] NOTHING = {};

    private final FailoverClient client;
    /** What was counted until the client was closed; null before. */
    private volatile String counted;

    ClientState(FailoverClient client) {
        this.client = client;
    }

    void requireOpen() {
        packet(handle -> NOTHING);
    }

    URI primaryUrl() {
        return URI.create(text(PRIMARY_URL));
    }

    URI activeUrl() {
        return URI.create(text(ACTIVE_URL));
    }

    String statistics() {
        byte[] packet = client.use(handle -> Native.clientText(handle, STATISTICS));
        if (packet != null) {
            return Outcome.unchecked(packet).text();
        }
        if (counted == null) {
            throw Failure.closed().unchecked();
        }
        return counted;
    }

    /** The client is about to be given back: what it has counted is still to be told. */
    void keep() {
        try {
            counted = statistics();
        } catch (FailoverStateException e) {
            // Its store has failed, or another thread was first.
        }
    }

    Optional<URI> alternateUrl() {
        PacketReader in = new PacketReader(packet(handle -> Native.clientText(handle, ALTERNATE_URL)));
        Failure failure = Outcome.failure(in);
        if (failure == null) {
            return Optional.of(URI.create(in.text()));
        }
        if (failure.kind() == ErrorKind.NO_ALTERNATE) {
            return Optional.empty();
        }
        throw failure.unchecked();
    }

    boolean isPrimary() {
        return number(IS_PRIMARY) != 0;
    }

    long epoch() {
        return number(EPOCH);
    }

    boolean isAutoSwitchEnabled() {
        return number(AUTO_SWITCH) != 0;
    }

    Optional<CurrentOverride> currentOverride() {
        PacketReader in = of(Native::currentOverride);
        int value = in.int32();
        int source = in.int32();
        long untilMs = in.int64();
        if (value == 0) {
            return Optional.empty();
        }
        Instant until = untilMs == 0 ? null : Instant.ofEpochMilli(untilMs);
        return Optional.of(
                new CurrentOverride(OperatorOverride.ofNumber(value), OverrideSource.ofNumber(source), until));
    }

    long evicted() {
        return number(EVICTED);
    }

    List<LedgerEntry> ledger() {
        return entries(LEDGER_ALL);
    }

    List<LedgerEntry> suspects() {
        return entries(LEDGER_SUSPECTS);
    }

    List<LedgerEntry> mine() {
        return entries(LEDGER_MINE);
    }

    /** What a method of the library answers that does not wait. */
    PacketReader of(LongFunction<byte[]> call) {
        return Outcome.unchecked(packet(call));
    }

    private List<LedgerEntry> entries(int selection) {
        return LedgerEntry.list(of(handle -> Native.ledger(handle, selection)));
    }

    private String text(int which) {
        return of(handle -> Native.clientText(handle, which)).text();
    }

    private long number(int which) {
        return of(handle -> Native.clientNumber(handle, which)).int64();
    }

    private byte[] packet(LongFunction<byte[]> call) {
        byte[] packet = client.use(call);
        if (packet == null) {
            throw Failure.closed().unchecked();
        }
        return packet;
    }
}
