package io.github.d365failover.support;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.d365failover.FailoverClient;
import io.github.d365failover.FailoverClientBuilder;
import io.github.d365failover.Preset;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The twin datacenter, as a process of the test's: organization {@code contoso}, both sides serving. */
public final class Twin implements AutoCloseable {
    public static final String PRIMARY = "https://contoso.crm.twin.test";
    public static final String ALTERNATE = "https://contoso--s.crm.twin.test";
    private static final String BINARY =
            System.getProperty("d365.twin", System.getenv().getOrDefault("D365_TWIN", "../target/debug/d365-twin"));

    private final Path directory;
    private final Process process;
    private final JsonObject description;
    private final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    private Twin(Path directory, Process process, JsonObject description) {
        this.directory = directory;
        this.process = process;
        this.description = description;
    }

    public static Twin start() throws IOException {
        return start("--org", "contoso");
    }

    /** Both sides offer HTTP/2. */
    public static Twin startWithHttp2() throws IOException {
        Path config = Files.createTempFile("d365-twin-java", ".json");
        try {
            Files.writeString(config, "{\"organizations\":[{\"name\":\"contoso\",\"http2\":true}]}");
            return start("--config", config.toString());
        } finally {
            Files.delete(config);
        }
    }

    private static Twin start(String option, String value) throws IOException {
        Path directory = Files.createTempDirectory("d365-twin-java");
        // It ends with this process, whatever happens to it: its standard input ends then.
        Process process = new ProcessBuilder(
                        BINARY, option, value, "--dir", directory.toString(), "--stdin-eof")
                .redirectError(new File(directory.toFile(), "stderr"))
                .start();
        BufferedReader out =
                new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        String line = out.readLine();
        if (line == null || !line.startsWith("ready ")) {
            process.destroy();
            throw new IOException("the twin said " + line + ", and on stderr "
                    + Files.readString(directory.resolve("stderr")));
        }
        String json = Files.readString(Path.of(line.substring("ready ".length())));
        return new Twin(directory, process, JsonParser.parseString(json).getAsJsonObject());
    }

    /** A client of the organization, by the rules of .NET, that knows both endpoints. */
    public FailoverClientBuilder client() {
        return clientOfOneUrl().alternateUrl(ALTERNATE);
    }

    /** As {@link #client}, by the rules that are the default. */
    public FailoverClientBuilder safeClient() {
        return client().preset(Preset.SAFE);
    }

    /** As {@link #client}, but it learns from the WSDL that there is an alternate. */
    public FailoverClientBuilder clientOfOneUrl() {
        return FailoverClient.builder(PRIMARY).preset(Preset.DOTNET).caBundle(caFile()).connectTo(connectTo());
    }

    public Path caFile() {
        return Path.of(description.get("ca_file").getAsString());
    }

    public Map<String, String> connectTo() {
        Map<String, String> targets = new HashMap<>();
        description.getAsJsonObject("connect_to").entrySet()
                .forEach(target -> targets.put(target.getKey(), target.getValue().getAsString()));
        return targets;
    }

    public String connectToText() {
        return connectTo().entrySet().stream()
                .map(target -> target.getKey() + ":" + target.getValue())
                .collect(Collectors.joining(","));
    }

    /** What a program in a process of its own makes its client from. */
    public Map<String, String> environment() {
        return Map.of(
                "D365_URL", PRIMARY,
                "D365_PRESET", "dotnet",
                "D365_CA_BUNDLE", caFile().toString(),
                "D365_CONNECT_TO", connectToText());
    }

    /** Sets a fault; {@code more} is JSON members, each with a comma before it. */
    public void fault(String side, String kind, String more) throws Exception {
        post("/faults", "{\"org\":\"contoso\",\"side\":\"" + side + "\",\"kind\":\"" + kind + "\"" + more + "}");
    }

    public void clear() throws Exception {
        post("/clear", "{}");
    }

    public void tokens(String mode) throws Exception {
        post("/tokens", "{\"org\":\"contoso\",\"tokens\":\"" + mode + "\"}");
    }

    /** Waits on a condition, such as {@code in_flight_at_least=1}. */
    public void await(String side, String condition) throws Exception {
        get("/wait?org=contoso&side=" + side + "&" + condition + "&timeout_ms=20000");
    }

    /** How many requests a side has read whole. */
    public long received(String side) throws Exception {
        return get("/wait?org=contoso&side=" + side + "&received_at_least=0")
                .getAsJsonObject().get("received").getAsLong();
    }

    /** Whether a side has a row of that name. */
    public boolean hasRow(String side, String name) throws Exception {
        for (JsonElement row : get("/rows?org=contoso").getAsJsonArray()) {
            JsonObject one = row.getAsJsonObject();
            JsonElement called = one.get("name");
            if (called.isJsonPrimitive() && called.getAsString().equals(name) && one.get(side).getAsBoolean()) {
                return true;
            }
        }
        return false;
    }

    public int duplicates() throws Exception {
        return get("/duplicates?org=contoso").getAsJsonArray().size();
    }

    private JsonElement get(String path) throws Exception {
        return exchange(HttpRequest.newBuilder(control(path)).build());
    }

    private void post(String path, String body) throws Exception {
        exchange(HttpRequest.newBuilder(control(path)).POST(BodyPublishers.ofString(body)).build());
    }

    private URI control(String path) {
        return URI.create(description.get("control_url").getAsString() + path);
    }

    private JsonElement exchange(HttpRequest request) throws Exception {
        HttpResponse<String> response = http.send(request, BodyHandlers.ofString());
        if (response.statusCode() != 200) {
            throw new AssertionError(request + ": " + response.statusCode() + " " + response.body());
        }
        return JsonParser.parseString(response.body());
    }

    @Override
    public void close() throws IOException {
        process.getOutputStream().close();
        if (!ended()) {
            process.destroyForcibly();
            throw new AssertionError("the twin did not end with its standard input");
        }
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).collect(Collectors.toList())) {
                Files.delete(file);
            }
        }
    }

    private boolean ended() {
        try {
            return process.waitFor(20, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }
}
