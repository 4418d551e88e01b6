package io.github.d365failover;

import io.github.d365failover.impl.PacketReader;
import java.time.Instant;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * A write on record, as it stood when it was asked for: from before it was sent to what became of it. Immutable.
 */
public final class LedgerEntry {
    /** What numbers of the C ABI say that are not there. */
    private static final long NONE = -1;

    private final long id;
    private final Operation operation;
    private final Effect effect;
    private final boolean suspect;
    private final Resolution resolution;
    private final Role role;
    private final long epoch;
    private final Instant started;
    private final Instant ended;
    private final long bodyLength;
    private final long attempts;
    private final String method;
    private final String url;
    private final String rowUrl;
    private final String bodyDigest;
    private final Verified verified;
    private final Instant verifiedAt;
    private final boolean isFinal;
    private final boolean kept;
    private final String tag;
    private final String why;
    private final String leftOut;
    private final List<Difference> differences;

    private LedgerEntry(PacketReader in) {
        this.id = in.int64();
        this.operation = Operation.ofNumber(in.int64());
        long of = in.int64();
        this.effect = of == NONE ? null : Effect.ofNumber((int) of);
        this.suspect = in.int64() != 0;
        this.resolution = Resolution.ofOptional(in.int64());
        this.role = Role.ofOptional(in.int64());
        this.epoch = in.int64();
        this.started = Instant.ofEpochMilli(in.int64());
        long end = in.int64();
        this.ended = end == NONE ? null : Instant.ofEpochMilli(end);
        this.bodyLength = in.int64();
        this.attempts = in.int64();
        this.verified = Verified.ofOptional(in.int64());
        long looked = in.int64();
        this.verifiedAt = looked == NONE ? null : Instant.ofEpochMilli(looked);
        this.isFinal = in.int64() != 0;
        this.kept = in.int64() != 0;
        this.method = in.text();
        this.url = in.text();
        this.rowUrl = in.text();
        this.bodyDigest = in.text();
        this.tag = in.text();
        this.why = in.text();
        this.leftOut = in.text();
        this.differences = Difference.list(in);
    }

    static List<LedgerEntry> list(PacketReader in) {
        LedgerEntry[] entries = new LedgerEntry[in.int32()];
        for (int i = 0; i < entries.length; i++) {
            entries[i] = new LedgerEntry(in);
        }
        return Collections.unmodifiableList(Arrays.asList(entries));
    }

    /**
     * Its number at this client.
     *
     * @return what {@link FailoverClient#resolve} takes, from 1
     */
    public long id() {
        return id;
    }

    /**
     * The HTTP method that it was sent with.
     *
     * @return such as {@code POST}
     */
    public String method() {
        return method;
    }

    /**
     * Where it went.
     *
     * @return the URL of the last attempt; before the first has ended, what the application gave, which may be relative
     */
    public String url() {
        return url;
    }

    /**
     * What a repeat of it would do.
     *
     * @return never {@link Operation#AUTO} and never {@link Operation#READ}
     */
    public Operation operation() {
        return operation;
    }

    /**
     * What is known of it.
     *
     * @return the effect; empty while it is in flight
     */
    public Optional<Effect> effect() {
        return Optional.ofNullable(effect);
    }

    /**
     * Whether it is to be verified: in doubt; acknowledged within {@code replicationWindow} before its endpoint was left,
     * or since the time that {@link FailoverClient#suspectSince} was given; or executed after an attempt in doubt, which
     * may still come late and undo what was written since, for {@code replicationWindow}. Not once it is resolved.
     *
     * @return true if so
     */
    public boolean isSuspect() {
        return suspect;
    }

    /**
     * What the application has found out about it.
     *
     * @return what {@link FailoverClient#resolve} was given; empty before
     */
    public Optional<Resolution> resolution() {
        return Optional.ofNullable(resolution);
    }

    /**
     * Which endpoint the last attempt went to.
     *
     * @return the role; empty where there was no attempt, or it went to a host of {@link
     *     FailoverClientBuilder#allowedHosts}
     */
    public Optional<Role> role() {
        return Optional.ofNullable(role);
    }

    /**
     * How many switches there had been when the last attempt started.
     *
     * @return the epoch, from 0
     */
    public long epoch() {
        return epoch;
    }

    /**
     * When the call began, in milliseconds.
     *
     * @return the time of day
     */
    public Instant started() {
        return started;
    }

    /**
     * When the call ended, in milliseconds.
     *
     * @return the time of day; empty while it is in flight
     */
    public Optional<Instant> ended() {
        return Optional.ofNullable(ended);
    }

    /**
     * How long its body is.
     *
     * @return the number of bytes; empty for a body that is read while it is sent and whose length was not told
     */
    public OptionalLong bodyLength() {
        return bodyLength == NONE ? OptionalLong.empty() : OptionalLong.of(bodyLength);
    }

    /**
     * The SHA-256 of the body that the application gave.
     *
     * @return 64 hexadecimal digits in lower case; empty without a body, for one that is read while it is sent, and with
     *     {@link LedgerBodies#OFF}
     */
    public Optional<String> bodyDigest() {
        return optional(bodyDigest);
    }

    /**
     * How many attempts there were.
     *
     * @return a number; 0 while it is in flight
     */
    public int attempts() {
        return (int) Math.min(attempts, Integer.MAX_VALUE);
    }

    /**
     * The row that the answer named, by {@code OData-EntityId} or {@code Location}.
     *
     * @return the row's URL, absolute, at either endpoint; empty if it named none
     */
    public Optional<String> rowUrl() {
        return optional(rowUrl);
    }

    /**
     * What {@link FailoverClient#verify} has found last.
     *
     * @return the verdict; empty if nobody has looked
     */
    public Optional<Verified> verified() {
        return Optional.ofNullable(verified);
    }

    /**
     * When that was, in milliseconds.
     *
     * @return the time of day; empty if nobody has looked
     */
    public Optional<Instant> verifiedAt() {
        return Optional.ofNullable(verifiedAt);
    }

    /**
     * Whether replication can change no more about what was found. Only when {@code replicationWindow} has passed since
     * the write ended are final: {@code MISSING}, {@code CONFLICTING}, the {@code PRESENT} of a delete, and whatever was
     * found of a write of which an attempt may still come late. Resolve a write when it is, whichever verdict it has.
     *
     * @return true if so
     */
    public boolean isFinal() {
        return isFinal;
    }

    /**
     * One sentence about what was found: why it is {@link Verified#UNVERIFIABLE}, or what else the verdict goes by.
     *
     * @return for a person; empty where there is nothing to say
     */
    public Optional<String> why() {
        return optional(why);
    }

    /**
     * The values that the row has otherwise than they were sent, of a write that is {@link Verified#CONFLICTING}.
     *
     * @return at most 50; unmodifiable
     */
    public List<Difference> differences() {
        return differences;
    }

    /**
     * The names of the values that were sent and could not be compared.
     *
     * @return at most 50; unmodifiable
     */
    public List<String> leftOut() {
        return leftOut.isEmpty() ? List.of() : List.of(leftOut.split(","));
    }

    /**
     * Whether its request is kept ({@link FailoverClientBuilder#ledgerBodies}), so that its values can be compared with
     * the row's, and it can be sent again.
     *
     * @return true if so
     */
    public boolean isKept() {
        return kept;
    }

    /**
     * The tag of its request.
     *
     * @return what {@link FailoverRequest.Builder#tag} was given; empty without one
     */
    public Optional<String> tag() {
        return optional(tag);
    }

    private static Optional<String> optional(String text) {
        return Arguments.optional(text);
    }

    @Override
    public String toString() {
        return id + ": " + method + " " + OrganizationUrls.shown(url) + (effect == null ? ", in flight" : ", " + effect)
                + (suspect ? ", to verify" : "") + (resolution == null ? "" : ", " + resolution);
    }
}
