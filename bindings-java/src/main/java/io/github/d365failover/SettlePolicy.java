package io.github.d365failover;

/** What a walk may do with each write that is to be verified. Immutable. */
public final class SettlePolicy {
    /** Looks at each, and does nothing about it. */
    public static final SettlePolicy VERIFY = new SettlePolicy(true, false, false);
    /** Looks at each, confirms what is there for good, and sends again what is missing for good and may be. */
    public static final SettlePolicy ALL = new SettlePolicy(true, true, true);

    private final boolean verify;
    private final boolean confirm;
    private final boolean replay;

    private SettlePolicy(boolean verify, boolean confirm, boolean replay) {
        this.verify = verify;
        this.confirm = confirm;
        this.replay = replay;
    }

    /**
     * The same, but what was found before counts, or not.
     *
     * @param looks false: no row is looked at
     * @return a policy
     */
    public SettlePolicy verify(boolean looks) {
        return new SettlePolicy(looks, confirm, replay);
    }

    /**
     * The same, but what is there for good is confirmed, or not.
     *
     * @param confirms false: not
     * @return a policy
     */
    public SettlePolicy confirm(boolean confirms) {
        return new SettlePolicy(verify, confirms, replay);
    }

    /**
     * The same, but what is missing for good is sent again, or not.
     *
     * @param replays false: not
     * @return a policy
     */
    public SettlePolicy replay(boolean replays) {
        return new SettlePolicy(verify, confirm, replays);
    }

    /** Bits of the C ABI. */
    int flags() {
        return (verify ? 1 : 0) | (confirm ? 2 : 0) | (replay ? 4 : 0);
    }
}
