package io.github.d365failover;

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
     * @return what {@link FailoverClient#resolve} takes, from 1
     */
    public long ledgerId() {
        return ledgerId;
    }
}
