package io.github.d365failover.agent;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.d365failover.FailoverClient;
import io.github.d365failover.FailoverRequest;
import io.github.d365failover.FailoverResponse;
import io.github.d365failover.Operation;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/** The Java subject of the scenarios: one JSON object a line on standard input, one answer each on standard output. */
public final class Agent {
    private static final Gson GSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();

    private final Map<String, Subject> clients = new HashMap<>();
    private final Map<String, CompletableFuture<FailoverResponse>> calls = new HashMap<>();

    private Agent() {}

    public static void main(String[] args) throws IOException {
        Agent agent = new Agent();
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(GSON.toJson(agent.answer(JsonParser.parseString(line).getAsJsonObject())));
        }
        agent.clients.values().forEach(subject -> subject.client.close());
    }

    private JsonObject answer(JsonObject request) {
        JsonObject answer = new JsonObject();
        try {
            answer.addProperty("ok", true);
            serve(request, answer);
        } catch (ExecutionException e) {
            return Answers.failed(e.getCause());
        } catch (Exception e) {
            return Answers.failed(e);
        }
        return answer;
    }

    private void serve(JsonObject request, JsonObject answer) throws Exception {
        String what = request.get("do").getAsString();
        switch (what) {
            case "hello":
                answer.addProperty("language", "java");
                answer.addProperty("version", FailoverClient.libraryVersion());
                break;
            case "open":
                clients.put(request.get("client").getAsString(), Subject.open(request));
                break;
            case "call":
                answer.add("response", Answers.response(subject(request).client.send(request(request))));
                break;
            case "start":
                calls.put(request.get("call").getAsString(), start(request));
                break;
            case "await":
                answer.add("response", Answers.response(await(call(request))));
                break;
            case "cancel":
                call(request).cancel(true);
                break;
            case "state":
                answer.add("state", Answers.state(subject(request).client));
                break;
            case "set_auto_switch":
                subject(request).client.setEndpointAutoSwitchEnabled(request.get("enabled").getAsBoolean());
                break;
            case "switch_endpoint":
                subject(request).client.switchEndpoint();
                break;
            case "discover":
                subject(request).client.discover();
                break;
            case "close":
                subject(request).client.close();
                break;
            case "events":
                answer.add("events", subject(request).events.await(
                        request.get("at_least").getAsInt(), Duration.ofMillis(request.get("timeout_ms").getAsLong())));
                break;
            case "misuse":
                answer.addProperty("got", Misuse.got(request.get("what").getAsString()));
                break;
            default:
                throw new IllegalArgumentException("the agent cannot do " + what);
        }
    }

    private Subject subject(JsonObject request) {
        String name = request.get("client").getAsString();
        Subject subject = clients.get(name);
        if (subject == null) {
            throw new IllegalArgumentException("no client " + name);
        }
        return subject;
    }

    private CompletableFuture<FailoverResponse> call(JsonObject request) {
        String name = request.get("call").getAsString();
        CompletableFuture<FailoverResponse> call = calls.get(name);
        if (call == null) {
            throw new IllegalArgumentException("no call " + name);
        }
        return call;
    }

    private CompletableFuture<FailoverResponse> start(JsonObject request) {
        FailoverClient client = subject(request).client;
        FailoverRequest call = request(request);
        if (present(request, "submit") && request.get("submit").getAsBoolean()) {
            return client.sendAsync(call);
        }
        CompletableFuture<FailoverResponse> outcome = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            try {
                outcome.complete(client.send(call));
            } catch (Exception e) {
                outcome.completeExceptionally(e);
            }
        });
        thread.setDaemon(true);
        thread.start();
        return outcome;
    }

    private static FailoverResponse await(CompletableFuture<FailoverResponse> call) throws Exception {
        try {
            return call.get();
        } catch (ExecutionException e) {
            throw e;
        } catch (CancellationException e) {
            throw new ExecutionException(e);
        }
    }

    private static FailoverRequest request(JsonObject call) {
        FailoverRequest.Builder request =
                FailoverRequest.builder(call.get("method").getAsString(), call.get("url").getAsString());
        if (present(call, "headers")) {
            for (Map.Entry<String, JsonElement> header : call.getAsJsonObject("headers").entrySet()) {
                request.header(header.getKey(), header.getValue().getAsString());
            }
        }
        if (present(call, "body")) {
            request.body(call.get("body").getAsString());
        }
        if (present(call, "timeout_ms")) {
            request.timeout(Duration.ofMillis(call.get("timeout_ms").getAsLong()));
        }
        if (present(call, "operation")) {
            request.operation(Operation.valueOf(call.get("operation").getAsString().toUpperCase(Locale.ROOT)));
        }
        return request.build();
    }

    static boolean present(JsonObject object, String key) {
        JsonElement value = object.get(key);
        return value != null && value != JsonNull.INSTANCE;
    }
}
