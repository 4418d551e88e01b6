package io.github.d365failover.agent;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.github.d365failover.AttemptPreparer;
import io.github.d365failover.OutgoingAttempt;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;

/** The preparer that a scenario asked for. It writes down what it saw, but for what a credential may be in. */
final class Hook implements AttemptPreparer {
    private final JsonObject orders;
    private final JsonArray seen = new JsonArray();

    Hook(JsonObject orders) {
        this.orders = orders;
    }

    synchronized JsonArray seen() {
        return seen.deepCopy();
    }

    @Override
    public void prepare(OutgoingAttempt attempt) {
        note(attempt);
        if (Agent.present(orders, "set_header")) {
            for (Map.Entry<String, JsonElement> header : orders.getAsJsonObject("set_header").entrySet()) {
                attempt.setHeader(header.getKey(), header.getValue().getAsString());
            }
        }
        if (Agent.present(orders, "remove_header")) {
            orders.getAsJsonArray("remove_header").forEach(name -> attempt.removeHeader(name.getAsString()));
        }
        if (Agent.present(orders, "set_body")) {
            attempt.setBody(orders.get("set_body").getAsString().getBytes(StandardCharsets.UTF_8));
        }
        int failFrom = Agent.present(orders, "fail_from") ? orders.get("fail_from").getAsInt() : 1;
        if (Agent.present(orders, "fail") && attempt.number() >= failFrom) {
            throw new IllegalStateException(orders.get("fail").getAsString());
        }
    }

    private synchronized void note(OutgoingAttempt attempt) {
        JsonObject json = new JsonObject();
        json.addProperty("url", attempt.uri().toString());
        json.addProperty("endpoint_url", attempt.endpointUrl().map(URI::toString).orElse(null));
        json.addProperty("role", attempt.role() == null ? null : attempt.role().name().toLowerCase(Locale.ROOT));
        json.addProperty("epoch", attempt.epoch());
        json.addProperty("attempt", attempt.number());
        json.addProperty("method", attempt.method());
        json.addProperty("has_authorization", attempt.header("Authorization").isPresent());
        json.addProperty(
                "body", attempt.body().map(body -> new String(body, StandardCharsets.UTF_8)).orElse(null));
        seen.add(json);
    }
}
