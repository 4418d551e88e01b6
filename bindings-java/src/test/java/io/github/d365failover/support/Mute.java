package io.github.d365failover.support;

import io.github.d365failover.AutoSwitch;
import io.github.d365failover.FailoverClient;
import io.github.d365failover.FailoverClientBuilder;
import io.github.d365failover.Preset;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * A server that lets callers wait: it takes requests, says no word, or the beginning of one, and tells who came and who
 * went. It is made of {@code java.base} alone, for JVMs that have no more.
 */
public final class Mute implements AutoCloseable {
    /** Answered at once, as a create is. */
    public static final String CREATE = "/api/data/v9.2/accounts";
    /** Of its answer the head and the first byte come at once. */
    public static final String BEGUN = "/begun";
    /** Of its answer nothing comes. */
    public static final String SILENT = "/silent";

    /** The hosts of the organization. */
    public static final String PRIMARY = "contoso.crm.mute.test";

    public static final String ALTERNATE = "contoso--s.crm.mute.test";
    private static final String ROW = CREATE + "(00000000-0000-0000-0000-000000000001)";
    private static final String HEAD =
            "HTTP/1.1 200 OK\r\nOData-Version: 4.0\r\nConnection: close\r\nContent-Length: 100\r\n\r\n";

    private final ServerSocket listener = new ServerSocket(0, 1000, InetAddress.getLoopbackAddress());
    private final BlockingQueue<String> arrived = new LinkedBlockingQueue<>();
    private final BlockingQueue<String> left = new LinkedBlockingQueue<>();
    private final CountDownLatch released = new CountDownLatch(1);

    public Mute() throws IOException {
        daemon(() -> {
            while (true) {
                Socket socket = listener.accept();
                daemon(() -> serve(socket));
            }
        });
    }

    /** A client whose calls would wait for longer than any test does. */
    public FailoverClientBuilder client() {
        return client("http");
    }

    /** The same, whose handshakes are not answered. */
    public FailoverClientBuilder securedClient() {
        return client("https").tlsVerify(false);
    }

    private FailoverClientBuilder client(String scheme) {
        String target = "127.0.0.1:" + listener.getLocalPort();
        return FailoverClient.builder(scheme + "://" + PRIMARY)
                .preset(Preset.DOTNET)
                .autoSwitch(AutoSwitch.ON)
                .connectTo(Map.of(
                        PRIMARY + ":80", target,
                        ALTERNATE + ":80", target,
                        PRIMARY + ":443", target,
                        ALTERNATE + ":443", target))
                .connectTimeout(Duration.ofMinutes(2))
                .handlerTimeout(Duration.ofMinutes(2));
    }

    /** The next request that has come, by the first line of its head. */
    public String arrived() throws InterruptedException {
        return Await.next(arrived);
    }

    /** The next of those who waited that has gone. */
    public String left() throws InterruptedException {
        return Await.next(left);
    }

    /** From here on all that waits gets its answer. */
    public void release() {
        released.countDown();
    }

    private void serve(Socket socket) throws Exception {
        try (socket) {
            InputStream in = new BufferedInputStream(socket.getInputStream());
            OutputStream out = socket.getOutputStream();
            while (true) {
                String head = head(in);
                if (head.isEmpty()) {
                    return;
                }
                String line = head.substring(0, head.indexOf('\r'));
                String path = line.split(" ")[1];
                if (path.equals(CREATE)) {
                    in.skip(length(head));
                    write(out, "HTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\nOData-EntityId: http://" + PRIMARY
                            + ROW + "\r\n\r\n");
                    continue;
                }
                if (path.equals(BEGUN)) {
                    write(out, HEAD + "x");
                }
                arrived.add(line);
                wait(in, out, line, path);
                return;
            }
        }
    }

    /** Until it is released, or the peer is gone. */
    private void wait(InputStream in, OutputStream out, String line, String path) throws Exception {
        daemon(() -> {
            released.await();
            write(out, (path.equals(BEGUN) ? "" : HEAD + "x") + "x".repeat(99));
        });
        byte[] piece = new byte[1 << 16];
        try {
            while (in.read(piece) >= 0) {
                // The body of an upload.
            }
        } finally {
            left.add(line);
        }
    }

    /** Empty: the peer is gone. What is no HTTP, such as a TLS hello, is a head as well. */
    private static String head(InputStream in) throws IOException {
        StringBuilder head = new StringBuilder();
        for (int next = in.read(); next >= 0; next = in.read()) {
            head.append((char) next);
            if (head.charAt(0) == 0x16) {
                return "TLS hello\r\n\r\n";
            }
            if (head.length() >= 4 && head.substring(head.length() - 4).equals("\r\n\r\n")) {
                return head.toString();
            }
        }
        return "";
    }

    private static long length(String head) {
        for (String line : head.split("\r\n")) {
            if (line.toLowerCase(Locale.ROOT).startsWith("content-length:")) {
                return Long.parseLong(line.substring(line.indexOf(':') + 1).trim());
            }
        }
        return 0;
    }

    private static void write(OutputStream out, String text) throws IOException {
        out.write(text.getBytes(StandardCharsets.US_ASCII));
        out.flush();
    }

    private interface Deed {
        void run() throws Exception;
    }

    private static void daemon(Deed deed) {
        Thread thread = new Thread(() -> {
            try {
                deed.run();
            } catch (Exception e) {
                // A peer that is gone, or the server.
            }
        });
        thread.setDaemon(true);
        thread.start();
    }

    @Override
    public void close() throws IOException {
        release();
        listener.close();
    }
}
