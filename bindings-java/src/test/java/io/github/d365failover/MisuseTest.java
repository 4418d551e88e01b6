package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.InputStream;
import java.net.URI;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class MisuseTest {
    private static final String URL = "https://contoso.crm.twin.test";

    private static FailoverClient open() {
        return FailoverClient.builder(URL).tlsVerify(false).build();
    }

    private static ErrorKind usage(Executable deed) {
        FailoverUsageException e = assertThrows(FailoverUsageException.class, deed);
        assertTrue(e.getMessage() != null && !e.getMessage().isEmpty());
        return e.kind();
    }

    @Test
    void nullIsRefusedEverywhere() {
        FailoverClientBuilder builder = FailoverClient.builder(URL);
        FailoverRequest.Builder request = FailoverRequest.builder("GET", "/");
        try (FailoverClient client = open()) {
            for (Executable deed : new Executable[] {
                () -> FailoverClient.builder((String) null),
                () -> FailoverClient.builder((URI) null),
                () -> builder.setting(null, "1"),
                () -> builder.setting("auto_switch", null),
                () -> builder.alternateUrl((String) null),
                () -> builder.preset(null),
                () -> builder.deadline(null),
                () -> builder.caBundle(null),
                () -> builder.connectTo(null),
                () -> builder.tokenProvider(null),
                () -> builder.executor(null),
                () -> builder.prepare(null),
                () -> builder.proxy(null),
                () -> builder.clientCertificate(null),
                () -> builder.allowedHosts((String[]) null),
                () -> builder.probeAfter(null),
                () -> builder.probeTimeout(null),
                () -> builder.probePath(null),
                () -> builder.writeGrace(null),
                () -> builder.holdDown(null),
                () -> builder.outageWait(null),
                () -> builder.failback(null),
                () -> builder.failbackInterval(null),
                () -> builder.failbackAfter(null),
                () -> builder.replicationWindow(null),
                () -> builder.allowedHosts("files.test", null),
                () -> FailoverRequest.builder(null, "/"),
                () -> FailoverRequest.builder("GET", (String) null),
                () -> request.header(null, "1"),
                () -> request.header("A", null),
                () -> request.body((String) null),
                () -> request.body((byte[]) null),
                () -> request.body((Path) null),
                () -> request.body((BodySource) null),
                () -> request.body((BodySource) null, 1),
                () -> request.body((InputStream) null),
                () -> request.body((InputStream) null, 1),
                () -> request.timeout(null),
                () -> request.operation(null),
                () -> client.send(null),
                () -> client.sendAsync(null),
                () -> client.sendStreaming(null),
                () -> client.sendStreamingAsync(null),
                () -> client.close(null),
                () -> client.addEndpointSwitchedListener(null),
                () -> client.addEndpointSwitchRequiredListener(null),
                () -> client.addWriteInDoubtListener(null),
                () -> client.addDataLossSuspectedListener(null),
                () -> client.addCallRetriedListener(null),
                () -> client.addThrottledListener(null),
                () -> client.addOutageStartedListener(null),
                () -> client.addOutageEndedListener(null),
                () -> client.addStoreFailedListener(null),
                () -> client.maintenance(null, Instant.MAX),
                () -> client.resolve(1, null),
                () -> Token.of(null),
            }) {
                assertThrows(NullPointerException.class, deed);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "contoso", "https://", "https://user:pw@contoso.crm.dynamics.com", "https://[::1]", "https://a\0b"})
    void aBadUrl(String url) {
        assertEquals(ErrorKind.INVALID_URL, usage(() -> FailoverClient.builder(url).build()));
    }

    @Test
    void anUnknownSettingIsNamedAsItWasWritten() {
        for (String key : new String[] {"no_such_setting", "schlüssel_𝄞😀", ""}) {
            FailoverClientBuilder builder = FailoverClient.builder(URL).setting(key, "1");
            FailoverUsageException e = assertThrows(FailoverUsageException.class, builder::build);
            assertEquals(ErrorKind.UNKNOWN_SETTING, e.kind());
            assertTrue(e.getMessage().contains(key), e.getMessage());
        }
        assertEquals(ErrorKind.UNKNOWN_SETTING, usage(() -> FailoverClient.builder(URL).setting("a\0b", "1").build()));
    }

    @ParameterizedTest
    @CsvSource({
        "auto_switch, perhaps", "preset, java", "url_form, query", "connect_timeout_ms, soon", "connect_timeout_ms, -1",
        "max_connections, 0", "tls_verify, maybe", "http2, h3", "decompress, zstd",
        "proxy, ftp://proxy.test", "proxy, http://", "max_redirects, 21", "max_redirects, -1", "allowed_hosts, 'a b'",
        "client_certificate, /no/such/file.pem", "connect_to, nonsense", "user_agent, 'a\nb'",
    })
    void aValueThatASettingCannotHave(String key, String value) {
        assertEquals(ErrorKind.INVALID_SETTING, usage(() -> FailoverClient.builder(URL).setting(key, value).build()));
    }

    @Test
    void theBuilderSaysWhatItsSettingsAreCalled() {
        FailoverClient.builder(URL)
                .tlsVerify(false)
                .http2(false)
                .decompress(false)
                .systemProxy()
                .proxy("http://user:secret@proxy.test:3128")
                .maxRedirects(20)
                .allowedHosts("files.test", "login.test:8443")
                .build()
                .close();
        FailoverClient.builder(URL).tlsVerify(false).http2(true).decompress(true).allowedHosts("x").allowedHosts().build().close();
        for (FailoverClientBuilder builder : List.of(
                FailoverClient.builder(URL).proxy("socks5://user:secret@proxy.test:1"),
                FailoverClient.builder(URL).maxRedirects(21),
                FailoverClient.builder(URL).allowedHosts("https://files.test/"),
                FailoverClient.builder(URL).clientCertificate(Path.of("/no/such/file.pem")))) {
            FailoverUsageException e = assertThrows(FailoverUsageException.class, builder.tlsVerify(false)::build);
            assertEquals(ErrorKind.INVALID_SETTING, e.kind());
            assertFalse(e.getMessage().contains("secret"), e.getMessage());
        }
    }

    @Test
    void theRulesHaveBounds() {
        Duration day = Duration.ofDays(1);
        for (Preset preset : Preset.values()) {
            FailoverClient.builder(URL)
                    .tlsVerify(false)
                    .preset(preset)
                    .probeAfter(Duration.ZERO)
                    .probeTimeout(Duration.ofNanos(1))
                    .probePath("/api/data/v9.2/WhoAmI?x=1")
                    .writeGrace(Duration.ZERO)
                    .holdDown(Duration.ZERO)
                    .outageWait(Duration.ZERO)
                    .maxWaiting(1)
                    .failbackAfter(Duration.ZERO)
                    .maxAttempts(1)
                    .retryBudget(0)
                    .replicationWindow(Duration.ZERO)
                    .updateGuard(false)
                    .build()
                    .close();
        }
        FailoverClient.builder(URL)
                .tlsVerify(false)
                .probeAfter(day)
                .probeTimeout(day)
                .writeGrace(day)
                .holdDown(day)
                .outageWait(day)
                .maxWaiting(1_000_000)
                .failback(Failback.MANUAL)
                .failbackInterval(day)
                .failbackAfter(day)
                .maxAttempts(100)
                .retryBudget(1)
                .replicationWindow(day)
                .updateGuard(true)
                .serviceMark(ServiceMark.ANY)
                .build()
                .close();
        FailoverClient.builder(URL).tlsVerify(false).retryBudget(1e-9).build().close();
        Duration tooLong = day.plusMillis(1);
        for (UnaryOperator<FailoverClientBuilder> setting : List.<UnaryOperator<FailoverClientBuilder>>of(
                b -> b.probeAfter(tooLong),
                b -> b.probeTimeout(Duration.ZERO),
                b -> b.probeTimeout(tooLong),
                b -> b.probePath("api/data/v9.2/WhoAmI"),
                b -> b.probePath(""),
                b -> b.probePath("/a b"),
                b -> b.probePath("//elsewhere.test/"),
                b -> b.writeGrace(tooLong),
                b -> b.holdDown(tooLong),
                b -> b.outageWait(tooLong),
                b -> b.maxWaiting(0),
                b -> b.maxWaiting(1_000_001),
                b -> b.failbackInterval(tooLong),
                b -> b.failbackInterval(Duration.ZERO),
                b -> b.failbackAfter(tooLong),
                b -> b.maxAttempts(0),
                b -> b.maxAttempts(-1),
                b -> b.maxAttempts(101),
                b -> b.retryBudget(-0.001),
                b -> b.retryBudget(1.001),
                b -> b.retryBudget(Double.NaN),
                b -> b.retryBudget(Double.POSITIVE_INFINITY),
                b -> b.replicationWindow(tooLong),
                b -> b.setting("service_mark", "perhaps"),
                b -> b.setting("update_guard", "perhaps"),
                b -> b.setting("token_precedence", "sdk"))) {
            FailoverClientBuilder builder = setting.apply(FailoverClient.builder(URL).tlsVerify(false));
            assertEquals(ErrorKind.INVALID_SETTING, usage(builder::build));
        }
        for (UnaryOperator<FailoverClientBuilder> setting : List.<UnaryOperator<FailoverClientBuilder>>of(
                b -> b.probeAfter(Duration.ofMillis(-1)),
                b -> b.probeTimeout(Duration.ofMillis(-1)),
                b -> b.writeGrace(Duration.ofMillis(-1)),
                b -> b.holdDown(Duration.ofMillis(-1)),
                b -> b.replicationWindow(Duration.ofMillis(-1)))) {
            assertEquals(ErrorKind.INVALID_ARGUMENT, usage(() -> setting.apply(FailoverClient.builder(URL))));
        }
    }

    @Test
    void aCaFileThatIsNotThere() {
        assertEquals(
                ErrorKind.INVALID_SETTING,
                usage(() -> FailoverClient.builder(URL).caBundle(Path.of("/no/such/file.pem")).build()));
    }

    /** The library would open one of the same name on this machine. */
    @Test
    void aFileWithinAnotherFileSystemIsRefused(@TempDir Path folder) throws Exception {
        URI zip = URI.create("jar:" + folder.resolve("all.zip").toUri());
        try (FileSystem others = FileSystems.newFileSystem(zip, Map.of("create", "true"))) {
            Path file = others.getPath("ca.pem");
            for (UnaryOperator<FailoverClientBuilder> setting : List.<UnaryOperator<FailoverClientBuilder>>of(
                    b -> b.store(file),
                    b -> b.caBundle(file),
                    b -> b.clientCertificate(file),
                    b -> b.clientKey(file),
                    b -> b.oauthCertificate(file))) {
                FailoverClientBuilder builder = FailoverClient.builder(URL);
                FailoverUsageException e = assertThrows(FailoverUsageException.class, () -> setting.apply(builder));
                assertEquals(ErrorKind.INVALID_ARGUMENT, e.kind());
                assertTrue(e.getMessage().contains(file.toUri().toString()), e.getMessage());
            }
        }
    }

    @Test
    void durationsAreNotNegativeAndATimeoutIsNotZero() {
        Duration tooLong = Duration.ofSeconds(Long.MAX_VALUE);
        assertEquals(
                ErrorKind.INVALID_ARGUMENT, usage(() -> FailoverClient.builder(URL).deadline(Duration.ofMillis(-1))));
        assertEquals(ErrorKind.INVALID_ARGUMENT, usage(() -> FailoverClient.builder(URL).deadline(tooLong)));
        // Rounded up it is more than there are numbers.
        Duration longest = Duration.ofMillis(Long.MAX_VALUE).plusNanos(1);
        for (Duration none : List.of(Duration.ZERO, Duration.ofMillis(-1), tooLong, longest)) {
            FailoverRequest.Builder request = FailoverRequest.builder("GET", "/");
            assertEquals(ErrorKind.INVALID_ARGUMENT, usage(() -> request.timeout(none)));
            assertEquals(ErrorKind.INVALID_ARGUMENT, usage(() -> request.connectTimeout(none)));
            assertEquals(ErrorKind.INVALID_ARGUMENT, usage(() -> request.attemptTimeout(none)));
            assertEquals(ErrorKind.INVALID_ARGUMENT, usage(() -> request.readTimeout(none)));
        }
        try (FailoverClient client = open()) {
            assertEquals(ErrorKind.INVALID_ARGUMENT, usage(() -> client.close(Duration.ofMillis(-1))));
        }
    }

    @Test
    void aRequestThatCannotBeSentFailsAtOnceInBothWays() {
        try (FailoverClient client = open()) {
            for (FailoverRequest request : new FailoverRequest[] {
                FailoverRequest.builder("G T", "/").build(),
                FailoverRequest.builder("GET", "https://elsewhere.example/api").build(),
                FailoverRequest.builder("GET", "/a\0b").build(),
                FailoverRequest.builder("GET", "/").header("na me", "v").build(),
                FailoverRequest.builder("GET", "/").header("name", "a\0b").build(),
                FailoverRequest.builder("GET", "/").header("name", "a\r\nb: c").build(),
            }) {
                ErrorKind kind = usage(() -> client.send(request));
                assertTrue(kind == ErrorKind.INVALID_ARGUMENT || kind == ErrorKind.INVALID_URL, kind + " " + request);
                assertEquals(kind, usage(() -> client.sendAsync(request)));
            }
        }
    }

    @Test
    void halfOfASurrogatePairIsRefused() {
        assertEquals(ErrorKind.INVALID_UTF8, usage(() -> FailoverRequest.builder("PUT", "/").body("a\uDE00")));
        assertEquals(ErrorKind.INVALID_UTF8, usage(() -> FailoverRequest.builder("PUT", "/\uD83D").build()));
        assertEquals(ErrorKind.INVALID_UTF8, usage(() -> FailoverClient.builder(URL).userAgent("\uD83D").build()));
    }

    @Test
    void aClosedClientSaysSo() {
        FailoverClient client = open();
        Subscription subscription = client.addEndpointSwitchedListener(event -> {});
        client.close();
        client.close();
        assertTrue(client.close(Duration.ZERO));
        FailoverRequest request = FailoverRequest.get("/");
        for (Executable deed : new Executable[] {
            () -> client.send(request), client::switchEndpoint, client::discover,
        }) {
            assertEquals(ErrorKind.CLOSED, assertThrows(FailoverException.class, deed).kind());
        }
        for (Consumer<FailoverClient> deed : List.<Consumer<FailoverClient>>of(
                FailoverClient::primaryUrl,
                FailoverClient::alternateUrl,
                FailoverClient::activeUrl,
                FailoverClient::isPrimary,
                FailoverClient::epoch,
                FailoverClient::isEndpointAutoSwitchEnabled,
                c -> c.setEndpointAutoSwitchEnabled(true),
                c -> c.addEndpointSwitchedListener(event -> {}),
                c -> c.addEndpointSwitchRequiredListener(event -> {}),
                c -> c.addWriteInDoubtListener(event -> {}),
                c -> c.addDataLossSuspectedListener(event -> {}),
                c -> c.addCallRetriedListener(event -> {}),
                c -> c.addThrottledListener(event -> {}),
                c -> c.addOutageStartedListener(event -> {}),
                c -> c.addOutageEndedListener(event -> {}),
                c -> c.addStoreFailedListener(event -> {}),
                c -> c.maintenance(Instant.EPOCH, Instant.EPOCH),
                FailoverClient::ledger,
                FailoverClient::suspects,
                FailoverClient::verifyAll,
                c -> c.verifyAll(entry -> Optional.empty()),
                c -> c.settling(SettlePolicy.ALL),
                c -> c.resolve(1, Resolution.LOST))) {
            FailoverStateException e = assertThrows(FailoverStateException.class, () -> deed.accept(client));
            assertEquals(ErrorKind.CLOSED, e.kind());
        }
        CompletableFuture<FailoverResponse> call = client.sendAsync(request);
        Throwable cause = assertThrows(ExecutionException.class, call::get).getCause();
        assertEquals(ErrorKind.CLOSED, ((FailoverException) cause).kind());
        subscription.close();
        subscription.close();
    }
}
