package io.github.d365failover.agent;

import com.google.gson.JsonObject;
import io.github.d365failover.BodySource;
import io.github.d365failover.FailoverRequest;
import java.io.IOException;
import java.io.InputStream;

/** The body that a scenario has the call read: byte {@code i} is {@code i * 31 + 7}. It counts what it is asked for. */
final class PatternBody implements BodySource {
    private final JsonObject wanted;
    private final long size;
    private long bytes;
    private int opens;

    PatternBody(JsonObject wanted) {
        this.wanted = wanted;
        this.size = wanted.get("size").getAsLong();
    }

    static byte at(long index) {
        return (byte) (index * 31 + 7);
    }

    void put(FailoverRequest.Builder request) throws IOException {
        boolean once = wanted.get("kind").getAsString().equals("one_shot");
        boolean told = Agent.present(wanted, "length") && wanted.get("length").getAsBoolean();
        if (Agent.present(wanted, "claims") || told) {
            long length = Agent.present(wanted, "claims") ? wanted.get("claims").getAsLong() : size;
            if (once) {
                request.body(open(), length);
            } else {
                request.body(this, length);
            }
        } else if (once) {
            request.body(open());
        } else {
            request.body(this);
        }
    }

    JsonObject reads() {
        JsonObject json = new JsonObject();
        json.addProperty("bytes", bytes);
        json.addProperty("rewinds", Math.max(0, opens - 1));
        return json;
    }

    @Override
    public InputStream open() {
        opens++;
        return new Pieces();
    }

    private final class Pieces extends InputStream {
        private final long chunk = wanted.get("chunk").getAsLong();
        private final long failAt = Agent.present(wanted, "fail_at") ? wanted.get("fail_at").getAsLong() : -1;
        private long index;

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] buffer, int offset, int length) throws IOException {
            if (index == failAt) {
                throw new IOException("the scenario's body fails here");
            }
            long left = (failAt < 0 ? size : Math.min(size, failAt)) - index;
            if (left <= 0) {
                return -1;
            }
            int count = (int) Math.min(Math.min(length, chunk), left);
            for (int i = 0; i < count; i++) {
                buffer[offset + i] = at(index++);
            }
            bytes += count;
            return count;
        }
    }
}
