package io.github.d365failover;

import io.github.d365failover.impl.PacketWriter;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.StringJoiner;
import java.util.concurrent.Executor;

/**
 * Makes a {@link FailoverClient}. Not for use by several threads at a time.
 *
 * <p>Durations are in milliseconds, rounded up. Values are checked by {@link #build()}.
 */
public final class FailoverClientBuilder {
    private static final long DEADLINE_MILLIS = 300_000;

    private final String url;
    private final Map<String, String> settings = new LinkedHashMap<>();
    private TokenProvider tokenProvider;
    private AttemptPreparer preparer;
    private Executor executor;

    FailoverClientBuilder(String url) {
        this.url = Objects.requireNonNull(url, "url");
    }

    /**
     * Any setting of the library, by its name in C, such as {@code attempt_timeout_ms}. The methods below are short for
     * this one.
     *
     * @param key the setting's name in C
     * @param value its value as text
     * @return this builder
     */
    public FailoverClientBuilder setting(String key, String value) {
        settings.put(Objects.requireNonNull(key, "key"), Objects.requireNonNull(value, "value"));
        return this;
    }

    /**
     * The alternate's URL, of any origin. Without it, that which the rule of {@link OrganizationUrls} makes.
     *
     * @param url the alternate's URL
     * @return this builder
     */
    public FailoverClientBuilder alternateUrl(String url) {
        return setting("alternate_url", Objects.requireNonNull(url, "url"));
    }

    /**
     * The alternate's URL, of any origin. Without it, that which the rule of {@link OrganizationUrls} makes.
     *
     * @param url the alternate's URL
     * @return this builder
     */
    public FailoverClientBuilder alternateUrl(URI url) {
        return alternateUrl(Objects.requireNonNull(url, "url").toString());
    }

    /**
     * Where the URL names the organization. Without it, in the host where that is not ambiguous.
     *
     * @param form host or path
     * @return this builder
     */
    public FailoverClientBuilder urlForm(UrlForm form) {
        return setting("url_form", Objects.requireNonNull(form, "form").label());
    }

    /**
     * When to switch, and what to send again; default {@link Preset#SAFE}.
     *
     * @param preset a set of rules
     * @return this builder
     */
    public FailoverClientBuilder preset(Preset preset) {
        return setting("preset", Objects.requireNonNull(preset, "preset").label());
    }

    /**
     * Whether the client switches by itself; default {@link AutoSwitch#AUTO}.
     *
     * @param autoSwitch auto, on or off
     * @return this builder
     */
    public FailoverClientBuilder autoSwitch(AutoSwitch autoSwitch) {
        return setting("auto_switch", Objects.requireNonNull(autoSwitch, "autoSwitch").label());
    }

    /**
     * How long a connect to one address may take; default 10 s.
     *
     * @param timeout more than zero, up to 24 h
     * @return this builder
     */
    public FailoverClientBuilder connectTimeout(Duration timeout) {
        return millis("connect_timeout_ms", timeout, "timeout");
    }

    /**
     * How long one attempt may take, whole; default 120 s.
     *
     * @param timeout more than zero, up to 24 h
     * @return this builder
     */
    public FailoverClientBuilder attemptTimeout(Duration timeout) {
        return millis("attempt_timeout_ms", timeout, "timeout");
    }

    /**
     * How long a call may take with all attempts and pauses; default 300 s.
     *
     * @param deadline more than zero, up to 24 h
     * @return this builder
     */
    public FailoverClientBuilder deadline(Duration deadline) {
        return millis("deadline_ms", deadline, "deadline");
    }

    /**
     * How long calls wait for listeners; default 5 s.
     *
     * @param timeout more than zero, up to 24 h
     * @return this builder
     */
    public FailoverClientBuilder handlerTimeout(Duration timeout) {
        return millis("handler_timeout_ms", timeout, "timeout");
    }

    /**
     * After how long a silence the active endpoint is probed while a call waits, once in 10 s after two fifths of it;
     * default 1 s. Where it is dead and the other serves, the client switches before the call's timeout.
     *
     * @param silence from the last byte that was sent or received, up to 24 h; zero: calls that wait are not probed
     * @return this builder
     */
    public FailoverClientBuilder probeAfter(Duration silence) {
        return millis("probe_after_ms", silence, "silence");
    }

    /**
     * How long one probe may take, whole; default 1 s.
     *
     * @param timeout more than zero, up to 24 h
     * @return this builder
     */
    public FailoverClientBuilder probeTimeout(Duration timeout) {
        return millis("probe_timeout_ms", timeout, "timeout");
    }

    /**
     * What a probe reads with GET; default {@code /api/data/v9.2/WhoAmI}.
     *
     * @param path from the base URL on, beginning with {@code /}
     * @return this builder
     */
    public FailoverClientBuilder probePath(String path) {
        return setting("probe_path", Objects.requireNonNull(path, "path"));
    }

    /**
     * How long a write that is under way may still be answered by an endpoint that was left as dead; default 10 s. Then
     * it is in doubt. One that a repeat does no harm to is sent again at the other endpoint at once.
     *
     * @param grace up to 24 h; zero: not at all
     * @return this builder
     */
    public FailoverClientBuilder writeGrace(Duration grace) {
        return millis("write_grace_ms", grace, "grace");
    }

    /**
     * How long after a switch none other is made unless probes show that the active endpoint is dead; default 30 s. A
     * veto holds as long.
     *
     * @param time up to 24 h; zero: not at all
     * @return this builder
     */
    public FailoverClientBuilder holdDown(Duration time) {
        return millis("hold_down_ms", time, "time");
    }

    /**
     * How long a call waits, within its deadline, for the first endpoint that answers, where none does; default 30 s,
     * with the preset {@code dotnet} zero. Calls that may be sent again wait, and those that begin.
     *
     * @param wait up to 24 h; zero: not at all
     * @return this builder
     */
    public FailoverClientBuilder outageWait(Duration wait) {
        return millis("outage_wait_ms", wait, "wait");
    }

    /**
     * How many calls wait so at most; default 10000. Others fail with {@link ErrorKind#BUSY}, and nothing of them is sent.
     *
     * @param calls 1 to 1000000
     * @return this builder
     */
    public FailoverClientBuilder maxWaiting(int calls) {
        return number("max_waiting", calls);
    }

    /**
     * What leads calls back from the alternate to the primary; default {@link Failback#ON_FAULT}.
     *
     * @param failback on a fault, by probes as well, or by hand alone
     * @return this builder
     */
    public FailoverClientBuilder failback(Failback failback) {
        return setting("failback", Objects.requireNonNull(failback, "failback").label());
    }

    /**
     * How often the primary is looked at with {@link Failback#PROBE}; default 60 s.
     *
     * @param interval 1 ms to 24 h
     * @return this builder
     */
    public FailoverClientBuilder failbackInterval(Duration interval) {
        return millis("failback_interval_ms", interval, "interval");
    }

    /**
     * For how long each look must be good until calls go back with {@link Failback#PROBE}; default 5 minutes. Each switch
     * that follows such a failback within an hour doubles it.
     *
     * @param time up to 24 h; zero: the first good look leads back
     * @return this builder
     */
    public FailoverClientBuilder failbackAfter(Duration time) {
        return millis("failback_after_ms", time, "time");
    }

    /**
     * How many attempts a call takes at most, beside those that read the row of a create; default 4.
     *
     * @param attempts 1 to 100
     * @return this builder
     */
    public FailoverClientBuilder maxAttempts(int attempts) {
        return number("max_attempts", attempts);
    }

    /**
     * How many calls may be sent again in the same place, as a share of the recent ones; default 0.2. Ten a second are
     * allowed always.
     *
     * @param share 0 to 1
     * @return this builder
     */
    public FailoverClientBuilder retryBudget(double share) {
        return setting("retry_budget", Double.toString(share));
    }

    /**
     * How long the other endpoint's rows may lag behind; default 15 minutes. Writes that were acknowledged so long before
     * a switch are {@link FailoverClient#suspects() suspects} after it.
     *
     * @param window up to 24 h; zero: they do not lag
     * @return this builder
     */
    public FailoverClientBuilder replicationWindow(Duration window) {
        return millis("replication_window_ms", window, "window");
    }

    /**
     * With a {@code store}: how long a client that opens goes by what other processes have on record of where calls go;
     * default 60 minutes. What is older is a reason to look.
     *
     * @param age up to 24 h; zero: always to look
     * @return this builder
     */
    public FailoverClientBuilder stateMaxAge(Duration age) {
        return millis("state_max_age_ms", age, "age");
    }

    /**
     * How many acknowledged writes are on record, and as many of those to verify; default 100 000. What goes because there
     * are more is counted: {@link FailoverClient#ledgerEvicted}.
     *
     * @param entries 1 to 10 000 000
     * @return this builder
     */
    public FailoverClientBuilder ledgerEntries(int entries) {
        return setting("ledger_entries", Integer.toString(entries));
    }

    /**
     * With {@link #store}: how long an acknowledged or resolved write stays on record, not shorter than {@link
     * #replicationWindow}; default 604800 s. What is to be verified stays.
     *
     * @param retention 0 to 3650 days
     * @return this builder
     */
    public FailoverClientBuilder ledgerRetention(Duration retention) {
        return millis("ledger_retention_ms", retention, "retention");
    }

    /**
     * The file of the ledger, made if there is none: on disk, for all processes of this machine that name it. Default none: in
     * memory. It is opened with the client, and what is no store is refused.
     *
     * @param file on a disk of this machine, in a folder that exists
     * @return this builder
     */
    public FailoverClientBuilder store(Path file) {
        return setting("store", Arguments.file(file, "file"));
    }

    /**
     * What a write on record in the store survives; default {@link StoreDurability#PROCESS}.
     *
     * @param durability {@link StoreDurability#POWER} waits for the disk
     * @return this builder
     */
    public FailoverClientBuilder storeDurability(StoreDurability durability) {
        return setting("store_durability", Objects.requireNonNull(durability, "durability").label());
    }

    /**
     * What becomes of a write that cannot be put on record in the store; default {@link StoreFailure#REFUSE}.
     *
     * @param failure {@link StoreFailure#GO_ON} sends it all the same
     * @return this builder
     */
    public FailoverClientBuilder storeFailure(StoreFailure failure) {
        return setting("store_failure", Objects.requireNonNull(failure, "failure").label());
    }

    /**
     * What a write on record keeps of its body; default {@link LedgerBodies#DIGEST}.
     *
     * @param bodies {@link LedgerBodies#FULL} so that values can be compared, and writes sent again
     * @return this builder
     */
    public FailoverClientBuilder ledgerBodies(LedgerBodies bodies) {
        return setting("ledger_bodies", Objects.requireNonNull(bodies, "bodies").label());
    }

    /**
     * How long a body may be that is kept whole, with {@link LedgerBodies#FULL}; default 1 048 576. A longer one is
     * kept as its digest.
     *
     * @param bytes 0 to 1 GiB
     * @return this builder
     */
    public FailoverClientBuilder ledgerBodySize(int bytes) {
        return setting("ledger_body_size", Integer.toString(bytes));
    }

    /**
     * By which columns a created row is looked for whose id nobody knows, with {@link LedgerBodies#FULL}: the values are
     * those that were sent; default none.
     *
     * @param keys entity sets with the columns that name their rows: {@code accounts=accountnumber}; separated by commas,
     *     several columns of one set by {@code +}
     * @return this builder
     */
    public FailoverClientBuilder verifyKeys(String keys) {
        return setting("verify_keys", Objects.requireNonNull(keys, "keys"));
    }

    /**
     * Whether, so long after a switch as {@link #replicationWindow} says, a {@code PATCH} without a condition gets {@code
     * If-Match: *}, so that it does not create a fragment of a row that has not come yet; default true. Not one that is
     * declared an {@link FailoverRequest.Builder#upsert() upsert}.
     *
     * @param guard false: it is sent as it is
     * @return this builder
     */
    public FailoverClientBuilder updateGuard(boolean guard) {
        return setting("update_guard", guard ? "on" : "off");
    }

    /**
     * Whose {@code Authorization} a request carries that has one of its own, where there is a {@link #tokenProvider};
     * default {@link TokenPrecedence#APPLICATION}.
     *
     * @param precedence the request's own, or the provider's
     * @return this builder
     */
    public FailoverClientBuilder tokenPrecedence(TokenPrecedence precedence) {
        return setting("token_precedence", Objects.requireNonNull(precedence, "precedence").label());
    }

    /**
     * Whether a 2xx to a write must bear a mark of its service ({@code OData-Version} or its like, an OData body, a SOAP
     * envelope without a fault); default {@link ServiceMark#REQUIRED}: what a firewall or a proxy answers in the
     * service's place executes nothing.
     *
     * @param mark {@link ServiceMark#ANY} where a gateway on the way takes the marks off
     * @return this builder
     */
    public FailoverClientBuilder serviceMark(ServiceMark mark) {
        return setting("service_mark", Objects.requireNonNull(mark, "mark").label());
    }

    /**
     * The certificates that are trusted, instead of the system's.
     *
     * @param pemFile a file of certificates in PEM form, read by {@link #build()}; broken ones are left out with a
     *     warning in the log, and none that can be used is refused
     * @return this builder
     */
    public FailoverClientBuilder caBundle(Path pemFile) {
        return setting("ca_bundle", Arguments.file(pemFile, "pemFile"));
    }

    /**
     * Whether servers must prove who they are; default true.
     *
     * @param verify false only for tests: without it anyone can read and change what is sent
     * @return this builder
     */
    public FailoverClientBuilder tlsVerify(boolean verify) {
        return setting("tls_verify", verify ? "on" : "off");
    }

    /**
     * Who the client says it is, for endpoints that ask for a certificate; default: it has none. It is shown to the
     * organization's two endpoints alone, and never to a host of {@link #allowedHosts}.
     *
     * @param pemFile a file with the certificate, its chain and its private key in PEM form, read by {@link #build()},
     *     which refuses one that is not there or has not both, and a key that is encrypted
     * @return this builder
     */
    public FailoverClientBuilder clientCertificate(Path pemFile) {
        return setting("client_certificate", Arguments.file(pemFile, "pemFile"));
    }

    /**
     * Where the private key of {@link #clientCertificate} is, if not in the same file; default: there.
     *
     * @param pemFile a file with the key in PEM form, not encrypted, read by {@link #build()}
     * @return this builder
     */
    public FailoverClientBuilder clientKey(Path pemFile) {
        return setting("client_key", Arguments.file(pemFile, "pemFile"));
    }

    /**
     * The directory (tenant) of Microsoft Entra ID; default: none. With {@link #oauthClientId}, and
     * {@link #oauthClientSecret} or {@link #oauthCertificate}, the library gets the tokens itself, as an application, by
     * client credentials. Not beside a {@link #tokenProvider}: {@link #build()} refuses both.
     *
     * @param tenant its id, or one of its domains
     * @return this builder
     */
    public FailoverClientBuilder oauthTenant(String tenant) {
        return setting("oauth_tenant", Objects.requireNonNull(tenant, "tenant"));
    }

    /**
     * The id of the application that {@link #oauthTenant} knows; default: none.
     *
     * @param clientId the id
     * @return this builder
     */
    public FailoverClientBuilder oauthClientId(String clientId) {
        return setting("oauth_client_id", Objects.requireNonNull(clientId, "clientId"));
    }

    /**
     * The secret of {@link #oauthClientId}; default: none. It stands in no text of the library's.
     *
     * @param secret the secret's value
     * @return this builder
     */
    public FailoverClientBuilder oauthClientSecret(String secret) {
        return setting("oauth_client_secret", Objects.requireNonNull(secret, "secret"));
    }

    /**
     * Instead of {@link #oauthClientSecret}: a certificate that signs for the application; default: none.
     *
     * @param pemFile a file with the certificate and its RSA key in PEM form, not encrypted, read by {@link #build()}
     * @return this builder
     */
    public FailoverClientBuilder oauthCertificate(Path pemFile) {
        return setting("oauth_certificate", Arguments.file(pemFile, "pemFile"));
    }

    /**
     * Who gives the tokens; default {@code https://login.microsoftonline.com}. It is verified and reached as the endpoints
     * are: by {@link #caBundle}, {@link #proxy} and {@link #connectTo}.
     *
     * @param authority an https URL, or http on this machine
     * @return this builder
     */
    public FailoverClientBuilder oauthAuthority(String authority) {
        return setting("oauth_authority", Objects.requireNonNull(authority, "authority"));
    }

    /**
     * Whether to speak HTTP/2 where the server does; default true. Without TLS it is HTTP/1.1 always.
     *
     * @param http2 false: HTTP/1.1 only
     * @return this builder
     */
    public FailoverClientBuilder http2(boolean http2) {
        return setting("http2", http2 ? "on" : "off");
    }

    /**
     * Whether answers are asked for in a compressed form, and decoded; default true. Then a request that has no {@code
     * Accept-Encoding} of its own asks for gzip and brotli, and a response so encoded has neither {@code
     * Content-Encoding} nor {@code Content-Length}. A request that has one gets the body as it came.
     *
     * @param decompress false: bodies as they come
     * @return this builder
     */
    public FailoverClientBuilder decompress(boolean decompress) {
        return setting("decompress", decompress ? "on" : "off");
    }

    /**
     * The proxy that all connections go through; default: none. Its failures are {@link ErrorKind#LOCAL}, and no reason
     * to switch.
     *
     * @param url {@code http://host:port}, or {@code http://user:password@host:port}; {@link #build()} refuses others
     * @return this builder
     */
    public FailoverClientBuilder proxy(String url) {
        return setting("proxy", Objects.requireNonNull(url, "url"));
    }

    /**
     * The proxy that the environment names, as curl reads it: {@code HTTPS_PROXY} for https, {@code http_proxy} (in lower
     * case only) for http, else {@code ALL_PROXY}, but for the hosts in {@code NO_PROXY}; the others in upper or lower
     * case, of which the latter goes first. {@link #build()} refuses a proxy that is not spoken to over http. Java's
     * system properties are not looked at. Default: none.
     *
     * @return this builder
     */
    public FailoverClientBuilder systemProxy() {
        return proxy("system");
    }

    /**
     * How many redirects of a call are followed; default 0: a redirect is the response. Of GET and HEAD 301, 302, 303,
     * 307 and 308 are followed, of others 307 and 308, with the same method and body; never from https to http, and only
     * to the organization's endpoints and {@link #allowedHosts}. Each is an attempt of the call.
     *
     * @param redirects 0 to 20; {@link #build()} refuses others
     * @return this builder
     */
    public FailoverClientBuilder maxRedirects(int redirects) {
        return number("max_redirects", redirects);
    }

    /**
     * Further hosts that requests and redirects may go to; default: none. They get HTTP's and OData's own headers, and
     * of the application's those of {@link #allowedHostHeaders}; there is no failover for them: their attempts have no
     * role. An organization of https has no hosts of http.
     *
     * @param hosts {@code host}, for the default port of http and https, or {@code host:port}; {@link #build()} refuses
     *     others. Replaces what was set before; nothing: none
     * @return this builder
     */
    public FailoverClientBuilder allowedHosts(String... hosts) {
        return list("allowed_hosts", Arguments.list(hosts, "hosts"));
    }

    /**
     * The application's headers that go to {@link #allowedHosts}; default: none.
     *
     * @param names of headers; {@link #build()} refuses {@code Authorization}, {@code Cookie} and
     *     {@code Proxy-Authorization}, which never do. Replaces what was set before; nothing: none
     * @return this builder
     */
    public FailoverClientBuilder allowedHostHeaders(String... names) {
        return list("allowed_host_headers", Arguments.list(names, "names"));
    }

    /**
     * Where connections really go, for private DNS, drills and tests; names and certificates stay those of the URL.
     *
     * @param targets {@code host:port} to {@code address:port}; replaces what was set before
     * @return this builder
     */
    public FailoverClientBuilder connectTo(Map<String, String> targets) {
        StringJoiner all = new StringJoiner(",");
        Objects.requireNonNull(targets, "targets").forEach((from, to) -> all.add(
                Objects.requireNonNull(from, "targets: a null in it")
                        + ":" + Objects.requireNonNull(to, "targets: a null in it")));
        return setting("connect_to", all.toString());
    }

    /**
     * How many connections an endpoint gets; default 256.
     *
     * @param connections 1 to 65536
     * @return this builder
     */
    public FailoverClientBuilder maxConnections(int connections) {
        return number("max_connections", connections);
    }

    /**
     * How long an idle connection is kept; default 20 s.
     *
     * @param timeout more than zero, up to 24 h
     * @return this builder
     */
    public FailoverClientBuilder idleTimeout(Duration timeout) {
        return millis("idle_timeout_ms", timeout, "timeout");
    }

    /**
     * How old a connection may become; default 10 minutes, give or take a fifth.
     *
     * @param age more than zero, up to 24 h
     * @return this builder
     */
    public FailoverClientBuilder maxConnectionAge(Duration age) {
        return millis("max_connection_age_ms", age, "age");
    }

    /**
     * How large the body of a response may be, decoded, that is collected; default 268 435 456 (256 MiB). One that is
     * larger fails its call with {@link ErrorKind#PROTOCOL}: read it with {@link FailoverClient#sendStreaming}, which has no
     * limit.
     *
     * @param bytes 1 to 2<sup>40</sup>
     * @return this builder
     */
    public FailoverClientBuilder maxResponseBody(long bytes) {
        return number("max_response_body", bytes);
    }

    /**
     * How large the headers of a response may be; default 65 536.
     *
     * @param bytes 8192 to 1 048 576
     * @return this builder
     */
    public FailoverClientBuilder maxResponseHeaders(int bytes) {
        return number("max_response_headers", bytes);
    }

    /**
     * How much of an error's body is looked at; default 65 536.
     *
     * @param bytes 1024 to 16 777 216
     * @return this builder
     */
    public FailoverClientBuilder errorPrefix(int bytes) {
        return number("error_prefix", bytes);
    }

    /**
     * The header {@code User-Agent}; default {@code d365-failover/VERSION}.
     *
     * @param userAgent the header's value
     * @return this builder
     */
    public FailoverClientBuilder userAgent(String userAgent) {
        return setting("user_agent", Objects.requireNonNull(userAgent, "userAgent"));
    }

    /**
     * Where tokens come from. Without it, requests carry what the application put into them.
     *
     * @param provider called when a token is needed
     * @return this builder
     */
    public FailoverClientBuilder tokenProvider(TokenProvider provider) {
        this.tokenProvider = Objects.requireNonNull(provider, "provider");
        return this;
    }

    /**
     * What changes attempts before they are sent. Without it, they are sent as the request says.
     *
     * @param preparer called for each attempt; replaces what was set before
     * @return this builder
     */
    public FailoverClientBuilder prepare(AttemptPreparer preparer) {
        this.preparer = Objects.requireNonNull(preparer, "preparer");
        return this;
    }

    /**
     * Where listeners run, one at a time, and futures complete. Without it, listeners run on the client's event thread,
     * and futures complete as those of {@link java.util.concurrent.CompletableFuture}. {@code EndpointSwitchRequired}
     * listeners run on the event thread always.
     *
     * <p>It must have threads of its own. One that runs a task inside {@code execute}, such as {@code Runnable::run} or
     * a pool with {@code CallerRunsPolicy}, runs it on the thread that brings all completions and events of the client:
     * what waits there for another call of the client waits for ever.
     *
     * <p>When {@code execute} throws, a future completes nevertheless, on that same thread, and the listeners of an event
     * run on the client's event thread, which is logged. What it takes it must run: the next event waits until it has.
     *
     * @param executor stays the application's
     * @return this builder
     */
    public FailoverClientBuilder executor(Executor executor) {
        this.executor = Objects.requireNonNull(executor, "executor");
        return this;
    }

    /**
     * Makes the client. Nothing is sent.
     *
     * @return a client, to be closed
     * @throws FailoverUsageException a URL or a setting that cannot be used; the message says what to do
     * @throws FailoverStateException no certificates are found on this machine
     */
    public FailoverClient build() {
        PacketWriter packet = new PacketWriter();
        Arguments.pack(packet, url);
        packet.int32(settings.size());
        settings.forEach((key, value) -> {
            Arguments.pack(packet, key);
            Arguments.pack(packet, value);
        });
        return FailoverClient.open(packet.toBytes(), tokenProvider, preparer, executor, deadlineMillis());
    }

    private long deadlineMillis() {
        String set = settings.get("deadline_ms");
        try {
            return set == null ? DEADLINE_MILLIS : Long.parseLong(set);
        } catch (NumberFormatException e) {
            // The library refuses it, and says so.
            return DEADLINE_MILLIS;
        }
    }

    private FailoverClientBuilder millis(String key, Duration duration, String name) {
        return number(key, Arguments.millis(duration, name));
    }

    private FailoverClientBuilder list(String key, String elements) {
        if (elements.isEmpty()) {
            settings.remove(key);
            return this;
        }
        return setting(key, elements);
    }

    private FailoverClientBuilder number(String key, long value) {
        return setting(key, String.format(Locale.ROOT, "%d", value));
    }
}
