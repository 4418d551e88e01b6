package io.github.d365failover.agent;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.github.d365failover.AutoSwitch;
import io.github.d365failover.Failback;
import io.github.d365failover.EndpointSwitchEvent;
import io.github.d365failover.EndpointSwitchRequiredEvent;
import io.github.d365failover.FailoverClient;
import io.github.d365failover.FailoverClientBuilder;
import io.github.d365failover.FailoverRequest;
import io.github.d365failover.LedgerBodies;
import io.github.d365failover.Preset;
import io.github.d365failover.ServiceMark;
import io.github.d365failover.StoreDurability;
import io.github.d365failover.StoreFailure;
import io.github.d365failover.Subscription;
import io.github.d365failover.Token;
import io.github.d365failover.TokenPrecedence;
import io.github.d365failover.UrlForm;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;

/** A client with the listeners that a scenario asked for. */
final class Subject {
    final FailoverClient client;
    final EventLog events = new EventLog();
    /** Null if the scenario asked for none. */
    final Hook hook;

    private Subject(FailoverClient client, Hook hook) {
        this.client = client;
        this.hook = hook;
    }

    static Subject open(JsonObject request) {
        FailoverClientBuilder builder = FailoverClient.builder(request.get("url").getAsString());
        if (Agent.present(request, "settings")) {
            for (Map.Entry<String, JsonElement> setting : request.getAsJsonObject("settings").entrySet()) {
                apply(builder, setting.getKey(), setting.getValue());
            }
        }
        if (Agent.present(request, "token")) {
            boolean fail = request.get("token").getAsString().equals("fail");
            builder.tokenProvider(asked -> {
                if (fail) {
                    throw new IllegalStateException("no token today");
                }
                return Token.of("twin-token-for-" + asked.uri().getHost(), Duration.ofHours(1));
            });
        }
        Hook hook = Agent.present(request, "prepare") ? new Hook(request.getAsJsonObject("prepare")) : null;
        if (hook != null) {
            builder.prepare(hook);
        }
        Subject subject = new Subject(builder.build(), hook);
        if (Agent.present(request, "on_required")) {
            String what = request.get("on_required").getAsString();
            subject.client.addEndpointSwitchRequiredListener(event -> subject.required(what, event));
        }
        if (Agent.present(request, "on_switched")) {
            String what = request.get("on_switched").getAsString();
            AtomicReference<Subscription> own = new AtomicReference<>();
            own.set(subject.client.addEndpointSwitchedListener(event -> subject.switched(what, event, own.get())));
        }
        if (Agent.present(request, "events")) {
            request.getAsJsonArray("events").forEach(kind -> subject.record(kind.getAsString()));
        }
        return subject;
    }

    private void record(String kind) {
        switch (kind) {
            case "WriteInDoubt":
                client.addWriteInDoubtListener(event -> events.add(kind, event, null));
                break;
            case "DataLossSuspected":
                client.addDataLossSuspectedListener(event -> events.add(kind, event, null));
                break;
            case "CallRetried":
                client.addCallRetriedListener(event -> events.add(kind, event, null));
                break;
            case "Throttled":
                client.addThrottledListener(event -> events.add(kind, event, null));
                break;
            case "OutageStarted":
                client.addOutageStartedListener(event -> events.add(kind, event, null));
                break;
            case "OutageEnded":
                client.addOutageEndedListener(event -> events.add(kind, event, null));
                break;
            case "Settled":
                client.addSettledListener(event -> events.add(kind, event, null));
                break;
            default:
                throw new IllegalArgumentException("there is no event " + kind);
        }
    }

    /** By the builder's own methods where there is one, because those are what users call. */
    private static void apply(FailoverClientBuilder builder, String key, JsonElement value) {
        switch (key) {
            case "alternate_url":
                builder.alternateUrl(value.getAsString());
                break;
            case "url_form":
                builder.urlForm(UrlForm.valueOf(value.getAsString().toUpperCase(Locale.ROOT)));
                break;
            case "preset":
                builder.preset(Preset.valueOf(value.getAsString().toUpperCase(Locale.ROOT)));
                break;
            case "auto_switch":
                builder.autoSwitch(AutoSwitch.valueOf(value.getAsString().toUpperCase(Locale.ROOT)));
                break;
            case "failback":
                builder.failback(Failback.valueOf(value.getAsString().toUpperCase(Locale.ROOT)));
                break;
            case "outage_wait_ms":
                builder.outageWait(Duration.ofMillis(value.getAsLong()));
                break;
            case "max_waiting":
                builder.maxWaiting(value.getAsInt());
                break;
            case "failback_interval_ms":
                builder.failbackInterval(Duration.ofMillis(value.getAsLong()));
                break;
            case "failback_after_ms":
                builder.failbackAfter(Duration.ofMillis(value.getAsLong()));
                break;
            case "connect_timeout_ms":
                builder.connectTimeout(millis(value));
                break;
            case "attempt_timeout_ms":
                builder.attemptTimeout(millis(value));
                break;
            case "deadline_ms":
                builder.deadline(millis(value));
                break;
            case "handler_timeout_ms":
                builder.handlerTimeout(millis(value));
                break;
            case "probe_after_ms":
                builder.probeAfter(millis(value));
                break;
            case "probe_timeout_ms":
                builder.probeTimeout(millis(value));
                break;
            case "probe_path":
                builder.probePath(value.getAsString());
                break;
            case "write_grace_ms":
                builder.writeGrace(millis(value));
                break;
            case "hold_down_ms":
                builder.holdDown(millis(value));
                break;
            case "max_attempts":
                builder.maxAttempts(value.getAsInt());
                break;
            case "retry_budget":
                builder.retryBudget(value.getAsDouble());
                break;
            case "replication_window_ms":
                builder.replicationWindow(millis(value));
                break;
            case "token_precedence":
                builder.tokenPrecedence(
                        TokenPrecedence.valueOf(value.getAsString().toUpperCase(Locale.ROOT)));
                break;
            case "ledger_retention_ms":
                builder.ledgerRetention(Duration.ofMillis(value.getAsLong()));
                break;
            case "store":
                builder.store(Path.of(value.getAsString()));
                break;
            case "store_durability":
                builder.storeDurability(StoreDurability.valueOf(value.getAsString().toUpperCase(Locale.ROOT)));
                break;
            case "store_failure":
                builder.storeFailure(StoreFailure.valueOf(value.getAsString().toUpperCase(Locale.ROOT)));
                break;
            case "ledger_bodies":
                builder.ledgerBodies(LedgerBodies.valueOf(value.getAsString().toUpperCase(Locale.ROOT)));
                break;
            case "ledger_body_size":
                builder.ledgerBodySize(value.getAsInt());
                break;
            case "verify_keys":
                builder.verifyKeys(value.getAsString());
                break;
            case "ledger_entries":
                builder.ledgerEntries(value.getAsInt());
                break;
            case "service_mark":
                builder.serviceMark(ServiceMark.valueOf(value.getAsString().toUpperCase(Locale.ROOT)));
                break;
            case "update_guard":
                builder.updateGuard(isOn(value));
                break;
            case "ca_bundle":
                builder.caBundle(Path.of(value.getAsString()));
                break;
            case "tls_verify":
                builder.tlsVerify(isOn(value));
                break;
            case "http2":
                builder.http2(isOn(value));
                break;
            case "decompress":
                builder.decompress(isOn(value));
                break;
            case "proxy":
                builder.proxy(value.getAsString());
                break;
            case "client_certificate":
                builder.clientCertificate(Path.of(value.getAsString()));
                break;
            case "max_redirects":
                builder.maxRedirects(value.getAsInt());
                break;
            case "allowed_hosts":
                builder.allowedHosts(value.getAsString().split(","));
                break;
            case "allowed_host_headers":
                builder.allowedHostHeaders(value.getAsString().split(", "));
                break;
            case "connect_to":
                Map<String, String> targets = new HashMap<>();
                value.getAsJsonObject().entrySet().forEach(e -> targets.put(e.getKey(), e.getValue().getAsString()));
                builder.connectTo(targets);
                break;
            case "max_connections":
                builder.maxConnections(value.getAsInt());
                break;
            case "idle_timeout_ms":
                builder.idleTimeout(millis(value));
                break;
            case "max_connection_age_ms":
                builder.maxConnectionAge(millis(value));
                break;
            case "max_response_headers":
                builder.maxResponseHeaders(value.getAsInt());
                break;
            case "error_prefix":
                builder.errorPrefix(value.getAsInt());
                break;
            case "user_agent":
                builder.userAgent(value.getAsString());
                break;
            default:
                builder.setting(key, value.getAsString());
        }
    }

    private static boolean isOn(JsonElement value) {
        return value.getAsString().equals("on") || value.getAsString().equals("true");
    }

    private static Duration millis(JsonElement value) {
        return Duration.ofMillis(value.getAsLong());
    }

    private void required(String what, EndpointSwitchRequiredEvent event) {
        JsonObject inner = null;
        if (what.equals("veto")) {
            event.veto();
        } else if (what.endsWith("able_auto_switch")) {
            client.setEndpointAutoSwitchEnabled(what.equals("enable_auto_switch"));
        } else if (what.equals("call")) {
            inner = call();
        }
        events.add("EndpointSwitchRequired", event, inner);
        if (what.equals("throw")) {
            throw new IllegalStateException("thrown by the scenario's listener");
        }
    }

    private void switched(String what, EndpointSwitchEvent event, Subscription own) {
        JsonObject inner = what.equals("call") ? call() : null;
        if (what.equals("unsubscribe")) {
            own.close();
        }
        events.add("EndpointSwitched", event, inner);
        if (what.equals("throw")) {
            throw new IllegalStateException("thrown by the scenario's listener");
        }
    }

    private JsonObject call() {
        JsonObject inner = new JsonObject();
        try {
            inner.addProperty("status", client.send(FailoverRequest.get("/api/data/v9.2/WhoAmI")).status());
        } catch (Exception e) {
            inner.addProperty("error", Answers.kind(e));
        }
        return inner;
    }
}
