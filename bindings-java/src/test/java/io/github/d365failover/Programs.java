package io.github.d365failover;

import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/** The programs of {@link ProcessTest}. */
public final class Programs {
    private static final FailoverRequest WHO_AM_I = FailoverRequest.get("/api/data/v9.2/WhoAmI");

    private Programs() {}

    static FailoverClientBuilder fromEnvironment() {
        return FailoverClient.builder(System.getenv("D365_URL"))
                .setting("preset", System.getenv("D365_PRESET"))
                .autoSwitch(AutoSwitch.ON)
                .caBundle(Path.of(System.getenv("D365_CA_BUNDLE")))
                .setting("connect_to", System.getenv("D365_CONNECT_TO"));
    }

    /** Leaves a client with all its threads: listeners, a provider that is asleep, a call under way. */
    public static final class NeverCloses {
        private NeverCloses() {}

        public static void main(String[] args) throws Exception {
            CountDownLatch asked = new CountDownLatch(1);
            FailoverClient client = fromEnvironment()
                    .tokenProvider(request -> {
                        asked.countDown();
                        new CountDownLatch(1).await();
                        return null;
                    })
                    .build();
            client.addEndpointSwitchRequiredListener(event -> {});
            CountDownLatch listening = new CountDownLatch(1);
            client.addEndpointSwitchedListener(event -> {
                listening.countDown();
                try {
                    new CountDownLatch(1).await();
                } catch (InterruptedException e) {
                    throw new AssertionError(e);
                }
            });
            client.switchEndpoint();
            listening.await();
            client.sendAsync(WHO_AM_I);
            asked.await();
            CountDownLatch preparing = new CountDownLatch(1);
            FailoverClient prepared = fromEnvironment()
                    .prepare(attempt -> {
                        preparing.countDown();
                        new CountDownLatch(1).await();
                    })
                    .build();
            prepared.sendAsync(WHO_AM_I);
            preparing.await();
            System.out.println("main returns");
        }
    }

    /** An application that is deployed again and again, in class loaders that are all at work. */
    public static final class Redeploys {
        private Redeploys() {}

        public static void main(String[] args) throws Exception {
            int times = Integer.parseInt(args[0]);
            Set<Class<?>> classes = new HashSet<>();
            List<Object> answers = new ArrayList<>();
            for (int i = 0; i < times; i++) {
                // Not closed: all are at work at the same time.
                Class<?> main = new ChildFirst().loadClass(One.class.getName());
                classes.add(main);
                answers.add(main.getMethod("call").invoke(null));
            }
            if (!answers.stream().allMatch(Integer.valueOf(200)::equals)) {
                throw new AssertionError(answers.toString());
            }
            // Device and inode of what is mapped.
            long files = Files.readAllLines(Path.of("/proc/self/maps")).stream()
                    .filter(line -> line.contains("d365_failover_jni") || line.contains("a library.so"))
                    .map(line -> line.split(" +")[3] + " " + line.split(" +")[4])
                    .distinct()
                    .count();
            System.out.println(classes.size() + " classes, " + answers.size() + " calls, " + files + " files mapped");
        }
    }

    /** What each of the loaders runs: listeners and a token provider, whose threads the library starts. */
    public static final class One {
        private One() {}

        public static int call() throws Exception {
            CountDownLatch switched = new CountDownLatch(1);
            try (FailoverClient client = fromEnvironment()
                    .tokenProvider(request -> Token.of("twin-token-for-" + request.uri().getHost()))
                    .build()) {
                client.addEndpointSwitchedListener(event -> switched.countDown());
                client.switchEndpoint();
                if (!switched.await(20, TimeUnit.SECONDS)) {
                    throw new AssertionError("no event");
                }
                return client.sendAsync(WHO_AM_I).get(20, TimeUnit.SECONDS).status();
            }
        }
    }

    /** As application servers have them: the parent is asked last. */
    private static final class ChildFirst extends URLClassLoader {
        ChildFirst() {
            super(classPath(), ClassLoader.getPlatformClassLoader());
        }

        private static URL[] classPath() {
            List<URL> urls = new ArrayList<>();
            for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
                try {
                    urls.add(new File(entry).toURI().toURL());
                } catch (MalformedURLException e) {
                    throw new IllegalArgumentException(e);
                }
            }
            return urls.toArray(new URL[0]);
        }
    }

    /** An answer that is larger than the heap, while another call is under way. The server is in the same JVM. */
    public static final class TooLarge {
        private static final int CHUNK = 1 << 16;
        private static final int CHUNKS = 2048;

        private TooLarge() {}

        public static void main(String[] args) throws Exception {
            CountDownLatch open = new CountDownLatch(1);
            HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
            server.setExecutor(Executors.newCachedThreadPool(task -> {
                Thread thread = new Thread(task);
                thread.setDaemon(true);
                return thread;
            }));
            server.createContext("/large", exchange -> {
                exchange.sendResponseHeaders(200, (long) CHUNK * CHUNKS);
                try (OutputStream out = exchange.getResponseBody()) {
                    byte[] chunk = new byte[CHUNK];
                    for (int i = 0; i < CHUNKS; i++) {
                        out.write(chunk);
                    }
                }
            });
            server.createContext("/slow", exchange -> {
                try {
                    open.await();
                } catch (InterruptedException e) {
                    throw new InterruptedIOException();
                }
                exchange.getResponseHeaders().set("OData-Version", "4.0");
                exchange.sendResponseHeaders(200, -1);
                exchange.close();
            });
            server.start();
            String target = "127.0.0.1:" + server.getAddress().getPort();
            BlockingQueue<Long> switched = new LinkedBlockingQueue<>();
            try (FailoverClient client = FailoverClient.builder("http://primary.test")
                    .preset(Preset.DOTNET)
                    .alternateUrl("http://alternate.test")
                    .connectTo(Map.of("primary.test:80", target, "alternate.test:80", target))
                    .build()) {
                client.addEndpointSwitchedListener(event -> switched.add(event.epoch()));
                FailoverRequest slow = FailoverRequest.builder("POST", "/slow").body("x").build();
                CompletableFuture<FailoverResponse> underWay = client.sendAsync(slow);
                try {
                    client.sendAsync(FailoverRequest.get("/large")).get(30, TimeUnit.SECONDS);
                } catch (ExecutionException e) {
                    System.out.println("large: " + e.getCause());
                }
                open.countDown();
                System.out.println("under way: " + underWay.get(20, TimeUnit.SECONDS).status());
                System.out.println("later: " + client.sendAsync(slow).get(20, TimeUnit.SECONDS).status());
                client.switchEndpoint();
                System.out.println("switched: " + switched.poll(20, TimeUnit.SECONDS));
            }
            server.stop(0);
        }
    }

    /** Says why there is no library. */
    public static final class LoadFails {
        private LoadFails() {}

        public static void main(String[] args) {
            try {
                System.out.println("loaded " + FailoverClient.libraryVersion());
            } catch (UnsatisfiedLinkError e) {
                System.out.println("not loaded: " + e.getMessage());
            }
        }
    }

    /** Wants the library before the folder is there to which it is copied, and after. */
    public static final class LoadsLate {
        private LoadsLate() {}

        public static void main(String[] args) throws Exception {
            String url = "https://contoso.crm.dynamics.com";
            for (Supplier<Object> first : List.<Supplier<Object>>of(
                    FailoverClient::libraryVersion,
                    () -> OrganizationUrls.alternate(url),
                    () -> FailoverClient.builder(url).build(),
                    () -> ServiceFault.classify(503, Map.of(), new byte[0]))) {
                try {
                    System.out.println("loaded: " + first.get());
                } catch (LinkageError e) {
                    System.out.println((e instanceof UnsatisfiedLinkError ? "not loaded: " : e + ": ") + e.getMessage());
                }
            }
            Files.createDirectories(Path.of(args[0]));
            LoadFails.main(args);
        }
    }

    /** Says what its own library answers, and which other one was loaded before it. */
    public static final class AsksForTheVersion {
        private AsksForTheVersion() {}

        public static void main(String[] args) throws Exception {
            String alternate = OrganizationUrls.alternate("https://contoso.crm.dynamics.com");
            String foreign = Files.readAllLines(Path.of("/proc/self/maps")).stream()
                    .filter(line -> line.endsWith("libforeign.so"))
                    .map(line -> line.substring(line.indexOf('/')))
                    .findFirst()
                    .orElse("no foreign library");
            System.out.println(FailoverClient.libraryVersion() + " " + alternate.replaceAll("/$", "") + " " + foreign);
        }
    }

    /** Every native method at least once, on success and on failure. */
    public static final class Everything {
        private Everything() {}

        public static void main(String[] args) throws Exception {
            System.out.println(FailoverClient.libraryVersion());
            OrganizationUrls.primary(OrganizationUrls.alternate("https://contoso.crm.dynamics.com"));
            expect(FailoverUsageException.class, () -> OrganizationUrls.isAlternate("no url"));
            ServiceFault.classify(503, Map.of("A", List.of("b", "c")), new byte[] {1});
            expect(FailoverUsageException.class, () -> fromEnvironment().setting("nothing", "").build());
            for (int round = 0; round < 20; round++) {
                everything();
            }
            System.gc();
            System.out.println("everything done");
        }

        private static void everything() throws Exception {
            FailoverClient client = fromEnvironment()
                    .tokenProvider(request -> {
                        if (request.role() == Role.PRIMARY) {
                            throw new IllegalStateException("no token");
                        }
                        return Token.of("x");
                    })
                    .build();
            client.addEndpointSwitchRequiredListener(EndpointSwitchRequiredEvent::veto);
            CountDownLatch switched = new CountDownLatch(1);
            Subscription subscription = client.addEndpointSwitchedListener(event -> switched.countDown());
            CountDownLatch suspected = new CountDownLatch(1);
            client.addDataLossSuspectedListener(event -> suspected.countDown());
            client.addWriteInDoubtListener(event -> {});
            client.addCallRetriedListener(event -> {});
            client.addThrottledListener(event -> {});
            expect(FailoverException.class, () -> client.send(WHO_AM_I));
            client.switchEndpoint();
            switched.await();
            subscription.close();
            client.discover();
            client.setEndpointAutoSwitchEnabled(client.isEndpointAutoSwitchEnabled());
            System.out.println(client.primaryUrl() + " " + client.alternateUrl() + " " + client.activeUrl() + " "
                    + client.isPrimary() + " " + client.epoch());
            client.send(FailoverRequest.builder("POST", "/api/data/v9.2/accounts")
                    .header("Content-Type", "application/json")
                    .body("{\"name\":\"everything\"}")
                    .upsert()
                    .build());
            client.switchEndpoint();
            suspected.await();
            client.resolve(client.suspects().get(0).id(), Resolution.CONFIRMED);
            expect(FailoverUsageException.class, () -> client.resolve(client.ledger().size() + 1000, Resolution.LOST));
            client.switchEndpoint();
            List<CompletableFuture<FailoverResponse>> calls = new ArrayList<>();
            for (int i = 0; i < 20; i++) {
                calls.add(client.sendAsync(WHO_AM_I));
            }
            calls.get(0).cancel(true);
            bodies(client);
            CompletableFuture.allOf(calls.toArray(new CompletableFuture<?>[0])).exceptionally(e -> null).get();
            Thread.currentThread().interrupt();
            expect(FailoverException.class, () -> client.send(WHO_AM_I));
            Thread.interrupted();
            client.close();
            expect(FailoverException.class, () -> client.send(WHO_AM_I));
        }

        private static void bodies(FailoverClient client) throws Exception {
            FailoverRequest.Builder post = FailoverRequest.builder("POST", "/api/data/v9.2/accounts")
                    .header("Content-Type", "application/json");
            byte[] row = "{\"name\":\"everything streamed\"}".getBytes(StandardCharsets.UTF_8);
            client.send(post.body(() -> new ByteArrayInputStream(row), row.length).build());
            client.sendAsync(post.body(new ByteArrayInputStream(row)).build()).get();
            expect(FailoverException.class, () -> client.send(post.body(() -> null).build()));
            expect(FailoverException.class, () -> client.send(post.body(() -> recurse(0)).build()));
            try (FailoverStreamingResponse response = client.sendStreaming(WHO_AM_I)) {
                response.body().readAllBytes();
            }
            client.sendStreamingAsync(WHO_AM_I).get().close();
            client.sendStreaming(WHO_AM_I).body().readAllBytes();
            try (FailoverClient prepared = fromEnvironment()
                    .prepare(attempt -> {
                        attempt.setHeader("X-One", attempt.header("Accept").orElse("none"));
                        attempt.removeHeader("X-One");
                        attempt.setBody(attempt.body().orElseThrow());
                        if (attempt.method().equals("DELETE")) {
                            recurse(0);
                        }
                    })
                    .build()) {
                prepared.send(WHO_AM_I);
                prepared.sendAsync(WHO_AM_I).get();
                expect(
                        FailoverException.class,
                        () -> prepared.send(FailoverRequest.builder("DELETE", "/api/data/v9.2/accounts").build()));
            }
        }

        /** Until there is no stack left. */
        private static InputStream recurse(int depth) {
            return recurse(depth + 1);
        }

        private static void expect(Class<? extends Exception> type, Deed deed) {
            try {
                deed.run();
            } catch (Exception e) {
                if (type.isInstance(e)) {
                    return;
                }
                throw new AssertionError(e);
            }
            throw new AssertionError("nothing was thrown");
        }

        private interface Deed {
            void run() throws Exception;
        }
    }
}
