package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

class ServiceFaultTest {
    private static final Map<String, List<String>> JSON =
            Map.of("Content-Type", List.of("application/json; odata.metadata=minimal"), "OData-Version", List.of("4.0"));

    @Test
    void theCodeThatStartsAFailover() {
        ServiceFault fault = ServiceFault.classify(503, JSON, body("0x8004b065")).orElseThrow();
        assertEquals(FaultKind.DATACENTER_NOT_AVAILABLE, fault.kind());
        assertEquals(-2147176347, fault.code().orElseThrow());
        for (Preset preset : Preset.values()) {
            assertTrue(fault.startsFailover(preset));
        }
        assertTrue(fault.message().contains("Rechenzentrum 😀"), fault.message());
    }

    @Test
    void anAnswerIsNoFault() {
        assertEquals(Optional.empty(), ServiceFault.classify(200, JSON, "{}".getBytes(StandardCharsets.UTF_8)));
        assertEquals(Optional.empty(), ServiceFault.classify(204, Map.of(), new byte[0]));
    }

    @Test
    void throttlingSaysHowLongToWait() {
        ServiceFault fault = ServiceFault.classify(429, Map.of("retry-after", List.of("7")), new byte[0]).orElseThrow();
        assertEquals(FaultKind.THROTTLED, fault.kind());
        assertEquals(Duration.ofSeconds(7), fault.retryAfter().orElseThrow());
        for (Preset preset : Preset.values()) {
            assertFalse(fault.startsFailover(preset));
        }
    }

    @Test
    void whatWouldBeDoneIsExplained() {
        FailoverRequest create = FailoverRequest.builder("POST", "/api/data/v9.2/accounts").body("{}").build();
        JsonObject told = json(ServiceFault.explain(create, Preset.SAFE, 503, Map.of(), new byte[0]));
        assertEquals("weak", told.get("evidence").getAsString());
        assertEquals("unknown", told.get("effect").getAsString());
        assertEquals("error", told.get("ends_as").getAsString());
        told = json(ServiceFault.explain(create, Preset.DOTNET, "refused", false));
        assertEquals("at_once", told.get("switch").getAsString());
        assertEquals("not_executed", told.get("effect").getAsString());
        FailoverRequest.Builder guarded = FailoverRequest.builder("POST", "/api/data/v9.2/accounts").body("{}");
        told = json(ServiceFault.explain(guarded.guardedCreate().build(), Preset.SAFE, "reset", true));
        assertEquals("guarded", told.get("operation").getAsString());
        FailoverRequest none = FailoverRequest.builder("GET", "/api/data/v9.2/accounts").guardedCreate().build();
        for (Executable wrong : List.<Executable>of(
                () -> ServiceFault.explain(none, Preset.SAFE, "reset", true),
                () -> ServiceFault.explain(create, Preset.SAFE, "nonsense", true),
                () -> ServiceFault.explain(create, Preset.SAFE, 0, Map.of(), new byte[0]),
                () -> ServiceFault.explain(create, Preset.SAFE, 99, Map.of(), new byte[0]))) {
            FailoverUsageException refused = assertThrows(FailoverUsageException.class, wrong);
            assertEquals(ErrorKind.INVALID_ARGUMENT, refused.kind());
        }
    }

    private static JsonObject json(String text) {
        return JsonParser.parseString(text).getAsJsonObject();
    }

    @Test
    void nullIsRefused() {
        assertThrows(NullPointerException.class, () -> ServiceFault.classify(500, null, new byte[0]));
        assertThrows(NullPointerException.class, () -> ServiceFault.classify(500, Map.of(), null));
        ServiceFault fault = ServiceFault.classify(500, Map.of(), new byte[0]).orElseThrow();
        assertThrows(NullPointerException.class, () -> fault.startsFailover(null));
    }

    private static byte[] body(String code) {
        return ("{\"error\":{\"code\":\"" + code + "\",\"message\":\"Rechenzentrum 😀\"}}").getBytes(StandardCharsets.UTF_8);
    }
}
