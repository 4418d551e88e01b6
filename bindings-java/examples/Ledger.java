import io.github.d365failover.Effect;
import io.github.d365failover.FailoverClient;
import io.github.d365failover.FailoverClientBuilder;
import io.github.d365failover.FailoverException;
import io.github.d365failover.FailoverRequest;
import io.github.d365failover.FailoverResponse;
import io.github.d365failover.LedgerBodies;
import io.github.d365failover.LedgerEntry;
import io.github.d365failover.SettlePolicy;
import io.github.d365failover.Verified;
import java.nio.file.Path;
import java.util.Objects;

/** Creates accounts so that none is doubled, and settles what can be settled of the writes in question. */
public final class Ledger {
    private static final String ACCOUNTS = "/api/data/v9.2/accounts";

    private Ledger() {}

    public static void main(String[] args) throws Exception {
        String url = Objects.requireNonNull(System.getenv("D365_URL"), "the environment has no D365_URL");
        FailoverClientBuilder builder = FailoverClient.builder(url).ledgerBodies(LedgerBodies.FULL);
        if (System.getenv("D365_CA_BUNDLE") != null) builder.caBundle(Path.of(System.getenv("D365_CA_BUNDLE")));
        if (System.getenv("D365_CONNECT_TO") != null) builder.setting("connect_to", System.getenv("D365_CONNECT_TO"));

        try (FailoverClient client = builder.build()) {
            client.addWriteInDoubtListener(
                    event -> System.out.println("in doubt: write " + event.ledgerId().orElse(0) + ", " + event));

            // The library chooses the row's id, so the service detects a repeat, and the create may be sent again.
            String account = "{\"name\":\"Contoso Ltd.\",\"accountnumber\":\"java-1\"}";
            FailoverResponse created = client.send(create(account).guardedCreate().build());
            System.out.println("created " + created.header("OData-EntityId")
                    .orElseThrow(() -> new IllegalStateException(created + ": " + created.bodyString())));

            // A repeat of a plain create makes a second row: if its answer is lost, it is not sent again.
            try {
                String fabrikam = "{\"name\":\"Fabrikam\",\"accountnumber\":\"java-2\"}";
                client.send(create(fabrikam).tag("account java-2").build());
            } catch (FailoverException e) {
                if (e.effect() != Effect.UNKNOWN) throw e;
            }

            System.out.println("in question: " + client.suspects().size());
            // Confirms what is there for good, sends again what is missing for good and may be.
            client.settle(SettlePolicy.ALL);
            for (LedgerEntry write : client.suspects()) {
                String found = write.verified().map(Verified::toString).orElse("not looked at");
                System.out.println("look yourself: " + write.tag().orElse(write.url()) + " " + found);
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
