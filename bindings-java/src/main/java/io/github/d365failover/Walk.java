package io.github.d365failover;

import io.github.d365failover.impl.Native;
import java.util.Objects;

/** A walk over the writes to verify, of which each call brings a step. */
final class Walk {
    private final long handle;

    Walk(SettlePolicy policy) {
        long made = Outcome.unchecked(Native.walkNew(Objects.requireNonNull(policy, "policy").flags())).int64();
        this.handle = made;
        FailoverClient.CLEANER.register(this, () -> Native.requestFree(made));
    }

    /** The request for its next step. The walk must be reachable until it was sent. */
    FailoverRequest next() {
        return FailoverRequest.settling(handle);
    }
}
