package io.github.d365failover.agent;

import io.github.d365failover.FailoverClient;
import io.github.d365failover.FailoverRequest;
import io.github.d365failover.OrganizationUrls;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.Callable;

/** Bad inputs of Java, by name. */
final class Misuse {
    private static final String URL = "https://contoso.crm.twin.test";

    private static final Map<String, Callable<Object>> TABLE = Map.of(
            "null_argument", () -> open().send(null),
            "null_url", () -> FailoverClient.builder((String) null),
            "bad_url", () -> FailoverClient.builder("no url at all").build(),
            "bad_request_url", () -> open().send(FailoverRequest.get("https://elsewhere.example/api")),
            "unknown_setting", () -> FailoverClient.builder(URL).setting("no_such_setting", "1").build(),
            "invalid_setting", () -> FailoverClient.builder(URL).setting("auto_switch", "perhaps").build(),
            "closed_client", Misuse::closed,
            "lone_surrogate", () -> OrganizationUrls.alternate("https://\uD83D.crm.dynamics.com"),
            "negative_duration", () -> FailoverClient.builder(URL).deadline(Duration.ofSeconds(-1)));

    private Misuse() {}

    static String got(String what) {
        Callable<Object> deed = TABLE.get(what);
        if (deed == null) {
            throw new IllegalArgumentException("the Java agent has no misuse " + what);
        }
        try {
            return String.valueOf(deed.call());
        } catch (Exception e) {
            return Answers.kind(e);
        }
    }

    private static FailoverClient open() {
        // Certificates of this machine are not what is tested here.
        return FailoverClient.builder(URL).tlsVerify(false).build();
    }

    private static Object closed() throws Exception {
        FailoverClient client = open();
        client.close();
        return client.send(FailoverRequest.get("/api/data/v9.2/WhoAmI"));
    }
}
