package io.github.d365failover;

import io.github.d365failover.impl.Upcalls;
import java.io.IOException;
import java.nio.channels.spi.AbstractInterruptibleChannel;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.IntSupplier;
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
            pause();
        }
    }

    /** Runs code of the application's meanwhile, which hears of an interrupt itself; what it leaves set cancels. */
    int except(IntSupplier code) {
        pause();
        try {
            return asked(code);
        } finally {
            listen();
        }
    }

    /**
     * What the application's code answers. An interrupt is its own if it returns; where it fails, the flag says it, also
     * where what has failed has cleared it, as a pipe does.
     */
    static int asked(IntSupplier code) {
        AtomicBoolean heard = new AtomicBoolean();
        int answer = new Interruptible(() -> heard.set(true)).during(code::getAsInt);
        if (answer == Upcalls.FAILED && heard.get()) {
            Thread.currentThread().interrupt();
        }
        return answer;
    }

    /** Again, after code of the application's that may have waited for a channel of its own. */
    void listen() {
        begin();
    }

    private void pause() {
        try {
            end(true);
        } catch (IOException e) {
            // It was interrupted, which its flag says as well.
        }
    }

    @Override
    protected void implCloseChannel() {
        cancel.run();
    }
}
