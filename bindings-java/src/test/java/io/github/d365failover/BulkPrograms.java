package io.github.d365failover;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.InputStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import java.util.Random;

/** The programs of {@link BulkTest}: a gigabyte through a heap of 64 MB. */
public final class BulkPrograms {
    private static final long BYTES = 1L << 30;

    private BulkPrograms() {}

    private static FailoverClient client(String version) {
        return Programs.fromEnvironment().http2(version.equals("HTTP_2")).build();
    }

    /** Reads a gigabyte; it is the one that the server sent. */
    public static final class Download {
        private Download() {}

        public static void main(String[] args) throws Exception {
            try (FailoverClient client = client(args[0]);
                    FailoverStreamingResponse response = client.sendStreaming(FailoverRequest.get("/bulk/" + BYTES))) {
                MessageDigest digest = sha256();
                long count = 0;
                byte[] buffer = new byte[1 << 16];
                InputStream body = response.body();
                for (int read = body.read(buffer); read >= 0; read = body.read(buffer)) {
                    digest.update(buffer, 0, read);
                    count += read;
                }
                JsonObject sent = JsonParser.parseString(
                                client.send(FailoverRequest.get("/bulk/" + BYTES + "/digest")).bodyString())
                        .getAsJsonObject();
                report(response.attempts(), count, hex(digest), sent);
            }
        }
    }

    /** Sends a gigabyte, of known length or not; it is the one that the server got. */
    public static final class Upload {
        private Upload() {}

        public static void main(String[] args) throws Exception {
            MessageDigest digest = sha256();
            BodySource source = () -> new Generated(digest);
            FailoverRequest.Builder put = FailoverRequest.builder("PUT", "/bulk");
            FailoverRequest request =
                    (args[1].equals("known") ? put.body(source, BYTES) : put.body(source)).build();
            try (FailoverClient client = client(args[0])) {
                FailoverResponse response = client.send(request);
                JsonObject got = JsonParser.parseString(response.bodyString()).getAsJsonObject();
                report(response.attempts(), BYTES, hex(digest), got);
            }
        }
    }

    /** As many bytes, with their number in each block, so that one that is missing or moved changes the digest. */
    private static final class Generated extends InputStream {
        private final MessageDigest digest;
        private final ByteBuffer block = ByteBuffer.allocate(1 << 16);
        private long blocks;

        Generated(MessageDigest digest) {
            digest.reset();
            this.digest = digest;
            new Random(365).nextBytes(block.array());
            block.limit(0);
        }

        @Override
        public int read() {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] buffer, int offset, int length) {
            if (!block.hasRemaining()) {
                if (blocks * block.capacity() == BYTES) {
                    return -1;
                }
                block.clear();
                block.putLong(0, blocks++);
                digest.update(block.array());
            }
            int count = Math.min(length, block.remaining());
            block.get(buffer, offset, count);
            return count;
        }
    }

    private static MessageDigest sha256() throws NoSuchAlgorithmException {
        return MessageDigest.getInstance("SHA-256");
    }

    private static String hex(MessageDigest digest) {
        return String.format("%064x", new BigInteger(1, digest.digest()));
    }

    private static void report(List<Attempt> attempts, long count, String digest, JsonObject other) throws Exception {
        if (count != other.get("bytes").getAsLong() || !digest.equals(other.get("sha256").getAsString())) {
            throw new AssertionError(count + " bytes, " + digest + ", and the server says " + other);
        }
        String peak = Files.readAllLines(Path.of("/proc/self/status")).stream()
                .filter(line -> line.startsWith("VmHWM:"))
                .map(line -> line.replaceAll("\\D", ""))
                .findFirst()
                .orElseThrow();
        System.out.println(attempts.get(0).httpVersion().orElseThrow() + " " + count + " peak_kb=" + peak);
    }
}
