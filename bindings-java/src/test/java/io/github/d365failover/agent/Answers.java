package io.github.d365failover.agent;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.github.d365failover.Attempt;
import io.github.d365failover.BatchPart;
import io.github.d365failover.CurrentOverride;
import io.github.d365failover.Difference;
import io.github.d365failover.Effect;
import io.github.d365failover.ErrorKind;
import io.github.d365failover.FailoverClient;
import io.github.d365failover.FailoverException;
import io.github.d365failover.FailoverResponse;
import io.github.d365failover.FailoverStateException;
import io.github.d365failover.FailoverStreamingResponse;
import io.github.d365failover.FailoverUsageException;
import io.github.d365failover.FaultKind;
import io.github.d365failover.LedgerEntry;
import io.github.d365failover.Settled;
import io.github.d365failover.WriteInDoubtException;
import java.net.URI;
import java.net.http.HttpClient;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.concurrent.CancellationException;

/** Objects of the package as JSON. */
final class Answers {
    private Answers() {}

    static JsonObject response(FailoverResponse response) {
        JsonObject json = head(response.status(), response.uri(), response.headers(), response.bodyString());
        json.addProperty("effect", lower(response.effect()));
        json.addProperty("switched", response.switched());
        json.add("ledger_id", number(response.ledgerId()));
        json.add("attempts", attempts(response.attempts()));
        json.add("parts", parts(response.parts()));
        return json;
    }

    /** Of a stream, with what was read of it as text. */
    static JsonObject response(FailoverStreamingResponse response, String body) {
        JsonObject json = head(response.status(), response.uri(), response.headers(), body);
        json.addProperty("effect", lower(response.effect()));
        json.addProperty("switched", response.switched());
        json.add("ledger_id", number(response.ledgerId()));
        json.add("attempts", attempts(response.attempts()));
        json.add("parts", parts(response.parts()));
        return json;
    }

    private static JsonObject head(int status, URI url, Map<String, List<String>> headers, String body) {
        JsonObject json = new JsonObject();
        json.addProperty("status", status);
        json.addProperty("url", url.toString());
        JsonObject joined = new JsonObject();
        headers.forEach((name, values) ->
                joined.addProperty(name.toLowerCase(Locale.ROOT), String.join(", ", values)));
        json.add("headers", joined);
        json.addProperty("body", body);
        return json;
    }

    static JsonObject failed(Throwable failure) {
        JsonObject error = new JsonObject();
        error.addProperty("kind", kind(failure));
        error.addProperty("type", failure.getClass().getSimpleName());
        error.addProperty("message", String.valueOf(failure.getMessage()));
        if (failure instanceof FailoverException) {
            FailoverException e = (FailoverException) failure;
            if ((e.effect() == Effect.UNKNOWN) != (e instanceof WriteInDoubtException)) {
                throw new IllegalStateException("in doubt, and not of that class, or the other way about", e);
            }
            error.addProperty("effect", lower(e.effect()));
            error.addProperty("switched", e.switched());
            error.add("ledger_id", number(e.ledgerId()));
            error.addProperty("tag", e.tag().orElse(null));
            error.add("http_status", number(e.status()));
            error.add("code", number(e.code()));
            error.add("attempts", attempts(e.attempts()));
        } else {
            error.add("effect", JsonNull.INSTANCE);
            error.addProperty("switched", false);
            error.add("ledger_id", JsonNull.INSTANCE);
            error.add("http_status", JsonNull.INSTANCE);
            error.add("code", JsonNull.INSTANCE);
            error.add("attempts", new JsonArray());
        }
        JsonObject answer = new JsonObject();
        answer.addProperty("ok", false);
        answer.add("error", error);
        return answer;
    }

    static String kind(Throwable failure) {
        if (failure instanceof FailoverException) {
            return ((FailoverException) failure).kind().label();
        }
        if (failure instanceof FailoverUsageException) {
            return ((FailoverUsageException) failure).kind().label();
        }
        if (failure instanceof FailoverStateException) {
            return ((FailoverStateException) failure).kind().label();
        }
        if (failure instanceof CancellationException) {
            return ErrorKind.CANCELLED.label();
        }
        return failure.getClass().getSimpleName();
    }

    static JsonObject state(FailoverClient client) {
        JsonObject json = new JsonObject();
        json.addProperty("primary_url", client.primaryUrl().toString());
        json.addProperty("alternate_url", client.alternateUrl().map(Object::toString).orElse(null));
        json.addProperty("active_url", client.activeUrl().toString());
        json.addProperty("is_primary", client.isPrimary());
        json.addProperty("epoch", client.epoch());
        json.addProperty("endpoint_auto_switch_enabled", client.isEndpointAutoSwitchEnabled());
        json.add("current_override", client.currentOverride().map(Answers::override).orElse(JsonNull.INSTANCE));
        return json;
    }

    private static JsonElement override(CurrentOverride found) {
        JsonObject json = new JsonObject();
        json.addProperty("value", lower(found.value()));
        json.addProperty("source", lower(found.source()));
        json.addProperty("has_end", found.until().isPresent());
        return json;
    }

    private static JsonArray attempts(List<Attempt> attempts) {
        JsonArray json = new JsonArray();
        for (Attempt attempt : attempts) {
            JsonObject one = new JsonObject();
            one.addProperty("role", attempt.role() == null ? null : lower(attempt.role()));
            one.addProperty("epoch", attempt.epoch());
            one.addProperty("phase", lower(attempt.phase()));
            one.add("http_status", number(attempt.httpStatus()));
            one.addProperty("fault", attempt.fault().map(FaultKind::label).orElse(null));
            one.add("code", number(attempt.serviceCode()));
            one.addProperty("url", attempt.uri().toString());
            one.addProperty(
                    "http_version",
                    attempt.httpVersion()
                            .map(version -> version == HttpClient.Version.HTTP_2 ? "2" : "1.1")
                            .orElse(null));
            json.add(one);
        }
        return json;
    }

    private static JsonArray parts(List<BatchPart> parts) {
        JsonArray json = new JsonArray();
        for (BatchPart part : parts) {
            JsonObject one = new JsonObject();
            one.addProperty("index", part.index());
            one.add("status", number(part.status()));
            one.add("code", number(part.code()));
            json.add(one);
        }
        return json;
    }

    static JsonObject replayed(FailoverResponse response) {
        JsonObject json = new JsonObject();
        json.addProperty("status", response.status());
        json.addProperty("effect", lower(response.effect()));
        return json;
    }

    static JsonObject settled(Settled settled) {
        JsonObject json = new JsonObject();
        json.addProperty("total", settled.total());
        json.addProperty("present", settled.present());
        json.addProperty("missing", settled.missing());
        json.addProperty("conflicting", settled.conflicting());
        json.addProperty("unverifiable", settled.unverifiable());
        json.addProperty("confirmed", settled.confirmed());
        json.addProperty("replayed", settled.replayed());
        json.addProperty("left", settled.left());
        return json;
    }

    static JsonArray ledger(List<LedgerEntry> entries) {
        JsonArray json = new JsonArray();
        for (LedgerEntry entry : entries) {
            JsonObject one = new JsonObject();
            one.addProperty("id", entry.id());
            one.addProperty("tag", entry.tag().orElse(null));
            one.addProperty("verified", entry.verified().map(Answers::lower).orElse(null));
            one.addProperty("is_final", entry.isFinal());
            one.addProperty("is_kept", entry.isKept());
            one.addProperty("why", entry.why().orElse(null));
            JsonArray leftOut = new JsonArray();
            entry.leftOut().forEach(leftOut::add);
            one.add("left_out", leftOut);
            JsonArray differences = new JsonArray();
            for (Difference difference : entry.differences()) {
                JsonObject of = new JsonObject();
                of.addProperty("name", difference.name());
                of.addProperty("sent", difference.sent());
                of.addProperty("found", difference.found());
                differences.add(of);
            }
            one.add("differences", differences);
            if (entry.verifiedAt().isPresent() != entry.verified().isPresent()) {
                throw new IllegalStateException("verified at " + entry.verifiedAt());
            }
            one.addProperty("method", entry.method());
            one.addProperty("url", entry.url());
            one.addProperty("operation", lower(entry.operation()));
            one.addProperty("effect", entry.effect().map(Answers::lower).orElse(null));
            one.addProperty("is_suspect", entry.isSuspect());
            one.addProperty("resolution", entry.resolution().map(Answers::lower).orElse(null));
            one.addProperty("role", entry.role().map(Answers::lower).orElse(null));
            one.addProperty("epoch", entry.epoch());
            one.addProperty("attempts", entry.attempts());
            one.addProperty("row", entry.rowUrl().orElse(null));
            one.add("body_length", number(entry.bodyLength()));
            one.addProperty("body_digest", entry.bodyDigest().orElse(null));
            one.addProperty(
                    "is_ended", entry.ended().map(ended -> !ended.isBefore(entry.started())).orElse(false));
            json.add(one);
        }
        return json;
    }

    private static JsonElement number(OptionalInt number) {
        return number.isPresent() ? new JsonPrimitive(number.getAsInt()) : JsonNull.INSTANCE;
    }

    private static JsonElement number(OptionalLong number) {
        return number.isPresent() ? new JsonPrimitive(number.getAsLong()) : JsonNull.INSTANCE;
    }

    /** Null for what is not there. */
    static String present(String text) {
        return text.isEmpty() ? null : text;
    }

    static String lower(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }
}
