package io.github.d365failover.support;

import io.github.d365failover.AutoSwitch;
import io.github.d365failover.FailoverClient;
import io.github.d365failover.FailoverClientBuilder;
import io.github.d365failover.FailoverRequest;
import io.github.d365failover.FailoverStreamingResponse;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** What a blocking call can wait for, at a {@link Mute} server. */
public enum Wait {
    /** For the head of an answer. */
    ANSWER(true),
    /** For the rest of a body that is collected. */
    BODY(true),
    /** For the peer's half of a handshake. */
    HANDSHAKE(true),
    /** For a token. */
    TOKEN(false),
    /** For a listener that may prevent a switch. */
    DECISION(false),
    /** For the application's own stream, of a body that is sent. */
    UPLOAD(true),
    /** For the application's own hook. */
    PREPARE(false),
    /** For the next bytes of a streaming answer. */
    READ(true),
    /** For the organization's policy. */
    DISCOVER(false),
    /** For the row of a write that is verified. */
    VERIFY(true);

    /** Whether the peer sees that the call was ended. */
    public final boolean isOnTheWire;

    Wait(boolean isOnTheWire) {
        this.isOnTheWire = isOnTheWire;
    }

    /** A call that is going to wait, and its client. */
    public static final class Call implements AutoCloseable {
        /** The methods in which a read waits, on a thread of the system's and on a virtual one. */
        private static final List<String> WAITING = List.of("Native.responseRead", "FailoverClient.park");

        private final Mute mute;
        private final FailoverClient client;
        private final FailoverRequest request;
        private final CountDownLatch asked = new CountDownLatch(1);
        private final CountDownLatch open = new CountDownLatch(1);
        private final Wait wait;

        private Call(Wait wait, Mute mute) throws Exception {
            this.wait = wait;
            this.mute = mute;
            FailoverClientBuilder builder = mute.client();
            switch (wait) {
                case HANDSHAKE:
                    builder = mute.securedClient();
                    break;
                case TOKEN:
                    builder.tokenProvider(token -> {
                        await();
                        throw new IllegalStateException("no token");
                    });
                    break;
                case DECISION:
                    // Nobody listens there.
                    builder.connectTo(Map.of(Mute.PRIMARY + ":80", "127.0.0.1:1", Mute.ALTERNATE + ":80", "127.0.0.1:1"));
                    break;
                case PREPARE:
                    builder.prepare(attempt -> await());
                    break;
                case DISCOVER:
                    builder.autoSwitch(AutoSwitch.AUTO);
                    break;
                default:
                    break;
            }
            client = builder.build();
            if (wait == DECISION) {
                client.addEndpointSwitchRequiredListener(event -> {
                    try {
                        await();
                    } catch (InterruptedException e) {
                        Thread.currentThread().interrupt();
                    }
                });
            }
            request = wait == UPLOAD
                    ? FailoverRequest.builder("POST", Mute.SILENT).body(new Waiting()).build()
                    : FailoverRequest.get(wait == BODY || wait == READ ? Mute.BEGUN : Mute.SILENT);
        }

        public FailoverClient client() {
            return client;
        }

        public FailoverRequest request() {
            return request;
        }

        /** Does it, on this thread. */
        public Callable<?> deed() throws Exception {
            switch (wait) {
                case READ:
                    FailoverStreamingResponse response = client.sendStreaming(request);
                    mute.arrived();
                    // What has come: the next read is one that waits.
                    response.body().read();
                    return () -> response.body().readAllBytes();
                case DISCOVER:
                    return () -> {
                        client.discover();
                        return null;
                    };
                case VERIFY:
                    client.send(FailoverRequest.builder("POST", Mute.CREATE).body("{}").build());
                    long id = client.ledger().get(0).id();
                    return () -> client.verify(id);
                default:
                    return () -> client.send(request);
            }
        }

        /** The call has come to where it waits, and its thread, where it has one, is inside of the library. */
        public void awaitArrival(Thread thread) throws InterruptedException {
            awaitArrival();
            if (wait == READ) {
                // Before that, an interrupt is another case: the stream can be read on.
                Await.that(() -> Arrays.stream(thread.getStackTrace())
                        .map(frame -> frame.getClassName().replaceAll(".*\\.", "") + "." + frame.getMethodName())
                        .anyMatch(WAITING::contains));
            }
        }

        /** The call has come to where it waits. */
        public void awaitArrival() throws InterruptedException {
            switch (wait) {
                case READ:
                    break;
                case TOKEN:
                case DECISION:
                case PREPARE:
                case UPLOAD:
                    if (!asked.await(Await.BOUND.toSeconds(), TimeUnit.SECONDS)) {
                        throw new AssertionError(wait + ": it was never asked");
                    }
                    break;
                default:
                    mute.arrived();
            }
        }

        private void await() throws InterruptedException {
            asked.countDown();
            open.await();
        }

        /** Lets it go on. */
        public void release() {
            open.countDown();
            mute.release();
        }

        @Override
        public void close() {
            release();
            client.close();
        }

        /** A stream whose second piece does not come. */
        private final class Waiting extends InputStream {
            private boolean isBegun;

            @Override
            public int read() throws IOException {
                byte[] one = new byte[1];
                return read(one, 0, 1) < 0 ? -1 : one[0];
            }

            @Override
            public int read(byte[] buffer, int offset, int length) throws IOException {
                if (!isBegun) {
                    isBegun = true;
                    buffer[offset] = 'x';
                    return 1;
                }
                try {
                    Call.this.await();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new InterruptedIOException();
                }
                return -1;
            }
        }
    }

    public Call at(Mute mute) throws Exception {
        return new Call(this, mute);
    }
}
