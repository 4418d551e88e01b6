package io.github.d365failover;

import java.util.Optional;
import java.util.OptionalLong;

/**
 * The store has failed, and a call went on. The {@link #reason()} is {@code begin}: a write was sent that could not be put on
 * record, as {@link FailoverClientBuilder#storeFailure} says; or {@code end}: the end of a write could not, and it is in doubt
 * there from now on.
 */
public final class StoreFailedEvent extends FailoverEvent {
    private final long ledgerId;
    private final String tag;

    StoreFailedEvent(EventItem item) {
        super(item);
        this.ledgerId = item.ledgerId;
        this.tag = item.tag;
    }

    /**
     * The number in the ledger of the write whose end is not on record.
     *
     * @return the number; empty where the write itself is not
     */
    public OptionalLong ledgerId() {
        return ledgerId == 0 ? OptionalLong.empty() : OptionalLong.of(ledgerId);
    }

    /**
     * The tag of the request of a write that is not on record.
     *
     * @return what {@link FailoverRequest.Builder#tag} was given; empty without one
     */
    public Optional<String> tag() {
        return Arguments.optional(tag);
    }
}
