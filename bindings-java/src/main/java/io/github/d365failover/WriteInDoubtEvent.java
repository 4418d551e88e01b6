package io.github.d365failover;

import java.util.OptionalLong;

/** A write whose call has ended, and of which nobody knows whether it was executed. */
public final class WriteInDoubtEvent extends CallEvent {
    private final long ledgerId;

    WriteInDoubtEvent(EventItem item) {
        super(item);
        this.ledgerId = item.ledgerId;
    }

    /**
     * Its number in the ledger: that of its {@link LedgerEntry#id()}, and of its call's {@code ledgerId()}.
     *
     * @return what {@link FailoverClient#resolve} takes; empty where it is not on record, because the store has failed and
     *         {@link FailoverClientBuilder#storeFailure} lets writes go on
     */
    public OptionalLong ledgerId() {
        return ledgerId == 0 ? OptionalLong.empty() : OptionalLong.of(ledgerId);
    }
}
