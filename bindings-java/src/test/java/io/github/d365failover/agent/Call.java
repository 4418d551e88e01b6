package io.github.d365failover.agent;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.github.d365failover.FailoverClient;
import io.github.d365failover.FailoverRequest;
import io.github.d365failover.FailoverResponse;
import io.github.d365failover.FailoverStreamingResponse;
import io.github.d365failover.Operation;
import java.io.IOException;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/** One call of a scenario, and how its answer is told. */
final class Call {
    private final FailoverClient client;
    private final FailoverRequest request;
    private final JsonObject stream;
    private final PatternBody body;
    private CompletableFuture<?> started;

    Call(FailoverClient client, JsonObject call) throws IOException {
        this.client = client;
        this.stream = Agent.present(call, "stream") ? call.getAsJsonObject("stream") : null;
        this.body = Agent.present(call, "body_reader") ? new PatternBody(call.getAsJsonObject("body_reader")) : null;
        FailoverRequest.Builder builder =
                FailoverRequest.builder(call.get("method").getAsString(), call.get("url").getAsString());
        if (Agent.present(call, "headers")) {
            for (Map.Entry<String, JsonElement> header : call.getAsJsonObject("headers").entrySet()) {
                builder.header(header.getKey(), header.getValue().getAsString());
            }
        }
        if (Agent.present(call, "body")) {
            builder.body(call.get("body").getAsString());
        }
        if (body != null) {
            body.put(builder);
        }
        if (Agent.present(call, "timeout_ms")) {
            builder.timeout(Duration.ofMillis(call.get("timeout_ms").getAsLong()));
        }
        if (Agent.present(call, "connect_timeout_ms")) {
            builder.connectTimeout(Duration.ofMillis(call.get("connect_timeout_ms").getAsLong()));
        }
        if (Agent.present(call, "attempt_timeout_ms")) {
            builder.attemptTimeout(Duration.ofMillis(call.get("attempt_timeout_ms").getAsLong()));
        }
        if (Agent.present(call, "operation")) {
            builder.operation(Operation.valueOf(call.get("operation").getAsString().toUpperCase(Locale.ROOT)));
        }
        if (Agent.isTrue(call, "guarded_create")) {
            builder.guardedCreate();
        }
        if (Agent.isTrue(call, "upsert")) {
            builder.upsert();
        }
        if (Agent.present(call, "tag")) {
            builder.tag(call.get("tag").getAsString());
        }
        this.request = builder.build();
    }

    /** Waits, on this thread. */
    JsonObject send() {
        try {
            return told(answer());
        } catch (Exception e) {
            return failed(e);
        }
    }

    private Object answer() throws IOException {
        return stream == null ? client.send(request) : client.sendStreaming(request);
    }

    void submit() {
        started = stream == null ? client.sendAsync(request) : client.sendStreamingAsync(request);
    }

    void startThread() {
        CompletableFuture<Object> outcome = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            try {
                outcome.complete(answer());
            } catch (Exception e) {
                outcome.completeExceptionally(e);
            }
        });
        thread.setDaemon(true);
        thread.start();
        started = outcome;
    }

    void cancel() {
        started.cancel(true);
    }

    JsonObject await() throws InterruptedException {
        try {
            return told(started.get());
        } catch (ExecutionException e) {
            return failed(e.getCause());
        } catch (CancellationException e) {
            return failed(e);
        }
    }

    private JsonObject told(Object answer) {
        JsonObject response = answer instanceof FailoverStreamingResponse
                ? Reading.of((FailoverStreamingResponse) answer, stream)
                : Answers.response((FailoverResponse) answer);
        addReads(response);
        JsonObject json = new JsonObject();
        json.addProperty("ok", true);
        json.add("response", response);
        return json;
    }

    private JsonObject failed(Throwable failure) {
        JsonObject json = Answers.failed(failure);
        addReads(json.getAsJsonObject("error"));
        return json;
    }

    private void addReads(JsonObject json) {
        if (body != null) {
            json.add("body_reads", body.reads());
        }
    }
}
