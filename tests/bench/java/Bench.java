import io.github.d365failover.AutoSwitch;
import io.github.d365failover.FailoverClient;
import io.github.d365failover.FailoverRequest;
import io.github.d365failover.FailoverResponse;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Locale;
import java.util.Map;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * {@code Bench SIDE METHOD ORIGIN PATH CA_FILE WARM_UP CALLS}: what the program in C does, with one thread. The CPU is
 * that of the whole JVM, its compiler and collector included.
 */
public final class Bench {
    private static final int BODY_LENGTH = 1000;
    private static final int ANSWER_LENGTH = 200;
    private static final long CPU_STEP = 10_000_000;

    private Bench() {}

    /** Makes one call and looks at the answer. */
    private interface Call {
        void run() throws IOException, InterruptedException;
    }

    private record Target(String method, URI origin, String path, Path caFile) {
        boolean secret() {
            return origin.getScheme().equals("https");
        }

        boolean post() {
            return method.equals("POST");
        }

        byte[] body() {
            String name = "x".repeat(BODY_LENGTH - "{\"name\":\"\"}".length());
            return ("{\"name\":\"" + name + "\"}").getBytes(StandardCharsets.US_ASCII);
        }

        void check(int status, byte[] answer) {
            if (status != (post() ? 201 : 200) || answer.length != ANSWER_LENGTH) {
                throw new IllegalStateException("wrong answer: status " + status + ", " + answer.length + " bytes");
            }
        }
    }

    public static void main(String[] args) throws Exception {
        Target target = new Target(args[1], URI.create(args[2]), args[3], Path.of(args[4]));
        int warmUp = Integer.parseInt(args[5]);
        int calls = Integer.parseInt(args[6]);
        switch (args[0]) {
            case "jdk":
                measure(jdk(target), System.getProperty("java.vm.version"), warmUp, calls);
                break;
            case "d365":
                try (FailoverClient client = open(target)) {
                    measure(d365(client, target), FailoverClient.libraryVersion(), warmUp, calls);
                }
                break;
            default:
                throw new IllegalArgumentException(args[0]);
        }
    }

    private static void measure(Call call, String version, int warmUp, int calls)
            throws IOException, InterruptedException {
        for (int i = 0; i < warmUp; i++) call.run();
        long cpu = cpuNanos();
        long wall = System.nanoTime();
        for (int i = 0; i < calls; i++) call.run();
        // Never nothing, which would make no ratio.
        cpu = Math.max(cpuNanos() - cpu, CPU_STEP);
        wall = System.nanoTime() - wall;
        System.out.printf(
                Locale.ROOT,
                "{\"version\": \"%s\", \"calls\": %d, \"cpu_us\": %.3f, \"wall_us\": %.3f}%n",
                version,
                calls,
                cpu / 1e3,
                wall / 1e3);
    }

    /** In steps of {@link #CPU_STEP}. */
    private static long cpuNanos() {
        return ProcessHandle.current().info().totalCpuDuration().orElseThrow().toNanos();
    }

    private static Call jdk(Target target) throws IOException, GeneralSecurityException {
        // Over TLS the server chooses; without, the JDK would ask for an upgrade with each request.
        HttpClient.Version version = target.secret() ? HttpClient.Version.HTTP_2 : HttpClient.Version.HTTP_1_1;
        HttpClient.Builder builder = HttpClient.newBuilder().version(version);
        if (target.secret()) builder.sslContext(trusting(target.caFile()));
        HttpClient client = builder.build();
        HttpRequest.Builder request = HttpRequest.newBuilder(target.origin().resolve(target.path()));
        if (target.post()) {
            request.header("Content-Type", "application/json").POST(BodyPublishers.ofByteArray(target.body()));
        }
        HttpRequest built = request.build();
        return () -> {
            HttpResponse<byte[]> response = client.send(built, BodyHandlers.ofByteArray());
            target.check(response.statusCode(), response.body());
        };
    }

    private static SSLContext trusting(Path caFile) throws IOException, GeneralSecurityException {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream pem = Files.newInputStream(caFile)) {
            store.setCertificateEntry("bench", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }

    private static FailoverClient open(Target target) throws IOException {
        String host = "contoso.crm.bench.test";
        String port = target.secret() ? "443" : "80";
        return FailoverClient.builder(target.origin().getScheme() + "://" + host)
                .connectTo(Map.of(
                        host + ":" + port,
                        target.origin().getAuthority(),
                        "contoso--s.crm.bench.test:" + port,
                        "127.0.0.1:1"))
                .caBundle(target.caFile())
                .autoSwitch(AutoSwitch.ON)
                .build();
    }

    private static Call d365(FailoverClient client, Target target) {
        FailoverRequest.Builder request = FailoverRequest.builder(target.method(), target.path());
        if (target.post()) request.header("Content-Type", "application/json").body(target.body());
        FailoverRequest built = request.build();
        return () -> {
            FailoverResponse response = client.send(built);
            target.check(response.status(), response.body());
        };
    }
}
