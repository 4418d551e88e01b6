import io.github.d365failover.Effect;
import io.github.d365failover.EndpointSwitchEvent;
import io.github.d365failover.FailoverClient;
import io.github.d365failover.FailoverClientBuilder;
import io.github.d365failover.FailoverException;
import io.github.d365failover.FailoverRequest;
import io.github.d365failover.FailoverResponse;
import io.github.d365failover.FaultKind;
import io.github.d365failover.LedgerEntry;
import io.github.d365failover.SettlePolicy;
import io.github.d365failover.ServiceFault;
import io.github.d365failover.Token;
import io.github.d365failover.Verified;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** An application that works through a drill: it creates and reads rows until its standard input ends. */
public final class Drill {
    private static final String SERVICE = "http://schemas.microsoft.com/xrm/2011/Contracts/Services";
    private static final String CREATE = "<Create xmlns='" + SERVICE + "'><entity"
            + " xmlns:a='http://schemas.microsoft.com/xrm/2011/Contracts'"
            + " xmlns:c='http://schemas.datacontract.org/2004/07/System.Collections.Generic'"
            + " xmlns:i='http://www.w3.org/2001/XMLSchema-instance'><a:Attributes><a:KeyValuePairOfstringanyType>"
            + "<c:key>name</c:key><c:value i:type='s:string' xmlns:s='http://www.w3.org/2001/XMLSchema'>%s</c:value>"
            + "</a:KeyValuePairOfstringanyType></a:Attributes>"
            + "<a:Id>00000000-0000-0000-0000-000000000000</a:Id><a:LogicalName>account</a:LogicalName>"
            + "</entity></Create>";
    private static final String WHO_AM_I = "<Execute xmlns='" + SERVICE + "'><request"
            + " xmlns:a='http://schemas.microsoft.com/xrm/2011/Contracts'"
            + " xmlns:b='http://schemas.microsoft.com/crm/2011/Contracts'"
            + " xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:type='b:WhoAmIRequest'>"
            + "<a:Parameters/><a:RequestId i:nil='true'/><a:RequestName>WhoAmI</a:RequestName></request></Execute>";
    private static final Pattern ROW_ID = Pattern.compile("\\(([^)]+)\\)$");
    private static final Pattern CREATE_RESULT = Pattern.compile("CreateResult[^>]*>([^<]+)<");

    private final FailoverClient client;
    private final String app;
    private final boolean guarded;
    private int calls;

    private Drill(FailoverClient client, String app, boolean guarded) {
        this.client = client;
        this.app = app;
        this.guarded = guarded;
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> env = System.getenv();
        FailoverClientBuilder builder = FailoverClient.builder(env.get("D365_URL"));
        if (env.containsKey("D365_CA_BUNDLE")) builder.caBundle(Path.of(env.get("D365_CA_BUNDLE")));
        for (String key : List.of("preset", "connect_to", "attempt_timeout_ms", "write_grace_ms", "store",
                "ledger_bodies", "replication_window_ms")) {
            String value = env.get("D365_" + key.toUpperCase(Locale.ROOT));
            if (value != null) builder.setting(key, value);
        }
        String prefix = env.get("D365_TOKEN_PREFIX");
        if (prefix != null) builder.tokenProvider(request -> Token.of(prefix + request.uri().getHost()));

        int calls;
        try (FailoverClient client = builder.build()) {
            client.addEndpointSwitchRequiredListener(event -> report("EndpointSwitchRequired", event));
            client.addEndpointSwitchedListener(event -> report("EndpointSwitched", event));
            client.addWriteInDoubtListener(event -> say("event WriteInDoubt " + event.ledgerId().orElse(0) + " "
                    + event.method()
                    + " " + event.url() + " " + event.reason()));
            client.addDataLossSuspectedListener(event ->
                    say("event DataLossSuspected " + event.inDoubt() + " " + event.acknowledged()));
            say("ready");
            boolean guarded = "on".equals(env.get("D365_GUARDED_CREATES"));
            Drill drill = new Drill(client, env.getOrDefault("D365_APP", "java"), guarded);
            drill.work(endOfInput());
            drill.saySuspects();
            calls = drill.calls;
        }
        // After close() no listener runs any more.
        say("done " + calls);
    }

    private void work(CountDownLatch end) throws InterruptedException {
        for (int n = 1; !end.await(20, TimeUnit.MILLISECONDS); n++) {
            round(n);
        }
    }

    /**
     * The writes to verify: in doubt, or acknowledged by the primary shortly before it was left. What is missing
     * may still come over, and of what no row can tell a person must look: these are left.
     */
    private void saySuspects() throws IOException {
        for (LedgerEntry write : client.suspects()) {
            Verified verified = client.verify(write.id());
            say("suspect " + write.id() + " " + write.effect().map(Drill::label).orElse("in_flight") + " "
                    + write.method() + " " + write.url() + " " + label(verified));
        }
        client.settle(SettlePolicy.ALL.verify(false));
        for (LedgerEntry write : client.ledger()) {
            // Nobody has looked at the others.
            if (write.verified().isEmpty()) continue;
            say("settled " + write.id() + " " + write.tag().orElse("-") + " "
                    + write.resolution().map(Drill::label).orElse("left"));
        }
    }

    private void round(int n) {
        String web = app + "-web-" + n;
        FailoverResponse created = call(
                "create-web",
                FailoverRequest.builder("POST", "/api/data/v9.2/accounts")
                        .header("Content-Type", "application/json")
                        .body("{\"name\":\"" + web + "\"}"),
                web);
        if (created != null) {
            String row = created.header("OData-EntityId").orElse("");
            sayCreated(ROW_ID.matcher(row), web, created);
            call("read-web", FailoverRequest.builder("GET", row), null);
        }
        String soap = app + "-soap-" + n;
        FailoverResponse answer = call("create-soap", soap("Create", String.format(CREATE, soap)), soap);
        if (answer != null) {
            sayCreated(CREATE_RESULT.matcher(answer.bodyString()), soap, answer);
        }
        call("whoami-soap", soap("Execute", WHO_AM_I), null);
    }

    private static FailoverRequest.Builder soap(String operation, String body) {
        return FailoverRequest.builder("POST", "/XRMServices/2011/Organization.svc/web")
                .header("Content-Type", "text/xml; charset=utf-8")
                .header("SOAPAction", '"' + SERVICE + "/IOrganizationService/" + operation + '"')
                .body("<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body>" + body
                        + "</s:Body></s:Envelope>");
    }

    /**
     * Null if it failed: then the next round has new names, so that nothing is ever sent twice by hand. {@code creates}
     * is the name of the row that it creates, or null.
     */
    private FailoverResponse call(String what, FailoverRequest.Builder request, String creates) {
        calls++;
        if (creates != null) {
            request.tag(creates);
            if (guarded) request.guardedCreate();
        }
        try {
            FailoverResponse response = client.send(request.build());
            if (response.status() >= 400) {
                String kind = ServiceFault.classify(response.status(), response.headers(), response.body())
                        .map(ServiceFault::kind).orElse(FaultKind.SERVICE).label();
                sayError(kind, what, "HTTP " + response.status());
                sayFailed(creates, response.effect(), response.ledgerId());
                return null;
            }
            say("call ok " + what);
            if (response.attempts().size() > 1) say("call retried " + what);
            return response;
        } catch (FailoverException e) {
            sayError(e.kind().label(), what, e.getMessage());
            sayFailed(creates, e.effect(), e.ledgerId());
        } catch (IOException | IllegalArgumentException e) {
            sayError("other", what, e.toString());
        }
        return null;
    }

    private static void report(String name, EndpointSwitchEvent event) {
        say("event " + name + " " + event.previousUrl() + " " + event.newUrl() + " " + event.reason());
    }

    private static void sayCreated(Matcher id, String name, FailoverResponse response) {
        if (id.find()) say("created " + id.group(1) + " " + name + " " + response.ledgerId().orElse(0));
    }

    /** A create did not succeed. Whether it was executed all the same, the effect says. */
    private static void sayFailed(String name, Effect effect, OptionalLong ledgerId) {
        if (name != null && ledgerId.isPresent()) {
            say("failed " + name + " " + label(effect) + " " + ledgerId.getAsLong());
        }
    }

    private static String label(Enum<?> word) {
        return word.name().toLowerCase(Locale.ROOT);
    }

    private static void sayError(String kind, String what, String message) {
        say("error " + kind + " " + what + " " + message.replaceAll("\\s+", " "));
    }

    /** Listeners run on another thread. */
    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private static CountDownLatch endOfInput() {
        CountDownLatch end = new CountDownLatch(1);
        Thread reader = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {
                    // What is said there does not matter, only that it ends.
                }
            } catch (IOException e) {
                // A standard input that cannot be read has ended.
            }
            end.countDown();
        });
        reader.setDaemon(true);
        reader.start();
        return end;
    }
}
