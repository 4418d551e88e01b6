package io.github.d365failover;

import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.PacketReader;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * The thread that fetches token requests, and those that answer them: a provider that hangs on the token of a dead
 * datacenter must not keep the other endpoint's waiting. It ends when the client is gone.
 */
final class TokenPump implements Runnable {
    private static final long END = 0;
    private static final long KEEP_THREAD_SECONDS = 10;
    /** More questions than these the library never has open. */
    private static final int MOST_THREADS = 64;
    private static final String DUTY = "tokens";

    private final long channel;
    private final TokenProvider provider;
    private final Providing providing;
    private final ExecutorService providers;

    /** The providers' executor is shut down in the end. */
    TokenPump(long channel, TokenProvider provider, Providing providing, ExecutorService providers) {
        this.channel = channel;
        this.provider = provider;
        this.providing = providing;
        this.providers = providers;
    }

    static void start(DaemonThreads threads, long channel, TokenProvider provider, Providing providing) {
        ExecutorService providers = new ThreadPoolExecutor(
                0,
                MOST_THREADS,
                KEEP_THREAD_SECONDS,
                TimeUnit.SECONDS,
                new SynchronousQueue<>(),
                threads.named(DUTY));
        threads.make(DUTY, new TokenPump(channel, provider, providing, providers)).start();
    }

    @Override
    public void run() {
        try {
            while (next()) {
                // Each round hands on one request.
            }
        } catch (Throwable e) {
            Complaint.log(Level.ERROR, "no tokens are provided any more", e);
        } finally {
            providers.shutdown();
        }
    }

    private boolean next() {
        long request = Native.tokenNext(channel);
        if (request == END) {
            return false;
        }
        try {
            providers.execute(() -> answer(request));
        } catch (Throwable e) {
            // Such as no memory for a thread: the next request finds it perhaps.
            fail(request, e);
        }
        return true;
    }

    private void answer(long request) {
        try {
            PacketReader in = Outcome.unchecked(Native.tokenRequest(request));
            Token token = providing.ask(provider, new TokenRequest(in.text(), Role.ofNumber(in.int32())));
            reply(request, Objects.requireNonNull(token, "the token provider has given no token"));
            Native.tokenFree(request);
        } catch (Throwable e) {
            fail(request, e);
        }
    }

    private static void reply(long request, Token token) {
        byte[] packet = Native.tokenReply(request, Arguments.utf8(token.value(), "value"), token.validMillis());
        Failure refused = Outcome.failure(new PacketReader(packet));
        // Too late is no fault of the token's: nobody waits for it any more.
        if (refused != null && refused.kind().isUsage()) {
            throw refused.unchecked();
        }
    }

    /** Whatever fails here too, the request is given back, which fails its call. */
    private void fail(long request, Throwable reason) {
        try {
            Complaint.log(Level.DEBUG, "the token provider failed", reason);
            // Not strict: a message with half of a surrogate pair is still a message.
            byte[] message = ("the token provider failed: " + reason).getBytes(StandardCharsets.UTF_8);
            Native.tokenFail(request, message, providing.keep(reason));
        } catch (Throwable e) {
            Complaint.log(Level.ERROR, "the reason why there is no token is lost", e);
        } finally {
            Native.tokenFree(request);
        }
    }
}
