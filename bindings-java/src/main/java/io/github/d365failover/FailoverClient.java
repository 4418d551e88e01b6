package io.github.d365failover;

import io.github.d365failover.impl.Answer;
import io.github.d365failover.impl.ClientHandles;
import io.github.d365failover.impl.Handle;
import io.github.d365failover.impl.Native;
import io.github.d365failover.impl.NativeLoader;
import io.github.d365failover.impl.PacketReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.LongFunction;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Calls one organization of Dynamics 365 or Dataverse, on the endpoint that serves now.
 *
 * <pre>{@code
 * try (FailoverClient client = FailoverClient.builder("https://contoso.crm.dynamics.com")
 *         .tokenProvider(request -> Token.of(acquire(request.uri() + "/.default")))
 *         .build()) {
 *     client.addEndpointSwitchedListener(event -> log.warn("now on {}", event.newUrl()));
 *     client.addWriteInDoubtListener(event -> event.ledgerId().ifPresent(this::verifyLater));
 *     FailoverResponse response = client.send(FailoverRequest.get("/api/data/v9.2/WhoAmI"));
 * }
 * }</pre>
 *
 * <p>Safe for use by any number of threads; one client an organization is meant to serve a whole application. What it
 * has to say it logs to the {@link System.Logger} {@code io.github.d365failover}, such as each switch as a warning. The
 * threads that it starts are daemons, so that a client that was not closed does not keep the JVM from exiting. A client
 * that is forgotten is closed when it is collected, which does not happen as long as a listener refers to it: close it.
 */
public final class FailoverClient implements AutoCloseable {
    private static final Logger LOG = System.getLogger("io.github.d365failover");
    /** For all that is given back when it is collected. */
    static final Cleaner CLEANER = Cleaner.create();

    private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(5);

    private final ClientHandles handles;
    private final EventDispatcher events;
    private final PendingCalls calls;
    private final QueuePump pump;
    private final Providing providing = new Providing();
    private final Sender sender;
    private final Subscriptions subscriptions;
    private final ClientState state = new ClientState(this);
    private final Closing closing;

    private FailoverClient(
            ClientHandles handles,
            DaemonThreads daemons,
            AttemptPreparer preparer,
            Executor executor,
            long deadlineMillis) {
        this.handles = handles;
        this.events = new EventDispatcher(daemons, executor);
        this.calls = new PendingCalls(executor);
        this.pump = new QueuePump(daemons, handles.queue(), calls, events);
        ThreadCalls threads = new ThreadCalls(daemons);
        this.subscriptions = new Subscriptions(handles.client(), pump, events);
        this.sender = new Sender(this, preparer, executor, events, providing, pump, calls, threads, deadlineMillis);
        Cleaner.Cleanable cleanable = CLEANER.register(this, handles);
        this.closing = new Closing(daemons, this, state, handles, cleanable, events, calls, pump, threads);
    }

    /**
     * Starts a client.
     *
     * @param url the URL of the organization's primary or alternate, such as {@code https://contoso.crm.dynamics.com}
     * @return a builder
     */
    public static FailoverClientBuilder builder(String url) {
        return new FailoverClientBuilder(url);
    }

    /**
     * Starts a client.
     *
     * @param url the URL of the organization's primary or alternate, such as {@code https://contoso.crm.dynamics.com}
     * @return a builder
     */
    public static FailoverClientBuilder builder(URI url) {
        return new FailoverClientBuilder(Objects.requireNonNull(url, "url").toString());
    }

    /**
     * The version of the native library.
     *
     * @return such as {@code 0.1.0}
     */
    public static String libraryVersion() {
        NativeLoader.require();
        return Outcome.unchecked(Native.version()).text();
    }

    static FailoverClient open(
            byte[] settings,
            TokenProvider provider,
            AttemptPreparer preparer,
            Executor executor,
            long deadlineMillis) {
        NativeLoader.require();
        PacketReader in = Outcome.unchecked(Native.open(settings, provider != null, preparer != null));
        ClientHandles handles = new ClientHandles(in.int64(), in.int64());
        DaemonThreads daemons = new DaemonThreads();
        FailoverClient client = new FailoverClient(handles, daemons, preparer, executor, deadlineMillis);
        long channel = in.int64();
        if (provider != null) {
            TokenPump.start(daemons, channel, provider, client.providing);
        }
        client.startLog();
        return client;
    }

    private void startLog() {
        try {
            subscriptions.ask();
        } catch (Throwable e) {
            // Such as no memory for a thread: the next who needs it says so.
            Complaint.log(Level.WARNING, "the client writes no log records", e);
        }
    }

    /**
     * Sends a request and waits for the response, over a switch if need be.
     *
     * <p>An interrupt of the thread cancels the call at once, whatever it waits for, but for code of the application's,
     * which hears of it itself: it fails with {@link ErrorKind#CANCELLED}, and the interrupt flag stays set. Code that
     * leaves the flag set, or throws, ends the call so as well; where it clears the flag and returns, the call goes on.
     *
     * <p>The request's body and the client's {@link AttemptPreparer} are asked on this thread. A virtual thread parks,
     * and leaves its carrier to others; where there is something to ask, one of at most 64 threads of the client's waits
     * in its place.
     *
     * @param request what to send
     * @return the service's answer, which may be an error status that is not a reason to switch
     * @throws FailoverException there is no usable answer, or the client is closed
     * @throws FailoverTimeoutException there is none in time
     * @throws WriteInDoubtException it may have been executed, or not, whatever it failed with
     * @throws FailoverUsageException the request's method, URL or a header is not allowed, or its stream was sent before
     */
    public FailoverResponse send(FailoverRequest request) throws IOException {
        return sender.send(Objects.requireNonNull(request, "request"), ResponseKind.COLLECTED);
    }

    /**
     * Sends a request and waits for the head of the response, over a switch if need be; the body is then read from the
     * connection. Otherwise as {@link #send}.
     *
     * <p>Of an answer with a status from 400 on, the first bytes are read before this returns, as many as {@link
     * FailoverClientBuilder#errorPrefix} says and for at most 2 s, to tell what it means; the body has them all the
     * same.
     *
     * @param request what to send
     * @return the service's answer, to be closed
     * @throws FailoverException there is no usable answer, or the client is closed
     * @throws FailoverTimeoutException there is none in time
     * @throws WriteInDoubtException it may have been executed, or not, whatever it failed with
     * @throws FailoverUsageException the request's method, URL or a header is not allowed, or its stream was sent before
     */
    public FailoverStreamingResponse sendStreaming(FailoverRequest request) throws IOException {
        return sender.send(Objects.requireNonNull(request, "request"), ResponseKind.STREAMING);
    }

    /**
     * Sends a request without waiting.
     *
     * <p>The future always completes: as {@link #send} would return or throw, and when the client is closed, with {@link
     * ErrorKind#CANCELLED} or {@link ErrorKind#CLOSED}. Cancelling it, or completing it in any other way, cancels the
     * call; a write is then in doubt, and the future can say no more about it. An answer that does not fit into the
     * Java heap completes it with an {@link OutOfMemoryError}, and no other call's. What depends on it runs on the
     * client's executor, as {@link FailoverClientBuilder#executor} says.
     *
     * <p>A request whose body is streamed, and every request of a client with an {@link AttemptPreparer}, is sent on a
     * daemon thread of the client's that serves no other call meanwhile: there the application is asked. A client has at
     * most 64 of them; further calls wait for one within their time, and more than 64 whose bodies wait for one another
     * can wait for ever. What is wrong with the request is then told by the future too; and what cancels the call
     * interrupts the thread, at once.
     *
     * @param request what to send
     * @return the answer to come
     * @throws FailoverUsageException the request's method, URL or a header is not allowed, or its stream was sent before
     */
    public FailoverFuture<FailoverResponse> sendAsync(FailoverRequest request) {
        return sender.sendAsync(Objects.requireNonNull(request, "request"), ResponseKind.COLLECTED);
    }

    /**
     * Sends a request without waiting, and is done when the head of the response is there, as that of {@link
     * #sendStreaming}. Otherwise as {@link #sendAsync}. A response that comes when the future was completed from
     * outside is closed.
     *
     * @param request what to send
     * @return the answer to come, to be closed
     * @throws FailoverUsageException the request's method, URL or a header is not allowed, or its stream was sent before
     */
    public FailoverFuture<FailoverStreamingResponse> sendStreamingAsync(FailoverRequest request) {
        return sender.sendAsync(Objects.requireNonNull(request, "request"), ResponseKind.STREAMING);
    }

    /**
     * The primary's base URL.
     *
     * @return without a slash at its end
     */
    public URI primaryUrl() {
        return state.primaryUrl();
    }

    /**
     * The alternate's base URL, known from the start.
     *
     * @return without a slash at its end; empty when the FailoverPolicy has said that there is none
     */
    public Optional<URI> alternateUrl() {
        return state.alternateUrl();
    }

    /**
     * The base URL of the endpoint that calls go to now.
     *
     * @return without a slash at its end
     */
    public URI activeUrl() {
        return state.activeUrl();
    }

    /**
     * Whether calls go to the primary now.
     *
     * @return false if they go to the alternate
     */
    public boolean isPrimary() {
        return state.isPrimary();
    }

    /**
     * How many switches there have been.
     *
     * @return from 0
     */
    public long epoch() {
        return state.epoch();
    }

    /**
     * Whether the client switches by itself.
     *
     * @return false if it only raises {@code EndpointSwitchRequired}
     */
    public boolean isEndpointAutoSwitchEnabled() {
        return state.isAutoSwitchEnabled();
    }

    /**
     * Whether the client switches by itself from now on. Inside an {@link EndpointSwitchRequiredListener} it counts for
     * the switch that is being decided.
     *
     * @param enabled false: it only raises {@code EndpointSwitchRequired}
     */
    public void setEndpointAutoSwitchEnabled(boolean enabled) {
        state.of(client -> Native.setAutoSwitch(client, enabled));
    }

    /**
     * Switches to the other endpoint by hand. {@code EndpointSwitched} is raised, {@code EndpointSwitchRequired} is not.
     *
     * @throws FailoverException there is no alternate, the operator keeps calls at an endpoint ({@link
     *     ErrorKind#OVERRIDDEN}), or the client is closed
     */
    public void switchEndpoint() throws FailoverException {
        byte[] packet = use(Native::switchEndpoint);
        if (packet == null) {
            throw Failure.closed().checked();
        }
        Outcome.checked(packet);
    }

    /**
     * Reads the organization's policy from its WSDL now, and waits for it, unless it said that there is an alternate. Where
     * it disables the active endpoint and calls were sent there, a switch is tried and waited for. An interrupt of the
     * thread ends the waiting, as that of {@link #send}; the reading, which others may wait for too, goes on.
     *
     * @throws FailoverException it cannot be read, or the client is closed
     */
    public void discover() throws IOException {
        sender.send(FailoverRequest.discovering(), ResponseKind.NOTHING);
    }

    /**
     * Looks at one endpoint, whichever is active: a token, a probe on a connection of its own, and the WSDL's failover
     * policy. It changes nothing: no switch, no event. An interrupt of the thread ends it, as that of {@link #send}.
     *
     * @param role which endpoint
     * @return a JSON object, also where the endpoint fails: {@code verdict} ({@code serves}, {@code reachable} where it
     *     wants a token or another one, {@code failed}), {@code steps}, {@code fault}, {@code policy} and others, as the
     *     C header tells of {@code d365_request_new_check}; more may come in later versions
     * @throws FailoverException it could not be looked, or the client is closed
     */
    public String check(Role role) throws IOException {
        FailoverRequest request = FailoverRequest.checking(Objects.requireNonNull(role, "role"));
        return new String(sender.send(request, ResponseKind.COLLECTED).body(), StandardCharsets.UTF_8);
    }

    /**
     * What the client has counted since it was opened: calls, resends by cause, switches, outages, writes in doubt and
     * suspects, the budget of retries, and for each endpoint its attempts, bytes, probes, and how long attempts took.
     * Always on. No I/O without a {@code store}; works in every listener and after {@link #close}.
     *
     * @return a JSON object, as the C header tells of {@code d365_client_statistics}; more may come in later versions
     */
    public String statistics() {
        return state.statistics();
    }

    /**
     * The writes on record, the oldest first. A write, which is a call whose operation is not {@link Operation#READ}, is
     * there from before it is sent; once it is known that it was not executed it is there no more. One that was
     * acknowledged stays for {@code replicationWindow}, if there are not more than {@code ledgerEntries} of them. One to
     * verify stays until it is resolved. They are in memory, and end with the client; with {@link
     * FailoverClientBuilder#store} they are in its file, of all processes that name it.
     *
     * <p>Does no I/O without a store; works in every listener.
     *
     * @return an unmodifiable list as of now
     * @throws FailoverStateException the client is closed
     */
    public List<LedgerEntry> ledger() {
        return state.ledger();
    }

    /**
     * Those of {@link #ledger} that this process has sent. Without a store all.
     *
     * @return an unmodifiable list as of now
     * @throws FailoverStateException the client is closed
     */
    public List<LedgerEntry> ledgerOfThisProcess() {
        return state.mine();
    }

    /**
     * The writes to verify, the oldest first: those of which {@link LedgerEntry#isSuspect} is true.
     *
     * <p>Does no I/O without a store; works in every listener.
     *
     * @return an unmodifiable list as of now
     * @throws FailoverStateException the client is closed
     */
    public List<LedgerEntry> suspects() {
        return state.suspects();
    }

    /**
     * Asks the active endpoint what became of a write on record, by a read of its row, and waits for the answer. What was
     * found is kept in its {@link LedgerEntry}; to {@link #resolve} it, when it {@link LedgerEntry#isFinal() is final}, is
     * the application's.
     *
     * <p>A create is proved by its row, a delete by the row's absence, an update by the version that its answer named, or,
     * where its request is kept ({@link FailoverClientBuilder#ledgerBodies}), by the values that it sent; a create whose
     * row nobody knows by a key ({@link FailoverClientBuilder#verifyKeys}). For all else nothing is sent. The read has the provider's token, else the {@code Authorization} that the application
     * last sent to that endpoint, and asks the {@link AttemptPreparer}.
     *
     * @param id the write's {@link LedgerEntry#id()}; it has ended
     * @return what the row says
     * @throws FailoverUsageException with {@link ErrorKind#NOT_AVAILABLE}: there is no such write on record, or it is in
     *     flight
     * @throws FailoverException there is no answer, or one that says neither that the row is there nor that it is not: 401,
     *     403, 404 of a front end, 5xx; the entry stays as it is
     */
    public Verified verify(long id) throws IOException {
        return sender.send(FailoverRequest.verifying(id), ResponseKind.VERIFIED);
    }

    /**
     * As {@link #verify}, without waiting.
     *
     * @param id the write's {@link LedgerEntry#id()}
     * @return what the row says, to come; cancelling it cancels the read
     * @throws FailoverUsageException with {@link ErrorKind#NOT_AVAILABLE}: there is no such write on record, or it is in
     *     flight; of a client with an {@link AttemptPreparer} the future tells that
     */
    public CompletableFuture<Verified> verifyAsync(long id) {
        return sender.sendAsync(FailoverRequest.verifying(id), ResponseKind.VERIFIED);
    }

    /**
     * As {@link #verify}, by a read of the URL that the application names: of the row that the write must have created or
     * changed, or of a list of the rows that it may be ({@code $filter} by a key that only the application knows). An empty
     * list, or no such row: {@link Verified#MISSING}; one row with the values that were sent: {@link Verified#PRESENT}, with
     * others: {@link Verified#CONFLICTING}; several rows, and one whose values cannot be compared because the request is not
     * kept: {@link Verified#UNVERIFIABLE}.
     *
     * @param id the write's {@link LedgerEntry#id()}; it has ended
     * @param url on either endpoint, or from the base URL on: {@code /api/data/v9.2/accounts?$filter=…}
     * @return what the row says
     * @throws FailoverUsageException as {@link #verify}; with {@link ErrorKind#INVALID_URL} for a URL elsewhere
     * @throws FailoverException as {@link #verify}
     */
    public Verified verifyWith(long id, String url) throws IOException {
        return sender.send(FailoverRequest.verifying(id, url), ResponseKind.VERIFIED);
    }

    /**
     * As {@link #verifyWith}, without waiting.
     *
     * @param id the write's {@link LedgerEntry#id()}
     * @param url what is read
     * @return what the row says, to come; cancelling it cancels the read
     * @throws FailoverUsageException as {@link #verifyAsync}
     */
    public CompletableFuture<Verified> verifyWithAsync(long id, String url) {
        return sender.sendAsync(FailoverRequest.verifying(id, url), ResponseKind.VERIFIED);
    }

    /**
     * Sends a write again that was found to be missing for good, and waits for its answer: a create under its id and with
     * the condition that there is none, a change or a delete with the version that its row was seen to have. At most one at
     * a time, over all clients and processes of a store. When it was executed, its entry is resolved as
     * {@link Resolution#REPLAYED}. In doubt again, it is on record so, and {@code WriteInDoubt} is raised; refused, it stays
     * to be verified.
     *
     * <p>Its request must be kept ({@link LedgerBodies#FULL}); it has no credential, which is the provider's, or comes from
     * the {@link AttemptPreparer}.
     *
     * @param id the write's {@link LedgerEntry#id()}
     * @return the service's answer
     * @throws FailoverUsageException with {@link ErrorKind#NOT_AVAILABLE}, and why it is not sent again
     * @throws FailoverException as {@link #send}
     */
    public FailoverResponse replay(long id) throws IOException {
        return sender.send(FailoverRequest.replaying(id, false), ResponseKind.COLLECTED);
    }

    /**
     * As {@link #replay}, because the application wants it for just this write, whatever was found of it and whatever a
     * repeat of it does; a condition is set all the same where there is one to set.
     *
     * @param id the write's {@link LedgerEntry#id()}; it is a suspect
     * @return the service's answer
     * @throws FailoverUsageException as {@link #replay}
     * @throws FailoverException as {@link #send}
     */
    public FailoverResponse replayAsWanted(long id) throws IOException {
        return sender.send(FailoverRequest.replaying(id, true), ResponseKind.COLLECTED);
    }

    /**
     * As {@link #replay}, without waiting.
     *
     * @param id the write's {@link LedgerEntry#id()}
     * @return the service's answer, to come; cancelling it leaves the write in doubt, if it was sent
     * @throws FailoverUsageException as {@link #replay}, where it is known at once
     */
    public FailoverFuture<FailoverResponse> replayAsync(long id) {
        return sender.sendAsync(FailoverRequest.replaying(id, false), ResponseKind.COLLECTED);
    }

    /**
     * Looks at all writes that are to be verified, and tells of each as it is done. Up to four are looked at at a time, also
     * between the steps; with an {@link AttemptPreparer} one, within them. {@link SettleStep#settled()} says how far it is.
     *
     * @return a stream that waits for each step: lazy, ordered as they end, to be used once, by one thread at a time. Where
     *     there is no answer it throws {@link UncheckedIOException}
     * @throws FailoverStateException the client is closed
     */
    public Stream<SettleStep> verifyAll() {
        return settling(SettlePolicy.VERIFY);
    }

    /**
     * As {@link #verifyAll()}, and asks by which read a write is to be verified that is not verifiable otherwise.
     *
     * @param verifyWith gives the URL to read, as {@link #verifyWith} takes it; empty where there is none
     * @return as {@link #verifyAll()}
     * @throws FailoverStateException the client is closed
     */
    public Stream<SettleStep> verifyAll(Function<LedgerEntry, Optional<String>> verifyWith) {
        Objects.requireNonNull(verifyWith, "verifyWith");
        Map<Long, LedgerEntry> entries =
                suspects().stream().collect(Collectors.toMap(LedgerEntry::id, entry -> entry));
        return verifyAll().map(step -> {
            LedgerEntry entry = entries.get(step.id());
            boolean asks = entry != null && step.verified().orElse(null) == Verified.UNVERIFIABLE;
            Optional<String> url = asks
                    ? Objects.requireNonNull(verifyWith.apply(entry), "verifyWith has given null")
                    : Optional.empty();
            return url.map(read -> verified(step, read)).orElse(step);
        });
    }

    private SettleStep verified(SettleStep step, String url) {
        try {
            Verified found = verifyWith(step.id(), url);
            Optional<LedgerEntry> entry = suspects().stream()
                    .filter(one -> one.id() == step.id())
                    .findAny();
            return step.with(
                    found,
                    entry.map(LedgerEntry::isFinal).orElse(false),
                    entry.flatMap(LedgerEntry::why).orElse(""));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * As {@link #settle}, and tells of each write as it is done with.
     *
     * @param policy what may be done
     * @return as {@link #verifyAll()}
     * @throws FailoverUsageException a policy that does nothing
     * @throws FailoverStateException the client is closed
     */
    public Stream<SettleStep> settling(SettlePolicy policy) {
        Walk walk = new Walk(policy);
        state.requireOpen();
        return Stream.generate(() -> {
                    try {
                        return step(walk);
                    } catch (IOException e) {
                        throw new UncheckedIOException(e);
                    }
                })
                .takeWhile(step -> !step.isOver());
    }

    private SettleStep step(Walk walk) throws IOException {
        try {
            return sender.send(walk.next(), ResponseKind.STEP);
        } finally {
            Reference.reachabilityFence(walk);
        }
    }

    /**
     * Goes over all writes that are to be verified: looks at each, confirms what is there for good, sends again what is
     * missing for good and may be, leaves the rest, and returns the numbers. {@code Settled} is raised, if it may do more
     * than look.
     *
     * @param policy what may be done: {@link SettlePolicy#ALL}
     * @return the numbers
     * @throws FailoverUsageException a policy that does nothing
     * @throws FailoverException a look has no answer; what was done until then is on record
     */
    public Settled settle(SettlePolicy policy) throws IOException {
        Walk walk = new Walk(policy);
        while (true) {
            SettleStep step = step(walk);
            if (step.isOver()) {
                return step.settled();
            }
        }
    }

    /**
     * As {@link #settle}, without waiting.
     *
     * @param policy what may be done
     * @return the numbers, to come; cancelled, also by {@code cancel(true)} of what depends on it, the looks that were
     *     begun go on to their end, and no other begins
     * @throws FailoverUsageException a policy that does nothing
     */
    public CompletableFuture<Settled> settleAsync(SettlePolicy policy) {
        return new Walk(policy).toItsEnd(sender);
    }

    /**
     * Says that writes acknowledged at some time or later may be lost, whatever endpoint is active: after a failover
     * behind one URL, whose operator names the time up to which data was kept. They are {@link #suspects()} from now on, as
     * after a switch, and so are those in flight once they are acknowledged. {@code DataLossSuspected} is raised, and
     * {@code updateGuard} holds for {@code replicationWindow}.
     *
     * <p>Does no I/O without a store; works in every listener.
     *
     * @param since the time of day; not in the future
     * @return how many they are, and how far the record reaches
     * @throws FailoverUsageException a time in the future
     * @throws FailoverStateException the client is closed
     */
    public SuspectedSince suspectSince(Instant since) {
        long millis;
        try {
            millis = Objects.requireNonNull(since, "since").toEpochMilli();
        } catch (ArithmeticException e) {
            throw new FailoverUsageException(ErrorKind.INVALID_ARGUMENT, "a time out of range: " + since);
        }
        PacketReader in = state.of(client -> Native.suspectSince(client, millis));
        return new SuspectedSince(in.int64(), Instant.ofEpochMilli(in.int64()));
    }

    /**
     * Announces that an interruption is planned. In that time an outage is waited out up to its end, whatever {@code
     * outageWait} says, within the calls' deadlines; events say {@link FailoverEvent#planned()}; and the log does not
     * warn of it. Calls are sent as ever, and the client switches when the other endpoint serves. Up to 100 windows are
     * kept; those that meet or overlap are one. They are kept as times from now: a machine that sleeps, or whose clock is
     * set, shifts them.
     *
     * <p>Does no I/O; works in every listener.
     *
     * @param start when it begins; may be past
     * @param end when it is over, in the future and within a year
     * @throws FailoverUsageException the end is not after the start, or is past, or too far ahead
     * @throws FailoverStateException the client is closed
     */
    public void maintenance(Instant start, Instant end) {
        long startMs;
        long endMs;
        try {
            startMs = Objects.requireNonNull(start, "start").toEpochMilli();
            endMs = Objects.requireNonNull(end, "end").toEpochMilli();
        } catch (ArithmeticException e) {
            throw new FailoverUsageException(
                    ErrorKind.INVALID_ARGUMENT, "a time out of range: " + start + " to " + end);
        }
        state.of(client -> Native.maintenance(client, startMs, endMs));
    }

    /**
     * What the operator says, where calls go because of it or are not moved. {@code D365_FAILOVER} of the environment,
     * read when the client was opened, goes before the store's override.
     *
     * <p>Does no I/O; works in every listener.
     *
     * @return empty where there is none
     * @throws FailoverStateException the client is closed
     */
    public Optional<CurrentOverride> currentOverride() {
        return state.currentOverride();
    }

    /**
     * Puts the operator's override for this organization into the store, for all processes that name it. Holds until
     * {@link #clearOverride()}; otherwise as {@link #setOverride(OperatorOverride, Instant)}.
     *
     * @param value where calls go
     * @throws FailoverUsageException with {@link ErrorKind#NOT_AVAILABLE}: the client has no {@code store}
     * @throws FailoverStateException the store could not be written; the client is closed
     */
    public void setOverride(OperatorOverride value) {
        override(Objects.requireNonNull(value, "value").number(), 0);
    }

    /**
     * Puts the operator's override for this organization into the store, for all processes that name it. This client
     * heeds it before the method returns, the others within about a second.
     *
     * <p>Calls are kept at the endpoint that is named: they go there at once, by a switch with the reason {@code
     * override} that no listener can veto, whether it answers or not; no fault moves them, and {@link
     * #switchEndpoint()} is refused. A process with {@code D365_FAILOVER} in its environment stays by that. Waits for
     * the file, not for the network.
     *
     * @param value where calls go
     * @param until when it ends by itself
     * @throws FailoverUsageException the end is past; with {@link ErrorKind#NOT_AVAILABLE}: the client has no {@code
     *     store}
     * @throws FailoverStateException the store could not be written; the client is closed
     */
    public void setOverride(OperatorOverride value, Instant until) {
        int number = Objects.requireNonNull(value, "value").number();
        try {
            // 0 would be none.
            override(number, Math.max(1, Objects.requireNonNull(until, "until").toEpochMilli()));
        } catch (ArithmeticException e) {
            throw new FailoverUsageException(ErrorKind.INVALID_ARGUMENT, "a time out of range: " + until);
        }
    }

    /**
     * Takes the operator's override away from the store. Calls stay where they are, and go by their clients' own rules
     * from then on.
     *
     * @throws FailoverUsageException with {@link ErrorKind#NOT_AVAILABLE}: the client has no {@code store}
     * @throws FailoverStateException the store could not be written; the client is closed
     */
    public void clearOverride() {
        override(0, 0);
    }

    private void override(int value, long untilMs) {
        state.of(client -> Native.setOverride(client, value, untilMs));
    }

    /**
     * How many acknowledged writes went from the record before {@code replicationWindow} was over, and before they were
     * verified or resolved, because there were more than {@code ledgerEntries}.
     *
     * @return a number from 0
     * @throws FailoverStateException the client is closed
     */
    public long ledgerEvicted() {
        return state.evicted();
    }

    /**
     * Takes what the application has found out, by {@link #verify} or otherwise, about a write that was to be verified, which is then no suspect any more.
     *
     * <p>Does no I/O; works in every listener.
     *
     * @param id the write's {@link LedgerEntry#id()}
     * @param resolution what was found
     * @throws FailoverUsageException with {@link ErrorKind#NOT_AVAILABLE}: there is no such write on record, or nothing
     *     in question about it
     * @throws FailoverStateException the client is closed
     */
    public void resolve(long id, Resolution resolution) {
        int number = Objects.requireNonNull(resolution, "resolution").number();
        state.of(client -> Native.resolve(client, id, number));
    }

    /**
     * Registers a listener that can prevent a switch. As long as there is one, a switch waits for it.
     *
     * @param listener called on the client's event thread
     * @return closes the registration
     * @throws FailoverStateException the client is closed
     */
    public Subscription addEndpointSwitchRequiredListener(EndpointSwitchRequiredListener listener) {
        Objects.requireNonNull(listener, "listener");
        // A consumer of its own, so that the same listener can be registered twice.
        return subscribe(events.required, listener::endpointSwitchRequired);
    }

    /**
     * Registers a listener that hears of switches.
     *
     * @param listener called on the client's event thread, or on its executor
     * @return closes the registration
     * @throws FailoverStateException the client is closed
     */
    public Subscription addEndpointSwitchedListener(EndpointSwitchedListener listener) {
        Objects.requireNonNull(listener, "listener");
        return subscribe(events.switched, listener::endpointSwitched);
    }

    /**
     * Registers a listener that hears of writes in doubt.
     *
     * @param listener called on the client's event thread, or on its executor
     * @return closes the registration
     * @throws FailoverStateException the client is closed
     */
    public Subscription addWriteInDoubtListener(WriteInDoubtListener listener) {
        Objects.requireNonNull(listener, "listener");
        return subscribe(events.inDoubt, listener::writeInDoubt);
    }

    /**
     * Registers a listener that hears after a switch that writes are to be verified.
     *
     * @param listener called on the client's event thread, or on its executor
     * @return closes the registration
     * @throws FailoverStateException the client is closed
     */
    public Subscription addDataLossSuspectedListener(DataLossSuspectedListener listener) {
        Objects.requireNonNull(listener, "listener");
        return subscribe(events.dataLoss, listener::dataLossSuspected);
    }

    /**
     * Registers a listener that hears of calls that are sent again.
     *
     * @param listener called on the client's event thread, or on its executor
     * @return closes the registration
     * @throws FailoverStateException the client is closed
     */
    public Subscription addCallRetriedListener(CallRetriedListener listener) {
        Objects.requireNonNull(listener, "listener");
        return subscribe(events.retried, listener::callRetried);
    }

    /**
     * Registers a listener that hears of calls that wait because the service asks for less.
     *
     * @param listener called on the client's event thread, or on its executor
     * @return closes the registration
     * @throws FailoverStateException the client is closed
     */
    public Subscription addThrottledListener(ThrottledListener listener) {
        Objects.requireNonNull(listener, "listener");
        return subscribe(events.throttled, listener::throttled);
    }

    /**
     * Registers a listener that hears that no endpoint answers.
     *
     * @param listener called on the client's event thread, or on its executor
     * @return closes the registration
     * @throws FailoverStateException the client is closed
     */
    public Subscription addOutageStartedListener(OutageStartedListener listener) {
        Objects.requireNonNull(listener, "listener");
        return subscribe(events.outageStarted, listener::outageStarted);
    }

    /**
     * Registers a listener that hears that an outage is over.
     *
     * @param listener called on the client's event thread, or on its executor
     * @return closes the registration
     * @throws FailoverStateException the client is closed
     */
    public Subscription addOutageEndedListener(OutageEndedListener listener) {
        Objects.requireNonNull(listener, "listener");
        return subscribe(events.outageEnded, listener::outageEnded);
    }

    /**
     * Registers a listener that hears when a walk over the writes to verify is over.
     *
     * @param listener called for each {@link #settle} that may do more than look
     * @return ends it
     * @throws FailoverStateException the client is closed
     */
    public Subscription addSettledListener(SettledListener listener) {
        Objects.requireNonNull(listener, "listener");
        return subscribe(events.settled, listener::settled);
    }

    /**
     * Registers a listener that hears when the store ({@link FailoverClientBuilder#store}) has failed and a call went on.
     *
     * @param listener called on the client's event thread, or on its executor
     * @return ends it
     * @throws FailoverStateException the client is closed
     */
    public Subscription addStoreFailedListener(StoreFailedListener listener) {
        Objects.requireNonNull(listener, "listener");
        return subscribe(events.storeFailed, listener::storeFailed);
    }

    /**
     * As {@link #close(Duration)} with 5 s; a listener that still runs then is logged.
     *
     * @throws FailoverStateException called inside a listener that a switch waits for
     */
    @Override
    public void close() {
        if (!close(CLOSE_TIMEOUT)) {
            LOG.log(Level.WARNING, "a client was closed while one of its listeners is still running");
        }
    }

    /**
     * Takes no new calls, waits for those under way and for the bodies of streaming responses that are neither read to
     * the end nor closed, cancels what is left, and ends the listeners, once they have heard of what nobody may miss, such
     * as which writes that left in doubt. The second time does nothing but wait.
     *
     * @param timeout how long to wait for calls and listeners; zero: not at all. Listeners of what happens when it is over
     *     have as long again, at most 5 s
     * @return false if a listener is still running; no other one will start
     * @throws FailoverStateException with {@link ErrorKind#WOULD_DEADLOCK}: it would wait, and was called inside a
     *     listener that a switch waits for
     */
    public boolean close(Duration timeout) {
        long millis = Arguments.millis(timeout, "timeout");
        if (millis > 0 && events.isDeciding()) {
            throw Failure.wouldDeadlock().unchecked();
        }
        return closing.within(millis);
    }

    private <E> Subscription subscribe(Audience<E> audience, Consumer<E> listener) {
        Subscription subscription = subscriptions.add(audience, listener);
        return () -> {
            subscription.close();
            // Whoever keeps the registration keeps the client.
            Reference.reachabilityFence(this);
        };
    }

    /**
     * Parks this thread, a virtual one, until what it has submitted has ended.
     *
     * @param submit gets the number that comes back with the end
     * @param cancel what an interrupt does
     * @return null if the client is closed
     */
    Answer park(LongFunction<byte[]> submit, Runnable cancel) throws FailoverException {
        pump.start();
        ParkedCall call = new ParkedCall();
        byte[] packet = calls.submit(call, submit);
        Failure failure = packet == null ? Failure.closed() : Outcome.failure(new PacketReader(packet));
        if (failure != null && failure.kind() != ErrorKind.CLOSED) {
            throw failure.checked();
        }
        return failure == null ? call.await(cancel) : null;
    }

    /** Null if the client is closed. */
    <R> R use(LongFunction<R> call) {
        long client = handles.client().acquire();
        if (client == Handle.GONE) {
            return null;
        }
        try {
            return call.apply(client);
        } finally {
            handles.client().release();
            Reference.reachabilityFence(this);
        }
    }
}
