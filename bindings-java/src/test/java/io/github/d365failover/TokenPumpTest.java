package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.impl.ClientHandles;
import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.PacketReader;
import io.github.d365failover.impl.PacketWriter;
import io.github.d365failover.support.Await;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

class TokenPumpTest {
    private static final FailoverRequest REQUEST = FailoverRequest.get("/api/data/v9.2/WhoAmI");

    /** A provider that throws shows that it was asked; nothing is ever sent. */
    @Test
    void aThreadThatCannotBeHadFailsOneCall() throws Exception {
        AtomicBoolean none = new AtomicBoolean(true);
        ThreadPoolExecutor providers = new ThreadPoolExecutor(
                0, Integer.MAX_VALUE, 1, TimeUnit.SECONDS, new SynchronousQueue<>(), task -> {
                    if (none.get()) {
                        throw new OutOfMemoryError("thrown by a test: unable to create native thread");
                    }
                    return new Thread(task);
                });
        PacketWriter settings = new PacketWriter();
        settings.text("https://contoso.crm.twin.test").int32(2);
        settings.text("alternate_url").text("https://contoso--s.crm.twin.test");
        settings.text("tls_verify").text("off");
        PacketReader in = Outcome.unchecked(Native.open(settings.toBytes(), true, false));
        ClientHandles handles = new ClientHandles(in.int64(), in.int64());
        TokenPump pump = new TokenPump(
                in.int64(),
                request -> {
                    throw new IllegalStateException("the provider was asked");
                },
                new Providing(),
                providers);
        LinkedBlockingQueue<String> ended = new LinkedBlockingQueue<>();
        new DaemonThreads().make("tokens", () -> {
                    pump.run();
                    ended.add("ended");
                })
                .start();
        try {
            assertTrue(message(handles).contains("unable to create native thread"));
            none.set(false);
            assertTrue(message(handles).contains("the provider was asked"));
        } finally {
            handles.run();
        }
        assertEquals("ended", Await.next(ended));
        assertTrue(providers.isShutdown());
    }

    private static String message(ClientHandles handles) {
        long client = handles.client().acquire();
        long pending = Native.pendingNew();
        try {
            FailoverException e = assertThrows(
                    FailoverException.class,
                    () -> Outcome.checked(Native.send(client, REQUEST.head(), REQUEST.body(), null, pending, null)));
            assertEquals(ErrorKind.AUTHENTICATION, e.kind());
            return e.getMessage();
        } finally {
            Native.pendingFree(pending);
            handles.client().release();
        }
    }
}
