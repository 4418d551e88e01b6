package io.github.d365failover.agent;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.d365failover.EndpointSwitchEvent;
import java.time.Duration;

/** The events that a client's listeners heard, in order. */
final class EventLog {
    private final JsonArray events = new JsonArray();

    synchronized void add(String name, EndpointSwitchEvent event, JsonObject inner) {
        JsonObject json = new JsonObject();
        json.addProperty("event", name);
        json.addProperty("previous_url", event.previousUrl().toString());
        json.addProperty("new_url", event.newUrl().toString());
        json.addProperty("epoch", event.epoch());
        json.addProperty("reason", event.reason());
        json.addProperty("automatic", event.automatic());
        json.add("inner", inner);
        events.add(json);
        notifyAll();
    }

    /** Waits for some; then whatever is there. */
    synchronized JsonArray await(int atLeast, Duration timeout) throws InterruptedException {
        long deadline = System.nanoTime() + timeout.toNanos();
        for (long left = timeout.toMillis(); events.size() < atLeast && left > 0;) {
            wait(left);
            left = (deadline - System.nanoTime()) / 1_000_000;
        }
        return events.deepCopy();
    }
}
