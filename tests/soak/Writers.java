import io.github.d365failover.Effect;
import io.github.d365failover.FailoverClient;
import io.github.d365failover.FailoverException;
import io.github.d365failover.FailoverRequest;
import io.github.d365failover.FailoverResponse;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.OptionalLong;

/** Eight threads that create rows by one client with a store, until the process is killed. A line for each that was told. */
public final class Writers {
    private static final int THREADS = 8;
    private static final FileOutputStream OUT = new FileOutputStream(FileDescriptor.out);

    private Writers() {}

    /** In one piece: what was cut by a kill has no end of line. */
    private static void say(String line) {
        try {
            OUT.write((line + "\n").getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            System.exit(1);
        }
    }

    private static void work(FailoverClient client, String name) {
        for (int n = 1;; n++) {
            String row = name + "-" + n;
            FailoverRequest.Builder request = FailoverRequest.builder("POST", "/api/data/v9.2/accounts")
                    .header("Content-Type", "application/json")
                    .body("{\"name\":\"" + row + "\"}")
                    .tag(row);
            if (n % 2 == 0) request.guardedCreate();
            Effect effect = Effect.NOT_EXECUTED;
            OptionalLong id = OptionalLong.empty();
            try {
                FailoverResponse response = client.send(request.build());
                effect = response.effect();
                id = response.ledgerId();
            } catch (FailoverException e) {
                effect = e.effect();
                id = e.ledgerId();
            } catch (IOException e) {
                System.err.println(e);
                System.exit(1);
            }
            say("told " + row + " " + effect.name().toLowerCase(Locale.ROOT) + " " + id.orElse(0));
        }
    }

    public static void main(String[] args) throws IOException {
        FailoverClient client = FailoverClient.builder(System.getenv("D365_URL"))
                .setting("store", System.getenv("D365_STORE"))
                .setting("connect_to", System.getenv("D365_CONNECT_TO"))
                .setting("outage_wait_ms", "0")
                .build();
        say("ready");
        for (int number = 0; number < THREADS; number++) {
            String name = System.getenv("D365_APP") + "-" + number;
            new Thread(() -> work(client, name)).start();
        }
    }
}
