import io.github.d365failover.FailoverClient;
import io.github.d365failover.FailoverClientBuilder;
import io.github.d365failover.FailoverRequest;
import io.github.d365failover.FailoverResponse;
import io.github.d365failover.Token;
import java.nio.file.Path;

/** Five minutes with d365-failover: create an account, read it back, and hear of switches. */
public final class First {
    private First() {}

    public static void main(String[] args) throws Exception {
        if (System.getenv("D365_URL") == null) {
            System.err.println("set D365_URL to the organization's URL: https://contoso.crm.dynamics.com");
            System.exit(2);
        }
        FailoverClientBuilder builder = FailoverClient.builder(System.getenv("D365_URL"));
        if (System.getenv("D365_PRESET") != null) builder.setting("preset", System.getenv("D365_PRESET"));
        if (System.getenv("D365_CA_BUNDLE") != null) builder.caBundle(Path.of(System.getenv("D365_CA_BUNDLE")));
        if (System.getenv("D365_CONNECT_TO") != null) builder.setting("connect_to", System.getenv("D365_CONNECT_TO"));
        String prefix = System.getenv("D365_TOKEN_PREFIX");
        if (prefix != null) builder.tokenProvider(request -> Token.of(prefix + request.uri().getHost()));

        try (FailoverClient client = builder.build()) {
            client.addEndpointSwitchRequiredListener(event -> System.out.println("about to switch: " + event));
            client.addEndpointSwitchedListener(event -> System.out.println("switched: " + event));

            FailoverResponse created = client.send(FailoverRequest.builder("POST", "/api/data/v9.2/accounts")
                    .header("Content-Type", "application/json")
                    .body("{\"name\":\"" + System.getenv().getOrDefault("D365_APP", "first") + "\"}")
                    .build());
            if (created.status() == 401) {
                System.err.println("the service wants a token (401): give the builder a tokenProvider, as in"
                        + " docs/guide/tokens.md, or, for the twin that checks them, set D365_TOKEN_PREFIX");
                System.exit(1);
            }
            System.out.println("created: " + created + ", the write was " + created.effect());

            String row = created.header("OData-EntityId")
                    .orElseThrow(() -> new IllegalStateException(created + ": " + created.bodyString()));
            System.out.println("read back: " + client.send(FailoverRequest.get(row)).bodyString());
        }
    }
}
