package io.github.d365failover.agent;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.d365failover.FailoverClient;
import io.github.d365failover.FailoverResponse;
import io.github.d365failover.OperatorOverride;
import io.github.d365failover.Resolution;
import io.github.d365failover.SettlePolicy;
import io.github.d365failover.SettleStep;
import io.github.d365failover.Settled;
import io.github.d365failover.SuspectedSince;
import io.github.d365failover.Verified;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;

/** The Java subject of the scenarios: one JSON object a line on standard input, one answer each on standard output. */
public final class Agent {
    private static final Gson GSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();

    private final Map<String, Subject> clients = new HashMap<>();
    private final Map<String, Call> calls = new HashMap<>();

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
            return serve(request, answer);
        } catch (Exception e) {
            return Answers.failed(e);
        }
    }

    private JsonObject serve(JsonObject request, JsonObject answer) throws Exception {
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
                return new Call(subject(request).client, request).send();
            case "start":
                start(request);
                break;
            case "await":
                return call(request).await();
            case "cancel":
                call(request).cancel();
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
            case "prepared":
                answer.add("prepared", subject(request).hook.seen());
                break;
            case "ledger":
                FailoverClient of = subject(request).client;
                boolean all = request.get("selection").getAsString().equals("all");
                answer.add("ledger", Answers.ledger(all ? of.ledger() : of.suspects()));
                break;
            case "verify":
                answer.addProperty("verified", Answers.lower(verified(request)));
                break;
            case "replay":
                answer.add("replayed", Answers.replayed(replayed(request)));
                break;
            case "settle":
                answer.add("settled", Answers.settled(settled(request)));
                break;
            case "suspect_since":
                Instant since = Instant.ofEpochMilli(request.get("since_ms").getAsLong());
                SuspectedSince found = subject(request).client.suspectSince(since);
                JsonObject suspected = new JsonObject();
                suspected.addProperty("acknowledged", found.acknowledged());
                suspected.addProperty("is_whole", !found.onRecordSince().isAfter(since));
                answer.add("suspected", suspected);
                break;
            case "maintenance":
                subject(request).client.maintenance(
                        Instant.ofEpochMilli(request.get("start_ms").getAsLong()),
                        Instant.ofEpochMilli(request.get("end_ms").getAsLong()));
                break;
            case "override":
                override(subject(request).client, request);
                break;
            case "resolve":
                subject(request).client.resolve(
                        request.get("id").getAsLong(),
                        Resolution.valueOf(request.get("resolution").getAsString().toUpperCase(Locale.ROOT)));
                break;
            case "misuse":
                answer.addProperty("got", Misuse.got(request.get("what").getAsString()));
                break;
            default:
                throw new IllegalArgumentException("the agent cannot do " + what);
        }
        return answer;
    }

    private static void override(FailoverClient client, JsonObject request) {
        if (!present(request, "value")) {
            client.clearOverride();
            return;
        }
        OperatorOverride value = OperatorOverride.valueOf(
                request.get("value").getAsString().toUpperCase(Locale.ROOT));
        if (present(request, "until_ms")) {
            client.setOverride(value, Instant.ofEpochMilli(request.get("until_ms").getAsLong()));
        } else {
            client.setOverride(value);
        }
    }

    private Verified verified(JsonObject request) throws Exception {
        FailoverClient client = subject(request).client;
        long id = request.get("id").getAsLong();
        boolean waits = !isTrue(request, "submit");
        if (present(request, "url")) {
            String url = request.get("url").getAsString();
            return waits ? client.verifyWith(id, url) : got(client.verifyWithAsync(id, url));
        }
        return waits ? client.verify(id) : got(client.verifyAsync(id));
    }

    private FailoverResponse replayed(JsonObject request) throws Exception {
        FailoverClient client = subject(request).client;
        long id = request.get("id").getAsLong();
        if (isTrue(request, "wanted")) {
            return client.replayAsWanted(id);
        }
        return isTrue(request, "submit") ? got(client.replayAsync(id)) : client.replay(id);
    }

    private Settled settled(JsonObject request) throws Exception {
        FailoverClient client = subject(request).client;
        SettlePolicy policy = SettlePolicy.ALL
                .verify(isTrue(request, "verify"))
                .confirm(isTrue(request, "confirm"))
                .replay(isTrue(request, "replay"));
        if (isTrue(request, "submit")) {
            return got(client.settleAsync(policy));
        }
        try {
            SettleStep last = client.settling(policy).reduce(null, (before, step) -> step);
            return last == null ? client.settle(policy) : last.settled();
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    private static <T> T got(Future<T> future) throws Exception {
        try {
            return future.get();
        } catch (ExecutionException e) {
            throw e.getCause() instanceof Exception ? (Exception) e.getCause() : e;
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

    private Call call(JsonObject request) {
        String name = request.get("call").getAsString();
        Call call = calls.get(name);
        if (call == null) {
            throw new IllegalArgumentException("no call " + name);
        }
        return call;
    }

    private void start(JsonObject request) throws IOException {
        Call call = new Call(subject(request).client, request);
        if (isTrue(request, "submit")) {
            call.submit();
        } else {
            call.startThread();
        }
        calls.put(request.get("call").getAsString(), call);
    }

    static boolean isTrue(JsonObject object, String key) {
        return present(object, key) && object.get(key).getAsBoolean();
    }

    static boolean present(JsonObject object, String key) {
        JsonElement value = object.get(key);
        return value != null && value != JsonNull.INSTANCE;
    }
}
