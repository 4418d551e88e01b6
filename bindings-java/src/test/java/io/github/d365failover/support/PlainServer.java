package io.github.d365failover.support;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.github.d365failover.FailoverClient;
import io.github.d365failover.FailoverClientBuilder;
import io.github.d365failover.Preset;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** A server without TLS, for answers that the twin does not give. It plays both endpoints and a further host. */
public final class PlainServer implements AutoCloseable {
    /** A host that is neither endpoint. */
    public static final String FURTHER = "further.test";

    private final HttpServer server;
    private final ExecutorService threads = Executors.newCachedThreadPool();

    /** What an exchange is answered with. */
    @FunctionalInterface
    public interface Handler {
        void handle(HttpExchange exchange) throws Exception;
    }

    public PlainServer(Handler handler) throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(threads);
        server.createContext("/", exchange -> {
            try {
                handler.handle(exchange);
            } catch (Exception e) {
                throw new IOException(e);
            } finally {
                exchange.close();
            }
        });
        server.start();
    }

    /** A client by the rules of .NET. */
    public FailoverClientBuilder client() {
        String target = "127.0.0.1:" + server.getAddress().getPort();
        return FailoverClient.builder("http://primary.test")
                .preset(Preset.DOTNET)
                .alternateUrl("http://alternate.test")
                .connectTo(Map.of("primary.test:80", target, "alternate.test:80", target, FURTHER + ":80", target));
    }

    @Override
    public void close() {
        server.stop(0);
        threads.shutdownNow();
    }
}
