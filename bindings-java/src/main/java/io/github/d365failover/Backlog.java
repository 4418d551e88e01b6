package io.github.d365failover;

/**
 * The chatty events that wait for slow listeners: not more than so many, because nobody waits for them and there may be
 * one a call.
 */
final class Backlog {
    private final int most;
    private int waiting;
    private long dropped;

    Backlog(int most) {
        this.most = most;
    }

    /** Whether there is room for one more; else it is dropped. */
    synchronized boolean enter() {
        if (waiting == most) {
            dropped++;
            return false;
        }
        waiting++;
        return true;
    }

    synchronized void leave() {
        waiting--;
    }

    /** Others were dropped before they came here. */
    synchronized void add(long others) {
        dropped += others;
    }

    /** How many were dropped since the last time. */
    synchronized long takeDropped() {
        long taken = dropped;
        dropped = 0;
        return taken;
    }
}
