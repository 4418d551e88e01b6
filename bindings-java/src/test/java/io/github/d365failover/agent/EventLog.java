package io.github.d365failover.agent;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.d365failover.CallEvent;
import io.github.d365failover.DataLossSuspectedEvent;
import io.github.d365failover.EndpointSwitchEvent;
import io.github.d365failover.FailoverEvent;
import io.github.d365failover.OutageEndedEvent;
import io.github.d365failover.SettledEvent;
import io.github.d365failover.ThrottledEvent;
import io.github.d365failover.WriteInDoubtEvent;
import java.time.Duration;

/** The events that a client's listeners heard, in order. */
final class EventLog {
    private final JsonArray events = new JsonArray();

    synchronized void add(String name, FailoverEvent event, JsonObject inner) {
        JsonObject json = new JsonObject();
        json.addProperty("event", name);
        json.addProperty("epoch", event.epoch());
        json.addProperty("reason", event.reason());
        json.addProperty("automatic", true);
        if (event instanceof EndpointSwitchEvent) {
            EndpointSwitchEvent of = (EndpointSwitchEvent) event;
            json.addProperty("previous_url", of.previousUrl().toString());
            json.addProperty("new_url", of.newUrl().toString());
            json.addProperty("automatic", of.automatic());
            json.addProperty("probed", of.probed().map(Answers::lower).orElse(null));
        }
        if (event instanceof CallEvent) {
            CallEvent of = (CallEvent) event;
            json.addProperty("method", Answers.present(of.method()));
            json.addProperty("url", Answers.present(of.url()));
            json.addProperty("tag", of.tag().orElse(null));
        }
        if (event instanceof WriteInDoubtEvent) {
            ((WriteInDoubtEvent) event).ledgerId().ifPresent(id -> json.addProperty("ledger_id", id));
        }
        if (event instanceof DataLossSuspectedEvent) {
            json.addProperty("in_doubt", ((DataLossSuspectedEvent) event).inDoubt());
            json.addProperty("acknowledged", ((DataLossSuspectedEvent) event).acknowledged());
        }
        if (event instanceof ThrottledEvent) {
            json.addProperty("retry_after_ms", ((ThrottledEvent) event).retryAfter().toMillis());
        }
        json.addProperty("planned", event.planned());
        if (event instanceof SettledEvent) {
            SettledEvent of = (SettledEvent) event;
            json.addProperty("automatic", false);
            json.addProperty("total", of.total());
            json.addProperty("confirmed", of.confirmed());
            json.addProperty("replayed", of.replayed());
            json.addProperty("left", of.left());
        }
        if (event instanceof OutageEndedEvent) {
            OutageEndedEvent of = (OutageEndedEvent) event;
            json.addProperty("new_url", of.newUrl().map(Object::toString).orElse(""));
            json.addProperty("automatic", of.automatic());
            json.addProperty("probed", of.probed().map(Answers::lower).orElse(null));
            json.addProperty("lasted_ms", of.lasted().toMillis());
        }
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
