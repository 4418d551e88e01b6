package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.d365failover.support.Twin;
import java.net.URI;
import java.net.http.HttpTimeoutException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

class SendTest {
    private static final FailoverRequest WHO_AM_I = FailoverRequest.get("/api/data/v9.2/WhoAmI");
    private static Twin twin;

    @BeforeAll
    static void start() throws Exception {
        twin = Twin.start();
    }

    @AfterAll
    static void stop() throws Exception {
        twin.close();
    }

    @AfterEach
    void clear() throws Exception {
        twin.clear();
    }

    private static FailoverRequest create(String json) {
        return FailoverRequest.builder("POST", "/api/data/v9.2/accounts")
                .header("Content-Type", "application/json")
                .body(json)
                .build();
    }

    @Test
    void aRowIsCreatedAndReadBackAsItWasWritten() throws Exception {
        // Supplementary characters, and a NUL as JSON writes it.
        String name = "Grüße 𝄞😀 \0 end";
        try (FailoverClient client = twin.client().build()) {
            FailoverResponse created = client.send(create("{\"name\":\"Grüße 𝄞😀 \\u0000 end\"}"));
            assertEquals(204, created.status());
            assertEquals("No Content", created.reasonPhrase());
            assertTrue(created.elapsed().compareTo(created.attempts().get(0).took()) >= 0, created.elapsed()::toString);
            assertTrue(created.toString().startsWith("HTTP 204 No Content from "), created.toString());
            assertEquals(Effect.EXECUTED, created.effect());
            assertEquals(0, created.body().length);
            String row = created.header("odata-entityid").orElseThrow();
            assertEquals(List.of(row), created.headers().get("OData-EntityId"));
            assertEquals(Optional.empty(), created.header("No-Such-Header"));

            FailoverResponse read = client.send(FailoverRequest.get(row));
            assertEquals(200, read.status());
            assertEquals(URI.create(row), read.uri());
            assertEquals(Effect.NONE, read.effect());
            assertEquals(
                    name,
                    JsonParser.parseString(read.bodyString()).getAsJsonObject().get("name").getAsString());
        }
    }

    @Test
    void aHeaderSaysWhatNoSetterDoes() throws Exception {
        FailoverRequest told = FailoverRequest.builder("POST", "/api/data/v9.2/accounts")
                .header("Content-Type", "application/json")
                .header("D365-Failover-Operation", "read")
                .body("{\"name\":\"told\"}")
                .build();
        try (FailoverClient client = twin.client().build()) {
            assertEquals(Effect.NONE, client.send(told).effect());
            assertEquals(Effect.NONE, client.sendAsync(told).get().effect());
        }
    }

    @Test
    void theStateOfAFreshClient() throws Exception {
        try (FailoverClient client = twin.clientOfOneUrl().build()) {
            assertEquals(URI.create(Twin.PRIMARY), client.primaryUrl());
            assertEquals(Optional.of(URI.create(Twin.ALTERNATE)), client.alternateUrl());
            FailoverException e = assertThrows(FailoverException.class, client::switchEndpoint);
            assertEquals(ErrorKind.NO_ALTERNATE, e.kind());
            client.discover();
            assertEquals(Optional.of(URI.create(Twin.ALTERNATE)), client.alternateUrl());
            assertEquals(client.primaryUrl(), client.activeUrl());
            assertTrue(client.isPrimary());
            assertEquals(0, client.epoch());
            assertTrue(client.isEndpointAutoSwitchEnabled());
            client.setEndpointAutoSwitchEnabled(false);
            assertFalse(client.isEndpointAutoSwitchEnabled());
        }
    }

    @Test
    void whatIsCountedAndWhatALookAtEachEndpointFinds() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            client.send(WHO_AM_I);
            JsonObject primary = JsonParser.parseString(client.statistics())
                    .getAsJsonObject()
                    .getAsJsonObject("endpoints")
                    .getAsJsonObject("primary");
            assertEquals(1, primary.get("attempts").getAsInt());
            for (Role role : List.of(Role.PRIMARY, Role.ALTERNATE)) {
                JsonObject found = JsonParser.parseString(client.check(role)).getAsJsonObject();
                assertEquals("serves", found.get("verdict").getAsString(), found::toString);
                assertEquals(role.name().toLowerCase(Locale.ROOT), found.get("role").getAsString());
            }
            assertEquals(0, client.epoch());
        }
    }

    @Test
    void aSwitchByHandMovesAbsoluteUrlsToo() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            client.switchEndpoint();
            assertFalse(client.isPrimary());
            assertEquals(1, client.epoch());
            FailoverResponse response = client.send(FailoverRequest.get(Twin.PRIMARY + "/api/data/v9.2/WhoAmI"));
            assertEquals(Twin.ALTERNATE + "/api/data/v9.2/WhoAmI", response.uri().toString());
            assertEquals(Role.ALTERNATE, response.attempts().get(0).role());
        }
    }

    @Test
    void aDeadPrimaryIsLeftAndTheCallRetried() throws Exception {
        twin.fault("primary", "refuse", "");
        Instant before = Instant.now().minusSeconds(1);
        try (FailoverClient client = twin.client().build()) {
            FailoverResponse response = client.send(create("{\"name\":\"moved\"}"));
            assertEquals(204, response.status());
            assertTrue(response.switched());
            assertEquals(Effect.EXECUTED, response.effect());
            assertEquals(2, response.attempts().size());
            Attempt first = response.attempts().get(0);
            assertEquals(Role.PRIMARY, first.role());
            assertEquals(0, first.epoch());
            assertEquals(Phase.NOT_SENT, first.phase());
            assertEquals(Optional.of(FaultKind.ENDPOINT_NOT_FOUND), first.fault());
            assertTrue(first.httpStatus().isEmpty());
            assertTrue(first.started().isAfter(before), first.started().toString());
            assertFalse(first.took().isNegative());
            Attempt second = response.attempts().get(1);
            assertEquals(Role.ALTERNATE, second.role());
            assertEquals(1, second.epoch());
            assertEquals(204, second.httpStatus().orElseThrow());
            assertEquals(Optional.empty(), second.fault());
            assertEquals(Optional.empty(), first.httpVersion());
            assertTrue(second.httpVersion().isPresent());
            assertTrue(second.uri().toString().startsWith(Twin.ALTERNATE));
            assertEquals(URI.create(Twin.ALTERNATE), client.activeUrl());
        }
    }

    @Test
    void aTimeoutSaysThatTheWriteIsInDoubt() throws Exception {
        twin.fault("primary", "accept_never_answer", ",\"path\":\"/api\"");
        try (FailoverClient client = twin.client()
                .autoSwitch(AutoSwitch.OFF)
                .attemptTimeout(Duration.ofMillis(2000))
                .build()) {
            WriteInDoubtException doubt =
                    assertThrows(WriteInDoubtException.class, () -> client.send(create("{\"name\":\"doubt\"}")));
            // What it would be if it were no write.
            FailoverTimeoutException fault = assertInstanceOf(FailoverTimeoutException.class, doubt.getCause());
            assertInstanceOf(HttpTimeoutException.class, fault.getCause());
            for (FailoverException e : List.of(doubt, fault)) {
                assertEquals(ErrorKind.TIMEOUT, e.kind());
                assertEquals(Optional.of("attempt_timeout"), e.cause());
                assertEquals(Effect.UNKNOWN, e.effect());
                assertTrue(e.ledgerId().isPresent());
                assertFalse(e.switched());
                assertEquals(1, e.attempts().size());
                assertEquals(Phase.SENT, e.attempts().get(0).phase());
                assertEquals(Optional.of("attempt_timeout"), e.attempts().get(0).cause());
            }
        }
    }

    @Test
    void aReadTimeoutEndsASilentAttempt() throws Exception {
        twin.fault("primary", "accept_never_answer", ",\"path\":\"/api\"");
        try (FailoverClient client =
                twin.client().autoSwitch(AutoSwitch.OFF).maxAttempts(1).build()) {
            FailoverRequest request = FailoverRequest.builder("GET", "/api/data/v9.2/WhoAmI")
                    .readTimeout(Duration.ofMillis(300))
                    .build();
            FailoverTimeoutException late =
                    assertThrows(FailoverTimeoutException.class, () -> client.send(request));
            assertEquals(Optional.of("attempt_timeout"), late.cause());
        }
    }

    @Test
    void theServicesWordIsInTheException() throws Exception {
        twin.fault("primary", "datacenter_not_available", "");
        try (FailoverClient client = twin.client().autoSwitch(AutoSwitch.OFF).build()) {
            FailoverException e = assertThrows(FailoverException.class, () -> client.send(create("{\"name\":\"no\"}")));
            assertEquals(ErrorKind.DATACENTER_NOT_AVAILABLE, e.kind());
            assertEquals(-2147176347, e.code().orElseThrow());
            assertEquals(503, e.status().orElseThrow());
            assertEquals(Effect.NOT_EXECUTED, e.effect());
            assertEquals(503, e.response().orElseThrow().status());
            assertEquals(Optional.empty(), e.retryAfter());
        }
    }

    @Test
    void anErrorStatusIsAResponse() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            FailoverResponse response = client.send(
                    FailoverRequest.get("/api/data/v9.2/accounts(00000000-0000-0000-0000-00000000beef)"));
            assertEquals(404, response.status());
            assertTrue(response.bodyString().contains("0x80040217"), response.bodyString());
        }
    }

    @Test
    void aRequestsTimeoutIsTheCallsDeadline() throws Exception {
        twin.fault("primary", "accept_never_answer", ",\"path\":\"/api\"");
        try (FailoverClient client = twin.client().autoSwitch(AutoSwitch.OFF).build()) {
            FailoverRequest request = FailoverRequest.builder("GET", URI.create("/api/data/v9.2/WhoAmI"))
                    .timeout(Duration.ofMillis(200))
                    .operation(Operation.READ)
                    .build();
            FailoverException e = assertThrows(FailoverTimeoutException.class, () -> client.send(request));
            assertEquals(Effect.NONE, e.effect());
        }
    }

    @Test
    void anInterruptCancelsTheCallAndStaysSet() throws Exception {
        twin.fault("primary", "accept_never_answer", ",\"path\":\"/api\"");
        try (FailoverClient client = twin.client().build()) {
            Thread caller = Thread.currentThread();
            long before = twin.received("primary");
            Thread interrupter = new Thread(() -> {
                try {
                    twin.await("primary", "received_at_least=" + (before + 1));
                } catch (Exception e) {
                    throw new AssertionError(e);
                } finally {
                    caller.interrupt();
                }
            });
            interrupter.start();
            FailoverException e = assertThrows(FailoverException.class, () -> client.send(create("{\"name\":\"i\"}")));
            assertTrue(Thread.interrupted(), "the flag stays set");
            interrupter.join();
            assertEquals(ErrorKind.CANCELLED, e.kind());
            assertEquals(Effect.UNKNOWN, e.effect());
        }
    }

    @Test
    void anInterruptedThreadDoesNotSend() throws Exception {
        try (FailoverClient client = twin.client().build()) {
            long before = twin.received("primary");
            Map<String, Executable> deeds = Map.of(
                    "GET /api/data/v9.2/WhoAmI", () -> client.send(WHO_AM_I),
                    "GET", client::discover);
            deeds.forEach((request, deed) -> {
                Thread.currentThread().interrupt();
                FailoverException e = assertThrows(FailoverException.class, deed);
                assertTrue(Thread.interrupted(), "the flag stays set");
                assertEquals(ErrorKind.CANCELLED, e.kind());
                assertEquals("the thread was interrupted before " + request + " was sent", e.getMessage());
            });
            assertEquals(before, twin.received("primary"));
        }
    }

    @Test
    void aServerThatNobodyVouchesForIsRefused() throws Exception {
        try (FailoverClient client = FailoverClient.builder(Twin.PRIMARY)
                .preset(Preset.DOTNET)
                .connectTo(twin.connectTo())
                .caBundle(Certificates.foreign())
                .build()) {
            FailoverException e = assertThrows(FailoverException.class, () -> client.send(WHO_AM_I));
            assertEquals(ErrorKind.TLS, e.kind());
        }
        try (FailoverClient client = FailoverClient.builder(Twin.PRIMARY)
                .preset(Preset.DOTNET)
                .connectTo(twin.connectTo())
                .caBundle(Certificates.foreign())
                .tlsVerify(false)
                .build()) {
            assertEquals(200, client.send(WHO_AM_I).status());
        }
    }

    /** Another twin's certificate authority is one that this one's servers have nothing to do with. */
    private static final class Certificates {
        private static Path file;

        static synchronized Path foreign() throws Exception {
            if (file == null) {
                file = Files.createTempFile("foreign", ".pem");
                file.toFile().deleteOnExit();
                try (Twin other = Twin.start()) {
                    Files.write(file, Files.readAllBytes(other.caFile()));
                }
            }
            return file;
        }
    }
}
