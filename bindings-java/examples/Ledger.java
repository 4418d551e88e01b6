import io.github.d365failover.Effect;
import io.github.d365failover.FailoverClient;
import io.github.d365failover.FailoverClientBuilder;
import io.github.d365failover.FailoverException;
import io.github.d365failover.FailoverRequest;
import io.github.d365failover.FailoverResponse;
import io.github.d365failover.LedgerEntry;
import io.github.d365failover.Resolution;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** Creates accounts so that none is doubled, and settles a write of which nobody knows whether it was executed. */
public final class Ledger {
    private static final String ACCOUNTS = "/api/data/v9.2/accounts";

    private Ledger() {}

    public static void main(String[] args) throws Exception {
        FailoverClientBuilder builder = FailoverClient.builder(System.getenv("D365_URL"));
        if (System.getenv("D365_CA_BUNDLE") != null) builder.caBundle(Path.of(System.getenv("D365_CA_BUNDLE")));
        if (System.getenv("D365_CONNECT_TO") != null) builder.setting("connect_to", System.getenv("D365_CONNECT_TO"));
        // Where the application looks for a write in doubt: at the row, by an alternate key.
        Map<Long, String> keys = new HashMap<>();

        try (FailoverClient client = builder.build()) {
            client.addWriteInDoubtListener(
                    event -> System.out.println("in doubt: write " + event.ledgerId() + ", " + event));

            // The library chooses the row's id, so the service detects a repeat, and the create may be sent again.
            String account = "{\"name\":\"Contoso Ltd.\",\"accountnumber\":\"java-1\"}";
            FailoverResponse created = client.send(create(account).guardedCreate().build());
            System.out.println("created " + created.header("OData-EntityId").orElseThrow());

            // A repeat of a plain create makes a second row: if its answer is lost, it is not sent again.
            try {
                client.send(create("{\"name\":\"Fabrikam\",\"accountnumber\":\"java-2\"}").build());
            } catch (FailoverException e) {
                if (e.effect() != Effect.UNKNOWN) throw e;
                keys.put(e.ledgerId().orElseThrow(), ACCOUNTS + "(accountnumber='java-2')");
            }

            System.out.println("in question: " + client.suspects().size());
            for (LedgerEntry write : client.suspects()) {
                String row = keys.getOrDefault(write.id(), write.rowUrl().orElse(write.url()));
                if (client.send(FailoverRequest.get(row)).status() == 200) {
                    client.resolve(write.id(), Resolution.CONFIRMED);
                }
            }
            System.out.println("still in question: " + client.suspects().size());
        }
    }

    private static FailoverRequest.Builder create(String account) {
        return FailoverRequest.builder("POST", ACCOUNTS)
                .header("Content-Type", "application/json")
                .body(account);
    }
}
