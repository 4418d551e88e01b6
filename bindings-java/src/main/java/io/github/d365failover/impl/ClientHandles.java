package io.github.d365failover.impl;

/** What a client has to give back, apart from the client, so that a cleaner can do it. */
public final class ClientHandles implements Runnable {
    private final Handle client;
    private final Handle queue;

    public ClientHandles(long client, long queue) {
        this.client = Handle.ofClient(client);
        this.queue = Handle.ofQueue(queue);
    }

    public Handle client() {
        return client;
    }

    public Handle queue() {
        return queue;
    }

    /** Ends the queue: what is left in it can still be fetched, then its reader is told. */
    public void closeQueue() {
        long handle = queue.acquire();
        if (handle != Handle.GONE) {
            try {
                Native.queueClose(handle);
            } finally {
                queue.release();
            }
        }
    }

    /** Frees both. Calls in flight are cancelled, the queue's reader is woken. */
    @Override
    public void run() {
        closeQueue();
        client.dispose();
        queue.dispose();
    }
}
