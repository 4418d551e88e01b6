package io.github.d365failover.impl;

/**
 * The native methods. Most answer a packet: a status, and either what was asked for or why not ({@link
 * PacketReader}). Those that hand out what must not be lost answer a number, for which no memory is needed. Handles are
 * numbers that the library checks; using one that is freed gives a status.
 */
public final class Native {
    private static final int ABI_VERSION = 1;

    static {
        NativeLoader.require();
        int version = abiVersion();
        if (version != ABI_VERSION) {
            throw new UnsatisfiedLinkError(
                    "the native library has ABI " + version + ", this jar needs " + ABI_VERSION
                            + ": does " + NativeLoader.PROPERTY + " name the library of another version?");
        }
    }

    private Native() {}

    static native int abiVersion();

    public static native byte[] version();

    public static native byte[] url(byte[] url, int which);

    public static native byte[] urlIsAlternate(byte[] url);

    public static native byte[] classify(int status, byte[] headers, byte[] body);

    public static native byte[] explain(
            byte[] head, byte[] sent, byte[] numbers, byte[] headers, byte[] body);

    public static native byte[] causeNumber(byte[] name);

    public static native byte[] open(byte[] settings, boolean withTokens, boolean withPrepare);

    /**
     * Sends.
     *
     * @param upcalls asked while this runs; null: there is nothing to ask
     * @param pending what another thread cancels the call by; of {@link #pendingNew}
     * @param response where the handle of the response is put, whose body is then read; null: the body is collected
     */
    public static native byte[] send(
            long client, byte[] head, byte[] body, Upcalls upcalls, long pending, long[] response);

    /** What one call of {@link #send} can be cancelled by; to be freed. */
    public static native long pendingNew();

    public static native byte[] submit(long client, byte[] head, byte[] body, boolean streaming, long id);

    public static native byte[] pendingCancel(long pending);

    public static native byte[] pendingLedgerId(long pending);

    public static native void pendingFree(long pending);

    public static native byte[] subscribe(long client, long mask);

    public static native byte[] clientText(long client, int which);

    public static native byte[] clientNumber(long client, int which);

    public static native byte[] setAutoSwitch(long client, boolean enabled);

    public static native byte[] switchEndpoint(long client);

    public static native byte[] maintenance(long client, long startMs, long endMs);

    public static native byte[] currentOverride(long client);

    public static native byte[] setOverride(long client, int value, long untilMs);

    public static native byte[] ledger(long client, int selection);

    public static native byte[] walkNew(int flags);

    public static native void requestFree(long request);

    public static native byte[] suspectSince(long client, long sinceMs);

    public static native byte[] resolve(long client, long id, int resolution);

    public static native byte[] shutdown(long client, long timeoutMs);

    static native void clientFree(long client);

    /** An item's handle, to be freed; 0: there will be none any more. */
    public static native long queueNext(long queue);

    static native byte[] queueClose(long queue);

    static native void queueFree(long queue);

    /** The number of the call that a completion is of; 0 for an event. */
    public static native long itemCall(long item);

    /**
     * How a call ended.
     *
     * @param response where the handle of a response is put whose body is still to be read
     */
    public static native byte[] itemResult(long item, long[] response);

    public static native byte[] itemEvent(long item);

    public static native byte[] itemReply(long item, int decision);

    public static native void itemFree(long item);

    /** How many bytes are in the buffer now, from the offset on; 0 at the end. */
    public static native byte[] responseRead(long response, byte[] buffer, int offset, int length);

    /** The bytes, at most so many, come as the result of an item that is of this number; none at the end. */
    public static native byte[] responseSubmitRead(long response, int most, long id);

    /** Effect and parts, when the body was read. */
    public static native byte[] responseTold(long response);

    /** Ends a read that waits. */
    public static native void responseCancel(long response);

    static native void responseFree(long response);

    public static native byte[] outgoing(long outgoing);

    public static native byte[] outgoingHeader(long outgoing, byte[] name);

    public static native byte[] outgoingSetHeader(long outgoing, byte[] name, byte[] value);

    public static native byte[] outgoingRemoveHeader(long outgoing, byte[] name);

    public static native byte[] outgoingBody(long outgoing);

    public static native byte[] outgoingSetBody(long outgoing, byte[] body);

    public static native byte[] outgoingFail(long outgoing, byte[] message);

    /** A request's handle, to be freed; 0: there will be none any more. */
    public static native long tokenNext(long channel);

    public static native byte[] tokenRequest(long request);

    public static native byte[] tokenReply(long request, byte[] token, long expiresInMs);

    public static native byte[] tokenFail(long request, byte[] message, long number);

    public static native void tokenFree(long request);
}
