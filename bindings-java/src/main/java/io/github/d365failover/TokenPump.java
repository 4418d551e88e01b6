package io.github.d365failover;

import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.PacketReader;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * The thread that fetches token requests, and those that answer them: a provider that hangs on the token of a dead
 * datacenter must not keep the other endpoint's waiting. It ends when the client is gone.
 */
final class TokenPump implements Runnable {
    private static final Logger LOG = System.getLogger("io.github.d365failover");
    private static final long END = 0;
    private static final long KEEP_THREAD_SECONDS = 10;

    private final long channel;
    private final TokenProvider provider;
    private final ExecutorService providers;

    private TokenPump(String name, long channel, TokenProvider provider) {
        this.channel = channel;
        this.provider = provider;
        this.providers = new ThreadPoolExecutor(
                0,
                Integer.MAX_VALUE,
                KEEP_THREAD_SECONDS,
                TimeUnit.SECONDS,
                new SynchronousQueue<>(),
                DaemonThreads.named(name));
    }

    static void start(String name, long channel, TokenProvider provider) {
        DaemonThreads.make(name, new TokenPump(name, channel, provider)).start();
    }

    @Override
    public void run() {
        try {
            while (next()) {
                // Each round hands on one request.
            }
        } catch (Throwable e) {
            LOG.log(Level.ERROR, "no tokens are provided any more", e);
        } finally {
            providers.shutdown();
        }
    }

    private boolean next() {
        PacketReader in = Outcome.unchecked(Native.tokenNext(channel));
        long request = in.int64();
        if (request == END) {
            return false;
        }
        TokenRequest asked = new TokenRequest(in.text(), Role.ofNumber(in.int32()));
        try {
            providers.execute(() -> answer(request, asked));
        } catch (Throwable e) {
            Native.tokenFree(request);
            throw e;
        }
        return true;
    }

    private void answer(long request, TokenRequest asked) {
        try {
            Token token = provider.token(asked);
            Native.tokenReply(request, Arguments.utf8(token.value()), token.validMillis());
        } catch (Throwable e) {
            LOG.log(Level.DEBUG, "the token provider failed", e);
            // Not strict: a message with half of a surrogate pair is still a message.
            Native.tokenFail(request, ("the token provider failed: " + e).getBytes(StandardCharsets.UTF_8));
        } finally {
            Native.tokenFree(request);
        }
    }
}
