package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.Twin;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class SettingsTest {
    /** What the library itself says of its settings, when it is given another one. */
    @Test
    void eachOneHasAMethodOfTheBuilder() {
        String said = assertThrows(FailoverUsageException.class, () -> FailoverClient.builder("https://contoso.crm.dynamics.com")
                        .setting("nothing", "")
                        .build())
                .getMessage();
        Matcher list = Pattern.compile("([a-z0-9_]+, )+[a-z0-9_]+").matcher(said);
        assertTrue(list.find(), said);
        List<String> names = Arrays.asList(list.group().split(", "));
        assertTrue(names.size() > 30, said);
        Set<String> methods = Arrays.stream(FailoverClientBuilder.class.getMethods())
                .map(Method::getName)
                .collect(Collectors.toSet());
        List<String> missing = names.stream()
                .map(name -> camel(name.replaceAll("_ms$", "")))
                .filter(name -> !methods.contains(name))
                .collect(Collectors.toList());
        assertEquals(List.of(), missing);
    }

    private static String camel(String name) {
        return Pattern.compile("_(.)").matcher(name).replaceAll(match -> match.group(1).toUpperCase());
    }

    @Test
    void aBodyThatIsTooLargeIsNotCollected() throws Exception {
        try (Twin twin = Twin.start(); FailoverClient client = twin.client().maxResponseBody(10).build()) {
            FailoverRequest whoAmI = FailoverRequest.get("/api/data/v9.2/WhoAmI");
            FailoverException failure = assertThrows(FailoverException.class, () -> client.send(whoAmI));
            assertEquals(ErrorKind.PROTOCOL, failure.kind());
            assertTrue(failure.getMessage().contains("max_response_body"), failure.getMessage());
            try (FailoverStreamingResponse response = client.sendStreaming(whoAmI)) {
                assertTrue(response.body().readAllBytes().length > 10);
            }
        }
    }
}
