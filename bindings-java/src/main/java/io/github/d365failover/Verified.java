package io.github.d365failover;

/** What a look at its row says of a write. */
public enum Verified {
    /**
     * It was executed: the row that it created is there, the one that it deleted is not, the one that it changed has the
     * version that its answer named. Final or not: {@link LedgerEntry#isFinal()}.
     */
    PRESENT,
    /**
     * Its effect is not there. Not final until {@link FailoverClientBuilder#replicationWindow} has passed since the write
     * ended: it may still come over. See {@link LedgerEntry#isFinal()}.
     */
    MISSING,
    /**
     * No look at a row could tell: a {@code $batch}, an action (also by SOAP's Execute), an upload, an update in doubt, a
     * create in doubt whose row nobody knows. A person has to look.
     */
    UNVERIFIABLE;

    /** Of the C ABI; null: nobody has looked. */
    static Verified ofOptional(long number) {
        return number >= 1 && number <= 3 ? values()[(int) number - 1] : null;
    }
}
