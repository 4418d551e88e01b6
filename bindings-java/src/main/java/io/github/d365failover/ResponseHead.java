package io.github.d365failover;

import io.github.d365failover.impl.PacketReader;
import java.net.URI;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;

/** What all kinds of response have. Immutable. */
final class ResponseHead {
    final int status;
    final String reasonPhrase;
    final Duration elapsed;
    final String url;
    final Map<String, List<String>> headers;
    final Effect effect;
    final boolean switched;
    final OptionalLong ledgerId;
    final Optional<String> tag;
    /** Null: it is no answer about a write. */
    final Verified verified;
    final List<Attempt> attempts;
    final List<BatchPart> parts;
    /** Null: it is no answer to a step of a walk. */
    final SettleStep step;

    ResponseHead(PacketReader in) {
        status = in.int32();
        reasonPhrase = in.text();
        elapsed = Duration.of(in.int64(), ChronoUnit.MICROS);
        url = in.text();
        headers = headers(in);
        effect = Effect.ofNumber(in.int32());
        switched = in.flag();
        ledgerId = Outcome.ledgerId(in);
        tag = Arguments.optional(in.text());
        verified = Verified.ofOptional(in.int32());
        attempts = Outcome.attempts(in);
        parts = BatchPart.list(in);
        step = in.flag() ? new SettleStep(in) : null;
    }

    URI uri() {
        return URI.create(url);
    }

    Optional<String> header(String name) {
        List<String> values = headers.get(Objects.requireNonNull(name, "name"));
        return values == null ? Optional.empty() : Optional.of(values.get(0));
    }

    @Override
    public String toString() {
        return "HTTP " + (status + " " + reasonPhrase).trim() + " from " + OrganizationUrls.shown(url);
    }

    private static Map<String, List<String>> headers(PacketReader in) {
        Map<String, List<String>> headers = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        for (int left = in.int32(); left > 0; left--) {
            headers.computeIfAbsent(in.text(), name -> new ArrayList<>(1)).add(in.text());
        }
        headers.replaceAll((name, values) -> Collections.unmodifiableList(values));
        return Collections.unmodifiableMap(headers);
    }
}
