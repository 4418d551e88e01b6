import io.github.d365failover.FailoverClient;
import io.github.d365failover.FailoverClientBuilder;
import io.github.d365failover.FailoverRequest;
import io.github.d365failover.FailoverStreamingResponse;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Objects;

/** Uploads a file into a file column and downloads it again; neither way has it in memory. */
public final class Files {
    private Files() {}

    public static void main(String[] args) throws Exception {
        String column = "/api/data/v9.2/" + args[0];
        String url = Objects.requireNonNull(System.getenv("D365_URL"), "the environment has no D365_URL");
        FailoverClientBuilder builder = FailoverClient.builder(url);
        if (System.getenv("D365_CA_BUNDLE") != null) builder.caBundle(Path.of(System.getenv("D365_CA_BUNDLE")));
        if (System.getenv("D365_CONNECT_TO") != null) builder.setting("connect_to", System.getenv("D365_CONNECT_TO"));

        try (FailoverClient client = builder.build()) {
            // Opened anew for each attempt: the upload begins again at the alternate if the primary fails within it.
            int status = client.send(FailoverRequest.builder("PATCH", column)
                            .header("Content-Type", "application/octet-stream")
                            .header("x-ms-file-name", "file.bin")
                            .body(Path.of(args[1]))
                            .build())
                    .status();
            System.out.println("uploaded: " + status);

            try (FailoverStreamingResponse response = client.sendStreaming(FailoverRequest.get(column + "/$value"))) {
                long bytes = java.nio.file.Files.copy(
                        response.body(), Path.of(args[2]), StandardCopyOption.REPLACE_EXISTING);
                System.out.println("downloaded: " + bytes + " bytes");
            }
        }
    }
}
