package io.github.d365failover;

import java.io.IOException;
import java.nio.channels.spi.AbstractInterruptibleChannel;
import java.util.function.Supplier;

/**
 * Hears at once of an interrupt of the thread that waits inside of the library. For whoever interrupts calls into what
 * the thread waits for: the JDK says so of channels only, and so this is one, of which nothing else is used.
 */
final class Interruptible extends AbstractInterruptibleChannel {
    private final Runnable cancel;

    /**
     * @param cancel on any thread, once, perhaps late; neither blocks nor throws
     */
    Interruptible(Runnable cancel) {
        this.cancel = cancel;
    }

    /** Waits; a thread that is interrupted already cancels as well. The flag stays set. */
    <R> R during(Supplier<R> wait) {
        listen();
        try {
            return wait.get();
        } finally {
            try {
                end(true);
            } catch (IOException e) {
                // It was interrupted, which its flag says as well.
            }
        }
    }

    /** Again, after code of the application's that may have waited for a channel of its own. */
    void listen() {
        begin();
    }

    @Override
    protected void implCloseChannel() {
        cancel.run();
    }
}
