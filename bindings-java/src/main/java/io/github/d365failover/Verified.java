package io.github.d365failover;

/** What a look at its row says of a write. */
public enum Verified {
    /**
     * It was executed: the row that it created is there, the one that it deleted is not, the one that it changed has the
     * version that its answer named, or the values that were sent. Final or not: {@link LedgerEntry#isFinal()}.
     */
    PRESENT,
    /**
     * Its effect is not there. Not final until {@link FailoverClientBuilder#replicationWindow} has passed since the write
     * ended: it may still come over. See {@link LedgerEntry#isFinal()}.
     */
    MISSING,
    /**
     * No look at a row could tell: an action (also by SOAP's Execute), an upload, an update in doubt whose values are not
     * kept, a create in doubt whose row nobody knows. {@link LedgerEntry#why()} says why. A person has to look, or the
     * application by {@link FailoverClient#verifyWith}.
     */
    UNVERIFIABLE,
    /**
     * The row is there, with other values than were sent: {@link LedgerEntry#differences()}. Somebody has written it since,
     * or the write was not executed.
     */
    CONFLICTING;

    /** Of the C ABI; null: nobody has looked. */
    static Verified ofOptional(long number) {
        return number >= 1 && number <= 4 ? values()[(int) number - 1] : null;
    }
}
