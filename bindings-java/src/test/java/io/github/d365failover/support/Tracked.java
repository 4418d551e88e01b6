package io.github.d365failover.support;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Streams of the same text, each of which tells whether it was read and closed. */
public final class Tracked {
    private final byte[] text;
    private final List<Stream> opened = Collections.synchronizedList(new ArrayList<>());

    public Tracked(String text) {
        this.text = text.getBytes(StandardCharsets.UTF_8);
    }

    public int length() {
        return text.length;
    }

    public Stream open() {
        Stream stream = new Stream(new ByteArrayInputStream(text));
        opened.add(stream);
        return stream;
    }

    public int opened() {
        return opened.size();
    }

    public boolean allClosed() {
        synchronized (opened) {
            return opened.stream().allMatch(stream -> stream.closed == 1);
        }
    }

    /** Counts its closes. */
    public static final class Stream extends InputStream {
        private final InputStream in;
        private volatile int reads;
        private volatile int closed;

        public Stream(InputStream in) {
            this.in = in;
        }

        @Override
        public int read() throws IOException {
            reads++;
            return in.read();
        }

        @Override
        public int read(byte[] buffer, int offset, int length) throws IOException {
            reads++;
            return in.read(buffer, offset, length);
        }

        @Override
        public void close() throws IOException {
            closed++;
            in.close();
        }

        public int reads() {
            return reads;
        }

        public int closed() {
            return closed;
        }
    }
}
