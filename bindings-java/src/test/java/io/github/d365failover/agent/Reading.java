package io.github.d365failover.agent;

import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import io.github.d365failover.FailoverStreamingResponse;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/** Reads a stream as a scenario says, to its end or its failure, or to where it says to stop. */
final class Reading {
    private static final int MOST_TEXT = 1 << 16;

    private Reading() {}

    static JsonObject of(FailoverStreamingResponse response, JsonObject wanted) {
        long stopAfter =
                Agent.present(wanted, "stop_after") ? wanted.get("stop_after").getAsLong() : Long.MAX_VALUE;
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        byte[] buffer = new byte[wanted.get("read").getAsInt()];
        long bytes = 0;
        long sum = 0;
        boolean pattern = true;
        JsonElement error = JsonNull.INSTANCE;
        try (response) {
            while (bytes < stopAfter) {
                int count = response.body().read(buffer);
                if (count < 0) {
                    break;
                }
                for (int i = 0; i < count; i++) {
                    sum += buffer[i] & 0xff;
                    pattern &= buffer[i] == PatternBody.at(bytes + i);
                }
                text.write(buffer, 0, (int) Math.max(0, Math.min(count, MOST_TEXT - bytes)));
                bytes += count;
            }
        } catch (IOException e) {
            error = Answers.failed(e).get("error");
        }
        JsonObject read = new JsonObject();
        read.addProperty("bytes", bytes);
        read.addProperty("pattern", pattern);
        read.addProperty("sum", sum);
        read.add("error", error);
        JsonObject json = Answers.response(response, text.toString(StandardCharsets.UTF_8));
        json.add("read", read);
        return json;
    }
}
